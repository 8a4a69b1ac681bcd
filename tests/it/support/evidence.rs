//! What a test found out by itself, for the guarantees to judge.

use std::collections::HashMap;

use super::admin::Offsets;
use super::record::{Seen, Sent};

/// Everything that is known about one run.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What was sent to the input topic and stands there.
    pub sent: Vec<Sent>,
    /// The whole output topic.
    pub output: Vec<Seen>,
    /// The whole dead-letter topic.
    pub dead_letters: Vec<Seen>,
    /// Partitions of the output topic.
    pub output_partitions: i32,
    /// Partitions of the dead-letter topic.
    pub dead_letter_partitions: i32,
    /// The consumer group.
    pub group: String,
    /// The group's committed offsets, sampled while it ran; the last sample is older than `output` and `dead_letters`.
    pub committed: Vec<Offsets>,
    /// When each transform ran, if the test had a transform that notes it.
    pub spans: Vec<Span>,
}

/// One run of a transform on one record.
#[derive(Clone, Debug)]
pub struct Span {
    /// What must stay in order: the key, or the partition.
    pub lane: String,
    /// Which record.
    pub id: String,
    /// When it began and ended, by one counter that all workers share.
    pub begin: u64,
    pub end: u64,
}

impl Evidence {
    /// What was sent, by identity.
    pub fn by_id(&self) -> HashMap<&str, &Sent> {
        self.sent.iter().map(|sent| (sent.input.id.as_str(), sent)).collect()
    }
}
