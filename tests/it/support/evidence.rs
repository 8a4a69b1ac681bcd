//! What a test found out by itself, for the guarantees to judge.

use std::collections::HashMap;

use super::admin::Offsets;
use super::probe;
use super::record::{Seen, Sent};
use super::setup::Mode;

/// Everything that is known about one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// What must stay in order: a key or a partition, or the record alone.
    pub lane: String,
    /// Which record.
    pub id: String,
    /// When it began and ended, by one clock that all workers share: nanoseconds since 1970.
    pub begin: u64,
    pub end: u64,
}

impl Evidence {
    /// What was sent, by identity.
    pub(crate) fn by_id(&self) -> HashMap<&str, &Sent> {
        self.sent.iter().map(|sent| (sent.input.id.as_str(), sent)).collect()
    }

    /// When each transform ran, in the lanes of this mode.
    pub(crate) fn spans_in(&self, mode: Mode) -> Vec<Span> {
        let sent = self.by_id();
        let written = self.output.iter().chain(&self.dead_letters);
        probe::spans(mode, written.filter_map(|seen| Some((seen, *sent.get(seen.id()?.as_str())?))))
    }

    /// The runs of the transform on one record, in order.
    pub(crate) fn runs_of(&self, id: &str) -> Vec<&Span> {
        let mut runs: Vec<_> = self.spans.iter().filter(|span| span.id == id).collect();
        runs.sort_unstable_by_key(|span| span.begin);
        runs
    }
}
