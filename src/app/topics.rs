//! What must hold of topics that exist before anything runs.

use std::collections::HashMap;
use std::sync::Arc;

use super::derive::servers;
use crate::config::{Config, Partitioning};
use crate::kafka::context::TopicPartition;
use crate::kafka::offsets::Committed;
use crate::source::start::{Group, Known, of_other_topics};
use crate::source::topics::History;
use crate::topic_id::Ids;

/// With `same-partition` each partition of the input needs one of the output: what is to be done where one has none.
pub(super) fn without_a_place(config: &Config, partitions: &HashMap<String, i32>) -> Option<String> {
    if config.partitioning != Partitioning::SamePartition {
        return None;
    }
    let output = &config.output_topic;
    let has = partitions.get(output).copied()?;
    let inputs = config.input_topics.iter().filter_map(|topic| Some((topic, *partitions.get(topic)?)));
    let (input, needed) = inputs.max_by_key(|(_, count)| *count).filter(|(_, count)| *count > has)?;
    Some(format!(
        "PROCESSOR_PARTITIONING=same-partition, and {input} has {needed} partitions, but {output} only {has}: records of partition \
         {has} and above would have no place. Give it as many:\n  \
         kafka-topics --bootstrap-server {} --alter --topic {output} --partitions {needed}\nor set PROCESSOR_PARTITIONING to another rule",
        servers(config)
    ))
}

/// Committed offsets that are of other topics than those that have the names now: what the user is to choose.
pub(super) fn of_others(
    config: &Config,
    ids: &Ids,
    known: &HashMap<Arc<str>, Known>,
    committed: &HashMap<TopicPartition, Committed>,
) -> Option<String> {
    let (history, servers) = (History::from(ids), servers(config));
    let group = Group {
        name: &config.group_id,
        known,
        reset: config.offset_reset,
        history: &history,
        servers: &servers,
    };
    let others: Vec<String> = of_other_topics(committed, group).iter().map(ToString::to_string).collect();
    (!others.is_empty()).then(|| others.join("\n"))
}
