//! Questions to the cluster before anything runs: do the topics exist, may we use them, where does the group stand.

use std::collections::HashSet;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::MetadataPartition;
use tokio::runtime::Runtime;

/// What is known of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    /// It exists, with this many partitions.
    Exists(i32),
    /// It does not exist, or we may not know of it.
    Missing,
    /// We may not use it.
    Denied,
}

/// Looks a topic up. An error means that the cluster did not answer.
pub fn topic<C: ClientContext>(client: &Client<C>, name: &str, wait: Duration) -> Result<Topic, KafkaError> {
    let metadata = client.fetch_metadata(Some(name), wait)?;
    let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
        return Ok(Topic::Missing);
    };
    match topic.error().map(Code::from) {
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::InvalidTopic) => Ok(Topic::Missing),
        Some(Code::TopicAuthorizationFailed) => Ok(Topic::Denied),
        // A topic that has just been made has no leaders yet: ask again.
        Some(code) => Err(KafkaError::MetadataFetch(code)),
        None if topic.partitions().is_empty() => Ok(Topic::Missing),
        None => Ok(Topic::Exists(topic.partitions().len() as i32)),
    }
}

/// What of a topic's settings concerns us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The largest batch that it takes (`max.message.bytes`), if the broker says so.
    pub max_message_bytes: Option<usize>,
    /// With fewer replicas in sync it takes nothing (`min.insync.replicas`), if the broker says so.
    pub least_in_sync: Option<usize>,
    /// For how many milliseconds it keeps a record; `None` is for ever.
    pub keeps_ms: Option<u64>,
    /// Whether of a key only the last record is kept.
    pub is_compacted: bool,
}

/// What [`settings`] runs on.
///
/// # Errors
/// When the machine has no more to give.
pub fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().build()
}

/// The settings of each topic, where we may ask for them.
pub fn settings<C: ClientContext>(
    admin: &AdminClient<C>,
    topics: &[&str],
    runtime: &Runtime,
) -> Vec<Option<Settings>> {
    let resources: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(5)));
    match runtime.block_on(admin.describe_configs(&resources, &options)) {
        Ok(answers) => answers.into_iter().map(|answer| answer.ok().map(|answer| read(&answer))).collect(),
        Err(_) => vec![None; topics.len()],
    }
}

fn read(answer: &ConfigResource) -> Settings {
    let value = |name| answer.get(name)?.value.as_deref();
    let policy: Vec<&str> = value("cleanup.policy").unwrap_or("delete").split(',').map(str::trim).collect();
    // -1 is for ever.
    let retention = value("retention.ms").and_then(|ms| ms.parse().ok());
    Settings {
        max_message_bytes: value("max.message.bytes").and_then(|bytes| bytes.parse().ok()),
        least_in_sync: value("min.insync.replicas").and_then(|count| count.parse().ok()),
        keeps_ms: retention.filter(|_| policy.contains(&"delete")),
        is_compacted: policy.contains(&"compact"),
    }
}

/// The partitions of a topic that no broker leads.
///
/// # Errors
/// When the cluster does not answer.
pub fn leaderless<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    wait: Duration,
) -> Result<HashSet<i32>, KafkaError> {
    let metadata = client.fetch_metadata(Some(topic), wait)?;
    let topics = metadata.topics().iter().filter(|one| one.name() == topic);
    Ok(topics.flat_map(|one| one.partitions()).filter(|one| one.leader() < 0).map(|one| one.id()).collect())
}

/// The replicas of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replicas {
    /// Its number.
    pub partition: i32,
    /// How many of them have all that is acknowledged.
    pub in_sync: usize,
    /// How many there are.
    pub all: usize,
}

/// The replicas of each partition of a topic.
///
/// # Errors
/// When the cluster does not answer.
pub fn replicas<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    wait: Duration,
) -> Result<Vec<Replicas>, KafkaError> {
    let metadata = client.fetch_metadata(Some(topic), wait)?;
    let partitions =
        metadata.topics().iter().filter(|one| one.name() == topic).flat_map(|one| one.partitions());
    let of = |one: &MetadataPartition| Replicas {
        partition: one.id(),
        in_sync: one.isr().len(),
        all: one.replicas().len(),
    };
    Ok(partitions.map(of).collect())
}
