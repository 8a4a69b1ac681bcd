"""Runs the foreign clients against one broker: main.py SERVERS KAFKA-SCRIPT"""

import os
import shutil
import subprocess
import sys
import time

import java
import kcat
import python
from checks import Report


def main(servers, script):
    report = Report()
    # Unique, so that the same cluster can be asked twice.
    prefix = f"foreign-{os.getpid()}-{int(time.time())}"
    own = python.Python(servers, prefix)
    clients = [(python.WHO, own)]
    if shutil.which("kcat"):
        clients.append((kcat.WHO, kcat.Kcat(servers, prefix, own.topic)))
    else:
        report.skip(kcat.WHO, "kcat is not installed (e.g. apt-get install kcat)")
    if subprocess.run([script, "available"], capture_output=True).returncode == 0:
        clients.append((java.WHO, java.Java(servers, prefix, script)))
    else:
        report.skip(java.WHO, "Java and Maven are not installed")
    for who, client in clients:
        for what, body in client.checks():
            report.check(who, what, body)
    print(f"foreign clients: {report.failed} checks failed, {report.skipped} clients skipped", flush=True)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
