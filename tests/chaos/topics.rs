//! What an operator does to topics and to a group's offsets, with the brokers' own door.

use std::future::Future;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::metadata::Metadata;

use crate::wait::{seconds, until};

/// A client for it.
pub(crate) struct Admin(AdminClient<DefaultClientContext>);

impl Admin {
    /// Connects when it is first used.
    pub(crate) fn new(servers: &str) -> Result<Self, String> {
        ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("reconnect.backoff.max.ms", "500")
            .set("log_level", "2")
            .create()
            .map(Self)
            .map_err(|e| format!("no admin client: {e}"))
    }

    /// Creates a topic on all three brokers, and waits until all three have it.
    pub(crate) fn create(&self, name: &str, partitions: i32, more: &[(&str, &str)]) -> Result<(), String> {
        let mut topic =
            NewTopic::new(name, partitions, TopicReplication::Fixed(3)).set("min.insync.replicas", "2");
        for (key, value) in more {
            topic = topic.set(key, value);
        }
        until(seconds(60), &format!("topic {name} is created"), || {
            let results = wait(self.0.create_topics([&topic], &options()));
            results.is_ok_and(|results| results.iter().all(|r| r.is_ok() || already_there(r)))
        })?;
        self.wait_in_sync(&[name])
    }

    /// Deletes topics. That it takes a while is no matter, and neither is one that is not there.
    pub(crate) fn delete(&self, names: &[&str]) -> Result<(), String> {
        wait(self.0.delete_topics(names, &options()))
            .map(drop)
            .map_err(|e| format!("topics cannot be deleted: {e}"))
    }

    /// Waits until each partition of these topics has a leader and all its copies.
    pub(crate) fn wait_in_sync(&self, names: &[&str]) -> Result<(), String> {
        for name in names {
            let limit = seconds(120);
            until(limit, &format!("all copies of {name} are in sync"), || {
                self.metadata(name).is_some_and(|m| in_sync(&m))
            })?;
        }
        Ok(())
    }

    /// The leader of each partition.
    pub(crate) fn leaders(&self, name: &str) -> Result<Vec<i32>, String> {
        let metadata = self.metadata(name).ok_or_else(|| format!("the cluster says nothing of {name}"))?;
        let mut leaders: Vec<_> =
            metadata.topics().iter().flat_map(|t| t.partitions()).map(|p| (p.id(), p.leader())).collect();
        leaders.sort_unstable();
        Ok(leaders.into_iter().map(|(_, leader)| leader).collect())
    }

    fn metadata(&self, name: &str) -> Option<Metadata> {
        self.0.inner().fetch_metadata(Some(name), seconds(5)).ok()
    }
}

fn already_there(result: &Result<String, (String, rdkafka::types::RDKafkaErrorCode)>) -> bool {
    matches!(result, Err((_, rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists)))
}

fn in_sync(metadata: &Metadata) -> bool {
    let whole = |topic: &rdkafka::metadata::MetadataTopic| {
        topic.error().is_none()
            && !topic.partitions().is_empty()
            && topic.partitions().iter().all(|p| p.leader() >= 0 && p.isr().len() == p.replicas().len())
    };
    metadata.topics().iter().all(whole)
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(seconds(20))).request_timeout(Some(seconds(20)))
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}
