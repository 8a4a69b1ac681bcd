"""The scheduler alone: runs tests/bench/scheduler.rs, judges what it says, and shows it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from process import Failed, clean_environment
from programs import Programs

Row = dict[str, Any]
#: What the program's scheduler is compared with where absolute times would not travel from machine to machine.
YARDSTICK = "std VecDeque and a lock, in batches"
OURS = "scheduler, in batches"


def run(programs: Programs, short: bool) -> tuple[list[Row], str]:
    """All rows, and what is to be said of instructions."""
    options = ["tasks=500000", "repeats=5", "only=contenders", "contend=6"] if short else []
    command = [programs.scheduler, *options]
    rows, note = [], ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as child:
        assert child.stdout is not None
        for line in child.stdout:
            row = json.loads(line)
            if "about" in row:
                note = "" if row["available"] else f"instructions are not counted: {row['why']}"
                continue
            rows.append(row)
            print("  " + describe(row), file=sys.stderr)
    if child.returncode != 0:
        raise Failed(f"the scheduler's benchmark ended with code {child.returncode}")
    return rows, note


def describe(row: Row) -> str:
    """A row in a line."""
    shape = f"W={row['workers']} in flight {row['in_flight']:,} keys {row['keys']:,}"
    counted = f", {row['instructions']:,.0f} instructions" if row["instructions"] is not None else ""
    spread = f"{row['cpu_ns_min']:.0f}..{row['cpu_ns_max']:.0f}"
    return f"{row['axis']:<10}  {row['name']:<38}  {shape:<42}  {row['cpu_ns']:6.0f} ns CPU ({spread}), {row['wall_ns']:.0f} ns wall{counted}"


def find(rows: list[Row], axis: str, **shape: Any) -> Row | None:
    """The row of this shape."""
    return next((r for r in rows if r["axis"] == axis and all(r[key] == value for key, value in shape.items())), None)


def goals(rows: list[Row]) -> list[dict[str, Any]]:
    """Each goal that there is a row for."""
    found = []
    six = find(rows, "workers", workers=6)
    if six:
        found.append(_goal("CPU a task, W = 6", "ns", 150, six["cpu_ns"], six["cpu_ns_min"], six["cpu_ns_max"]))
    for name, limit, axis, first, last in (
        ("W = 64 ÷ W = 6", 1.2, "workers", {"workers": 6}, {"workers": 64}),
        ("1 M in flight ÷ 1 k", 1.3, "in-flight", {"in_flight": 1000}, {"in_flight": 1_000_000}),
    ):
        low, high = find(rows, axis, **first), find(rows, axis, **last)
        if low and high:
            ratios = [high[key] / low["cpu_ns"] for key in ("cpu_ns", "cpu_ns_min", "cpu_ns_max")]
            found.append(_goal(name, "×", limit, *ratios))
    low, high = find(rows, "keys", keys=1), find(rows, "keys", keys=1_000_000)
    if low and high:
        more = [high[key] - low["cpu_ns"] for key in ("cpu_ns", "cpu_ns_min", "cpu_ns_max")]
        found.append(_goal("1 M keys − 1 key", "ns", 30, *more))
    return found


def _goal(name: str, unit: str, limit: float, value: float, low: float, high: float) -> dict[str, Any]:
    return {"name": name, "unit": unit, "goal": limit, "value": value, "min": low, "max": high, "reached": value <= limit}


def against_yardstick(rows: list[Row]) -> float:
    """The program's scheduler in parts of the plainest one at six workers."""
    ours, plain = find(rows, "contenders", name=OURS, workers=6), find(rows, "contenders", name=YARDSTICK, workers=6)
    if not ours or not plain:
        raise Failed("the scheduler's benchmark has no row for six workers")
    return ours["cpu_ns"] / plain["cpu_ns"]
