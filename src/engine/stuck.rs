//! Looks after workers that stand still: names the record that does not return, and frees what was taken along with it.

use std::sync::Arc;
use std::time::Duration;

use super::Pipeline;
use super::batch::{Running, WorkerBatch};

/// A worker that stands still for so long keeps nothing but the record it runs, and its lane.
const RELIEVED_AFTER: Duration = Duration::from_secs(1);
/// A record that runs for so long is stuck.
pub const STUCK_AFTER: Duration = Duration::from_secs(10);

/// A record whose transform does not return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Topic, partition and offset.
    pub record: String,
    /// The thread that runs it, or `a future`.
    pub worker: String,
    /// For how long at least.
    pub time: Duration,
}

/// For how long something stood still when that was last said.
#[derive(Default)]
pub(super) struct Said(Duration);

impl Said {
    /// Whether it is to be said, now that it stands still for `time`: at `first`, and at each doubling. Then it is noted.
    pub(super) fn is_due(&mut self, time: Duration, first: Duration) -> bool {
        let due = time >= first.max(self.0 * 2);
        if due {
            self.0 = time;
        }
        due
    }
}

impl std::fmt::Display for Stuck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in {}, for {} s", self.record, self.worker, self.time.as_secs())
    }
}

impl Pipeline {
    /// To be called once a second.
    pub fn look_out(&self) {
        let now = self.clock.now();
        for hand in self.hands() {
            let Some((running, time)) = hand.stands_still(now) else { continue };
            if time >= RELIEVED_AFTER {
                self.relieve(&hand);
            }
            if hand.is_to_be_said(time, STUCK_AFTER) {
                let record = self.name(running);
                tracing::warn!(
                    record,
                    worker = hand.name,
                    "stuck: the transform has not returned for {} s; what is behind the record in its key or partition waits, \
                     and its worker is missing until it does. Give the transform a time-out of its own",
                    time.as_secs()
                );
            }
        }
        for (running, time) in self.begun.to_be_said(STUCK_AFTER, now) {
            tracing::warn!(
                record = self.name(running),
                "stuck: the transform's future is not done for {} s; what is behind the record in its key or partition waits. Give the \
                 transform a time-out of its own",
                time.as_secs()
            );
        }
    }

    fn relieve(&self, hand: &WorkerBatch) {
        let Some(mut made) = hand.relieve() else { return };
        // In the worker's own order: results first, then the lanes.
        self.put_out(&mut made.ready, &made.finished);
        self.give_back_retries(&mut made.verdicts);
        self.scheduler.give_back(&mut made.verdicts);
        hand.returned();
    }

    /// The records that are stuck, as [`Pipeline::look_out`] saw it last.
    pub fn stuck(&self) -> Vec<Stuck> {
        let now = self.clock.now();
        let begun = self.begun.longer_than(STUCK_AFTER, now).into_iter();
        let futures = begun.map(|(running, time)| Stuck {
            record: self.name(running),
            worker: "a future".to_owned(),
            time,
        });
        let still = self.hands().into_iter().filter_map(|hand| Some((hand.stands_still(now)?, hand)));
        still
            .filter(|((_, time), _)| *time >= STUCK_AFTER)
            .map(|((running, time), hand)| Stuck {
                record: self.name(running),
                worker: hand.name.clone(),
                time,
            })
            .chain(futures)
            .collect()
    }

    fn hands(&self) -> Vec<Arc<WorkerBatch>> {
        self.hands.lock().clone()
    }

    fn name(&self, running: Running) -> String {
        let topic = self.ledger.lock().get(running.slot).map(|assigned| assigned.topic.clone());
        let topic = topic.as_deref().unwrap_or("(of a partition that was given up)").to_owned();
        format!("{topic}/{}/{}", running.partition, running.offset)
    }
}
