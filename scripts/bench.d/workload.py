"""What a workload is made of. The workloads themselves are in workloads.py and growth.py, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping


@dataclass(frozen=True)
class Input:
    """Records to fill an input topic with; topics of equal contents are filled once."""

    keys: int = 10_000
    size: int = 300
    partitions: int = 6
    #: Of the suite's number of records, and how many there are at least.
    share: float = 1.0
    least: int = 100
    #: Broken records, e.g. "1%".
    bad: str = "0"
    codec: str = "none"
    #: Records in a batch of the input at most; 0: as many as fit.
    batch: int = 0
    #: The share of one hot key; None: `processor generate` writes, without one.
    hot: float | None = None

    def records(self, base: int) -> int:
        """How many there are."""
        return max(self.least, round(base * self.share))


@dataclass(frozen=True)
class Arm:
    """One program with its settings: a side of a comparison."""

    #: raw (tests/bench/raw.rs), processor (the program with its built-in transform), handlers (tests/bench/handlers.rs).
    program: str
    #: pass, validate, wait:1ms, cpu:50us …; the processor's is always validate.
    handler: str = "pass"
    #: Environment variables of the processor.
    settings: Mapping[str, str] = field(default_factory=dict)
    #: librdkafka's, for either: consumer.NAME or producer.NAME.
    properties: Mapping[str, str] = field(default_factory=dict)
    #: Where it is not the workload's.
    input: Input | None = None
    #: A second instance comes and goes while it runs (steady load only).
    joined: bool = False

    @property
    def exactly_once(self) -> bool:
        """Whether it writes in transactions."""
        return self.settings.get("PROCESSOR_DELIVERY") == "exactly-once"


@dataclass(frozen=True)
class Figure:
    """What is read off a workload, and what it should be."""

    name: str
    #: The entry of a sample.
    measure: str
    #: ratio: candidate ÷ reference. difference: candidate − reference. candidate: as it is. share: candidate ÷ ideal.
    how: str = "ratio"
    goal: float | None = None
    at_least: bool = False
    unit: str = "×"
    ideal: float = 1.0

    def of(self, candidate: float, reference: float | None) -> float | None:
        """Its value in one round."""
        if self.how == "candidate":
            return candidate
        if self.how == "share":
            return candidate / self.ideal
        if reference is None:
            return None
        if self.how == "difference":
            return candidate - reference
        return candidate / reference if reference else None

    def reached(self, value: float) -> bool | None:
        """Whether the goal is; None without one."""
        if self.goal is None:
            return None
        return value >= self.goal if self.at_least else value <= self.goal


@dataclass(frozen=True)
class Workload:
    """A comparison."""

    name: str
    asks: str
    candidate: Arm
    figures: tuple[Figure, ...]
    reference: Arm | None = None
    #: How a sample is taken: see samplers in bench.py.
    kind: str = "flow"
    input: Input = Input()
    #: The measure whose spread in the reference voids the run; "" for none.
    void_by: str = "cpu_s"
    #: For steady load: records a second.
    rate: int = 10_000
    hot: float = 0.0
    #: For growth: which axis, and where on it.
    axis: str = ""
    at: float = 0.0
