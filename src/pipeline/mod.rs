//! Where the stages meet: a record is admitted, transformed, handed to a producer, and finished. No thread, no Kafka: the
//! threads of [`crate::app`] call in from all sides.
//!
//! # Locks
//! The ledger's and the scheduler's two. Never two at once, and the transform runs under none.

mod intake;
mod job;
mod outbox;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::clock::Clock;
use crate::config::{OnFailure, Order, Retry};
use crate::offsets::{Budget, Ledger, Ticket};
use crate::record::Record;
use crate::scheduler::pending::{Held, Lane, Task, Verdict};
use crate::scheduler::{Depth, Scheduler};
use crate::sink::dead_letter::{self, Death, Stage};
use crate::sync::{Condvar, Mutex};
use crate::telemetry::metrics::{Metrics, Processed};
use crate::transform::{Context, Failure, Outcome, Output, Transform};
use crate::worker::Pace;
pub use job::Job;
use job::Results;

/// What one record takes of the byte budget beside twice its own size (once as it was read, once as it is written): our
/// own structures, the client's, and [`SLACK`].
const OVERHEAD: usize = 768;
/// By how much results may be larger than their record before the budget is asked again.
const SLACK: usize = 256;

/// What the pipeline is to do, as far as it does not depend on Kafka.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What stays in order.
    pub order: Order,
    /// When to try again.
    pub retry: Retry,
    /// What to do with what failed for good.
    pub on_failure: OnFailure,
    /// How much may be in flight.
    pub budget: Budget,
    /// Workers, and how many tasks one takes at once.
    pub workers: usize,
    /// See `workers`; `None` adapts.
    pub tasks_pick_up: Option<usize>,
    /// Producer threads.
    pub producers: usize,
    /// What dead letters say of their sender.
    pub sender: dead_letter::Sender,
}

/// See the module.
pub struct Pipeline {
    policy: Policy,
    transform: Arc<dyn Transform>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    scheduler: Scheduler<Arc<Job>, Arc<Job>>,
    ledger: Mutex<Ledger>,
    /// Consumers wait here for room in the budget.
    room: Condvar,
    /// Gets the reason when a record must stop the program.
    stop: Sender<String>,
    /// A record has stopped the program: no other is begun.
    stopped: AtomicBool,
    busy: AtomicUsize,
}

impl Pipeline {
    /// A pipeline without partitions. `stop` gets a message when `policy.on_failure` is to stop.
    pub fn new(
        policy: Policy,
        transform: Arc<dyn Transform>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        stop: Sender<String>,
    ) -> Self {
        let scheduler = Scheduler::new(policy.workers, policy.producers);
        let ledger = Mutex::new(Ledger::new(policy.budget));
        let (room, stopped, busy) = (Condvar::new(), AtomicBool::new(false), AtomicUsize::new(0));
        Self { policy, transform, clock, metrics, scheduler, ledger, room, stop, stopped, busy }
    }

    fn job(&self, record: Record, ticket: Ticket, admitted: Instant) -> (Lane, Arc<Job>) {
        let seed = u64::from(ticket.slot.epoch);
        let lane = match (self.policy.order, record.key()) {
            (Order::Key, Some(key)) => Some(xxh3_64_with_seed(key, seed)),
            (Order::Partition, _) => Some(xxh3_64_with_seed(b"", seed)),
            (Order::Key, None) | (Order::Unordered, _) => None,
        };
        let shard = lane.unwrap_or(ticket.sequence()) % self.policy.producers as u64;
        (lane, Arc::new(Job::new(record, ticket, shard as usize, admitted)))
    }

    /// A worker's life: takes tasks and runs them, until the scheduler is closed and empty.
    pub fn work(&self) {
        let mut pace = Pace::new(self.policy.tasks_pick_up);
        let (mut tasks, mut results) = (Vec::new(), Vec::new());
        let clock = || self.clock.now();
        while self.scheduler.exchange(&mut results, pace.pick(), &clock, &mut tasks) {
            self.busy.fetch_add(1, Ordering::Relaxed);
            let (count, started) = (tasks.len(), self.clock.now());
            // One observation a batch, here and below: a histogram costs more than the smallest transform.
            self.metrics.waited(tasks.first().map(|task| started.duration_since(task.job.admitted)));
            self.run(&mut tasks, &mut results);
            let time = self.clock.now().duration_since(started);
            pace.measure(count, time);
            self.metrics.transformed(self.transform.name(), [time / count as u32]);
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Runs a batch. Results are handed to the producers before the lanes are given back, or the next record of a lane
    /// could overtake this one on the ready list.
    fn run(&self, tasks: &mut Vec<Task<Arc<Job>>>, results: &mut Vec<(Held, Verdict<Arc<Job>>)>) {
        let mut batch = Batch { now_ms: self.clock.unix_ms(), ..Batch::default() };
        let mut blocked: Lane = None;
        for task in tasks.drain(..) {
            if task.lane().is_some() && task.lane() == blocked {
                let (held, job) = task.split();
                results.push((held, Verdict::Untouched(job)));
                continue;
            }
            let (attempt, lane) = (task.attempt, task.lane());
            let (held, job) = task.split();
            let verdict = self.try_once(job, attempt, &mut batch);
            if matches!(verdict, Verdict::Later(..)) {
                blocked = lane;
            }
            results.push((held, verdict));
        }
        self.metrics.processed(Processed::Ok, batch.ok);
        self.metrics.processed(Processed::Filtered, batch.filtered);
        self.scheduler.push_ready(&mut batch.ready);
        self.finish(batch.finished.iter());
    }

    fn try_once(&self, mut job: Arc<Job>, attempt: u32, batch: &mut Batch) -> Verdict<Arc<Job>> {
        if self.stopped.load(Ordering::Relaxed) {
            self.ledger.lock().drop_unfinished(&job.ticket());
            return Verdict::Done;
        }
        let context = Context { now_ms: batch.now_ms, attempt };
        IN_TRANSFORM.set(true);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.transform.apply(job.record(), &context)))
            .unwrap_or_else(|panic| Outcome::reject("transform_panic", panic_text(&*panic)));
        IN_TRANSFORM.set(false);
        sole(&mut job).tried(attempt);
        if matches!(outcome, Outcome::Reject(_) | Outcome::Retry(_)) && self.drop_if_stale(&job.ticket()) {
            return Verdict::Done;
        }
        match outcome {
            Outcome::Emit(output) => {
                batch.ok += 1;
                self.ready(job, Results::One(output), batch);
            }
            Outcome::EmitMany(outputs) if !outputs.is_empty() => {
                batch.ok += 1;
                self.ready(job, Results::Many(outputs), batch);
            }
            Outcome::EmitMany(_) | Outcome::Filter => {
                batch.filtered += 1;
                batch.finished.push(job.ticket());
            }
            Outcome::Reject(failure) => {
                self.metrics.processed(Processed::Invalid, 1);
                self.give_up(job, &failure, Stage::Transform, false, batch);
            }
            Outcome::Retry(failure) if attempt < self.policy.retry.attempts => {
                self.metrics.retried("transform", &failure.code);
                sole(&mut job).failed_first_at(batch.now_ms);
                return Verdict::Later(self.clock.now() + self.backoff(attempt), job);
            }
            Outcome::Retry(failure) => {
                self.metrics.processed(Processed::Failed, 1);
                self.give_up(job, &failure, Stage::Transform, true, batch);
            }
        }
        Verdict::Done
    }

