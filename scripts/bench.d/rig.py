"""What every measurement needs: the programs, the cluster, filled input topics, and how an arm is started and judged."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Mapping

from cluster import Cluster
from process import Child, Failed, clean_environment, run
from programs import Programs
from workload import Arm, Input


@dataclass(frozen=True)
class Filled:
    """An input topic with records in it."""

    topic: str
    records: int
    #: How many of them are broken.
    broken: int
    bytes: int


@dataclass
class Rig:
    """See the module."""

    programs: Programs
    cluster: Cluster
    work: Path
    base: int
    settings: Mapping[str, str] = field(default_factory=dict)
    #: What an arm is run under, if its instructions are to be counted.
    counter: tuple[str, ...] = ()
    inputs: dict[Input, Filled] = field(default_factory=dict)
    #: The delivery modes that the brokers have worked for already: exactly once, or not.
    warm: set[bool] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def servers(self) -> str:
        """Of the cluster."""
        return self.cluster.servers

    def name(self, kind: str) -> str:
        """One that was not used before."""
        return f"bench-{kind}-{next(self.numbers)}"

    def filled(self, wanted: Input, **settings: object) -> Filled:
        """A topic with this in it, filled the first time that somebody asks."""
        if wanted not in self.inputs:
            topic = self.cluster.desk.create(self.name("in"), wanted.partitions, **settings)
            records = wanted.records(self.base)
            broken = self._fill(topic, records, wanted)
            there = self.cluster.desk.end(topic)
            if there != records:
                raise Failed(f"{topic} has {there} records instead of {records}")
            self.inputs[wanted] = Filled(topic, records, broken, records * wanted.size)
        return self.inputs[wanted]

    def forget_inputs(self) -> None:
        """Deletes them: what follows wants others."""
        if self.inputs:
            self.cluster.desk.delete(*[filled.topic for filled in self.inputs.values()])
        self.inputs.clear()

    def _fill(self, topic: str, records: int, wanted: Input) -> int:
        properties = {"compression.type": wanted.codec, "message.max.bytes": str(max(1_000_000, wanted.size * 2))}
        if wanted.batch:
            properties["batch.num.messages"] = str(wanted.batch)
        if wanted.hot is not None:
            given = [f"producer.{name}={value}" for name, value in properties.items()]
            shape = [f"records={records}", f"keys={wanted.keys}", f"size={wanted.size}", f"hot={wanted.hot}"]
            run([self.programs.load, "fill", self.servers, topic, *shape, *given])
            return 0
        env = {**clean_environment(), **{variable("producer", name): value for name, value in properties.items()}}
        shape = ["--records", str(records), "--keys", str(wanted.keys), "--size", str(wanted.size), "--bad", wanted.bad]
        where = ["--servers", self.servers, "--input", topic, "--seed", "1", "--json"]
        return int(json.loads(run([self.programs.processor, "generate", *where, *shape], env=env))["broken"])

    @contextmanager
    def topics(self, partitions: int, *kinds: str, **settings: object) -> Iterator[list[str]]:
        """Empty topics, deleted afterwards."""
        names = [self.cluster.desk.create(self.name(kind), partitions, **settings) for kind in kinds]
        try:
            yield names
        finally:
            self.cluster.desk.delete(*names)

    def start(self, arm: Arm, topics: "Topics", records: int) -> Child:
        """Starts an arm; raw ends by itself after so many records."""
        log = self.work / f"{topics.group}-{arm.program}-{next(self.numbers)}.log"
        if arm.program == "raw":
            properties = [f"{name}={value}" for name, value in arm.properties.items()]
            where = [self.servers, topics.input, topics.output, str(records), arm.handler]
            return Child([*self.counter, self.programs.raw, *where, *properties], log, env=clean_environment())
        if arm.program == "handlers":
            return Child([*self.counter, self.programs.handlers, arm.handler], log, env=self.environment(arm, topics))
        return Child([*self.counter, self.programs.processor, "run"], log, env=self.environment(arm, topics))

    def environment(self, arm: Arm, topics: "Topics") -> dict[str, str]:
        """Of a processor, and of the judge who looks at its work."""
        properties = dict(split_property(name, value) for name, value in arm.properties.items())
        basics = {
            "KAFKA_SERVERS": self.servers,
            "KAFKA_GROUP_ID": topics.group,
            "KAFKA_CONSUMER_TOPICS": topics.input,
            "KAFKA_OUTPUT_TOPIC": topics.output,
            "KAFKA_OFFSET_RESET": "earliest",
            "KAFKA_DLQ_TOPIC": topics.dead_letters or "off",
            "PROCESSOR_HTTP_ADDR": "off",
        }
        return {**clean_environment(), **basics, **properties, **arm.settings, **self.settings}

    def verify(self, arm: Arm, topics: "Topics") -> None:
        """Count, order by key, committed offsets, contents: by `processor verify`."""
        same = "key,headers,stamp" if arm.handler == "validate" else "key,headers,value"
        command = [self.programs.processor, "verify", "--json", "--examples", "3", "--same", same]
        run(command, env=self.environment(arm, topics))
        lag = self.cluster.desk.lag(topics.group, topics.input)
        if lag != 0:
            raise Failed(f"{topics.group} has a lag of {lag} records after its end")


@dataclass(frozen=True)
class Topics:
    """Where an arm reads and writes, and as whom."""

    group: str
    input: str
    output: str
    dead_letters: str = ""


def variable(side: str, name: str) -> str:
    """The environment variable for a property of librdkafka."""
    return f"KAFKA_{side.upper()}_{name.upper().replace('.', '_')}"


def split_property(name: str, value: str) -> tuple[str, str]:
    """From producer.linger.ms to the variable for it."""
    side, _, rest = name.partition(".")
    return variable(side, rest), value


def wait_until(what: str, ready: Callable[[], bool], seconds: float, every: float, child: Child | None = None) -> None:
    """Asks again and again; a child that ends meanwhile is a failure."""
    deadline = time.monotonic() + seconds
    while not ready():
        if child is not None:
            child.check_alive()
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds:.0f} s" + (f"\n{child.tail()}" if child else ""))
        time.sleep(every)
