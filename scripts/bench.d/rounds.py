"""Rounds: reference and candidate by turns, figures by round, their medians; and what voids a run.

A round is reference, candidate, reference. The reference of a round is the mean of its two, so that drift within a round falls
out; their ratio is the round's A/A. A run is void if a reference is further than 15 % (largest less smallest, to the median)
from the others; it is then repeated, and stays void if that does not help.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rig import Rig
from workload import Arm, Figure, Workload

Sample = dict[str, float]
Sampler = Callable[[Rig, Workload, Arm, bool], Sample]
#: A reference may vary by so much.
VOID = 0.15


@dataclass
class Reading:
    """A figure over all rounds."""

    figure: Figure
    values: list[float]
    #: The same figure with the reference in the candidate's place.
    same: list[float]

    @property
    def median(self) -> float:
        """What is compared with the goal."""
        return statistics.median(self.values)

    @property
    def reached(self) -> bool | None:
        """Whether the goal is."""
        return self.figure.reached(self.median)

    def json(self) -> dict[str, Any]:
        """For the file."""
        figure = self.figure
        return {
            "name": figure.name, "measure": figure.measure, "how": figure.how, "unit": figure.unit, "goal": figure.goal,
            "at_least": figure.at_least, "value": self.median, "min": min(self.values), "max": max(self.values),
            "reached": self.reached, "aa": statistics.median(self.same) if self.same else None,
            "aa_min": min(self.same, default=None), "aa_max": max(self.same, default=None), "rounds": self.values,
        }


@dataclass
class Result:
    """A workload, measured."""

    workload: Workload
    candidates: list[Sample] = field(default_factory=list)
    references: list[tuple[Sample, Sample]] = field(default_factory=list)
    #: How far the reference varied.
    spread: float = 0.0
    void: bool = False

    def readings(self) -> list[Reading]:
        """Of all its figures."""
        return [self._reading(figure) for figure in self.workload.figures]

    def _reading(self, figure: Figure) -> Reading:
        pairs: list[Any] = self.references or [None] * len(self.candidates)
        values, same = [], []
        for candidate, pair in zip(self.candidates, pairs):
            reference = (pair[0][figure.measure] + pair[1][figure.measure]) / 2 if pair else None
            values.append(figure.of(candidate[figure.measure], reference))
            if pair and figure.how in ("ratio", "difference"):
                same.append(figure.of(pair[1][figure.measure], pair[0][figure.measure]))
        return Reading(figure, [v for v in values if v is not None], [v for v in same if v is not None])

    def median_of(self, measure: str) -> float:
        """Of the candidate."""
        return statistics.median(sample[measure] for sample in self.candidates)

    def reference_of(self, measure: str) -> float | None:
        """The reference's median, if there is a reference."""
        all_of_them = [sample[measure] for pair in self.references for sample in pair]
        return statistics.median(all_of_them) if all_of_them else None

    def json(self) -> dict[str, Any]:
        """For the file."""
        return {
            "name": self.workload.name, "asks": self.workload.asks, "axis": self.workload.axis, "at": self.workload.at,
            "void": self.void, "reference_spread": self.spread, "figures": [one.json() for one in self.readings()],
            "candidate_rounds": self.candidates, "reference_rounds": self.references,
        }


def measure(rig: Rig, workload: Workload, sampler: Sampler, rounds: int, retries: int) -> Result:
    """All rounds; again while the run is void and tries are left."""
    for attempt in range(retries + 1):
        result = _once(rig, workload, sampler, rounds)
        if not result.void:
            return result
        left = retries - attempt
        print(f"  VOID: the reference varied by {result.spread:.0%} (15 % is the limit); {left} more tries", file=sys.stderr)
    return result


def _once(rig: Rig, workload: Workload, sampler: Sampler, rounds: int) -> Result:
    result = Result(workload)
    for number in range(rounds):
        reference = workload.reference
        before = sampler(rig, workload, reference, False) if reference else None
        result.candidates.append(sampler(rig, workload, workload.candidate, True))
        if reference and before is not None:
            result.references.append((before, sampler(rig, workload, reference, False)))
        _say(result, number)
    result.spread = _spread(result)
    result.void = result.spread > VOID
    return result


def _spread(result: Result) -> float:
    measure_name = result.workload.void_by
    values = [sample[measure_name] for pair in result.references for sample in pair] if measure_name else []
    return (max(values) - min(values)) / statistics.median(values) if values else 0.0


def _say(result: Result, number: int) -> None:
    """One line a round, so that somebody who waits sees something."""
    figures = [f"{one.figure.name} {one.values[-1]:.3g}{one.figure.unit}" for one in result.readings() if one.values]
    print(f"  round {number + 1}: {', '.join(figures)}", file=sys.stderr)
