"""Measures the growth table: in each round every point of an axis, so that points of one round can be compared."""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from typing import Any

import flow
from growth import Axis
from rig import Rig
from rounds import VOID, Result
from workload import Workload

Sample = dict[str, float]


@dataclass
class Growth:
    """An axis, measured."""

    axis: Axis
    results: list[Result]

    def line(self, measure: str) -> list[tuple[float, float, float | None]]:
        """For each point: where, the candidate's median, the reference's."""
        return [(one.workload.at, one.median_of(measure), one.reference_of(measure)) for one in self.results]

    def values(self) -> list[float]:
        """The axis's own figure, round by round."""
        rounds = range(min(len(one.candidates) for one in self.results))
        return [self._value(number) for number in rounds]

    def _value(self, number: int) -> float:
        measure = self.axis.measure
        points = [one.candidates[number][measure] for one in self.results]
        if self.axis.how == "last":
            return points[-1] / points[0]
        if self.axis.how == "more":
            return points[-1] - points[0]
        if self.axis.how == "falls":
            return max(later / earlier for earlier, later in zip(points, points[1:]))
        reference = [one.references[number][0][measure] for one in self.results]
        return max(mine / raw for mine, raw in zip(points, reference))

    @property
    def value(self) -> float:
        """What is compared with the goal."""
        return statistics.median(self.values())

    @property
    def reached(self) -> bool:
        """Whether the goal is."""
        return self.value <= self.axis.goal

    @property
    def void(self) -> bool:
        """Whether the reference was too unsteady at some point."""
        return any(one.void for one in self.results)

    def json(self) -> dict[str, Any]:
        """For the file."""
        values = self.values()
        return {
            "name": self.axis.name, "asks": self.axis.asks, "measure": self.axis.measure, "how": self.axis.how,
            "goal": self.axis.goal, "unit": self.axis.unit, "value": self.value, "min": min(values), "max": max(values),
            "reached": self.reached, "void": self.void,
            "points": [
                {
                    "at": one.workload.at, "candidate": one.median_of(self.axis.measure),
                    "reference": one.reference_of(self.axis.measure), "peak_mib": one.median_of("peak_mib"),
                    "reference_peak_mib": one.reference_of("peak_mib"), "records_per_s": one.median_of("records_per_s"),
                    "reference_spread": one.spread,
                }
                for one in self.results
            ],
        }


def measure(rig: Rig, axis: Axis, rounds: int) -> Growth:
    """All rounds of one axis."""
    results = [Result(workload) for workload in axis.points]
    for number in range(rounds):
        for result in results:
            _point(rig, result)
        print(f"  round {number + 1}: {Growth(axis, results).values()[-1]:.3g} {axis.unit}", file=sys.stderr)
    for result in results:
        cpu = [pair[0]["cpu_s"] for pair in result.references]
        result.spread = (max(cpu) - min(cpu)) / statistics.median(cpu)
        result.void = result.spread > VOID
    rig.forget_inputs()
    return Growth(axis, results)


def _point(rig: Rig, result: Result) -> None:
    workload: Workload = result.workload
    assert workload.reference is not None
    reference = flow.sample(rig, workload, workload.reference, False)
    result.candidates.append(flow.sample(rig, workload, workload.candidate, True))
    result.references.append((reference, reference))
