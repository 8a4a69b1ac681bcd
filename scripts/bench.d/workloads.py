"""The workloads, as data: what each asks, with which settings, which figure is read off, and its goal.

Goals are ratios to the raw loop in the same round unless a figure says otherwise.
"""

from __future__ import annotations

import os

from workload import Arm, Figure, Input, Workload

RAW, RAW_VALIDATE = Arm("raw"), Arm("raw", "validate")
PASS, QUICK, VALIDATE = Arm("handlers"), Arm("handlers", "quick"), Arm("processor", "validate")
CORES = os.cpu_count() or 1


def cpu(goal: float | None) -> Figure:
    """CPU time a record, of the client process alone."""
    return Figure("CPU a record", "cpu_s_per_million", goal=goal)


RATE = Figure("records a second", "records_per_s", goal=0.9, at_least=True)
MEMORY = Figure("peak memory", "peak_mib", goal=1.5)


def waiting(name: str, time: str, workers: int, ideal: float, keys: int) -> Workload:
    """A handler that waits, as for an answer from elsewhere."""
    return Workload(
        name,
        f"a handler that waits {time}, {keys:,} keys, {workers} workers: how near is the pool to workers ÷ {time}?",
        Arm("handlers", f"wait:{time}", {"WORKER_POOL": str(workers)}),
        (
            Figure("of the ideal", "records_per_s", "share", 0.9, True, "", ideal),
            Figure("CPU a record", "cpu_s_per_million", goal=2.0),
        ),
        RAW,
        input=Input(keys=keys, share=0.5),
    )


def futures(name: str, time: str, keys: int) -> Workload:
    """The same as futures on as many threads as there are cores; all keys wait at a time."""
    return Workload(
        name,
        f"an asynchronous handler that waits {time}, {keys:,} keys, {CORES} threads: how near is it to 100,000 a second?",
        Arm("handlers", f"await:{time}", {"WORKER_POOL": str(CORES)}),
        (
            Figure("of 100,000 a second", "records_per_s", "share", 0.9, True, "", 100_000),
            Figure("CPU a record", "cpu_s_per_million"),
        ),
        RAW,
        input=Input(keys=keys, share=0.5),
    )


def steady(linger: int) -> Workload:
    """10,000 records a second, and how long each takes."""
    setting = {"producer.linger.ms": str(linger)}
    return Workload(
        f"steady-linger-{linger}",
        f"10,000 records a second, linger {linger} ms: the time from written to read back, and CPU",
        Arm("handlers", properties=setting),
        (
            Figure("p50", "p50_ms", goal=1.1),
            Figure("p99", "p99_ms", goal=1.1),
            Figure("CPU", "cpu_percent", goal=1.3),
        ),
        Arm("raw", properties=setting),
        kind="steady",
        void_by="cpu_percent",
    )


def idle(partitions: int) -> Workload:
    """No records at all."""
    return Workload(
        f"idle-{partitions}",
        f"no records, {partitions:,} partitions: CPU in percent of a core, above the raw loop's",
        PASS,
        (Figure("CPU above raw", "cpu_percent", "difference", 0.2, unit="% of a core"),),
        RAW,
        kind="idle",
        input=Input(partitions=partitions),
        void_by="",
    )


def compressed(codec: str) -> Workload:
    """Compressed in the input and in the output."""
    setting = {"producer.compression.type": codec}
    return Workload(
        codec,
        f"passthrough with {codec} in input and output",
        Arm("handlers", properties=setting),
        (cpu(1.15),),
        Arm("raw", properties=setting),
        input=Input(codec=codec, share=0.5),
    )


LARGE = {"producer.message.max.bytes": "2000000"}
HOT = Arm("handlers", "wait:1ms", {"WORKER_POOL": "100"})

