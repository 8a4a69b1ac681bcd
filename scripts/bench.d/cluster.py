"""The cluster that everything is measured on: a real Kafka of its own, or the embedded broker; and the desk to ask it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from process import Child, Failed, clean_environment, run
from programs import ROOT, Programs

KAFKA = str(ROOT / "scripts" / "kafka")


#: A topic keeps everything, and takes large records; from Kafka's disk it goes soon when it is deleted.
TOPIC = {"retention.bytes": 1 << 36, "retention.ms": -1, "max.message.bytes": 4_000_000}
KAFKA_TOPIC = {**TOPIC, "file.delete.delay.ms": 1000}


class Desk:
    """Questions to a cluster, answered by tests/bench/desk.rs: one process that stays."""

    def __init__(self, program: str, servers: str, usual: dict[str, int]):
        self.usual = usual
        pipe = subprocess.PIPE
        self.child = subprocess.Popen([program, servers], stdin=pipe, stdout=pipe, text=True, bufsize=1)

    def ask(self, *words: object) -> dict[str, Any]:
        """Its answer; an error is a Failed."""
        assert self.child.stdin and self.child.stdout
        self.child.stdin.write(" ".join(str(word) for word in words) + "\n")
        line = self.child.stdout.readline()
        answer = json.loads(line) if line else {"error": "the desk has ended"}
        if "error" in answer:
            raise Failed(f"{' '.join(str(word) for word in words[:2])}: {answer['error']}")
        return answer

    def create(self, name: str, partitions: int, **settings: object) -> str:
        """Makes a topic; on=3: all of it on broker 3."""
        given = {**self.usual, **settings}
        self.ask("create", name, partitions, *[f"{key}={value}" for key, value in given.items()])
        return name

    def delete(self, *names: str) -> None:
        """Deletes topics; one that is not there is no fault."""
        self.ask("delete", *names)

    def end(self, topic: str) -> int:
        """Next offsets of all partitions together: records, and with transactions their markers."""
        return int(self.ask("end", topic)["end"])

    def lag(self, group: str, topic: str) -> int:
        """Records between the group's committed offsets and the end."""
        return int(self.ask("lag", group, topic)["lag"])

    def close(self) -> None:
        """It ends when nobody asks any more."""
        if self.child.stdin:
            self.child.stdin.close()
        self.child.wait(10)


class Cluster:
    """Runs while the `with` block does. Nothing of it is left afterwards."""

    def __init__(self, programs: Programs, work: Path, embedded: bool, brokers: int = 1):
        self.programs, self.embedded, self.brokers = programs, embedded, brokers
        self.folder = work / f"cluster-{brokers}"
        self.servers = ""

    def __enter__(self) -> "Cluster":
        try:
            self.servers = self._start_embedded() if self.embedded else self._start_kafka()
            self.desk = Desk(self.programs.desk, self.servers, TOPIC if self.embedded else KAFKA_TOPIC)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.desk.close()
        finally:
            self._stop()

    def environment(self) -> dict[str, str]:
        """For scripts/kafka."""
        extra = self.folder.parent / f"brokers-{self.brokers}.properties"
        extra.write_text("broker.session.timeout.ms=600000\nmessage.max.bytes=4000000\nreplica.fetch.max.bytes=4000000\n")
        return {**clean_environment(), "KAFKA_DIR": str(self.folder), "KAFKA_OWNER": str(os.getpid()), "KAFKA_EXTRA": str(extra)}

    def kafka(self, *words: str) -> str:
        """Tells scripts/kafka something."""
        return run([KAFKA, *words], env=self.environment(), timeout=300)

    def _start_kafka(self) -> str:
        return self.kafka("start", str(self.brokers)).split()[-1]

    def _start_embedded(self) -> str:
        log = self.folder.parent / "broker.log"
        self.broker = Child([self.programs.processor, "broker", "--port", "0"], log, env=clean_environment())
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            self.broker.check_alive()
            for line in log.read_text().splitlines():
                if line.startswith("embedded broker at "):
                    return line.split()[-1]
            time.sleep(0.05)
        raise Failed("the embedded broker names no address")

    def _stop(self) -> None:
        if self.embedded:
            if hasattr(self, "broker"):
                self.broker.kill()
        elif self.folder.exists():
            self.kafka("wipe")
