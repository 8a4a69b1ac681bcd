//! Where reading starts when a partition is assigned.
//!
//! 1. At the committed offset, if the group has one.
//! 2. A partition that appeared while the group was already at work starts at its beginning, always: what was written to
//!    it before anybody noticed it would be lost otherwise.
//! 3. Else the group is new to the topic, and `KAFKA_OFFSET_RESET` decides.
//!
//! The start is an offset, not "earliest": it is committed at once, so that the group has an offset for every partition
//! and rule 2 can tell a new partition from a quiet one.
//!
//! What is finished beyond a committed offset stands in the commit's metadata, the offset map. One that is not ours, or that
//! names records which are not there, is left out of account with a warning: that costs repeats, and nothing else.
//!
//! So does the topic's id. A committed offset that carries the id of another topic says nothing of this one: where the topic was made
//! again while this process ran, reading starts at the beginning; where it was before, only the user knows what the new topic is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rdkafka::error::KafkaResult;

use super::client::{Client, Committed};
use super::topics::{History, OtherTopic};
use crate::checkpoint::note::{Stamp, Unusable};
use crate::checkpoint::{Beginning, Note, OffsetMap};
use crate::policy::OffsetReset;
use crate::record::TopicPartition;
use crate::topic_id::TopicId;

/// What was known of an input topic when the process started.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its partitions.
    pub partitions: i32,
    /// Whether the group had an offset for any of them.
    pub has_offsets: bool,
    /// Its id, if the cluster has ids.
    pub topic_id: Option<TopicId>,
}

/// Where one partition starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The partition.
    pub partition: TopicPartition,
    /// The first offset to read, what the group has committed, and what is finished beyond that.
    pub beginning: Beginning,
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
    /// The user has to choose, unless another broker knows better.
    #[error("{0}")]
    OtherTopic(OtherTopic),
}

/// The group that starts, and what was said and seen of it.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// Its name.
    pub name: &'a str,
    /// What was known of its topics when the process started.
    pub known: &'a HashMap<Arc<str>, Known>,
    /// Where a new group begins.
    pub reset: OffsetReset,
    /// What its topics are.
    pub history: &'a History,
    /// `bootstrap.servers`, for advice.
    pub servers: &'a str,
}

/// Finds the start of each of `partitions`.
pub fn starts(
    client: &mut impl Client,
    partitions: &[TopicPartition],
    group: Group<'_>,
) -> Result<Vec<Start>, StartError> {
    let committed = client.committed(partitions)?;
    // Before anything else is asked: the user may have to choose.
    let mut ends = HashMap::new();
    for partition in partitions.iter().filter(|partition| !committed.contains_key(*partition)) {
        ends.insert(partition, rule(partition, group.known, group.reset)?);
    }
    if let Some(other) = of_other_topics(&committed, group).into_iter().find(|other| !group.saw(other)) {
        return Err(StartError::OtherTopic(other));
    }
    let mut starts = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let topic_id = group.history.now(&partition.0);
        let of_this_topic = |committed: &&Committed| other_topic(group, partition, committed).is_none();
        let beginning = match committed.get(partition).filter(of_this_topic) {
            Some(committed) => Beginning {
                start: committed.offset,
                committed: Some(committed.offset),
                finished: finished_beyond(client, group.name, partition, committed)?,
                topic_id,
            },
            None => {
                let (low, high) = client.bounds(partition)?;
                let start = if ends.get(partition) == Some(&END) { high } else { low };
                Beginning { start, topic_id, ..Beginning::default() }
            }
        };
        starts.push(Start { partition: partition.clone(), beginning });
    }
    for other in of_other_topics(&committed, group) {
        let OtherTopic { topic, committed, now, .. } = other;
        tracing::warn!(
            "topic {topic} was deleted and made again: it had id {committed}, and has {now}. The new topic is read from its beginning"
        );
    }
    Ok(starts)
}

impl Group<'_> {
    /// Whether the topic was made again while this process ran.
    fn saw(&self, other: &OtherTopic) -> bool {
        self.history.knows(&other.topic, other.committed)
    }
}

/// The ids of the topic that a committed offset is of and of the one that has the name now, where they are known to differ.
fn other_topic(
    group: Group<'_>,
    partition: &TopicPartition,
    committed: &Committed,
) -> Option<(TopicId, TopicId)> {
    let then = read_note(group.name, partition, committed).ok()?.topic_id?;
    let now = group.history.now(&partition.0)?;
    (then != now).then_some((then, now))
}

/// What a group has committed of topics that had the names before, by topic and id.
pub fn of_other_topics(committed: &HashMap<TopicPartition, Committed>, group: Group<'_>) -> Vec<OtherTopic> {
    let mut others: BTreeMap<_, Vec<i32>> = BTreeMap::new();
    for (partition, committed) in committed {
        if let Some((then, now)) = other_topic(group, partition, committed) {
            others.entry((partition.0.clone(), then, now)).or_default().push(partition.1);
        }
    }
    let other = |((topic, committed, now), mut partitions): (_, Vec<i32>)| {
        partitions.sort_unstable();
        let (group, servers) = (group.name.to_owned(), group.servers.to_owned());
        OtherTopic { group, topic, committed, now, partitions, servers }
    };
    others.into_iter().map(other).collect()
}

/// What the offset map of a commit says, as far as it is to be believed.
fn finished_beyond(
    client: &mut impl Client,
    group: &str,
    partition: &TopicPartition,
    committed: &Committed,
) -> KafkaResult<OffsetMap> {
    let (topic, number) = (&*partition.0, partition.1);
    let read = read_note(group, partition, committed).map(|note| note.finished);
    let checked = match read {
        Ok(map) if map.is_empty() => return Ok(map),
        Ok(map) => map.within(client.bounds(partition)?.1),
        Err(unusable) => Err(unusable),
    };
    Ok(checked.unwrap_or_else(|unusable| {
        tracing::warn!(
            "the metadata of the committed offset of {topic}/{number} is not used: {unusable}. What was finished beyond offset {} \
             may be repeated",
            committed.offset
        );
        OffsetMap::default()
    }))
}

/// What the metadata of a commit says of a partition that ends there.
///
/// # Errors
/// When an instance would leave it out of account.
pub fn usable_note(
    group: &str,
    partition: &TopicPartition,
    committed: &Committed,
    end: i64,
) -> Result<Note, Unusable> {
    let note = read_note(group, partition, committed)?;
    Ok(Note { finished: note.finished.within(end)?, ..note })
}

pub(crate) fn read_note(
    group: &str,
    (topic, partition): &TopicPartition,
    committed: &Committed,
) -> Result<Note, Unusable> {
    let stamp = Stamp { group, topic, partition: *partition, watermark: committed.offset };
    Note::decode(committed.metadata.as_bytes(), &stamp)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(reset: OffsetReset) -> [Option<i64>; 3] {
        let topic = |name: &str| Arc::<str>::from(name);
        let known = HashMap::from([
            (topic("at work"), Known { partitions: 2, has_offsets: true, topic_id: None }),
            (topic("new"), Known { partitions: 2, has_offsets: false, topic_id: None }),
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
