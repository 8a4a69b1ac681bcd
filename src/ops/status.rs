//! The state of the process as others see it, and the two questions that a probe asks about it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Death;

/// A thread that is busy and has shown no sign of life for longer than this is stuck.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(120);

/// Gives the state when it is asked for. Implemented by the layer that owns the stages.
pub trait Status: Send + Sync {
    /// The state now. Called on the listener's thread: it must not wait for a broker, nor for a transform.
    fn snapshot(&self) -> Snapshot;
}

/// The state of the process at one moment. What is not known is `None` or absent, never a number that means it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Where the process is in its life.
    pub phase: Phase,
    /// Whether a broker answers. `/livez` does not look at it: a restart would not bring one back.
    pub broker: Broker,
    /// The threads that `/livez` looks at.
    pub heartbeats: Vec<Heartbeat>,
    /// Records that wait for a worker.
    pub pending: u64,
    /// Records that wait for a producer.
    pub ready: u64,
    /// Records handed to the Kafka client and not yet acknowledged.
    pub producing: u64,
    /// Records read and not yet resolved: those above, and those with a worker or waiting for a retry.
    pub in_flight_records: u64,
    /// Bytes of the records in flight.
    pub in_flight_bytes: u64,
    /// How long ago the oldest record in flight was read.
    pub oldest_in_flight: Option<Duration>,
    /// Threads in the pool.
    pub workers: u64,
    /// Threads of the pool that run a transform.
    pub workers_busy: u64,
    /// Why nothing is begun, while the transform fails for many keys together.
    pub outage: Option<String>,
    /// Records whose transform does not return: which, where, and for how long.
    pub stuck: Vec<String>,
    /// Records that failed for good and are held; each holds its lane.
    pub held_lanes: u64,
    /// Dead letters by reason, since the start.
    pub dead_letters: Vec<Death>,
    /// The partitions assigned to this process, and no others.
    pub partitions: Vec<PartitionStatus>,
    /// When offsets were last committed.
    pub last_commit: Option<SystemTime>,
    /// What failed last.
    pub last_error: Option<LastError>,
}

/// An error that Kafka's clients told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// Which stage: `consume` where a partition cannot be read, `client` where a client as a whole is concerned.
    pub stage: &'static str,
    /// When.
    pub at: SystemTime,
    /// What.
    pub text: String,
}

/// What is known of the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broker {
    /// They answer.
    Reachable,
    /// None answers, and why.
    Gone(String),
    /// One does not let us in, and why.
    Denied(String),
}

impl Default for Broker {
    fn default() -> Self {
        Self::Gone("nothing is known of it yet".to_owned())
    }
}

impl Broker {
    /// What is wrong.
    pub fn trouble(&self) -> Option<&str> {
        match self {
            Self::Reachable => None,
            Self::Gone(why) | Self::Denied(why) => Some(why),
        }
    }
}

/// Where the process is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not ready yet.
    Starting {
        /// What it waits for, such as `joining the group`.
        reason: String,
    },
    /// Reading, or an idle spare without partitions.
    Running,
    /// Finishing what is in flight before it ends.
    Draining,
}

impl Default for Phase {
    fn default() -> Self {
        Self::Starting { reason: "starting".to_owned() }
    }
}

/// A thread's sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The thread's name, such as `consumer-0`.
    pub name: String,
    /// How long ago it last passed its loop.
    pub since_last_beat: Duration,
    /// Whether it has something to do. A thread parked until there is work (`false`) owes no sign of life; one that
    /// polls with a timeout always does (`true`).
    pub busy: bool,
}

/// One assigned partition.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionStatus {
    /// The input topic.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
    /// Records between the watermark and the end of the partition, as of the last answer of its broker.
    pub lag_records: Option<u64>,
    /// How long ago that was.
    pub lag_age: Option<Duration>,
    /// How much younger the end of the partition is than the watermark.
    pub lag_seconds: Option<f64>,
    /// Records of it in flight.
    pub in_flight: u64,
    /// What became of its records since the assignment, as name and number.
    pub ends: Vec<(&'static str, u64)>,
    /// Records consumed less all that became of them: 0, or a record went astray.
    pub balance: i64,
    /// Why nothing more is taken from it, if so.
    pub blocked: Option<String>,
}

impl Snapshot {
    /// The threads that are stuck: the only reason to restart the process.
    pub fn stalled(&self) -> impl Iterator<Item = &Heartbeat> {
        self.heartbeats.iter().filter(|beat| beat.busy && beat.since_last_beat > STALL_TIMEOUT)
    }

    /// Whether it runs: reading, or ready to take over partitions at once. Without a broker a spare could take over none, and who is
    /// not let in cannot go on.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Running
            && match self.broker {
                Broker::Reachable => true,
                Broker::Gone(_) => !self.partitions.is_empty(),
                Broker::Denied(_) => false,
            }
    }

    /// Whether it runs without a partition.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Running && self.partitions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_busy_thread_older_than_the_bound_is_stalled() {
        let beat = |name: &str, millis, busy| Heartbeat {
            name: name.to_owned(),
            since_last_beat: Duration::from_millis(millis),
            busy,
        };
        let heartbeats = vec![
            beat("fresh", 10, true),
            beat("bound", 120_000, true),
            beat("over", 120_001, true),
            beat("parked", 900_000, false),
        ];
        let snapshot = Snapshot { heartbeats, ..Snapshot::default() };
        assert_eq!(snapshot.stalled().map(|beat| beat.name.as_str()).collect::<Vec<_>>(), ["over"]);
    }

    #[test]
    fn a_spare_without_a_broker_and_whoever_is_not_let_in_are_not_ready() {
        let one = || PartitionStatus {
            topic: "t".into(),
            partition: 0,
            lag_records: None,
            lag_age: None,
            lag_seconds: None,
            in_flight: 0,
            ends: Vec::new(),
            balance: 0,
            blocked: None,
        };
        let ready = |broker, partitions| {
            Snapshot { phase: Phase::Running, broker, partitions, ..Snapshot::default() }.is_ready()
        };
        let (gone, denied) = (Broker::Gone(String::new()), Broker::Denied(String::new()));
        assert!(ready(Broker::Reachable, Vec::new()) && ready(gone.clone(), vec![one()]));
        assert!(
            !ready(gone, Vec::new()) && !ready(denied.clone(), Vec::new()) && !ready(denied, vec![one()])
        );
    }

    #[test]
    fn a_process_begins_as_not_ready() {
        assert!(!Snapshot::default().is_ready());
        assert!(!Snapshot::default().is_idle());
    }
}
