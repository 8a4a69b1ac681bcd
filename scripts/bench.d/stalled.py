"""A sample of the workload in which the output stands still.

Three brokers of its own: the output is on the third alone, which is stopped (SIGSTOP) for a minute while the input, on the
others, is full. The group's coordinator is not the third. Nothing but memory and the way back is measured.
"""

from __future__ import annotations

import time

import process
from cluster import Cluster
from process import Child, Failed
from rig import Filled, Rig, Topics, wait_until
from workload import Arm, Workload

Sample = dict[str, float]
BUDGET_MIB = 64
STALLED_BROKER = 3


class Seconds:
    """How long it stands still."""

    stalled = 60.0


def sample(rig: Rig, workload: Workload, arm: Arm, is_candidate: bool) -> Sample:
    """Runs the arm once, on a cluster of its own."""
    del is_candidate
    with Cluster(rig.programs, rig.work, embedded=False, brokers=3) as cluster:
        own = Rig(rig.programs, cluster, rig.work, rig.base, rig.settings)
        filled = own.filled(workload.input, on=1)
        output = cluster.desk.create("bench-stalled-out", workload.input.partitions, on=STALLED_BROKER)
        topics = Topics(group_apart(cluster, filled.topic), filled.topic, output)
        child = own.start(arm, topics, filled.records)
        try:
            found = _stall(own, cluster, topics, filled, child)
            wait_until("all records", lambda: cluster.desk.end(output) >= filled.records, 300, 0.1, child)
            found["peak_mib"] = process.peak_mib(child.pid)
            if child.stop() != 0:
                raise Failed(f"{child.name()} ended with code {child.code}\n{child.tail()}")
        finally:
            child.kill()
        own.verify(arm, topics)
    found["above_budget_mib"] = found["peak_mib"] - BUDGET_MIB
    return found


def _stall(rig: Rig, cluster: Cluster, topics: Topics, filled: Filled, child: Child) -> Sample:
    """Some seconds of full speed, then none, then the way back."""
    desk = cluster.desk
    wait_until("the first tenth", lambda: desk.end(topics.output) > filled.records / 10, 60, 0.01, child)
    before = desk.end(topics.output)
    time.sleep(1)
    rate = float(desk.end(topics.output) - before)
    if before + rate * 6 > filled.records:
        print("  note: the input is short for a stall; --records sets more")
    cluster.kafka("pause", str(STALLED_BROKER))
    try:
        time.sleep(Seconds.stalled / 2)
        half = process.peak_mib(child.pid)
        time.sleep(Seconds.stalled / 2)
        child.check_alive()
        grown = process.peak_mib(child.pid) - half
    finally:
        cluster.kafka("resume", str(STALLED_BROKER))
    return {"recovery_s": _recovery(cluster, topics, filled, rate), "grown_in_second_half_mib": grown, "rate": rate}


def _recovery(cluster: Cluster, topics: Topics, filled: Filled, rate: float) -> float:
    """By how much the next four seconds' worth of records came later than at full speed from the first moment on. (What was in
    flight comes in a burst; a rate over a short time would take that for full speed.)"""
    resumed, at_first = time.monotonic(), cluster.desk.end(topics.output)
    wanted = min(4 * rate, filled.records - at_first)
    there = lambda: cluster.desk.end(topics.output) - at_first >= wanted  # noqa: E731
    wait_until("full speed", there, 120, 0.02)
    return max(0.0, time.monotonic() - resumed - wanted / rate)


def group_apart(cluster: Cluster, topic: str) -> str:
    """A group whose coordinator is not the broker that will stand still."""
    leaders: list[int] = []

    def known() -> bool:
        cluster.desk.lag("bench-first", topic)  # Kafka makes the topic of offsets when the first group is asked for.
        leaders[:] = cluster.desk.ask("leaders", "__consumer_offsets")["leaders"]
        return len(leaders) > 0 and min(leaders) > 0

    wait_until("the topic of offsets", known, 60, 0.2)
    for number in range(100):
        name = f"bench-stalled-{number}"
        if leaders[java_hash(name) % len(leaders)] != STALLED_BROKER:
            return name
    raise Failed("every group would be coordinated by the broker that is to stand still")


def java_hash(text: str) -> int:
    """String.hashCode without its sign, as Kafka takes it."""
    value = 0
    for letter in text:
        value = (value * 31 + ord(letter)) & 0xFFFFFFFF
    return value & 0x7FFFFFFF
