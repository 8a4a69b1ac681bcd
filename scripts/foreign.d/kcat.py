"""kcat, with whatever librdkafka the distribution has."""

import json

from checks import equal, eventually, holds, run

WHO = "kcat"


class Kcat:
    def __init__(self, servers, prefix, create):
        self.servers = servers
        self.prefix = prefix
        self.create = create

    def checks(self):
        return [
            ("lists the topics with their partitions (-L)", self.lists),
            ("writes with every codec, and reads it back (-P, -C)", self.writes_and_reads),
            ("looks up offsets by time (-Q)", self.offsets_by_time),
            ("reads in a group, and goes on where it stopped (-G)", self.group),
        ]

    def kcat(self, *arguments, feed=None):
        return run(["kcat", "-q", "-b", self.servers, *arguments], feed)

    def lists(self):
        topic = self.create("kcat.listed", 4)
        shown = json.loads(self.kcat("-L", "-J"))
        found = {t["topic"]: len(t["partitions"]) for t in shown["topics"]}
        equal(found.get(topic), 4, f"partitions of {topic}")

    def writes_and_reads(self):
        topic = self.create("kcat.codecs", 1)
        codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
        for codec in codecs:
            feed = "".join(f"{codec}-{n}\t{codec} {n}\n" for n in range(100))
            self.kcat("-P", "-t", topic, "-z", codec, "-K", "\t", "-H", f"codec={codec}", feed=feed)
        self.kcat("-P", "-t", topic, "-K", "\t", "-Z", feed="gone\t\n")
        found = self.kcat("-C", "-t", topic, "-e", "-o", "beginning", "-f", "%o %k %S %h %s\n").splitlines()
        wanted = [f"{n}-{i}" for n in codecs for i in range(100)]
        wanted = [f"{at} {key} {len(key)} codec={key.split('-')[0]} {key.replace('-', ' ')}" for at, key in enumerate(wanted)]
        equal([line.rstrip() for line in found[:-1]], wanted, "records")
        equal(found[-1].split()[:3], ["500", "gone", "-1"], "the tombstone")

    def offsets_by_time(self):
        topic = self.create("kcat.times", 1)
        self.kcat("-P", "-t", topic, feed="one\n")
        at = int(self.kcat("-C", "-t", topic, "-e", "-f", "%T\n"))
        ask = lambda ms: self.kcat("-Q", "-t", f"{topic}:0:{ms}").split()[-1]
        equal(ask(at), "0", "offset at its time")
        holds(ask(at + 1) in ("-1", "1"), "offset behind its time")
        equal((ask(-2), ask(-1)), ("0", "1"), "begin and end")

    def group(self):
        topic = self.create("kcat.group", 3)
        group = f"{self.prefix}.kcat"
        self.kcat("-P", "-t", topic, "-K", "\t", feed="".join(f"{n}\t{n}\n" for n in range(90)))

        def read():
            return self.kcat("-X", "auto.offset.reset=earliest", "-e", "-G", group, topic).split()

        equal(sorted(map(int, read())), list(range(90)), "what the group reads")
        self.kcat("-P", "-t", topic, "-K", "\t", feed="".join(f"{n}\t{n}\n" for n in range(90, 100)))
        found = []
        eventually(30, "the rest is read", lambda: found.extend(read()) or len(found) >= 10)
        equal(sorted(map(int, found)), list(range(90, 100)), "what the group reads then")
