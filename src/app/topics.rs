//! What must hold of topics that exist before anything runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::derive::servers;
use crate::config::Config;
use crate::engine::Pipeline;
use crate::kafka::context::Context;
use crate::kafka::offsets::Committed;
use crate::policy::Partitioning;
use crate::record::TopicPartition;
use crate::source::Intake;
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
         {has} and above would have no place. Give it as many:\n  {}\nor set PROCESSOR_PARTITIONING to another rule",
        give_it(config, needed)
    ))
}

fn give_it(config: &Config, partitions: i32) -> String {
    let (servers, output) = (servers(config), &config.output_topic);
    format!("kafka-topics --bootstrap-server {servers} --alter --topic {output} --partitions {partitions}")
}

/// How long it holds that a partition has no place, unless it is said again.
const FRESH: Duration = Duration::from_secs(10);

/// With `same-partition`: lets no partition be read that the output, which has so many, has no place for: one that was added to the
/// input while we run. It is named, and the others go on. Whether there is one; to be asked again soon then.
pub(super) fn hold_what_has_no_place(
    config: &Config,
    places: i32,
    pipeline: &Pipeline,
    context: &Context,
) -> bool {
    if config.partitioning != Partitioning::SamePartition {
        return false;
    }
    let held = pipeline.limit_partitions(places);
    for (slot, (topic, partition)) in &held {
        let output = &config.output_topic;
        let why = format!("{output} has {places} partitions, so none for {topic}/{partition}");
        context.complain(
            &format!("{topic}/{partition}"),
            &format!(
                "{topic}/{partition} is not read: PROCESSOR_PARTITIONING=same-partition, and {why}. The others go on; it does when the \
                 output has as many:\n  {}",
                give_it(config, partition + 1)
            ),
        );
        pipeline.stand(*slot, why, FRESH);
    }
    !held.is_empty()
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
