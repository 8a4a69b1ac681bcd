"""What every check stands on: one line for each, and an exit code."""

import subprocess
import sys
import time
import traceback


class Report:
    """Runs checks, and says of each how it went."""

    def __init__(self):
        self.failed = 0
        self.skipped = 0

    def check(self, who, what, body):
        begin = time.monotonic()
        try:
            body()
        except Exception as error:  # A client that breaks is a check that fails; the others go on.
            self.failed += 1
            print(f"FAILED {who}: {what}: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc(limit=-2, file=sys.stderr)
        else:
            print(f"ok     {who}: {what} ({time.monotonic() - begin:.1f} s)", flush=True)

    def skip(self, who, why):
        self.skipped += 1
        print(f"SKIPPED {who}: {why}", flush=True)


def equal(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {short(found)}, not {short(wanted)}")


def holds(condition, what):
    if not condition:
        raise AssertionError(what)


def short(value):
    text = repr(value)
    return text if len(text) < 400 else text[:400] + "…"


def eventually(seconds, what, condition):
    """Asks until it holds; returns what it answered."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def run(command, feed=None, seconds=60):
    """A program's output; its last words when it fails."""
    done = subprocess.run(command, input=feed, capture_output=True, text=True, timeout=seconds)
    if done.returncode != 0:
        last = " | ".join((done.stderr + done.stdout).strip().splitlines()[-4:])
        raise AssertionError(f"{command[0]} ended with {done.returncode}: {last}")
    return done.stdout
