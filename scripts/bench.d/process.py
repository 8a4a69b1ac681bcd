"""Child processes, and what the kernel says they used.

The CPU time of a process that ended is wait4's (user and system, all threads, and children that it waited for); of one that
runs it is the sum of its threads' times on a core, in nanoseconds (/proc/PID/task/*/schedstat). No other process is counted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


class Failed(Exception):
    """Something did not happen as it has to; the text says what, for people."""


@dataclass(frozen=True)
class Usage:
    """What a process used from its start to its end."""

    cpu_s: float
    peak_mib: float
    switches: int


class Child:
    """A program that was started, with its output in a file."""

    running: set["Child"] = set()

    def __init__(self, command: list[str], log: Path, env: dict[str, str] | None = None, pipe: bool = False):
        self.command, self.log = command, log
        self.usage: Usage | None = None
        self.code: int | None = None
        self.started = time.monotonic()
        with log.open("ab") as sink:
            out = subprocess.PIPE if pipe else sink
            self.popen = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=sink)
        self.pid = self.popen.pid
        Child.running.add(self)

    def ended(self) -> bool:
        """Whether it has; notes then how, and what it used."""
        return self.code is not None or self._reap(os.WNOHANG)

    def _reap(self, flags: int) -> bool:
        pid, status, used = os.wait4(self.pid, flags)
        if pid == 0:
            return False
        self.code = self.popen.returncode = os.waitstatus_to_exitcode(status)
        peak, switches = used.ru_maxrss / 1024, used.ru_nvcsw + used.ru_nivcsw
        self.usage = Usage(used.ru_utime + used.ru_stime, peak, switches)
        Child.running.discard(self)
        return True

    def wait(self, seconds: float) -> int:
        """Waits for its end, and returns its exit code."""
        deadline = time.monotonic() + seconds
        while not self.ended():
            if time.monotonic() > deadline:
                raise Failed(f"{self.name()} did not end within {seconds:.0f} s\n{self.tail()}")
            time.sleep(0.005)
        assert self.code is not None
        return self.code

    def stop(self, seconds: float = 60) -> int:
        """Asks it to end, and waits for that."""
        if not self.ended():
            os.kill(self.pid, signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        """Ends it without a word."""
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            self._reap(0)

    def name(self) -> str:
        """Of the program."""
        return Path(self.command[0]).name

    def tail(self) -> str:
        """The end of what it said."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(["    " + line for line in lines[-12:]])

    def check_alive(self) -> None:
        """It must not have ended yet."""
        if self.ended():
            raise Failed(f"{self.name()} ended with code {self.code}\n{self.tail()}")


def kill_all() -> None:
    """Ends every child that is left."""
    for child in list(Child.running):
        child.kill()


def cpu_ns(pid: int) -> int:
    """Time on a core so far of all threads that a running process has."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((thread / "schedstat").read_text().split()[0])
        except (OSError, IndexError, ValueError):
            continue
    return total


def peak_mib(pid: int) -> float:
    """The largest memory that a running process has had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def run(command: list[str], env: dict[str, str] | None = None, timeout: float = 900) -> str:
    """Runs a program to its end and returns what it wrote to standard output; a failure is a Failed."""
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{command[0]} took longer than {timeout:.0f} s") from late
    if done.returncode != 0:
        raise Failed(f"{' '.join(command[:4])} … ended with code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def clean_environment() -> dict[str, str]:
    """Ours without what would configure a program under test."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "PROCESSOR_"))}
