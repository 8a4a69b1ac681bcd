//! The choices that the engine obeys: what stays in order, how often an effect is there, what becomes of a failed record.
//! The program makes them of its settings; code that embeds the engine sets them itself.

use std::time::Duration;

/// Where a consumer group without committed offsets begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the beginning of each partition.
    Earliest,
    /// At the end of each partition.
    Latest,
    /// Nowhere: the program stops and names the choices.
    #[default]
    Error,
}

/// What stays in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Records of one key within one partition; a record without a key stands alone.
    #[default]
    Key,
    /// Records of one partition.
    Partition,
    /// Nothing.
    Unordered,
}

/// How often the results of a record are in the output, whatever happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Once, and after a crash or a rebalance perhaps more often.
    #[default]
    AtLeastOnce,
    /// Once, for readers with `read_committed`: results, dead letters and offsets are in one transaction.
    ExactlyOnce,
}

/// When a transient failure is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries in all, the first one included; at least 1.
    pub attempts: u32,
    /// Upper bound of the first delay; it doubles with each attempt.
    pub backoff: Duration,
    /// Upper bound of every delay.
    pub backoff_max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 3, backoff: Duration::from_millis(200), backoff_max: Duration::from_secs(30) }
    }
}

/// What happens to a record that failed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Written to the dead-letter topic.
    #[default]
    DeadLetter,
    /// Logged, counted and dropped; its offset is committed.
    Skip,
    /// The program stops; neither its offset nor a later one of its partition is committed.
    Stop,
}

/// What happens to the records behind one that failed for good, of the same key (with [`Order::Partition`]: partition).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterFailure {
    /// They are processed.
    #[default]
    Continue,
    /// They wait: the failed record is tried again until it succeeds.
    BlockKey,
    /// Those already read go to the dead-letter topic too, without a try.
    DeadLetterKey,
}

/// Which partition of the output topic a result goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partitioning {
    /// The hash of the key, as the Java client has it; without a key, spread.
    #[default]
    Murmur2,
    /// The number of the partition it was read from.
    SamePartition,
    /// One after the other.
    RoundRobin,
}
