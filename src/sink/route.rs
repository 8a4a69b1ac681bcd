//! Which topic and partition a leg goes to, and the topics as far as they are known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use super::client::{Client, Outgoing};
use super::{Leg, Parcel, Target};
use crate::ops::metrics::Metrics;
use crate::policy::Partitioning;

/// How long a look-up of the dead-letter topic may take.
const LOOK_UP: Duration = Duration::from_secs(1);

/// See the module.
pub struct Route {
    output: String,
    dead_letters: Option<String>,
    partitioning: Partitioning,
    /// Partitions of the output and of the dead-letter topic, as last seen.
    partitions: [AtomicI32; 2],
    turn: AtomicUsize,
    /// The dead-letter topic was missing, or a letter could not be written, and it was not looked up since.
    misses_dead_letters: AtomicBool,
}

impl Route {
    /// To these topics, with one partition each until more is known.
    pub fn new(output: String, dead_letters: Option<String>, partitioning: Partitioning) -> Self {
        Self {
            output,
            dead_letters,
            partitioning,
            partitions: [AtomicI32::new(1), AtomicI32::new(1)],
            turn: AtomicUsize::new(0),
            misses_dead_letters: AtomicBool::new(false),
        }
    }

    /// In the order of [`Target`].
    pub fn topics(&self) -> Vec<&str> {
        std::iter::once(self.output.as_str()).chain(self.dead_letters.as_deref()).collect()
    }

    /// The topic's name. A dead letter where there is no topic for it is our bug; it is named by the output then.
    pub fn topic(&self, target: Target) -> &str {
        match target {
            Target::Output => &self.output,
            Target::DeadLetter => self.dead_letters.as_ref().unwrap_or(&self.output),
        }
    }

    /// How many partitions a topic has, as last seen.
    pub fn partitions(&self, target: Target) -> i32 {
        self.partitions[target as usize].load(Ordering::Relaxed)
    }

    /// Notes how many partitions a topic has now.
    pub fn set_partitions(&self, target: Target, count: i32) {
        self.partitions[target as usize].store(count.max(1), Ordering::Relaxed);
        if target == Target::DeadLetter {
            self.misses_dead_letters.store(false, Ordering::Relaxed);
        }
    }

    /// Notes that the dead-letter topic is not there, or a dead letter could not be written.
    pub fn miss_dead_letters(&self) {
        self.misses_dead_letters.store(true, Ordering::Relaxed);
    }

    /// Whether that was so since the topic was last looked up: it may be missing, or have been made again with another number of
    /// partitions.
    pub fn misses_dead_letters(&self) -> bool {
        self.misses_dead_letters.load(Ordering::Relaxed)
    }

    /// Whether a dead letter has a topic to go to: it is looked up by this client if it was missing.
    pub(super) fn finds_dead_letters<P, C: Client<P>>(&self, client: &C) -> bool {
        if self.misses_dead_letters()
            && let Some(count) = client.partitions(self.topic(Target::DeadLetter), LOOK_UP)
        {
            self.set_partitions(Target::DeadLetter, count);
        }
        !self.misses_dead_letters()
    }

    /// The leg as the client is given it.
    pub fn outgoing<'a>(&self, leg: &Leg<'a>) -> Outgoing<'a> {
        let count = self.partitions(leg.target);
        let (source, offset) = leg.source;
        let partition = match (leg.target, self.partitioning) {
            (Target::DeadLetter, _) => Some(source % count),
            (Target::Output, Partitioning::Murmur2) if leg.key.is_some() => None,
            (Target::Output, Partitioning::Murmur2) => Some(spread(source, offset, count)),
            (Target::Output, Partitioning::SamePartition) => Some(source),
            (Target::Output, Partitioning::RoundRobin) => {
                Some((self.turn.fetch_add(1, Ordering::Relaxed) % count as usize) as i32)
            }
        };
        let (topic, timestamp) = (leg.target as usize, leg.timestamp);
        Outgoing { topic, partition, key: leg.key, value: leg.value, headers: leg.headers, timestamp }
    }

    /// Counts what was written.
    pub fn count<P: Parcel>(&self, written: &[Arc<P>], metrics: &Metrics) {
        let mut sums = [(0, 0); 2];
        for leg in written.iter().flat_map(|parcel| (0..parcel.legs()).map(|index| parcel.leg(index))) {
            let sum = &mut sums[leg.target as usize];
            *sum = (sum.0 + 1, sum.1 + leg.size() as u64);
        }
        for (topic, (records, bytes)) in self.topics().into_iter().zip(sums) {
            if records > 0 {
                metrics.produced(topic, records, bytes);
            }
        }
    }
}

/// Where a record without a key goes: a run of neighbours to one partition, so that they share a batch, the next run to the
/// next. It follows from the record's place, so a record that is written again goes where it went before: chance would put
/// it behind its successors after a crash.
fn spread(source: i32, offset: i64, count: i32) -> i32 {
    const RUN: i64 = 64;
    ((offset / RUN + i64::from(source)) % i64::from(count)) as i32
}
