"""Python's confluent-kafka."""

import threading
import time

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic, OffsetSpec

from checks import equal, eventually, holds

WHO = "python"
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


class Python:
    def __init__(self, servers, prefix):
        self.servers = servers
        self.prefix = prefix
        self.admin = AdminClient({"bootstrap.servers": servers})

    def checks(self):
        return [
            ("creates a topic, and is told that it is there", self.creates_a_topic),
            ("writes with every codec, and reads the same back", self.every_codec),
            ("reads in a group of two members, all records once", self.two_members),
            ("commits with metadata, and the next member goes on there", self.commit_and_resume),
            ("reads committed transactions only", self.transactions),
            ("fences an older producer of the same transactional id", self.fencing),
            ("commits offsets in a transaction, and drops those of an aborted one", self.offsets_in_a_transaction),
            ("looks up offsets by time", self.offsets_by_time),
            ("lists and describes topics and groups", self.lists),
            ("adds partitions, and deletes the topic", self.grows_and_goes),
        ]

    # ---- what the checks stand on

    def topic(self, name, partitions=3):
        name = f"{self.prefix}.{name}"
        self.admin.create_topics([NewTopic(name, partitions, 1)])[name].result(30)
        eventually(30, f"{name} is there", lambda: self.partitions(name) == partitions)
        return name

    def partitions(self, name):
        topic = self.admin.list_topics(timeout=30).topics.get(name)
        return len(topic.partitions) if topic and not topic.error else 0

    def producer(self, **settings):
        return Producer({"bootstrap.servers": self.servers, "enable.idempotence": True, "linger.ms": 5, **settings})

    def consumer(self, group, **settings):
        return Consumer({
            "bootstrap.servers": self.servers,
            "group.id": f"{self.prefix}.{group}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 500,
            **settings,
        })

    def send(self, topic, values, producer=None, **more):
        failed = []
        report = lambda error, _: failed.append(error) if error else None
        own = producer or self.producer()
        for value in values:
            own.produce(topic, value=value, on_delivery=report, **more)
        equal(own.flush(30), 0, "records that the broker did not take in time")
        equal(failed, [], "failed deliveries")

    def read(self, topic, count, group="reader", quiet=0.0, **settings):
        """So many records, and after `quiet` seconds more still no other."""
        consumer = self.consumer(group, **settings)
        consumer.subscribe([topic])
        found, deadline, end = [], time.monotonic() + 60, None
        while end is None or time.monotonic() < end:
            message = consumer.poll(0.1)
            if message is not None and not message.error():
                found.append(message)
            if len(found) >= count and end is None:
                end = time.monotonic() + quiet
            holds(time.monotonic() < deadline, f"{len(found)} of {count} records in 60 s")
        consumer.close()
        equal(len(found), count, "records")
        return found

    # ---- the checks

    def creates_a_topic(self):
        name = self.topic("made", 5)
        try:
            self.admin.create_topics([NewTopic(name, 5, 1)])[name].result(30)
        except KafkaException as error:
            equal(error.args[0].code(), KafkaError.TOPIC_ALREADY_EXISTS, "the second answer")
        else:
            raise AssertionError("a second topic of the same name was made")

    def every_codec(self):
        topic = self.topic("codecs", 1)
        wanted = []
        for codec in CODECS:
            producer = self.producer(**{"compression.type": codec})
            records = [
                (f"{codec}-{n}".encode(), f"{codec} {n} ".encode() * 50, [("a", b"1"), ("a", b"\xff\x00"), ("null", None)])
                for n in range(200)
            ]
            records += [(b"tombstone", None, None), (None, b"no key", None), (b"", b"", [("empty", b"")])]
            for n, (key, value, headers) in enumerate(records):
                at = 1_700_000_000_000 + n
                producer.produce(topic, key=key, value=value, headers=headers, timestamp=at)
                wanted.append((key, value, headers, at))
            equal(producer.flush(30), 0, f"{codec}: records that the broker did not take in time")
        found = self.read(topic, len(wanted))
        equal([(m.key(), m.value(), m.headers(), m.timestamp()[1]) for m in found], wanted, "what was read")
        equal([m.offset() for m in found], list(range(len(wanted))), "offsets")

    def two_members(self):
        topic = self.topic("group", 6)
        members = [self.consumer("two"), self.consumer("two")]
        for member in members:
            member.subscribe([topic])

        def share():
            for member in members:
                member.poll(0.05)
            return [len(member.assignment()) for member in members]

        eventually(30, "each member has three partitions", lambda: share() == [3, 3])
        found, lock, stop = [], threading.Lock(), threading.Event()

        def read(member):
            while not stop.is_set():
                message = member.poll(0.1)
                if message is not None and not message.error():
                    with lock:
                        found.append((id(member), message.value()))

        threads = [threading.Thread(target=read, args=[member]) for member in members]
        for thread in threads:
            thread.start()
        try:
            # To each partition its part: a client that chooses by itself may put all of a batch into one.
            for partition in range(6):
                self.send(topic, [str(n).encode() for n in range(partition, 3000, 6)], partition=partition)
            eventually(30, "all records are read", lambda: len(found) >= 3000)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        for member in members:
            member.close()
        equal(sorted(int(value) for _, value in found), list(range(3000)), "records, each once")
        equal(len({who for who, _ in found}), 2, "members that read something")

    def commit_and_resume(self):
        topic = self.topic("resume", 1)
        self.send(topic, [str(n).encode() for n in range(10)])
        first = self.consumer("resume")
        first.subscribe([topic])
        taken = []
        eventually(30, "four records", lambda: taken.extend(first.consume(4 - len(taken), 1.0)) or len(taken) >= 4)
        place = TopicPartition(topic, 0, 4, metadata="four of ten")
        first.commit(offsets=[place], asynchronous=False)
        first.close()
        second = self.consumer("resume")
        committed = second.committed([TopicPartition(topic, 0)], 30)[0]
        equal((committed.offset, committed.metadata), (4, "four of ten"), "the committed offset")
        second.close()
        found = self.read(topic, 6, "resume")
        equal([int(m.value()) for m in found], [4, 5, 6, 7, 8, 9], "what the next member reads")

    def transactions(self):
        topic = self.topic("transactions", 1)
        producer = self.producer(**{"transactional.id": topic})
        producer.init_transactions(30)
        for n, commit in enumerate([True, False, True, False, True]):
            producer.begin_transaction()
            self.send(topic, [f"{n}-{i}".encode() for i in range(20)], producer)
            if commit:
                producer.commit_transaction(30)
            else:
                producer.abort_transaction(30)
        producer.begin_transaction()
        self.send(topic, [b"open"] * 7, producer)
        committed = self.read(topic, 60, "committed", 0.7, **{"isolation.level": "read_committed"})
        equal([m.value().decode() for m in committed], [f"{n}-{i}" for n in (0, 2, 4) for i in range(20)], "committed records")
        self.read(topic, 107, "uncommitted", 0.3, **{"isolation.level": "read_uncommitted"})
        stable = self.admin.list_offsets(
            {TopicPartition(topic, 0): OffsetSpec.latest()}, isolation_level=IsolationLevel.READ_COMMITTED
        )
        equal([f.result(30).offset for f in stable.values()], [105], "the last stable offset: 100 records and 5 markers")
        producer.commit_transaction(30)
        self.read(topic, 67, "at last", 0.3, **{"isolation.level": "read_committed"})

    def fencing(self):
        topic = self.topic("fencing", 1)
        old = self.producer(**{"transactional.id": topic})
        old.init_transactions(30)
        old.begin_transaction()
        self.send(topic, [b"of the old one"], old)
        new = self.producer(**{"transactional.id": topic})
        new.init_transactions(30)
        try:
            old.commit_transaction(30)
        except KafkaException as error:
            codes = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
            holds(error.args[0].code() in codes, f"fenced, not {error}")
        else:
            raise AssertionError("a producer that was replaced could commit")
        new.begin_transaction()
        self.send(topic, [b"of the new one"], new)
        new.commit_transaction(30)
        found = self.read(topic, 1, "fenced", 0.5, **{"isolation.level": "read_committed"})
        equal(found[0].value(), b"of the new one", "what is committed")

    def offsets_in_a_transaction(self):
        topic = self.topic("eos", 1)
        self.send(topic, [str(n).encode() for n in range(10)])
        consumer = self.consumer("eos", **{"isolation.level": "read_committed"})
        consumer.subscribe([topic])
        taken = []
        eventually(30, "ten records", lambda: taken.extend(consumer.consume(10 - len(taken), 1.0)) or len(taken) >= 10)
        producer = self.producer(**{"transactional.id": topic})
        producer.init_transactions(30)
        for offset, commit in [(3, True), (9, False)]:
            producer.begin_transaction()
            place = [TopicPartition(topic, 0, offset)]
            producer.send_offsets_to_transaction(place, consumer.consumer_group_metadata(), 30)
            if commit:
                producer.commit_transaction(30)
            else:
                producer.abort_transaction(30)
        equal(consumer.committed([TopicPartition(topic, 0)], 30)[0].offset, 3, "the committed offset")
        consumer.close()

    def offsets_by_time(self):
        topic = self.topic("times", 1)
        producer = self.producer()
        for n in range(100):
            producer.produce(topic, value=b"x", timestamp=1_700_000_000_000 + 1000 * n)
        equal(producer.flush(30), 0, "records that the broker did not take in time")
        consumer = self.consumer("times")
        at = lambda ms: consumer.offsets_for_times([TopicPartition(topic, 0, ms)], 30)[0].offset
        equal(at(1_700_000_000_000), 0, "of the first")
        equal(at(1_700_000_041_500), 42, "between two")
        equal(at(1_700_000_099_001), -1, "behind the last")
        equal(consumer.get_watermark_offsets(TopicPartition(topic, 0), 30), (0, 100), "begin and end")
        consumer.close()

    def lists(self):
        topic = self.topic("listed", 4)
        equal(self.partitions(topic), 4, "partitions")
        self.send(topic, [b"x"] * 10)
        consumer = self.consumer("listed")
        consumer.subscribe([topic])
        taken = []
        eventually(30, "ten records", lambda: taken.extend(consumer.consume(10 - len(taken), 1.0)) or len(taken) >= 10)
        consumer.commit(asynchronous=False)
        group = f"{self.prefix}.listed"
        listed = self.admin.list_consumer_groups(request_timeout=30).result(30)
        holds(group in [g.group_id for g in listed.valid], f"{group} is among the groups")
        described = self.admin.describe_consumer_groups([group], request_timeout=30)[group].result(30)
        equal(described.state.name, "STABLE", "the group's state")
        equal([len(m.assignment.topic_partitions) for m in described.members], [4], "partitions of the only member")
        offsets = self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(30)
        equal(sum(max(p.offset, 0) for p in offsets.topic_partitions), 10, "committed")
        consumer.close()
        self.admin.delete_consumer_groups([group], request_timeout=30)[group].result(30)

    def grows_and_goes(self):
        topic = self.topic("grows", 2)
        self.admin.create_partitions([NewPartitions(topic, 5)])[topic].result(30)
        eventually(30, "five partitions", lambda: self.partitions(topic) == 5)
        self.admin.delete_topics([topic])[topic].result(30)
        eventually(30, "the topic is gone", lambda: self.partitions(topic) == 0)