WORKLOADS: tuple[Workload, ...] = (
    Workload(
        "passthrough",
        "300 B records passed on as they are: what does the program cost beside the two librdkafka clients?",
        PASS,
        (cpu(1.25), RATE, MEMORY),
        RAW,
    ),
    Workload(
        "quick",
        "the same with a handler that says it is quick: whoever reads runs it",
        QUICK,
        (cpu(1.10), RATE, MEMORY),
        RAW,
    ),
    Workload(
        "validate",
        "JSON of 300 B through the built-in transform; the raw loop runs the same transform in its one thread",
        VALIDATE,
        (cpu(1.15), RATE, MEMORY),
        RAW_VALIDATE,
    ),
    waiting("wait-1ms", "1ms", 100, 100_000, 1000),
    waiting("wait-10ms", "10ms", 1000, 100_000, 10_000),
    futures("await-1ms", "1ms", 1000),
    futures("await-10ms", "10ms", 10_000),
    Workload(
        "cpu-50us",
        "a handler that computes for 50 µs: how near are all cores to doing nothing else? (The broker uses them too.)",
        Arm("handlers", "cpu:50us"),
        (Figure("of the ideal", "records_per_s", "share", 0.95, True, "", CORES / 50e-6),),
        RAW,
        input=Input(share=0.1, least=20_000),
    ),
    Workload(
        "hot-key",
        "one key has half of the records, 1 ms each: the time for all, against the hot key's records alone",
        HOT,
        (Figure("time", "flow_s", goal=1.05),),
        Arm("handlers", HOT.handler, HOT.settings, input=Input(hot=1.0, share=0.0025, least=2000)),
        input=Input(hot=0.5, keys=1000, share=0.005, least=4000),
        void_by="flow_s",
    ),
    Workload(
        "hot-key-latency",
        "1,200 records a second, half of them of one key, 1 ms each: p99 of the other keys, against the same without a hot key",
        HOT,
        (Figure("p99 of the others", "others_p99_ms", goal=3.0),),
        HOT,
        kind="steady",
        rate=1200,
        hot=0.5,
        void_by="",
    ),
    Workload(
        "size-10k", "records of 10 KB passed on", PASS, (cpu(1.10), MEMORY), RAW, input=Input(size=10_000, share=0.05)
    ),
    Workload(
        "size-1m",
        "records of 1 MB passed on",
        Arm("handlers", properties=LARGE),
        (cpu(1.25), MEMORY),
        Arm("raw", properties=LARGE),
        input=Input(size=1_000_000, share=0.001),
    ),
    Workload(
        "partitions-1000",
        "1,000 partitions in and out, passed on",
        PASS,
        (cpu(1.25), MEMORY),
        RAW,
        input=Input(partitions=1000, share=0.5),
    ),
    Workload(
        "exactly-once",
        "exactly once with commits each 100 ms, against the program's own at least once",
        Arm("processor", "validate", {"PROCESSOR_DELIVERY": "exactly-once"}),
        (cpu(1.10), RATE),
        VALIDATE,
    ),
    steady(0),
    steady(1),
    steady(5),
    idle(6),
    idle(1000),
    Workload(
        "start",
        "from the start of the process to the first record in the output, joining the group included; raw assigns itself",
        PASS,
        (Figure("above raw", "first_output_ms", "difference", 50, unit="ms"),),
        RAW,
        kind="start",
        input=Input(share=0.0005),
        void_by="",
    ),
    Workload(
        "rebalance",
        "5,000 records a second while a second instance joins and leaves: the longest time of a record, against the same without",
        Arm("handlers", joined=True),
        (Figure("longest time, more", "max_ms", "difference", None, unit="ms"),),
        PASS,
        kind="steady",
        rate=5000,
        void_by="",
    ),
    Workload(
        "stalled-output",
        "the output's broker stands still for a minute, the input is full: memory above the budget, and the way back",
        Arm("handlers", settings={"PROCESSOR_MAX_IN_FLIGHT": "1000000", "PROCESSOR_MAX_IN_FLIGHT_BYTES": "64MiB"}),
        (
            Figure("memory above the budget", "above_budget_mib", "candidate", 32, unit="MiB"),
            Figure("to full speed", "recovery_s", "candidate", 2.0, unit="s"),
        ),
        kind="stalled",
        input=Input(share=1.5, least=1_000_000),
        void_by="",
    ),
    compressed("lz4"),
    compressed("zstd"),
    Workload(
        "dead-letters",
        "validate with 1 % broken records, which go to the dead-letter topic, against validate without",
        VALIDATE,
        (cpu(1.05),),
        Arm("processor", "validate", input=Input()),
        input=Input(bad="1%"),
    ),
)
