//! Where reading starts when a partition is assigned.
//!
//! 1. At the committed offset, if the group has one.
//! 2. A partition that appeared while the group was already at work starts at its beginning, always: what was written to
//!    it before anybody noticed it would be lost otherwise.
//! 3. Else the group is new to the topic, and `KAFKA_OFFSET_RESET` decides.
//!
//! The start is an offset, not "earliest": it is committed at once, so that the group has an offset for every partition
//! and rule 2 can tell a new partition from a quiet one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::config::OffsetReset;
use crate::kafka::context::TopicPartition;

/// How long one question to the cluster may take. It is asked on the polling thread, so it must stay far below
/// `max.poll.interval.ms`; a question without an answer is asked again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was known of an input topic when the process started.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its partitions.
    pub partitions: i32,
    /// Whether the group had an offset for any of them.
    pub has_offsets: bool,
}

/// Where one partition starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The partition.
    pub partition: TopicPartition,
    /// The first offset to read.
    pub offset: i64,
    /// What the group has committed.
    pub committed: Option<i64>,
}

/// Why there is no start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Ask again.
    #[error("the cluster did not say where to start: {0}")]
    Unanswered(#[from] rdkafka::error::KafkaError),
    /// The user has to choose.
    #[error(
        "group has no offset for {0}/{1}, and KAFKA_OFFSET_RESET is error. Choose where a new group begins: \
         KAFKA_OFFSET_RESET=earliest reads all records that are there, KAFKA_OFFSET_RESET=latest only those written from \
         now on"
    )]
    Undecided(Arc<str>, i32),
}

/// Finds the start of each of `partitions`.
pub fn starts<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    known: &HashMap<Arc<str>, Known>,
    reset: OffsetReset,
) -> Result<Vec<Start>, StartError> {
    let committed = committed(consumer, partitions)?;
    let mut ask: HashMap<i64, Vec<TopicPartition>> = HashMap::new();
    for partition in partitions.iter().filter(|partition| !committed.contains_key(*partition)) {
        let end = rule(partition, known, reset)?;
        ask.entry(end).or_default().push(partition.clone());
    }
    let mut found = HashMap::new();
    for (end, partitions) in ask {
        found.extend(resolve(consumer, &partitions, end)?);
    }
    Ok(partitions
        .iter()
        .filter_map(|partition| {
            let committed = committed.get(partition).copied();
            let offset = committed.or_else(|| found.get(partition).copied())?;
            Some(Start { partition: partition.clone(), offset, committed })
        })
        .collect())
}

const BEGINNING: i64 = -2;
const END: i64 = -1;

fn rule(
    partition: &TopicPartition,
    known: &HashMap<Arc<str>, Known>,
    reset: OffsetReset,
) -> Result<i64, StartError> {
    let is_new =
        known.get(&partition.0).is_some_and(|topic| topic.has_offsets || partition.1 >= topic.partitions);
    match reset {
        _ if is_new => Ok(BEGINNING),
        OffsetReset::Earliest => Ok(BEGINNING),
        OffsetReset::Latest => Ok(END),
        OffsetReset::Error => Err(StartError::Undecided(partition.0.clone(), partition.1)),
    }
}

/// The first or the next offset of each partition, as numbers.
fn resolve<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    end: i64,
) -> KafkaResult<HashMap<TopicPartition, i64>> {
    partitions
        .iter()
        .map(|partition| {
            let (low, high) = consumer.fetch_watermarks(&partition.0, partition.1, PATIENCE)?;
            Ok((partition.clone(), if end == END { high } else { low }))
        })
        .collect()
}

/// The group's committed offsets, where it has one.
pub fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
) -> KafkaResult<HashMap<TopicPartition, i64>> {
    Ok(offsets(consumer.committed_offsets(list(partitions, Offset::Invalid), PATIENCE)?))
}

/// A list for librdkafka.
pub fn list(partitions: &[TopicPartition], offset: Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        list.add_partition_offset(topic, *partition, offset).expect("every offset we use can be represented");
    }
    list
}

fn offsets(list: TopicPartitionList) -> HashMap<TopicPartition, i64> {
    list.elements()
        .iter()
        .filter_map(|one| match one.offset() {
            Offset::Offset(offset) => Some(((Arc::from(one.topic()), one.partition()), offset)),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(reset: OffsetReset) -> [Option<i64>; 3] {
        let topic = |name: &str| Arc::<str>::from(name);
        let known = HashMap::from([
            (topic("at work"), Known { partitions: 2, has_offsets: true }),
            (topic("new"), Known { partitions: 2, has_offsets: false }),
        ]);
        [("at work", 1), ("new", 1), ("new", 2)]
            .map(|(name, partition)| rule(&(topic(name), partition), &known, reset).ok())
    }

    #[test]
    fn only_a_group_that_is_new_to_the_topic_is_asked_to_choose() {
        assert_eq!(rules(OffsetReset::Earliest), [Some(BEGINNING), Some(BEGINNING), Some(BEGINNING)]);
        assert_eq!(rules(OffsetReset::Latest), [Some(BEGINNING), Some(END), Some(BEGINNING)]);
        assert_eq!(rules(OffsetReset::Error), [Some(BEGINNING), None, Some(BEGINNING)]);
    }
}
