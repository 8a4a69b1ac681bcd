//! What a group has committed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::ffi::metadata;
use crate::record::TopicPartition;

/// How long the question may take. It may be asked on a polling thread, so it must stay far below `max.poll.interval.ms`; a
/// question without an answer is asked again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the group has for a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// What the committer wrote beside it. Anybody may commit for a group: it may be anything.
    pub metadata: String,
}

/// What the group has committed, where it has something. Offsets of a transaction that has not ended are waited for by a consumer
/// that reads what is committed (`isolation.level`).
///
/// # Errors
/// When the cluster does not answer.
pub fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
) -> KafkaResult<HashMap<TopicPartition, Committed>> {
    let list = consumer.committed_offsets(asked(partitions), PATIENCE)?;
    let elements = list.elements().into_iter().zip(metadata(&list));
    Ok(elements
        .filter_map(|(one, metadata)| match one.offset() {
            Offset::Offset(offset) => {
                Some(((Arc::from(one.topic()), one.partition()), Committed { offset, metadata }))
            }
            _ => None,
        })
        .collect())
}

fn asked(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in partitions {
        list.add_partition(topic, *partition);
    }
    list
}

/// Offsets to commit, as librdkafka takes them.
pub fn list(offsets: &[(TopicPartition, Committed)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for ((topic, partition), committed) in offsets {
        let mut element = list.add_partition(topic, *partition);
        element.set_offset(Offset::Offset(committed.offset)).expect("an offset that the broker gave");
        if !committed.metadata.is_empty() {
            element.set_metadata(&committed.metadata);
        }
    }
    list
}
