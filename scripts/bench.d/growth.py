"""The growth table, as data: an axis is swept while everything else stays as in `passthrough`.

A point is measured as a workload is; the axis has figures of its own, read off its points.
"""

from __future__ import annotations

from dataclasses import dataclass

from workload import Arm, Figure, Input, Workload

Point = tuple[float, Workload]


@dataclass(frozen=True)
class Axis:
    """One line of the table."""

    name: str
    asks: str
    points: tuple[Workload, ...]
    #: What is drawn and judged.
    measure: str
    #: last: last ÷ first point. more: last − first. raw: the largest ratio to raw at any point. falls: the largest step up.
    how: str
    goal: float
    unit: str = "×"


def point(axis: str, at: float, candidate: Arm, given: Input, reference: Arm | None = None) -> Workload:
    """One point of an axis."""
    figures = (Figure("CPU a record", "cpu_s_per_million"), Figure("peak memory", "peak_mib"))
    return Workload(f"{axis}={at:g}", axis, candidate, figures, reference or Arm("raw"), input=given, axis=axis, at=at)


def settings(**given: object) -> Arm:
    """The passthrough with these."""
    return Arm("handlers", settings={name: str(value) for name, value in given.items()})


SMALL = 0.25
LARGE = {"producer.message.max.bytes": "2000000"}


def sized(size: int) -> Workload:
    """Records of so many bytes, so many that it takes a while and the disk holds them."""
    share = min(SMALL, 500e6 / size / 2e6)
    candidate, raw = Arm("handlers", properties=LARGE), Arm("raw", properties=LARGE)
    return point("growth-size", size, candidate, Input(size=size, share=share), raw)


def waiting(micros: int) -> Workload:
    """A handler that waits so long, with 100 workers, for at most some 20 s; raw does not wait, and has enough records to tell."""
    share = SMALL if micros <= 1000 else SMALL * 4000 / micros
    arm = Arm("handlers", f"wait:{micros}us", {"WORKER_POOL": "100"})
    return point("growth-handler", micros, arm, Input(share=min(SMALL, share)), Arm("raw", input=Input(share=SMALL)))


AXES: tuple[Axis, ...] = (
    Axis(
        "growth-partitions",
        "partitions of input and output",
        tuple(point("growth-partitions", n, Arm("handlers"), Input(partitions=n, share=SMALL)) for n in (1, 6, 60, 1000)),
        "cpu_s_per_million", "last", 1.5,
    ),
    Axis(
        "growth-workers",
        "workers",
        tuple(point("growth-workers", n, settings(WORKER_POOL=n), Input(share=SMALL)) for n in (1, 2, 4, 8, 16, 32, 64)),
        "cpu_s_per_million", "last", 1.2,
    ),
    Axis(
        "growth-in-flight",
        "records that may be in flight",
        tuple(
            point("growth-in-flight", n, settings(PROCESSOR_MAX_IN_FLIGHT=n, PROCESSOR_MAX_IN_FLIGHT_BYTES="4GiB"), Input(share=1))
            for n in (1000, 10_000, 100_000, 1_000_000)
        ),
        "cpu_s_per_million", "last", 1.3,
    ),
    Axis(
        "growth-keys",
        "different keys",
        tuple(point("growth-keys", n, Arm("handlers"), Input(keys=n, share=SMALL)) for n in (1, 100, 10_000, 1_000_000)),
        "cpu_s_per_million", "more", 0.03, "µs a record",
    ),
    Axis(
        "growth-size",
        "bytes of a value",
        tuple(sized(n) for n in (160, 1000, 10_000, 100_000, 1_000_000)),
        "cpu_s_per_gb", "falls", 1.05,
    ),
    Axis(
        "growth-handler",
        "µs that the handler waits, 100 workers",
        tuple(waiting(n) for n in (0, 100, 1000, 10_000, 100_000)),
        "cpu_s_per_million", "raw", 2.0,
    ),
    Axis(
        "growth-batch",
        "records in a batch of the input",
        tuple(point("growth-batch", n, Arm("handlers"), Input(batch=n, share=SMALL)) for n in (1, 16, 3000)),
        "cpu_s_per_million", "raw", 1.2,
    ),
)
