"""Apache Kafka's own tools, and so its Java client."""

from checks import equal, eventually, holds, run

WHO = "java"
TOOLS = "org.apache.kafka.tools"


class Java:
    def __init__(self, servers, prefix, script):
        self.servers = servers
        self.prefix = prefix
        self.script = script

    def checks(self):
        return [
            ("creates, lists and describes a topic (TopicCommand)", self.topics),
            ("writes and reads in a group (ConsoleProducer, ConsoleConsumer, ConsumerGroupCommand)", self.group),
            ("writes transactions that are read when they are committed (ProducerPerformance)", self.transactions),
        ]

    def tool(self, name, *arguments, feed=None):
        return run([self.script, "tool", f"{TOOLS}.{name}", "--bootstrap-server", self.servers, *arguments], feed, 120)

    def make(self, name, partitions):
        topic = f"{self.prefix}.{name}"
        self.tool("TopicCommand", "--create", "--topic", topic, "--partitions", str(partitions))
        return topic

    def topics(self):
        topic = self.make("java.made", 5)
        holds(topic in self.tool("TopicCommand", "--list").split(), f"{topic} is in the list")
        shown = self.tool("TopicCommand", "--describe", "--topic", topic)
        equal(sum("Leader:" in line for line in shown.splitlines()), 5, "partitions with a leader")

    def group(self):
        topic = self.make("java.group", 3)
        group = f"{self.prefix}.java"
        feed = "".join(f"key-{n}\tvalue-{n}\n" for n in range(200))
        self.tool("ConsoleProducer", "--topic", topic, "--reader-property", "parse.key=true", feed=feed)
        reader = ["--topic", topic, "--group", group, "--timeout-ms", "20000"]
        begin = ["--from-beginning", "--max-messages", "200"]
        found = self.tool("consumer.ConsoleConsumer", *reader, *begin).split()
        equal(sorted(found), sorted(f"value-{n}" for n in range(200)), "what the group reads")
        shown = self.tool("consumer.group.ConsumerGroupCommand", "--group", group, "--describe")
        rows = [line.split() for line in shown.splitlines() if topic in line]
        equal(sum(int(row[3]) for row in rows), 200, "committed offsets")
        equal(sum(int(row[5]) for row in rows), 0, "lag")
        ends = self.tool("GetOffsetShell", "--topic", topic).split()
        equal(sum(int(line.rsplit(":", 1)[1]) for line in ends), 200, "end offsets")

    def transactions(self):
        topic = self.make("java.transactions", 1)
        self.tool(
            "ProducerPerformance", "--topic", topic, "--num-records", "2000", "--record-size", "100", "--throughput", "-1",
            "--transactional-id", topic, "--transaction-duration-ms", "200",
        )
        committed = ["--topic", topic, "--from-beginning", "--isolation-level", "read_committed", "--timeout-ms", "20000"]
        shown = self.tool("consumer.ConsoleConsumer", *committed, "--max-messages", "2000")
        equal(len(shown.split()), 2000, "records")
