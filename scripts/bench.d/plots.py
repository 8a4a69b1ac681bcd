"""Plots as SVG, written by hand: ratios against goals as bars, the growth table as lines.

Colours are of a middle lightness and there is no background, so that they can be read on white and on dark.
"""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import Any

OURS, RAW, GOAL, TEXT, GRID, BAD = "#2f9e6e", "#8a8f98", "#c9820a", "#7d8590", "#7d859055", "#d9534f"
FONT = 'font-family="system-ui, sans-serif" font-size="12"'


def write_all(report: dict[str, Any], folder: Path) -> list[Path]:
    """Every plot that there is data for."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    bars = [bar for workload in report["workloads"] for bar in _bars(workload)]
    if bars:
        made["ratios"] = ratios(bars)
    for axis in report["growth"]:
        series = {"processor": _line(axis, "candidate"), "raw": _line(axis, "reference")}
        label = "CPU-s per GB" if axis["measure"] == "cpu_s_per_gb" else "CPU-s per million records"
        made[axis["name"]] = lines(axis["asks"], label, series)
    for name, plot in _scheduler(report["scheduler"]).items():
        made[name] = plot
    for name, text in made.items():
        (folder / f"{name}.svg").write_text(text)
    return [folder / f"{name}.svg" for name in made]


def _line(axis: dict[str, Any], which: str) -> list[tuple[float, float]]:
    return [(point["at"], point[which]) for point in axis["points"] if point[which] is not None]


def _bars(workload: dict[str, Any]) -> list[dict[str, Any]]:
    """Figures as parts of their goals: at most 1 is reached, whatever the figure."""
    bars = []
    for figure in workload["figures"]:
        goal, value = figure["goal"], figure["value"]
        if not goal:
            continue
        of_goal = (lambda v: goal / v if v > 0 else 9.0) if figure["at_least"] else (lambda v: v / goal)
        sign = "≥" if figure["at_least"] else "≤"
        bars.append({
            "name": f"{workload['name']}: {figure['name']}", "part": of_goal(value),
            "ends": sorted((of_goal(figure["min"]), of_goal(figure["max"]))),
            "text": f"{value:.3g} {figure['unit']} ({sign} {goal:g})" + (", void" if workload["void"] else ""),
        })
    return bars


def ratios(bars: list[dict[str, Any]]) -> str:
    """A bar a figure; the line at 1 is the goal."""
    left, width, step, most = 250, 420, 22, 2.5
    height = step * len(bars) + 50
    at = lambda part: left + width * max(0.0, min(part, most)) / most  # noqa: E731
    body = [_text(left, 16, "part of the goal that is used up (left of the line: reached); whiskers: the rounds' range")]
    for tick in (0, 0.5, 1, 1.5, 2, 2.5):
        colour = GOAL if tick == 1 else GRID
        body += [_rule(at(tick), 26, at(tick), height - 20, colour), _text(at(tick), height - 6, f"{tick:g}", "middle")]
    for number, bar in enumerate(bars):
        y = 30 + number * step
        colour = OURS if bar["part"] <= 1 else BAD
        low, high = bar["ends"]
        body.append(_text(left - 8, y + 12, bar["name"], "end"))
        body.append(f'<rect x="{left}" y="{y}" width="{at(bar["part"]) - left:.1f}" height="15" rx="2" fill="{colour}"/>')
        body.append(_rule(at(low), y + 7.5, at(high), y + 7.5, TEXT, 2))
        body.append(_text(left + width + 12, y + 12, bar["text"]))
    return _svg(left + width + 190, height, body)


def lines(x_label: str, y_label: str, series: dict[str, list[tuple[float, float]]]) -> str:
    """Lines over a logarithmic axis; from 0 upwards."""
    left, top, width, height = 60, 30, 480, 230
    xs = sorted({x for line in series.values() for x, _ in line})
    most = max([y for line in series.values() for _, y in line], default=1.0) * 1.1 or 1.0
    place = _logarithmic(xs, left, width)
    down = lambda y: top + height - height * y / most  # noqa: E731
    body = [_text(left, 16, y_label), _text(left + width / 2, top + height + 38, x_label, "middle")]
    for tick in _ticks(most):
        body += [_rule(left, down(tick), left + width, down(tick), GRID), _text(left - 6, down(tick) + 4, f"{tick:g}", "end")]
    body += [_text(place[x], top + height + 18, _short(x), "middle") for x in xs]
    colours = dict(zip(series, (OURS, RAW, GOAL, BAD, "#5b8def", "#a06cd5", "#3aa6b9", "#b5651d")))
    for number, (name, line) in enumerate(series.items()):
        points = " ".join(f"{place[x]:.1f},{down(y):.1f}" for x, y in line)
        body.append(f'<polyline points="{points}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
        body += [f'<circle cx="{place[x]:.1f}" cy="{down(y):.1f}" r="3" fill="{colours[name]}"/>' for x, y in line]
        body.append(_text(left + width + 14, top + 14 + 18 * number, name, colour=colours[name]))
    return _svg(left + width + 230, top + height + 50, body)


def _logarithmic(xs: list[float], left: float, width: float) -> dict[float, float]:
    logs = {x: math.log10(x) if x > 0 else None for x in xs}
    known = [value for value in logs.values() if value is not None] or [0.0]
    low = min(known) - (1 if None in logs.values() else 0)
    span = (max(known) - low) or 1.0
    return {x: left + width * ((low if value is None else value) - low) / span for x, value in logs.items()}


def _ticks(most: float) -> list[float]:
    rough = most / 5
    size = 10 ** math.floor(math.log10(rough)) if rough > 0 else 1
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    return [round(step * number, 10) for number in range(int(most / step) + 1)]


def _short(x: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if x >= size:
            return f"{x / size:g}{letter}"
    return f"{x:g}"


def _scheduler(rows: list[dict[str, Any]]) -> dict[str, str]:
    made = {}
    for axis, field in (("workers", "workers"), ("in-flight", "in_flight"), ("keys", "keys")):
        line = [(row[field], row["cpu_ns"]) for row in rows if row["axis"] == axis]
        if line:
            made[f"scheduler-{axis}"] = lines(axis.replace("-", " "), "CPU, ns a task", {"scheduler": line})
    contenders: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["axis"] == "contenders":
            contenders.setdefault(row["name"], []).append((row["workers"], row["cpu_ns"]))
    if contenders:
        made["scheduler-contenders"] = lines("workers", "CPU, ns a task", contenders)
    return made


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = TEXT) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str, thick: int = 1) -> str:
    where = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {where} stroke="{colour}" stroke-width="{thick}"/>'


def _svg(width: float, height: float, body: list[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" {FONT}>'
    return "\n".join([head, *body, "</svg>", ""])
