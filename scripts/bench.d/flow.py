"""A sample of a workload that empties a filled input topic as fast as it can.

raw ends by itself when all is acknowledged. The processor is told to end (SIGTERM) when all is in the output, and commits and
leaves its group before it does: that is in its CPU time, as its joining is. Records a second are counted in the output, from
the first ones seen to the last, by the same eyes for both.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from process import Child, Failed
from rig import Filled, Rig, Topics
from workload import Arm, Workload

Sample = dict[str, float]
#: Seconds without one more record after which a run has failed.
PATIENCE = 60


@dataclass
class Flow:
    """What was seen of the output while it was filled."""

    first_at: float = 0.0
    first: int = 0
    last_at: float = 0.0
    count: int = 0

    def see(self, count: int) -> None:
        """So many are there now."""
        now = time.monotonic()
        if count > 0 and self.first_at == 0:
            self.first_at, self.first = now, count
        if count != self.count or self.last_at == 0:
            self.last_at, self.count = now, count

    @property
    def seconds(self) -> float:
        """From the first ones to the last."""
        return max(self.last_at - self.first_at, 1e-3)

    def rate(self, wall: float) -> float:
        """Records a second after the first ones; where all came at once, from the start of the process."""
        return (self.count - self.first) / self.seconds if self.seconds > 0.5 else self.count / wall


def warm_up(rig: Rig, workload: Workload) -> None:
    """Runs the candidate once, unmeasured, if nothing has run in its delivery mode here: a broker compiles what it does for the
    first time (2 to 4 CPU-s), on the cores that are measured, and whoever is first would pay for it."""
    if workload.kind == "flow" and workload.candidate.exactly_once not in rig.warm:
        sample(rig, workload, workload.candidate, True)
        rig.warm.add(workload.candidate.exactly_once)


def sample(rig: Rig, workload: Workload, arm: Arm, is_candidate: bool) -> Sample:
    """Runs an arm once."""
    del is_candidate
    filled = rig.filled(arm.input or workload.input)
    partitions = (arm.input or workload.input).partitions
    with rig.topics(partitions, "out", "dlq") as (output, dead_letters):
        topics = Topics(rig.name("group"), filled.topic, output, dead_letters if filled.broken else "")
        child = rig.start(arm, topics, filled.records)
        try:
            flow = watch(rig, arm, topics, filled, child, 0.02 if partitions < 100 else 0.1)
            wall = flow.last_at - child.started
            code = child.wait(PATIENCE) if arm.program == "raw" else child.stop()
        finally:
            child.kill()
        if code != 0:
            raise Failed(f"{child.name()} ended with code {code}\n{child.tail()}")
        check(rig, arm, topics, filled)
    found = figures(child, filled, flow, wall)
    if rig.counter:
        found["instructions_per_record"] = instructions(child) / filled.records
    return found


def instructions(child: Child) -> int:
    """What valgrind has counted."""
    found = re.search(r"I +refs: +([\d,]+)", child.log.read_text(errors="replace"))
    if not found:
        raise Failed(f"{child.name()} has counted nothing\n{child.tail()}")
    return int(found[1].replace(",", ""))


def watch(rig: Rig, arm: Arm, topics: Topics, filled: Filled, child: Child, every: float) -> Flow:
    """Looks at the output until all is there."""
    flow = Flow()
    while flow.count < filled.records:
        flow.see(finished(rig, arm, topics, filled))
        if child.ended() and (arm.program != "raw" or child.code != 0):
            raise Failed(f"{child.name()} ended with code {child.code}\n{child.tail()}")
        if time.monotonic() - max(flow.last_at, child.started) > PATIENCE:
            raise Failed(f"{child.name()}: {flow.count} of {filled.records} records, and no more\n{child.tail()}")
        time.sleep(every)
    return flow


def finished(rig: Rig, arm: Arm, topics: Topics, filled: Filled) -> int:
    """Records that are done. With transactions the output also has markers, so that the committed offsets say when all is:
    they are asked only then, as that question costs the broker more than the other one."""
    count = rig.cluster.desk.end(topics.output)
    count += rig.cluster.desk.end(topics.dead_letters) if topics.dead_letters else 0
    if arm.exactly_once and count >= filled.records:
        return filled.records - rig.cluster.desk.lag(topics.group, topics.input)
    return count


def check(rig: Rig, arm: Arm, topics: Topics, filled: Filled) -> None:
    """Raw promises no more than that all arrive; of the processor everything is checked."""
    if arm.program != "raw":
        rig.verify(arm, topics)
    elif (count := rig.cluster.desk.end(topics.output)) != filled.records:
        raise Failed(f"raw wrote {count} records instead of {filled.records}")


def figures(child: Child, filled: Filled, flow: Flow, wall: float) -> Sample:
    """From what was seen to what is compared."""
    assert child.usage is not None
    cpu, healthy = child.usage.cpu_s, filled.records - filled.broken
    return {
        "cpu_s": cpu,
        "cpu_s_per_million": cpu / healthy * 1e6,
        "cpu_s_per_gb": cpu / filled.bytes * 1e9,
        "wall_s": wall,
        "flow_s": flow.seconds,
        "records_per_s": flow.rate(wall),
        "peak_mib": child.usage.peak_mib,
        "switches_per_1000": child.usage.switches / filled.records * 1000,
    }
