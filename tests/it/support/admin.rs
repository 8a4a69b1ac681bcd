//! What an operator does to a cluster from outside: topics, their settings, a group's offsets and members.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::{Client, ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use super::kafka::Kafka;
use super::{eventually, seconds};

/// The committed offset of each partition of a topic; a partition without one is absent.
pub(crate) type Offsets = BTreeMap<(String, i32), i64>;

const TIMEOUT: Duration = seconds(30);

/// The settings every client of ours shares.
pub(crate) fn settings(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.servers).set("log_level", "2");
    config.set("reconnect.backoff.max.ms", "500").set("topic.metadata.refresh.fast.interval.ms", "50");
    config.set("allow.auto.create.topics", "false");
    config
}

/// Its partitions end where the last record is, of an open transaction too.
fn admin(kafka: &Kafka) -> AdminClient<DefaultClientContext> {
    settings(kafka).set("isolation.level", "read_uncommitted").create().expect("an admin client")
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT))
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// Creates a topic with these settings, and waits until the cluster shows it.
pub(crate) fn create_topic(kafka: &Kafka, name: &str, partitions: i32, config: &[(&str, &str)]) {
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for (key, value) in config {
        topic = topic.set(key, value);
    }
    // A topic that was just deleted may still be going.
    eventually(TIMEOUT, &format!("topic {name} is created"), || {
        wait(admin(kafka).create_topics([&topic], &options())).is_ok_and(|results| results[0].is_ok())
    });
    eventually(TIMEOUT, &format!("topic {name} is there"), || {
        partition_count(kafka, name) == usize::try_from(partitions).ok()
    });
}

/// Deletes a topic, and waits until the cluster no longer shows it.
pub(crate) fn delete_topic(kafka: &Kafka, name: &str) {
    let results = wait(admin(kafka).delete_topics(&[name], &options())).expect("topics can be deleted");
    assert!(results[0].is_ok(), "topic {name} cannot be deleted: {results:?}");
    eventually(TIMEOUT, &format!("topic {name} is gone"), || partition_count(kafka, name).is_none());
}

/// Raises the number of a topic's partitions.
pub(crate) fn add_partitions(kafka: &Kafka, name: &str, count: usize) {
    let results = wait(admin(kafka).create_partitions(&[NewPartitions::new(name, count)], &options()));
    assert!(results.expect("partitions can be added")[0].is_ok(), "topic {name} did not grow to {count}");
    eventually(TIMEOUT, &format!("topic {name} has {count} partitions"), || {
        partition_count(kafka, name) == Some(count)
    });
}

/// Changes one setting of a topic.
pub(crate) fn configure_topic(kafka: &Kafka, name: &str, key: &str, value: &str) {
    let change = AlterConfig::new(ResourceSpecifier::Topic(name)).set(key, value);
    let results = wait(admin(kafka).alter_configs([&change], &options())).expect("settings can be changed");
    assert!(results[0].is_ok(), "{key}={value} of {name}: {results:?}");
}

/// Deletes what stands before `offset` in one partition.
pub(crate) fn delete_records(kafka: &Kafka, topic: &str, partition: i32, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("a valid offset");
    let done = wait(admin(kafka).delete_records(&list, &options())).expect("records can be deleted");
    assert!(
        done.elements().iter().all(|e| e.error().is_ok()),
        "{topic}/{partition} up to {offset}: {done:?}"
    );
}

/// How many partitions a topic has; `None` when there is no such topic (or its leaders are not elected yet).
pub(crate) fn partition_count(kafka: &Kafka, name: &str) -> Option<usize> {
    let metadata = admin(kafka).inner().fetch_metadata(Some(name), TIMEOUT).ok()?;
    let topic = metadata.topics().first().filter(|t| t.error().is_none())?;
    topic.partitions().iter().all(|p| p.leader() >= 0).then(|| topic.partitions().len()).filter(|&n| n > 0)
}

/// Waits until the cluster answers.
pub(crate) fn wait_until_served(kafka: &Kafka) {
    eventually(seconds(60), "the cluster answers", || {
        admin(kafka).inner().fetch_metadata(None, seconds(5)).is_ok_and(|m| !m.brokers().is_empty())
    });
}

fn member(kafka: &Kafka, group: &str) -> BaseConsumer {
    settings(kafka).set("group.id", group).set("enable.auto.commit", "false").create().expect("a consumer")
}

/// Reads committed offsets of one group, again and again, with one client.
pub(crate) struct Committed(BaseConsumer);

impl Committed {
    /// A client that is no member of the group: it reads, and disturbs nobody.
    pub(crate) fn of(kafka: &Kafka, group: &str) -> Self {
        Self(member(kafka, group))
    }

    /// What is committed now; `None` when the cluster does not say.
    pub(crate) fn read(&self, topic: &str, partitions: i32) -> Option<Offsets> {
        let all = self.with_metadata(topic, partitions)?;
        Some(all.into_iter().map(|(partition, offset, _)| ((topic.to_owned(), partition), offset)).collect())
    }

    /// Partition, offset and metadata of each committed offset; `None` when the cluster does not say.
    pub(crate) fn with_metadata(&self, topic: &str, partitions: i32) -> Option<Vec<(i32, i64, String)>> {
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions - 1);
        let list = self.0.committed_offsets(list, seconds(5)).ok()?;
        let known = |offset| match offset {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        let one = |e: &TopicPartitionListElem<'_>| {
            Some((e.partition(), known(e.offset())?, e.metadata().to_owned()))
        };
        Some(list.elements().iter().filter_map(one).collect())
    }

    /// Commits for the group from outside; the group must be empty.
    pub(crate) fn commit(&self, topic: &str, partition: i32, offset: i64, metadata: &str) {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(topic, partition);
        element.set_offset(Offset::Offset(offset)).expect("a valid offset");
        element.set_metadata(metadata);
        self.0.commit(&list, CommitMode::Sync).expect("an empty group's offsets can be set");
    }
}

/// Sets a group's offsets from outside; the group must be empty.
pub(crate) fn reset_offsets(kafka: &Kafka, group: &str, offsets: &Offsets) {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in offsets {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).expect("a valid offset");
    }
    member(kafka, group).commit(&list, CommitMode::Sync).expect("an empty group's offsets can be set");
}

/// How many members a group has, once it is settled; `None` while it rebalances.
pub(crate) fn members(kafka: &Kafka, group: &str) -> Option<usize> {
    let groups = admin(kafka).inner().fetch_group_list(Some(group), seconds(5)).ok()?;
    let group = groups.groups().iter().find(|g| g.name() == group)?;
    matches!(group.state(), "Stable" | "Empty" | "Dead").then(|| group.members().len())
}

/// The end of each partition of a topic, as a client sees it.
pub(crate) fn ends(kafka: &Kafka, topic: &str, partitions: i32) -> Option<Vec<i64>> {
    ends_seen_by(admin(kafka).inner(), topic, partitions)
}

/// The same, asked with a client that is there already.
pub(crate) fn ends_seen_by<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    partitions: i32,
) -> Option<Vec<i64>> {
    (0..partitions).map(|p| client.fetch_watermarks(topic, p, seconds(5)).ok().map(|(_, end)| end)).collect()
}
