"""What was measured, as a table on the terminal and as JSON."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

from process import Failed

Report = dict[str, Any]

#: What a figure of the growth table is, by the axis's `how`.
WHAT = {"last": "last ÷ first", "more": "last − first", "raw": "worst ÷ raw", "falls": "largest step"}
HEAD = ("workload", "figure", "value", "goal", "", "min..max", "A/A")


def new(about: dict[str, Any]) -> Report:
    """An empty one."""
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "load_at_start": os.getloadavg()[0]}
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"version": 1, "started": started, "machine": machine, **about, "workloads": [], "growth": [], "scheduler": []}


def save(report: Report, path: Path) -> None:
    """Writes the JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


def load(path: Path) -> Report:
    """Reads it."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Failed(f"{path} is no file that --json wrote: {error}") from error


def table(report: Report) -> str:
    """All figures."""
    rows = [HEAD]
    for workload in report["workloads"]:
        rows += _of_workload(workload)
    rows += [_of_axis(axis) for axis in report["growth"]]
    rows += [_of_goal(one) for one in report.get("scheduler_goals", [])]
    return _align(rows) if len(rows) > 1 else ""


def _of_workload(workload: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for figure in workload["figures"]:
        reached = _word(figure["reached"], workload["void"])
        same = _between(figure["aa_min"], figure["aa_max"]) if figure["aa"] is not None else "–"
        first = workload["name"] if not rows else ""
        spread = _between(figure["min"], figure["max"])
        rows.append((first, figure["name"], value(figure), goal(figure), reached, spread, same))
    return rows


def _of_axis(axis: dict[str, Any]) -> tuple[str, ...]:
    first, last = axis["points"][0]["at"], axis["points"][-1]["at"]
    what = WHAT[axis["how"]]
    reached = _word(axis["reached"], axis["void"])
    name = f"{axis['name']} {first:g}..{last:g}"
    return (name, what, value(axis), goal(axis), reached, _between(axis["min"], axis["max"]), "–")


def _of_goal(one: dict[str, Any]) -> tuple[str, ...]:
    return ("scheduler", one["name"], value(one), goal(one), _word(one["reached"], False), _between(one["min"], one["max"]), "–")


def value(figure: dict[str, Any]) -> str:
    """With its unit."""
    return f"{number(figure['value'])} {figure['unit']}".strip()


def goal(figure: dict[str, Any]) -> str:
    """What it should be; a goal is a most where nothing else is said."""
    return "–" if figure["goal"] is None else f"{'≥' if figure.get('at_least') else '≤'} {figure['goal']:g}"


def _word(reached: bool | None, void: bool) -> str:
    if void:
        return "VOID"
    return {None: "", True: "reached", False: "not reached"}[reached]


def number(x: float) -> str:
    """Three digits, and no powers of ten."""
    size = abs(x)
    return f"{x:,.0f}" if size >= 100 else f"{x:.1f}" if size >= 10 else f"{x:.2f}"


def _between(low: float, high: float) -> str:
    return f"{number(low)}..{number(high)}"


def _align(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def points(axis: dict[str, Any]) -> str:
    """An axis of the growth table, point by point."""
    rows = [("at", "candidate", "raw", "ratio", "records/s", "peak MiB", "raw's")]
    for point in axis["points"]:
        mine, raw = point["candidate"], point["reference"]
        rows.append((
            f"{point['at']:g}", f"{mine:.3f}", f"{raw:.3f}", f"{mine / raw:.2f}", f"{point['records_per_s']:,.0f}",
            f"{point['peak_mib']:.0f}", f"{point['reference_peak_mib']:.0f}",
        ))
    return _align(rows)
