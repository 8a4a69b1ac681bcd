//! The demo's topics and its group, and what a plain client is told of them.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::judge::Topic;

/// One of the topics.
pub struct Named {
    /// What it is for.
    pub topic: Topic,
    /// What it is called.
    pub name: &'static str,
    /// How many partitions it has.
    pub partitions: i32,
}

/// The processor's group.
pub const GROUP: &str = "demo";
/// The input, the output, and the dead-letter topic of the group.
pub const TOPICS: [Named; 3] = [
    Named { topic: Topic::Input, name: "demo.orders", partitions: 6 },
    Named { topic: Topic::Output, name: "demo.orders.valid", partitions: 6 },
    Named { topic: Topic::DeadLetters, name: "dlq.demo", partitions: 3 },
];
/// The first of them.
pub const INPUT: &str = TOPICS[0].name;
/// The second.
pub const OUTPUT: &str = TOPICS[1].name;

/// `reconnect.backoff.max.ms` of all clients: where connections are cut all the time, the default of ten seconds would leave
/// little to see.
pub const RECONNECT_MS: &str = "500";

/// A partition by the topic's place among [`TOPICS`], and the offset behind its last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The topic's place.
    pub topic: usize,
    /// The partition's number.
    pub partition: i32,
    /// The offset of the next record to come.
    pub offset: i64,
}

/// A client who asks, and is nobody's member.
pub struct Asker(BaseConsumer);

const PATIENCE: Duration = Duration::from_secs(10);

impl Asker {
    /// A client.
    pub fn new(servers: &str) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers).set("client.id", "demo-asker").set("group.id", GROUP);
        config.set("enable.auto.commit", "false").create().map(Self)
    }

    /// Where every partition ends now.
    pub fn ends(&self) -> Result<Vec<End>, KafkaError> {
        let partitions = TOPICS.iter().enumerate().flat_map(|(topic, named)| {
            (0..named.partitions).map(move |partition| (topic, named.name, partition))
        });
        let end = |(topic, name, partition)| {
            let (_, offset) = self.0.fetch_watermarks(name, partition, PATIENCE)?;
            Ok(End { topic, partition, offset })
        };
        partitions.map(end).collect()
    }

    /// How many records of the input the group has still before it, by its committed offsets.
    pub fn uncommitted(&self, ends: &[End]) -> Result<i64, KafkaError> {
        let mut list = TopicPartitionList::new();
        let inputs = || ends.iter().filter(|end| TOPICS[end.topic].topic == Topic::Input);
        for end in inputs() {
            list.add_partition(INPUT, end.partition);
        }
        let committed = self.0.committed_offsets(list, PATIENCE)?;
        let left = |end: &End| match committed.find_partition(INPUT, end.partition).map(|one| one.offset()) {
            Some(Offset::Offset(offset)) => (end.offset - offset).max(0),
            _ => end.offset,
        };
        Ok(inputs().map(left).sum())
    }
}
