//! The breaker as the workers meet it: told of what they see, and at the scheduler's gate.
//!
//! While all goes well a worker pays one relaxed addition a batch; the lock is taken only when a record would be given up, or
//! a probe has ended.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{Batch, Job, Pipeline};
use crate::engine::breaker::{Breaker, Change, Failed, Probe};
use crate::sync::Mutex;
use crate::transform::Failure;

/// What failed while nothing is given up may be tried again after so long, if anything may be tried at all.
pub(super) const LATER: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Default)]
pub(super) struct Outage {
    breaker: Mutex<Breaker>,
    /// Written under the lock, read without.
    open: AtomicBool,
    /// Records that the transform answered, whatever it said.
    answered: AtomicU64,
}

impl Outage {
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn answered(&self, records: &mut u64) {
        if *records > 0 {
            self.answered.fetch_add(std::mem::take(records), Ordering::Relaxed);
        }
    }
}

impl Pipeline {
    /// A record would have to be given up for a failure that is not its own. Returns whether it may not be, because
    /// everything fails.
    pub(super) fn is_outage(&self, job: &Job, failure: &Failure, batch: &mut Batch) -> bool {
        self.outage.answered(&mut batch.answered);
        let answered = self.outage.answered.load(Ordering::Relaxed);
        let failed = Failed { key: key_of(job), code: failure.code.clone(), answered };
        let now = self.clock.now();
        self.change(|breaker| breaker.failed(failed, now, fastrand::f64()));
        self.outage.is_open()
    }

    /// A probe has ended.
    pub(super) fn probed(&self, probe: Probe) {
        let now = self.clock.now();
        self.change(|breaker| breaker.probed(probe, now, fastrand::f64()));
    }

    fn change(&self, change: impl FnOnce(&mut Breaker) -> Change) {
        let mut breaker = self.outage.breaker.lock();
        let before = breaker.gate();
        let change = change(&mut breaker);
        let gate = breaker.gate();
        self.outage.open.store(breaker.is_open(), Ordering::Relaxed);
        drop(breaker);
        if gate != before {
            self.scheduler.set_gate(gate);
        }
        match change {
            Change::None => {}
            Change::Opened(failures, code) => {
                self.metrics.breaker_opened();
                tracing::error!(
                    "the transform fails for all: {failures} records of many keys in a row, most of them with {code}. \
                     Nothing is given up or begun until it answers again; one record at a time is tried, the next in {:.1} s",
                    until(gate.probe_at, self.clock.now()).as_secs_f64()
                );
            }
            Change::Closed(time, probes) => {
                tracing::info!(
                    "the transform answers again, after {:.1} s and {probes} tries: going on",
                    time.as_secs_f64()
                );
            }
        }
    }

    /// Why nothing is begun, if an outage is the reason.
    pub fn outage(&self) -> Option<String> {
        if !self.outage.is_open() {
            return None;
        }
        let next = until(self.outage.breaker.lock().gate().probe_at, self.clock.now());
        Some(format!(
            "the transform fails for all keys: nothing is given up or begun, the next record is tried in {:.0} s",
            next.as_secs_f64()
        ))
    }
}

/// What must differ for an outage: the key, whatever the order is and the partition. A record without one stands for itself.
fn key_of(job: &Job) -> u64 {
    let (record, ticket) = (job.record(), job.ticket());
    match record.key() {
        Some(key) => xxh3_64(key),
        None => xxh3_64_with_seed(&ticket.sequence().to_ne_bytes(), u64::from(ticket.slot.epoch) + 1),
    }
}

fn until(at: Option<Instant>, now: Instant) -> Duration {
    at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
}
