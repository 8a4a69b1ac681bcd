//! A worker's life: takes tasks into its hand, runs the transform on each, decides what becomes of them, gives them back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch::WorkerBatch;
use super::failure::Fatal;
use super::job::Results;
use super::outage::LATER;
use super::{Batch, Job, Pipeline, SLACK, Verdicts, sole};
use crate::checkpoint::{End, Slot, Ticket};
use crate::engine::breaker::Probe;
use crate::engine::lanes::Place;
use crate::engine::lanes::pending::{Held, Lane, Mark, Task, Verdict};
use crate::engine::pace::Pace;
use crate::ops::metrics::Processed;
use crate::planted::{Bug, planted};
use crate::sink::dead_letter::Stage;
use crate::transform::{Context, Failure, Handler, Outcome};

/// One try of one record.
#[derive(Clone, Copy)]
pub(super) struct Try {
    pub lane: Lane,
    pub attempt: u32,
}

impl Pipeline {
    /// A worker's life: takes tasks and runs them, until the scheduler is closed and empty.
    pub fn work(&self) {
        let name = std::thread::current().name().unwrap_or("worker").to_owned();
        let hand = Arc::new(WorkerBatch::new(name));
        self.hands.lock().push(hand.clone());
        let mut pace = Pace::new(self.policy.tasks_pick_up);
        let (mut tasks, mut results) = (Vec::new(), Vec::new());
        let clock = || self.clock.now();
        while self.scheduler.exchange(&mut results, pace.pick(), &clock, &mut tasks) {
            self.busy.fetch_add(1, Ordering::Relaxed);
            let started = self.clock.now();
            // One observation a batch, here and below: a histogram costs more than the smallest transform.
            self.metrics.waited(tasks.first().map(|task| started.duration_since(task.job.admitted)));
            let count = self.run(&hand, &mut tasks, &mut results);
            self.give_back_retries(&mut results);
            let time = self.clock.now().duration_since(started);
            pace.measure(count as usize, time);
            self.metrics.transformed(self.transform.name(), [time / count.max(1)]);
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Runs a batch, and returns how many were begun. Results are handed to the producers before the lanes are given back,
    /// or the next record of a lane could overtake this one on the ready list.
    fn run(&self, hand: &WorkerBatch, tasks: &mut Vec<Task<Arc<Job>>>, results: &mut Verdicts) -> u32 {
        let mut batch = Batch { now_ms: self.clock.unix_ms(), ..Batch::default() };
        let (mut became, mut count) = (None, 0);
        hand.take(tasks);
        while let Some(task) = hand.next(became.take(), &mut batch) {
            became = Some(self.run_one(task, &mut batch));
            count += 1;
        }
        self.count(&mut batch);
        let mut made = hand.put_down();
        if planted(Bug::LaneFreeBeforeResults) {
            self.scheduler.give_back(&mut made.verdicts);
        }
        self.put_out(&mut made.ready, &made.finished);
        *results = made.verdicts;
        count
    }

    /// Results go to the producers, and what has none is finished; before the lanes are given back.
    pub(super) fn put_out(&self, ready: &mut Vec<(Place, Arc<Job>)>, finished: &[Ticket]) {
        self.scheduler.push_ready(ready);
        self.finish(finished.iter().map(|ticket| (ticket, End::Filtered)));
    }

    pub(super) fn count(&self, batch: &mut Batch) {
        self.metrics.processed(Processed::Ok, batch.ok);
        self.metrics.processed(Processed::Filtered, batch.filtered);
        self.outage.answered(&mut batch.answered);
    }

    /// What runs again is given back at once, and looked at afterwards: who gave its partition up meanwhile has not found it,
    /// and it would hold its part of the budget until it is due.
    pub(super) fn give_back_retries(&self, results: &mut Verdicts) {
        let slot_of = |(_, verdict): &(Held, Verdict<Arc<Job>>)| match verdict {
            Verdict::Later(_, job) | Verdict::NotCounted(_, job) => Some(job.ticket().slot),
            Verdict::Done | Verdict::DoneAndMark(_) | Verdict::Untouched(_) => None,
        };
        let mut slots: Vec<Slot> = results.iter().filter_map(slot_of).collect();
        if slots.is_empty() {
            return;
        }
        self.scheduler.give_back(results);
        let ledger = self.ledger.lock();
        slots.retain(|slot| ledger.get(*slot).is_none());
        drop(ledger);
        if !slots.is_empty() {
            self.drop_all_of(&slots);
        }
    }

    fn run_one(&self, task: Task<Arc<Job>>, batch: &mut Batch) -> (Held, Verdict<Arc<Job>>) {
        let (this, probe) = (Try { lane: task.lane(), attempt: task.attempt }, task.probe);
        let mark = task.mark.or_else(|| batch.mark_of(this.lane));
        let (held, job) = task.split();
        let verdict = match self.before(job, mark, batch) {
            Err(verdict) => verdict,
            Ok(job) => {
                let outcome = self.apply(&job, this.attempt, batch.now_ms);
                self.after(job, this, outcome, batch)
            }
        };
        self.note(this.lane, &verdict, probe, batch);
        (held, verdict)
    }

    /// The job, if it is to be tried; else what becomes of it without.
    pub(super) fn before(
        &self,
        job: Arc<Job>,
        mark: Option<Mark>,
        batch: &mut Batch,
    ) -> Result<Arc<Job>, Verdict<Arc<Job>>> {
        batch.said = None;
        match mark {
            // Perhaps what stood before it failed for no fault of its own: that is enough.
            Some(_) if self.outage.is_open() => Err(self.not_now(job, batch)),
            Some(failed) => Err(self.follow(job, failed, batch)),
            None if self.is_stopped() => {
                self.ledger.lock().drop_unfinished(&job.ticket());
                Err(Verdict::Done)
            }
            None => Ok(job),
        }
    }

    /// What a verdict means for what the batch has still to run, and for the breaker.
    pub(super) fn note(&self, lane: Lane, verdict: &Verdict<Arc<Job>>, probe: bool, batch: &mut Batch) {
        match verdict {
            Verdict::Later(..) | Verdict::NotCounted(..) => batch.blocked = lane,
            Verdict::DoneAndMark(mark) => batch.marked = lane.map(|lane| (lane, *mark)),
            Verdict::Done | Verdict::Untouched(_) => {}
        }
        if probe {
            self.probed(batch.said.unwrap_or(Probe::Dropped));
        }
    }

    /// Whether a record has stopped the program.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Calls the transform; what it says when it panics is the error.
    pub(super) fn apply(&self, job: &Job, attempt: u32, now_ms: i64) -> std::thread::Result<Outcome> {
        let Handler::Blocking(transform) = &self.transform else {
            unreachable!("a transform that waits has no worker");
        };
        let context = Context { now_ms, attempt };
        caught(|| transform.apply(job.record(), &context))
    }

    /// The transform has returned, or panicked.
    pub(super) fn after(
        &self,
        mut job: Arc<Job>,
        this: Try,
        outcome: std::thread::Result<Outcome>,
        batch: &mut Batch,
    ) -> Verdict<Arc<Job>> {
        sole(&mut job).tried(this.attempt);
        let failed = !matches!(outcome, Ok(Outcome::Emit(_) | Outcome::EmitMany(_) | Outcome::Filter));
        if failed && self.drop_if_stale(&job.ticket()) {
            return Verdict::Done;
        }
        match outcome {
            Err(panic) => {
                let failure = Failure::new("transform_panic", panic_text(&*panic));
                self.fell(job, this, false, &failure, batch)
            }
            Ok(Outcome::Retry(failure)) => self.fell(job, this, true, &failure, batch),
            Ok(answer) => {
                batch.answered += 1;
                batch.said = Some(Probe::Succeeded);
                self.answered(job, this, answer, batch)
            }
        }
    }

    /// The transform has said what is to become of the record.
    pub(super) fn answered(
        &self,
        mut job: Arc<Job>,
        this: Try,
        answer: Outcome,
        batch: &mut Batch,
    ) -> Verdict<Arc<Job>> {
        match answer {
            Outcome::Emit(output) => self.emit(job, this.lane, Results::One(output), batch),
            Outcome::EmitMany(outputs) if !outputs.is_empty() => {
                self.emit(job, this.lane, Results::Many(outputs), batch)
            }
            Outcome::EmitMany(_) | Outcome::Filter => {
                batch.filtered += 1;
                sole(&mut job).release();
                self.without_result(job, batch);
                Verdict::Done
            }
            Outcome::Reject(failure) | Outcome::Retry(failure) => {
                let fatal = Fatal { failure: &failure, stage: Stage::Transform, retryable: false };
                self.failed(job, this.lane, fatal, batch)
            }
        }
    }

    /// It failed for a reason that may not be the record's: perhaps it fails for all. Then it is not given up.
    fn fell(
        &self,
        mut job: Arc<Job>,
        this: Try,
        retryable: bool,
        failure: &Failure,
        batch: &mut Batch,
    ) -> Verdict<Arc<Job>> {
        batch.said = Some(Probe::Failed);
        sole(&mut job).failed_first_at(batch.now_ms);
        let last = !retryable || this.attempt >= self.policy.retry.attempts;
        // One that is held has failed for good before.
        let judged = last && !job.is_held();
        if self.outage.is_open() || (judged && self.is_outage(&job, failure, batch)) {
            self.metrics.retried("transform", &failure.code);
            return self.not_now(job, batch);
        }
        if last {
            let fatal = Fatal { failure, stage: Stage::Transform, retryable };
            return self.failed(job, this.lane, fatal, batch);
        }
        self.metrics.retried("transform", &failure.code);
        Verdict::Later(self.clock.now() + self.backoff(this.attempt), job)
    }

    /// Everything fails: this one is as if it had not been tried, and the rest of the hand is given back.
    fn not_now(&self, job: Arc<Job>, batch: &mut Batch) -> Verdict<Arc<Job>> {
        batch.hand_back = true;
        Verdict::NotCounted(self.clock.now() + LATER, job)
    }

    /// A record has results. Those that the producer would refuse are a failure here, where its lane still waits for it.
    fn emit(&self, mut job: Arc<Job>, lane: Lane, results: Results, batch: &mut Batch) -> Verdict<Arc<Job>> {
        let sole = sole(&mut job);
        sole.set_results(results);
        if self.policy.source_header {
            sole.name_source();
        }
        if let Some(failure) = self.too_large(sole) {
            sole.take_results();
            let fatal = Fatal { failure: &failure, stage: Stage::Produce, retryable: false };
            return self.failed(job, lane, fatal, batch);
        }
        batch.ok += 1;
        self.hand_over(job, batch);
        Verdict::Done
    }

    /// A failure of a record that is not ours any more is its new owner's to judge.
    pub(super) fn drop_if_stale(&self, ticket: &Ticket) -> bool {
        let mut ledger = self.ledger.lock();
        let stale = ledger.get(ticket.slot).is_none();
        if stale {
            ledger.drop_unfinished(ticket);
            drop(ledger);
            self.room.notify_all();
        }
        stale
    }

    /// A record is finished, and nothing is to be written for it. In transactions that is so with the offset only.
    pub(super) fn without_result(&self, job: Arc<Job>, batch: &mut Batch) {
        if self.in_transactions() {
            self.hand_over(job, batch);
        } else {
            batch.finished.push(job.ticket());
        }
    }

    pub(super) fn hand_over(&self, mut job: Arc<Job>, batch: &mut Batch) {
        let sole = sole(&mut job);
        sole.release();
        let more = sole.results_size().saturating_sub(sole.record().size() + SLACK);
        if more > 0 {
            self.ledger.lock().grow(sole.ticket_mut(), more);
        }
        if job.is_finished_early() {
            batch.finished.push(job.ticket());
        }
        batch.ready.push((job.place(), job));
    }
}

thread_local! {
    static IN_TRANSFORM: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs a part of a transform.
pub(super) fn caught<R>(run: impl FnOnce() -> R) -> std::thread::Result<R> {
    IN_TRANSFORM.set(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    IN_TRANSFORM.set(false);
    result
}

/// Whether this thread runs a transform: a panic then is the record's failure, not ours.
pub fn in_transform() -> bool {
    IN_TRANSFORM.get()
}

/// What a panic said, for the dead letter.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the transform panicked: {}", text.unwrap_or_else(|| "without a message".to_owned()))
}
