//! Where the stages meet: a record is admitted, transformed, handed to a producer, and finished. No thread, no Kafka: the
//! threads of [`crate::app`] call in from all sides.
//!
//! # Locks
//! The ledger's, the scheduler's two, the breaker's, those of what is spent and of what was said, and one for each worker's hand. Never two at once, and the transform runs
//! under none.

mod admit;
mod batch;
pub mod breaker;
mod complete;
mod execute;
mod failure;
mod futures;
mod inline;
mod job;
pub mod lanes;
mod outage;
pub mod pace;
#[cfg(all(test, feature = "shuttle"))]
mod schedules;
mod stuck;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_channel::Sender;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::checkpoint::{Budget, End, Ledger, Slot, Ticket};
use crate::clock::Clock;
use crate::engine::breaker::Probe;
use crate::engine::lanes::pending::{Held, Lane, Mark, Verdict};
use crate::engine::lanes::{Depth, Place, Scheduler};
use crate::ops::Repeats;
use crate::ops::metrics::Metrics;
use crate::policy::{AfterFailure, Delivery, OnFailure, Order, Retry};
use crate::record::Record;
use crate::record::TopicPartition;
use crate::sink::dead_letter;
use crate::sync::atomic::AtomicBool;
use crate::sync::{Condvar, Mutex};
use crate::transform::Handler;
use batch::WorkerBatch;
pub use execute::in_transform;
pub use job::Job;
use outage::Outage;
pub use stuck::{STUCK_AFTER, Stuck};

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
    /// With exactly once each record is finished by the sink, in the order of its partition, and `producers` are the
    /// consumers' transactors: a result goes to the one of the consumer that read its record.
    pub delivery: Delivery,
    /// When to try again.
    pub retry: Retry,
    /// What to do with what failed for good.
    pub on_failure: OnFailure,
    /// What then happens to those behind it in its lane.
    pub after_failure: AfterFailure,
    /// Bytes of key, value and headers of the largest record that the producer takes at all.
    pub largest_record: usize,
    /// How much may be in flight.
    pub budget: Budget,
    /// Workers, and how many tasks one takes at once.
    pub workers: usize,
    /// See `workers`; `None` adapts.
    pub tasks_pick_up: Option<usize>,
    /// Producer threads. Dead letters go to one more, the last shard.
    pub producers: usize,
    /// Whether results say which record they were made of.
    pub source_header: bool,
    /// What dead letters say of their sender.
    pub sender: dead_letter::Sender,
}

impl Policy {
    /// Who takes results: producers, and behind them who writes dead letters, but for transactions, which have both.
    pub fn shards(&self) -> usize {
        self.producers + usize::from(self.delivery == Delivery::AtLeastOnce)
    }
}

/// See the module.
pub struct Pipeline {
    policy: Policy,
    transform: Handler,
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
    /// Records that are held, and their lanes with them.
    held: Arc<AtomicUsize>,
    outage: Outage,
    /// One for each worker.
    hands: Mutex<Vec<Arc<WorkerBatch>>>,
    /// Finished records, for who reads to drop: see [`Intake::drop_finished`](crate::source::Intake::drop_finished).
    spent: Mutex<Vec<Arc<Job>>>,
    /// What no hand has, of a transform that waits.
    begun: futures::Begun,
    /// What was said of dead letters that are refused.
    refusals: Mutex<Repeats>,
}

/// What workers give back.
type Verdicts = Vec<(Held, Verdict<Arc<Job>>)>;

impl Pipeline {
    /// A pipeline without partitions. `stop` gets a message when `policy.on_failure` is to stop.
    pub fn new(
        policy: Policy,
        transform: impl Into<Handler>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        stop: Sender<String>,
    ) -> Self {
        let transform = transform.into();
        let scheduler = Scheduler::new(policy.workers, policy.shards());
        let ledger = Mutex::new(Ledger::new(policy.budget));
        Self {
            policy,
            transform,
            clock,
            metrics,
            scheduler,
            ledger,
            room: Condvar::new(),
            stop,
            stopped: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            held: Arc::default(),
            outage: Outage::default(),
            hands: Mutex::default(),
            spent: Mutex::default(),
            begun: futures::Begun::default(),
            refusals: Mutex::default(),
        }
    }

    fn in_transactions(&self) -> bool {
        self.policy.delivery == Delivery::ExactlyOnce
    }

    fn job(&self, owner: usize, record: Record, ticket: Ticket, admitted: Instant) -> (Lane, Arc<Job>) {
        let seed = u64::from(ticket.slot.epoch);
        let lane = match (self.policy.order, record.key()) {
            (Order::Key, Some(key)) => Some(xxh3_64_with_seed(key, seed)),
            (Order::Partition, _) => Some(xxh3_64_with_seed(b"", seed)),
            (Order::Key, None) | (Order::Unordered, _) => None,
        };
        let shard = match self.policy.delivery {
            Delivery::ExactlyOnce => owner,
            Delivery::AtLeastOnce => {
                (lane.unwrap_or(ticket.sequence()) % self.policy.producers as u64) as usize
            }
        };
        (lane, Arc::new(Job::new(record, ticket, shard, admitted)))
    }

    fn finish<'a>(&self, tickets: impl Iterator<Item = (&'a Ticket, End)>) {
        let mut tickets = tickets.peekable();
        if tickets.peek().is_none() {
            return;
        }
        let mut ledger = self.ledger.lock();
        let stale = tickets.filter(|(ticket, end)| !ledger.finish(ticket, *end)).count();
        let wake = ledger.is_to_call();
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

    /// Partitions below `places` alone have a place in the output. Those that have none are returned: nothing of them is admitted.
    pub fn limit_partitions(&self, places: i32) -> Vec<(Slot, TopicPartition)> {
        let mut ledger = self.ledger.lock();
        ledger.limit_partitions(places);
        ledger.without_a_place()
    }

    /// There is no record of this assignment between these two offsets.
    pub fn pass(&self, slot: Slot, from: i64, end: i64) {
        self.ledger.lock().pass(slot, from, end);
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
    /// Records that the transform answered, as far as the breaker was not told.
    answered: u64,
    /// What the last record says of the transform.
    said: Option<Probe>,
    /// Everything fails: the rest is given back as it is.
    hand_back: bool,
    /// The lane in hand has a record that must run again.
    blocked: Lane,
    ready: Vec<(Place, Arc<Job>)>,
    finished: Vec<Ticket>,
    /// The lane in hand, and which record of it failed for good: what follows goes the same way.
    marked: Option<(u64, Mark)>,
}

impl Batch {
    fn mark_of(&self, lane: Lane) -> Option<Mark> {
        self.marked.filter(|(marked, _)| Some(*marked) == lane).map(|(_, mark)| mark)
    }
}

fn sole(job: &mut Arc<Job>) -> &mut Job {
    Arc::get_mut(job).expect("a job has one holder until its results are written")
}
