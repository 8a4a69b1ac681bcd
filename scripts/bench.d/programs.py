"""Builds the programs of the suite, and knows where they are."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from process import Failed

ROOT = Path(__file__).resolve().parents[2]
BENCHES = ("raw", "handlers", "desk", "load", "scheduler")


@dataclass(frozen=True)
class Programs:
    """Paths of what was built."""

    processor: str
    raw: str
    handlers: str
    desk: str
    load: str
    scheduler: str


def build() -> Programs:
    """In the release profile; what is up to date is not built again."""
    print("scripts/bench: building", file=sys.stderr)
    command = ["cargo", "build", "--release", "--bin", "processor", "--message-format", "json-render-diagnostics"]
    for bench in BENCHES:
        command += ["--bench", bench]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Failed("the programs could not be built: see above")
    return Programs(**_executables(done.stdout.splitlines()))


def _executables(lines: list[str]) -> dict[str, str]:
    wanted = ("processor", *BENCHES)
    found = {}
    for line in lines:
        message = json.loads(line)
        name = message.get("target", {}).get("name")
        if message.get("reason") == "compiler-artifact" and message.get("executable") and name in wanted:
            found[name] = message["executable"]
    return found
