//! What becomes of a record that failed for good, and of those behind it in its lane.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::job::{Letter, Results};
use super::{Batch, Job, Pipeline, sole};
use crate::engine::lanes::pending::{Lane, Mark, Verdict};
use crate::ops::metrics::Processed;
use crate::planted::{Bug, planted};
use crate::policy::{AfterFailure, OnFailure};
use crate::sink::TOO_LARGE;
use crate::sink::dead_letter::{self, Death, Stage};
use crate::transform::{Failure, Output};

/// A failure that trying again would not mend, or has not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fatal<'a> {
    pub failure: &'a Failure,
    pub stage: Stage,
    pub retryable: bool,
}

impl Pipeline {
    /// A record has failed for good while its lane still waits for it: gives it up, or holds it.
    pub(super) fn failed(
        &self,
        job: Arc<Job>,
        lane: Lane,
        fatal: Fatal<'_>,
        batch: &mut Batch,
    ) -> Verdict<Arc<Job>> {
        let offset = job.record().offset();
        match self.policy.after_failure {
            AfterFailure::BlockKey => return self.hold(job, fatal.failure, batch),
            AfterFailure::Continue | AfterFailure::DeadLetterKey => self.give_up(job, fatal, batch),
        }
        let marks = self.policy.after_failure == AfterFailure::DeadLetterKey
            && lane.is_some()
            && !planted(Bug::MarkForgotten);
        if marks { Verdict::DoneAndMark(offset) } else { Verdict::Done }
    }

    /// Not given up: tried again and again, and its lane waits.
    fn hold(&self, mut job: Arc<Job>, failure: &Failure, batch: &Batch) -> Verdict<Arc<Job>> {
        self.metrics.retried("transform", &failure.code);
        let held = sole(&mut job);
        held.failed_first_at(batch.now_ms);
        let tries = held.hold(&self.held);
        let pause = self.policy.retry.backoff_max;
        // At each doubling: what fails for hours is named, and does not fill the log.
        if tries.is_power_of_two() {
            tracing::warn!(
                record = ?job.record(), code = %failure.code, attempts = job.attempts(),
                "held: what is behind it in its key or partition waits, and it is tried again every {:.1} s: {}",
                pause.as_secs_f64(), failure.message
            );
        }
        Verdict::Later(self.clock.now() + pause, job)
    }

    /// A record behind one that failed for good: it goes the same way, untried.
    pub(super) fn follow(&self, job: Arc<Job>, failed: Mark, batch: &mut Batch) -> Verdict<Arc<Job>> {
        if self.drop_if_stale(&job.ticket()) {
            return Verdict::Done;
        }
        let (topic, partition) = (job.record().topic(), job.record().partition());
        let message = format!(
            "not tried: {topic}/{partition}/{failed}, which stood before it in its key or partition, failed, and \
             PROCESSOR_AFTER_FAILURE is dead-letter-key"
        );
        let failure = Failure::new("predecessor_failed", message);
        self.give_up(job, Fatal { failure: &failure, stage: Stage::Transform, retryable: true }, batch);
        Verdict::Done
    }

    /// A record that failed for good, and is not held.
    pub(super) fn give_up(&self, mut job: Arc<Job>, fatal: Fatal<'_>, batch: &mut Batch) {
        let failure = fatal.failure;
        let rejected = fatal.stage == Stage::Transform && !fatal.retryable;
        self.metrics.processed(if rejected { Processed::Invalid } else { Processed::Failed }, 1);
        match self.policy.on_failure {
            OnFailure::DeadLetter => {
                let letter = Box::new(Letter::new(self.letter(&job, fatal, batch.now_ms)));
                let code = failure.code.clone();
                let dead = sole(&mut job);
                dead.date_letter(batch.now_ms);
                dead.set_results(Results::DeadLetter { letter, code });
                self.maybe_shrink(dead);
                if !self.in_transactions() {
                    dead.send_to(self.policy.producers);
                }
                self.hand_over(job, batch);
            }
            OnFailure::Skip => {
                tracing::warn!(record = ?job.record(), code = %failure.code, "given up: {}", failure.message);
                self.without_result(job, batch);
            }
            OnFailure::Stop => {
                // Before its lane is free: it comes first after a restart, and what is behind it must come after it.
                self.stopped.store(!planted(Bug::StopGoesOn), Ordering::Relaxed);
                self.ledger.lock().drop_unfinished(&job.ticket());
                let reason = format!(
                    "record {:?} failed ({}: {}) and PROCESSOR_ON_FAILURE is stop; it is not committed and comes first \
                     after a restart",
                    job.record(),
                    failure.code,
                    failure.message
                );
                // The first reason is the one that stops the program; nobody listens for a second.
                let _ = self.stop.try_send(reason);
            }
        }
    }

    fn letter(&self, job: &Job, fatal: Fatal<'_>, now_ms: i64) -> Output {
        let death = Death {
            failure: fatal.failure,
            stage: fatal.stage,
            retryable: fatal.retryable,
            attempts: job.attempts(),
            failed_at_ms: now_ms,
            first_failed_at_ms: job.first_failed_ms().unwrap_or(now_ms),
        };
        dead_letter::dead_letter(job.record(), &self.policy.sender, &death)
    }

    /// A dead letter that the producer would refuse goes without its value at once: offered again later, it would come out
    /// behind others of its lane.
    fn maybe_shrink(&self, job: &mut Job) {
        if job.largest_leg() > self.policy.largest_record
            && let Some((letter, record)) = job.letter_mut()
        {
            letter.shrink(record);
        }
    }

    /// Why the producer would refuse what a transform made, if it would. Asked while the lane still waits, so that what
    /// comes behind can wait too, or follow.
    pub(super) fn too_large(&self, job: &Job) -> Option<Failure> {
        let largest = self.policy.largest_record;
        if job.results_size() <= largest || job.largest_leg() <= largest {
            return None;
        }
        let message =
            format!("the result has {} bytes, and message.max.bytes is {largest}", job.largest_leg());
        Some(Failure::new(TOO_LARGE, message))
    }

    /// Full jitter: anything from nothing to the doubled bound, so that what failed together does not come back together.
    pub(super) fn backoff(&self, attempt: u32) -> Duration {
        let doubled = self.policy.retry.backoff.saturating_mul(1 << (attempt - 1).min(30));
        doubled.min(self.policy.retry.backoff_max).mul_f64(fastrand::f64())
    }

    /// How many records are held, and their lanes with them.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

/// A record that is held, as long as it is: counted while this exists, whichever way the record goes.
#[derive(Debug)]
pub(super) struct Hold {
    count: Arc<AtomicUsize>,
    /// Tries since it is held.
    pub tries: u32,
}

impl Hold {
    pub(super) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self { count: count.clone(), tries: 0 }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
