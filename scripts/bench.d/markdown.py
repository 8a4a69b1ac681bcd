"""What was measured, in Markdown: the tables of docs/performance.md."""

from __future__ import annotations

from typing import Any

from report import WHAT, Report, goal, number, value


def merged(reports: list[Report]) -> Report:
    """One report of parts that were measured one after the other; what stands in a later one replaces an earlier one's."""
    whole: Report = dict(reports[0])
    for kind in ("workloads", "growth"):
        whole[kind] = list({one["name"]: one for part in reports for one in part[kind]}.values())
    for kind in ("scheduler", "scheduler_goals"):
        whole[kind] = next((part[kind] for part in reversed(reports) if part.get(kind)), [])
    return whole


def document(report: Report) -> str:
    """All its tables."""
    parts = [
        _table(("workload", "figure", "median", "goal", "smallest to largest", "A/A"), _workloads(report["workloads"])),
        _table(("axis", "from", "to", "figure", "value", "goal", "range"), [_axis(one) for one in report["growth"]]),
        _table(("scheduler", "value", "goal", "range"), [_goal_of_scheduler(one) for one in report.get("scheduler_goals", [])]),
        *_lines(report["scheduler"]),
        _contenders(report["scheduler"]),
    ]
    return "\n\n".join(part for part in parts if part)


def _workloads(workloads: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    rows = []
    for workload in workloads:
        name = workload["name"] + (" (void)" if workload["void"] else "")
        for figure in workload["figures"]:
            same = _between(figure["aa_min"], figure["aa_max"]) if figure["aa"] is not None else "–"
            rows.append((name, figure["name"], value(figure), _goal(figure), _between(figure["min"], figure["max"]), same))
            name = ""
    return rows


def _axis(axis: dict[str, Any]) -> tuple[str, ...]:
    name = axis["name"].removeprefix("growth-") + (" (void)" if axis["void"] else "")
    first, last = axis["points"][0]["at"], axis["points"][-1]["at"]
    return (name, f"{first:,.0f}", f"{last:,.0f}", WHAT[axis["how"]], value(axis), _goal(axis), _between(axis["min"], axis["max"]))


def _goal_of_scheduler(one: dict[str, Any]) -> tuple[str, ...]:
    return (one["name"], value(one), _goal(one), _between(one["min"], one["max"]))


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    """The scheduler's axes, a table each: what varies above, nanoseconds below."""
    tables = []
    for axis, what in (("workers", "workers"), ("in-flight", "in_flight"), ("keys", "keys")):
        points = [row for row in rows if row["axis"] == axis]
        if points:
            head = (axis.replace("-", " "), *[f"{row[what]:,}" for row in points])
            tables.append(_table(head, [("ns", *[f"{row['cpu_ns']:,.0f}" for row in points])]))
    return tables


def _contenders(rows: list[dict[str, Any]]) -> str:
    found = [row for row in rows if row["axis"] == "contenders"]
    workers = sorted({row["workers"] for row in found})
    names = list(dict.fromkeys(row["name"] for row in found))
    figures = {(row["name"], row["workers"]): f"{row['cpu_ns']:,.0f}" for row in found}
    lines = [(name, *[figures.get((name, count), "–") for count in workers]) for name in names]
    return _table(("workers", *[str(count) for count in workers]), lines)


def _goal(figure: dict[str, Any]) -> str:
    return goal(figure) + (", **not reached**" if figure["reached"] is False else "")


def _between(low: float, high: float) -> str:
    return f"{number(low)} to {number(high)}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]
    return "\n".join(lines) if rows else ""
