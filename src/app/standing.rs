//! Partitions of which nothing comes, though no client has an error to tell of. Each is said once, with what helps, and once when it is
//! over; meanwhile the page shows it, and its lag in seconds grows.

use std::time::{Duration, Instant};

use crate::checkpoint::Slot;
use crate::engine::Pipeline;
use crate::kafka::context::Context;
use crate::record::TopicPartition;
use crate::source::Intake;

/// Many transactions and elections take some seconds: that is no trouble.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long it holds that a partition stands, unless it is found again.
const FRESH: Duration = Duration::from_secs(10);

/// Why nothing comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The transaction of a producer is open at this offset: what is behind it cannot be read as committed.
    OpenTransaction { from: i64 },
    /// No broker leads it.
    NoLeader,
}

struct Stand {
    slot: Slot,
    partition: TopicPartition,
    cause: Cause,
    since: Instant,
    said: bool,
}

/// See the module.
pub(super) struct Standing {
    context: Context,
    servers: String,
    all: Vec<Stand>,
}

impl Standing {
    pub(super) fn new(context: Context, servers: String) -> Self {
        Self { context, servers, all: Vec::new() }
    }

    /// A partition was found to stand, so many records before its end. To be called as long as it is found so.
    pub(super) fn found(
        &mut self,
        pipeline: &Pipeline,
        (slot, partition): (Slot, &TopicPartition),
        cause: Cause,
        records: i64,
    ) {
        let known = self.all.iter().position(|one| (one.slot, one.cause) == (slot, cause));
        let index = known.unwrap_or(self.all.len());
        if known.is_none() {
            let (partition, since) = (partition.clone(), Instant::now());
            self.all.push(Stand { slot, partition, cause, since, said: false });
        }
        let stand = &mut self.all[index];
        if stand.since.elapsed() < PATIENCE {
            return;
        }
        let why = cause.why(records);
        if !std::mem::replace(&mut stand.said, true) {
            let (topic, number) = partition;
            let text = format!("{topic}/{number} stands: {why}. {}", cause.advice(partition, &self.servers));
            self.context.stands(cause.code(), &text);
        }
        pipeline.stand(slot, why, FRESH);
    }

    /// Forgets what is over, or not ours any more; `leaderless` are those that no broker leads.
    pub(super) fn look_whether_over(&mut self, pipeline: &Pipeline, leaderless: &[(Slot, TopicPartition)]) {
        self.all.retain(|one| {
            let next = pipeline.with_ledger(|ledger| ledger.get(one.slot).map(|one| one.tracker().next()));
            let lasts = match one.cause {
                Cause::OpenTransaction { from } => next == Some(from),
                Cause::NoLeader => leaderless.iter().any(|(slot, _)| *slot == one.slot),
            };
            if !lasts && one.said && next.is_some() {
                let ((topic, number), over) = (&one.partition, one.cause.over());
                let time = one.since.elapsed().as_secs_f64();
                tracing::info!("{topic}/{number} goes on after {time:.0} s: {over}");
            }
            lasts && next.is_some()
        });
    }
}

impl Cause {
    /// As errors are counted.
    fn code(self) -> &'static str {
        match self {
            Self::OpenTransaction { .. } => "OpenTransaction",
            Self::NoLeader => "LeaderNotAvailable",
        }
    }

    fn why(self, records: i64) -> String {
        match self {
            Self::OpenTransaction { from } => {
                format!(
                    "a producer's transaction is open at offset {from}, and the high watermark is {records} offsets ahead"
                )
            }
            Self::NoLeader => "no broker leads it".to_owned(),
        }
    }

    fn advice(self, (topic, number): &TopicPartition, servers: &str) -> String {
        match self {
            Self::OpenTransaction { from } => format!(
                "Nothing is lost, and the other partitions go on. What is behind that offset is read when the producer ends its \
                 transaction, or the broker does after the producer's transaction.timeout.ms. If it stays open, see whose it is, and end \
                 it:\n  kafka-transactions.sh --bootstrap-server {servers} find-hanging --topic {topic} --partition {number}\n  \
                 kafka-transactions.sh --bootstrap-server {servers} abort --topic {topic} --partition {number} --start-offset {from}"
            ),
            Self::NoLeader => format!(
                "Nothing is lost, and the other partitions go on. It is read on when a broker with a replica in sync is back:\n  \
                 kafka-topics.sh --bootstrap-server {servers} --describe --topic {topic} --unavailable-partitions"
            ),
        }
    }

    fn over(self) -> &'static str {
        match self {
            Self::OpenTransaction { .. } => "the transaction has ended",
            Self::NoLeader => "it has a leader again",
        }
    }
}
