"""Samples of workloads in which the input is not emptied at full speed: steady load, none at all, and the start."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import process
from process import Child, Failed
from rig import Rig, Topics, wait_until
from workload import Arm, Workload

Sample = dict[str, float]
#: Raw never has so many, and so does not end by itself.
ENDLESS = 1 << 60


class Seconds:
    """How long the phases take; the short form and trials set less."""

    warmup = 5.0
    steady = 20.0
    settle = 6.0
    idle = 20.0


def steady(rig: Rig, workload: Workload, arm: Arm, is_candidate: bool) -> Sample:
    """Load at a fixed rate; times from written to read back, by tests/bench/load.rs."""
    with rig.topics(workload.input.partitions, "in", "out") as (source, output):
        topics = Topics(rig.name("group"), source, output)
        child = rig.start(arm, topics, ENDLESS)
        try:
            said = _load(rig, workload, arm, topics, child, workload.hot if is_candidate else 0.0)
            peak = process.peak_mib(child.pid)
            _end(child, arm)
        finally:
            child.kill()
        if arm.program != "raw":
            rig.verify(arm, topics)
    if said["missing"]:
        raise Failed(f"{said['missing']} records did not come back\n{child.tail()}")
    times = {f"{name}_ms": said["all"][f"{name}_ms"] for name in ("p50", "p99", "p999", "max")}
    return {**times, "others_p99_ms": said["others"]["p99_ms"], "cpu_percent": said["cpu_percent"], "peak_mib": peak}


def _load(rig: Rig, workload: Workload, arm: Arm, topics: Topics, child: Child, hot: float) -> dict:
    shape = [f"rate={workload.rate}", f"seconds={Seconds.steady}", f"warmup={Seconds.warmup}", f"hot={hot}"]
    where = ["steady", rig.servers, topics.input, topics.output, f"keys={workload.input.keys}"]
    loader = Child([rig.programs.load, *where, *shape], rig.work / "load.log", pipe=True)
    try:
        said = dict(_follow(rig, arm, topics, child, loader))
        if loader.wait(120) != 0:
            raise Failed(f"the load ended with code {loader.code}\n{loader.tail()}")
        return said
    finally:
        loader.kill()


def _follow(rig: Rig, arm: Arm, topics: Topics, child: Child, loader: Child) -> Iterator[tuple[str, object]]:
    """Reads what the loader says; between begin and end the client's CPU time counts."""
    assert loader.popen.stdout is not None
    began, cpu = 0.0, 0
    with _company(rig, arm, topics) as second:
        for line in loader.popen.stdout:
            child.check_alive()
            said = json.loads(line)
            if said.get("at") == "begin":
                began, cpu = time.monotonic(), process.cpu_ns(child.pid)
                second.come()
            elif said.get("at") == "end":
                used = process.cpu_ns(child.pid) - cpu
                yield "cpu_percent", used / 1e7 / (time.monotonic() - began)
            else:
                yield from said.items()


class _Second:
    """A second instance, which comes and, half of the measured time later, goes."""

    def __init__(self, rig: Rig, arm: Arm, topics: Topics):
        self.rig, self.arm, self.topics = rig, arm, topics
        self.child: Child | None = None

    def come(self) -> None:
        """If there is to be one. A helper process tells it to go, as this one is reading."""
        if self.arm.joined:
            self.child = self.rig.start(self.arm, self.topics, ENDLESS)
            self.timer = subprocess.Popen(["sh", "-c", f"sleep {Seconds.steady / 2}; kill -TERM {self.child.pid}"])


@contextmanager
def _company(rig: Rig, arm: Arm, topics: Topics) -> Iterator[_Second]:
    second = _Second(rig, arm, topics)
    try:
        yield second
        if second.child is not None:
            second.timer.wait()
            if second.child.wait(60) != 0:
                raise Failed(f"the second instance ended with code {second.child.code}\n{second.child.tail()}")
    finally:
        if second.child is not None:
            second.timer.kill()
            second.timer.wait()
            second.child.kill()


def _end(child: Child, arm: Arm) -> None:
    """Raw is ended by the signal, the processor ends by itself after it."""
    code = child.stop()
    if arm.program != "raw" and code != 0:
        raise Failed(f"{child.name()} ended with code {code}\n{child.tail()}")


def idle(rig: Rig, workload: Workload, arm: Arm, is_candidate: bool) -> Sample:
    """An empty input, watched for a while."""
    del is_candidate
    with rig.topics(workload.input.partitions, "in", "out") as (source, output):
        topics = Topics(rig.name("group"), source, output)
        child = rig.start(arm, topics, ENDLESS)
        try:
            time.sleep(Seconds.settle)
            child.check_alive()
            began, cpu = time.monotonic(), process.cpu_ns(child.pid)
            time.sleep(Seconds.idle)
            child.check_alive()
            used, seconds = process.cpu_ns(child.pid) - cpu, time.monotonic() - began
            peak = process.peak_mib(child.pid)
            _end(child, arm)
        finally:
            child.kill()
    return {"cpu_percent": used / 1e7 / seconds, "peak_mib": peak}


def start(rig: Rig, workload: Workload, arm: Arm, is_candidate: bool) -> Sample:
    """From the start of the process to the first record in the output."""
    del is_candidate
    filled = rig.filled(workload.input)
    with rig.topics(workload.input.partitions, "out") as (output,):
        topics = Topics(rig.name("group"), filled.topic, output)
        rig.cluster.desk.end(output)
        child = rig.start(arm, topics, ENDLESS)
        try:
            there = lambda: rig.cluster.desk.end(output) > 0  # noqa: E731
            wait_until("the first record", there, 60, 0.002, child)
            first = time.monotonic() - child.started
            wait_until("all records", lambda: rig.cluster.desk.end(output) >= filled.records, 60, 0.02, child)
            _end(child, arm)
        finally:
            child.kill()
        if arm.program != "raw":
            rig.verify(arm, topics)
    return {"first_output_ms": first * 1000}
