"""The form for continuous integration: a few ratios against those of the committed file, in instructions.

CPU time drifts by a fifth on a machine that others use; what valgrind counts does not. So this form counts the instructions that
a program runs in user mode, from its start to its end, and can tell a tenth from nothing. A ratio fails when it is more
than a tenth above the expected one, and by more than this run's A/A says is noise.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from dataclasses import dataclass, field
from typing import Any

import flow
from process import Failed
from programs import ROOT
from rig import Rig
from workload import Arm, Workload

FILE = ROOT / "tests" / "bench" / "expected.json"
WORKLOADS = ("passthrough", "quick", "validate")
WORSE = 0.10
#: A run that is noisier than this says nothing.
MOST_NOISE = 0.10
MEASURE = "instructions_per_record"
COUNTER = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")


@dataclass
class Counted:
    """A workload's ratio in each round, and the reference's to itself."""

    name: str
    ratios: list[float] = field(default_factory=list)
    same: list[float] = field(default_factory=list)
    records: list[tuple[float, float]] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """What is compared."""
        return statistics.median(self.ratios)

    @property
    def noise(self) -> float:
        """By how much two of the same differed."""
        return max(abs(value - 1) for value in self.same)

    def json(self) -> dict[str, Any]:
        """For the file."""
        return {"name": self.name, "ratio": self.ratio, "noise": self.noise, "rounds": self.ratios, "instructions": self.records}


def check_counter() -> None:
    """That there is something that counts."""
    if not shutil.which(COUNTER[0]):
        raise Failed("--short counts instructions with valgrind: install it, e.g. apt-get install valgrind")


def measure(rig: Rig, workload: Workload, rounds: int) -> Counted:
    """Reference, candidate, reference, in each round."""
    assert workload.reference is not None
    rig.counter = COUNTER
    found = Counted(workload.name)

    def count(arm: Arm) -> float:
        return flow.sample(rig, workload, arm, False)[MEASURE]

    for number in range(rounds):
        before, candidate, after = count(workload.reference), count(workload.candidate), count(workload.reference)
        reference = (before + after) / 2
        found.ratios.append(candidate / reference)
        found.same.append(after / before)
        found.records.append((candidate, reference))
        print(f"  round {number + 1}: {candidate:,.0f} a record, reference {reference:,.0f}: {candidate / reference:.3f}", file=sys.stderr)
    return found


def write(counted: list[Counted], about: dict[str, Any]) -> None:
    """Makes what was found the expected."""
    rounded = {one.name: round(one.ratio, 3) for one in counted}
    FILE.write_text(json.dumps({**about, "ratios": rounded}, indent=2) + "\n")


def judge(counted: list[Counted]) -> tuple[list[str], bool, bool]:
    """Lines to show; whether all is well; whether the machine was too noisy to say so."""
    expected = json.loads(FILE.read_text())["ratios"]
    lines, good, noisy = [], True, False
    for one in counted:
        if one.name not in expected:
            lines.append(f"{one.name}: {one.ratio:.3f}; {FILE.name} has no value for it: --short --update writes one")
            good = False
            continue
        limit = expected[one.name] * (1 + max(WORSE, one.noise))
        fine, loud = one.ratio <= limit, one.noise > MOST_NOISE
        good, noisy = good and (fine or loud), noisy or loud
        word = "too noisy to say" if loud else "as expected" if fine else "WORSE"
        lines.append(
            f"{one.name}: {one.ratio:.3f}, expected {expected[one.name]:.3f}, limit {limit:.3f} (A/A {one.noise:.1%}): {word}"
        )
    return lines, good, noisy
