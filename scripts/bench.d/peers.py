"""Other programs on the same topics, by turns with the raw loop: tests/bench/peers/README.md."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flow
from process import Failed, clean_environment, run
from programs import ROOT
from rig import Rig
from workload import Arm, Input, Workload

PREPARE = str(ROOT / "tests" / "bench" / "peers" / "prepare")
CLASSES = {"streams": "Streams", "plain": "Plain"}
PLACEHOLDERS = ["{servers}", "{input}", "{output}", "{group}", "{handler}"]
#: The short length, in parts of the long one.
QUARTER = 0.25
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Spent:
    """What a program had used when the output was complete."""

    cpu_s: float
    peak_mib: float
    records_per_s: float


def prepared(name: str) -> list[str]:
    """The command of a peer that is in the repository."""
    if name not in CLASSES:
        raise Failed(f"there is no peer {name} here ({', '.join(CLASSES)}): give its command behind --")
    class_path = run([PREPARE, name]).strip()
    return ["java", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", class_path, CLASSES[name], *PLACEHOLDERS]


def measure(rig: Rig, name: str, command: list[str], handler: str, rounds: int) -> dict[str, Any]:
    """Raw and peer at two lengths, round by round."""
    found: dict[str, Any] = {"peer": name, "command": command, "handler": handler, "rounds": []}
    for number in range(rounds):
        one = {}
        for length, share in (("short", QUARTER), ("long", 1.0)):
            records = Input(share=share)
            one[f"raw_{length}"] = _raw(rig, records, handler).__dict__
            one[f"peer_{length}"] = _peer(rig, records, command, handler).__dict__
        one |= _figures(one, Input(share=QUARTER).records(rig.base), Input().records(rig.base))
        found["rounds"].append(one)
        print(f"  round {number + 1}: with warm-up {one['with']:.2f}, without {one['without']:.2f} CPU-s per million", file=sys.stderr)
    return found


def _raw(rig: Rig, records: Input, handler: str) -> Spent:
    arm = Arm("raw", handler)
    sample = flow.sample(rig, Workload("peer", "", arm, (), input=records), arm, False)
    return Spent(sample["cpu_s"], sample["peak_mib"], sample["records_per_s"])


def _peer(rig: Rig, records: Input, command: list[str], handler: str) -> Spent:
    filled = rig.filled(records)
    with rig.topics(records.partitions, "out") as (output,):
        group = rig.name("group")
        work = rig.work / group
        work.mkdir()
        words = {
            "servers": rig.servers, "input": filled.topic, "output": output, "group": group, "handler": handler, "work": str(work),
        }
        log = work / "log"
        with log.open("wb") as sink:
            line = [_fill_in(part, words) for part in command]
            child = subprocess.Popen(line, stdout=sink, stderr=sink, env=clean_environment(), start_new_session=True)
        try:
            return _watch(rig, child, output, filled.records, log)
        finally:
            _end(child)


def _fill_in(part: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        part = part.replace("{" + name + "}", value)
    return part


def _watch(rig: Rig, child: "subprocess.Popen[bytes]", output: str, records: int, log: Path) -> Spent:
    seen = flow.Flow()
    began = time.monotonic()
    while seen.count < records:
        seen.see(rig.cluster.desk.end(output))
        if child.poll() is not None:
            raise Failed(f"the peer ended with code {child.returncode}, {seen.count} of {records} records:\n{_tail(log)}")
        if time.monotonic() - max(began, seen.last_at) > flow.PATIENCE:
            raise Failed(f"the peer wrote {seen.count} of {records} records, and no more:\n{_tail(log)}")
        time.sleep(0.02)
    spent = Spent(*_used(child.pid), seen.rate(seen.last_at - began))
    time.sleep(1)
    if (count := rig.cluster.desk.end(output)) > records * 1.01:
        raise Failed(f"the peer wrote {count} records instead of {records}")
    return spent


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-12:])


def _used(root: int) -> tuple[float, float]:
    """CPU seconds and peak MiB of a process and all under it."""
    cpu, peak = 0.0, 0.0
    for pid in _tree(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            continue
        cpu += sum(int(field) for field in fields[11:15]) / TICKS
        peak += sum(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))
    return cpu, peak


def _tree(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += parents.get(pid, [])
    return found


def _end(child: "subprocess.Popen[bytes]") -> None:
    """It and all that it started: they have a session of their own."""
    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(child.pid, number)
            child.wait(patience)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _figures(one: dict[str, Any], short: int, long: int) -> dict[str, float]:
    """CPU-seconds per million, with and without what only the beginning costs, and their ratios to raw."""
    cpu = {key: value["cpu_s"] for key, value in one.items()}
    whole = {who: cpu[f"{who}_long"] / long * 1e6 for who in ("raw", "peer")}
    steady = {who: (cpu[f"{who}_long"] - cpu[f"{who}_short"]) / (long - short) * 1e6 for who in ("raw", "peer")}
    return {
        "with": whole["peer"], "without": steady["peer"], "raw_with": whole["raw"], "raw_without": steady["raw"],
        "with_ratio": whole["peer"] / whole["raw"], "without_ratio": steady["peer"] / steady["raw"],
    }


def table(found: dict[str, Any]) -> str:
    """Medians over the rounds, with their range."""
    def over(get: str) -> str:
        values = [one[get] for one in found["rounds"]]
        return f"{statistics.median(values):7.2f}  ({min(values):.2f}..{max(values):.2f})"

    long = [one["peer_long"] for one in found["rounds"]]
    return "\n".join([
        f"{found['peer']}, {found['handler']}: CPU-seconds per million records",
        f"  with warm-up               {over('with')}",
        f"    ÷ raw                    {over('with_ratio')}",
        f"  without (difference of two {over('without')}",
        f"    lengths)  ÷ raw's        {over('without_ratio')}",
        f"  raw                        {over('raw_with')}",
        f"  records a second           {statistics.median(one['records_per_s'] for one in long):,.0f}",
        f"  peak memory, MiB           {statistics.median(one['peak_mib'] for one in long):,.0f}",
    ])