    /// A failure of a record that is not ours any more is its new owner's to judge.
    fn drop_if_stale(&self, ticket: &Ticket) -> bool {
        let mut ledger = self.ledger.lock();
        let stale = ledger.get(ticket.slot).is_none();
        if stale {
            ledger.drop_unfinished(ticket);
        }
        stale
    }

    fn ready(&self, mut job: Arc<Job>, results: Results, batch: &mut Batch) {
        let sole = sole(&mut job);
        sole.set_results(results);
        let more = sole.results_size().saturating_sub(sole.record().size() + SLACK);
        if more > 0 {
            self.ledger.lock().grow(sole.ticket_mut(), more);
        }
        batch.ready.push((job.shard(), job));
    }

    /// A record that failed for good.
    fn give_up(&self, job: Arc<Job>, failure: &Failure, stage: Stage, retryable: bool, batch: &mut Batch) {
        match self.policy.on_failure {
            OnFailure::DeadLetter => {
                let letter = self.letter(&job, failure, stage, retryable, batch.now_ms);
                self.ready(
                    job,
                    Results::DeadLetter { letter, code: failure.code.clone(), shortened: false },
                    batch,
                );
            }
            OnFailure::Skip => {
                tracing::warn!(record = ?job.record(), code = %failure.code, "given up: {}", failure.message);
                batch.finished.push(job.ticket());
            }
            OnFailure::Stop => {
                // Before its lane is free: it comes first after a restart, and what is behind it must come after it.
                self.stopped.store(true, Ordering::Relaxed);
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

    fn letter(&self, job: &Job, failure: &Failure, stage: Stage, retryable: bool, now_ms: i64) -> Output {
        let death = Death {
            failure,
            stage,
            retryable,
            attempts: job.attempts(),
            failed_at_ms: now_ms,
            first_failed_at_ms: job.first_failed_ms().unwrap_or(now_ms),
        };
        dead_letter::dead_letter(job.record(), &self.policy.sender, &death)
    }

    /// Full jitter: anything from nothing to the doubled bound, so that what failed together does not come back together.
    fn backoff(&self, attempt: u32) -> Duration {
        let doubled = self.policy.retry.backoff.saturating_mul(1 << (attempt - 1).min(30));
        doubled.min(self.policy.retry.backoff_max).mul_f64(fastrand::f64())
    }

    fn finish<'a>(&self, tickets: impl Iterator<Item = &'a Ticket>) {
        let mut tickets = tickets.peekable();
        if tickets.peek().is_none() {
            return;
        }
        let mut ledger = self.ledger.lock();
        let was_full = ledger.is_full();
        let stale = tickets.filter(|ticket| !ledger.finish(ticket)).count();
        let wake = was_full && !ledger.is_full();
        drop(ledger);
        if wake {
            self.room.notify_all();
        }
        if stale > 0 {
            tracing::debug!(
                stale,
                "finished after their partition was given up; they will be processed again"
            );
        }
    }

    /// Looks at the ledger under its lock; be brief.
    pub fn with_ledger<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.ledger.lock())
    }

    /// How full the lists are.
    pub fn depth(&self) -> Depth {
        self.scheduler.depth()
    }

    /// Workers that run a transform now, and all there are.
    pub fn workers(&self) -> (usize, usize) {
        (self.busy.load(Ordering::Relaxed), self.policy.workers)
    }

    /// No more records come: workers stop when nothing is left to run.
    pub fn close(&self) {
        self.scheduler.close();
    }

    /// No more results come: producers stop when nothing is left to write.
    pub fn close_ready(&self) {
        self.scheduler.close_ready();
    }
}

/// What a worker made of the tasks it took.
#[derive(Default)]
struct Batch {
    now_ms: i64,
    ok: u64,
    filtered: u64,
    ready: Vec<(usize, Arc<Job>)>,
    finished: Vec<Ticket>,
}

thread_local! {
    static IN_TRANSFORM: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
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

fn sole(job: &mut Arc<Job>) -> &mut Job {
    Arc::get_mut(job).expect("a job has one holder until its results are written")
}
