"""A second opinion: Python's confluent-kafka reads what is committed, and counts by the stamp of `processor generate`.

reader.py SERVERS INPUT OUTPUT DEAD_LETTERS: one line of JSON. It shares no code with the oracle of `processor verify`.
"""

import json
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

HEAD, DIGITS = b'{"id":"o-', 12
PATIENCE = 60.0


def number(message):
    """The number that the generator gave to a record: in a header where the value is broken, else in the value."""
    for name, value in message.headers() or []:
        if name == "stamp":
            return int(value)
    value = message.value() or b""
    digits = value[len(HEAD) : len(HEAD) + DIGITS]
    return int(digits) if value.startswith(HEAD) and digits.isdigit() else None


def read(servers, topic):
    """All committed records of a topic: key, number and place, each partition's in order."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "second-opinion",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    partitions = sorted(consumer.list_topics(topic, timeout=PATIENCE).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    open_partitions, heard = set(partitions), time.monotonic()
    while open_partitions:
        for message in consumer.consume(10_000, timeout=1.0):
            heard = time.monotonic()
            error = message.error()
            if error is None:
                yield message.key(), number(message), (message.partition(), message.offset())
            elif error.code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
        if time.monotonic() - heard > PATIENCE:
            raise TimeoutError(f"{topic}: nothing for {PATIENCE:.0f} s, and these have no end: {sorted(open_partitions)}")
    consumer.close()


def judge(servers, inputs, outputs):
    """Counts what is lost, repeated, out of order per key, and of no record."""
    place = {stamp: (key, at) for key, stamp, at in read(servers, inputs)}
    seen, counts = set(), {"records": len(place), "repeated": 0, "out_of_order": 0, "phantom": 0}
    for topic in outputs:
        latest = {}
        for key, stamp, _ in read(servers, topic):
            if stamp not in place or place[stamp][0] != key:
                counts["phantom"] += 1
                continue
            if stamp in seen:
                counts["repeated"] += 1
                continue
            seen.add(stamp)
            at = place[stamp][1]
            if key is not None:
                counts["out_of_order"] += at < latest.get(key, at)
                latest[key] = max(at, latest.get(key, at))
    return {**counts, "lost": len(place) - len(seen)}


if __name__ == "__main__":
    _, brokers, source, *results = sys.argv
    print(json.dumps(judge(brokers, source, results)))
