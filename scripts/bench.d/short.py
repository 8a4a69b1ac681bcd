"""The form for continuous integration: a few ratios against those of the committed file.

A ratio fails when it is more than a tenth above the expected one, and by more than this run's A/A row says is noise.
"""

from __future__ import annotations

import json
from typing import Any

from programs import ROOT
from rounds import Result

FILE = ROOT / "tests" / "bench" / "expected.json"
WORKLOADS = ("passthrough", "validate", "exactly-once")
WORSE = 0.10
#: A run that is noisier than this says nothing.
MOST_NOISE = 0.20
MEASURE = "cpu_s_per_million"


def found(results: list[Result], scheduler: tuple[float, float]) -> dict[str, dict[str, float]]:
    """For each name its ratio, and the noise of this run."""
    ratios = {"scheduler": {"ratio": scheduler[0], "noise": scheduler[1]}}
    for result in results:
        reading = next(one for one in result.readings() if one.figure.measure == MEASURE)
        noise = max((abs(value - 1) for value in reading.same), default=0.0)
        ratios[result.workload.name] = {"ratio": reading.median, "noise": noise}
    return ratios


def write(ratios: dict[str, dict[str, float]], about: dict[str, Any]) -> None:
    """Makes what was found the expected."""
    rounded = {name: round(one["ratio"], 3) for name, one in sorted(ratios.items())}
    FILE.write_text(json.dumps({**about, "ratios": rounded}, indent=2) + "\n")


def judge(ratios: dict[str, dict[str, float]]) -> tuple[list[str], bool, bool]:
    """Lines to show; whether all is well; whether the machine was too noisy to say so."""
    expected = json.loads(FILE.read_text())["ratios"]
    lines, good, noisy = [], True, False
    for name, one in sorted(ratios.items()):
        if name not in expected:
            lines.append(f"{name}: {one['ratio']:.3f}; {FILE.name} has no value for it: --short --update writes one")
            good = False
            continue
        limit = expected[name] * (1 + WORSE + min(one["noise"], MOST_NOISE))
        fine, loud = one["ratio"] <= limit, one["noise"] > MOST_NOISE
        good, noisy = good and (fine or loud), noisy or loud
        word = "too noisy to say" if loud else "as expected" if fine else "WORSE"
        lines.append(
            f"{name}: {one['ratio']:.3f}, expected {expected[name]:.3f}, limit {limit:.3f} (noise {one['noise']:.0%}): {word}"
        )
    return lines, good, noisy
