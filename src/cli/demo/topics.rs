//! The demo's topics, its group, and what all its clients are told.

use crate::sink::Target;

/// One of the topics.
pub(super) struct Named {
    /// What is written to it; `None` is the input.
    pub target: Option<Target>,
    /// What it is called.
    pub name: &'static str,
    /// How many partitions it has.
    pub partitions: i32,
}

/// The processor's group.
pub(super) const GROUP: &str = "demo";
/// The input, the output, and the dead-letter topic of the group.
pub(super) const TOPICS: [Named; 3] = [
    Named { target: None, name: "demo.orders", partitions: 6 },
    Named { target: Some(Target::Output), name: "demo.orders.valid", partitions: 6 },
    Named { target: Some(Target::DeadLetter), name: "dlq.demo", partitions: 3 },
];
/// The first of them.
pub(super) const INPUT: &str = TOPICS[0].name;
/// The second.
pub(super) const OUTPUT: &str = TOPICS[1].name;
/// The third.
pub(super) const DEAD_LETTERS: &str = TOPICS[2].name;

/// `reconnect.backoff.max.ms` of all clients: where connections are cut all the time, the default of ten seconds would leave
/// little to see.
pub(super) const RECONNECT_MS: &str = "500";

/// The setting of each instance by which the judge knows whose result a record is.
pub(super) const SOURCE_HEADER: (&str, &str) = ("PROCESSOR_SOURCE_HEADER", "true");

/// Bytes that a partition keeps. [`AHEAD`] records may be under way. In the output they are of
/// [`SIZE`](crate::cli::stamp::SIZE), 10 MiB together, which fit even if all have one partition; as dead letters of 1.4 KiB, and
/// their three partitions share them.
pub(super) const RETENTION: u64 = 16 << 20;

/// Records that may be written and not yet read back with their result. It bounds what the broker has to keep for the judge.
pub(super) const AHEAD: u64 = 30_000;
