//! Exactly once: one thread and one transactional client for each consumer, which writes what its consumer's records became and
//! commits their offsets with it.
//!
//! # Hold-back
//! Workers finish in another order than they began. What is finished waits here ([`lines`]) until everything before it in its
//! partition is finished too; then it is *released*: written, in the order of the partition. The workers go on meanwhile.
//!
//! # A transaction
//! 1. It begins when something is released, and takes in what is released from then on.
//! 2. It ends when the commit interval is over, or it is large enough, or a partition is to be given up.
//! 3. Every record of it is reported; the offsets are sent, as the watermarks will be when all that is released is finished;
//!    it is committed.
//! 4. Only then are the records finished. So what is finished is the beginning of what is released, and a watermark never names
//!    what is not in its transaction or in one before.
//!
//! # When it fails
//! * [`Remedy::Abort`]: aborted. What was released is in memory still, and belongs to the same assignments: it is held again,
//!   at its place, and comes with the next transaction. Nothing is read twice. What is stale meanwhile is dropped.
//! * [`Remedy::Rebuild`], which nobody can know the outcome of: a new client of the same name ends what the old one left open,
//!   and the group is asked what it has. Where it has the offset that was sent, or more, the records are finished; where it has
//!   less they are held again.
//!
//! Who may commit for a partition is the broker's to judge, by the member's generation: see [`GroupMetadata`].

pub mod client;
mod commit;
mod held;
mod recover;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};

use super::Outbox;
use super::batches::{Batches, Narrowing};
use super::client::Undelivered;
use super::route::Route;
use crate::checkpoint::Slot;
use crate::checkpoint::ledger::Watermark;
use crate::clock::Clock;
use crate::kafka::context::Context;
use crate::kafka::membership::GroupMetadata;
use crate::sync::Mutex;
use client::{Committer, Failed, Remedy, Transactional};
use held::Lines;

/// Parcels taken under one lock.
const BATCH: usize = 1024;
/// How long it waits for parcels before it looks after the reports, and after partitions that are to be given up.
const TICK: Duration = Duration::from_millis(20);
/// How long it waits while there is nothing to do.
const IDLE: Duration = Duration::from_millis(100);
/// How long one call to the broker takes at most, before it is seen whether the program ends.
const CALL: Duration = Duration::from_millis(500);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// What a transactor is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The consumer that it belongs to.
    pub index: usize,
    /// The group.
    pub group: String,
    /// What the client is called, for messages.
    pub name: String,
    /// How long a transaction is open, if nothing ends it earlier.
    pub interval: Duration,
    /// How many parcels end it.
    pub most: usize,
    /// `transaction.timeout.ms`: what takes longer is aborted by the broker.
    pub timeout: Duration,
}

/// Whom a transactor works with.
pub struct Deps<O> {
    /// Where parcels come from.
    pub outbox: Arc<O>,
    /// The topics.
    pub route: Arc<Route>,
    /// Who is told about the cluster.
    pub context: Context,
    /// As whom it commits.
    pub standing: Arc<GroupMetadata>,
    /// Who is told why it cannot go on.
    pub trouble: Sender<Trouble>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}

/// Why a transactor cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Not allowed.
    Denied(String),
    /// Another process uses its name.
    Fenced(String),
    /// The cluster does not take such transactions.
    Failed(String),
}

/// Where a transactor gets parcels from, and whom it tells what became of them.
pub trait Releases: Outbox {
    /// Its place among those delivered in its assignment.
    fn place(parcel: &Self::Parcel) -> (Slot, u64);

    /// As [`Outbox::take`], but waits no longer than `until`: then it returns `true` with nothing in `out`.
    fn take_until(&self, shard: usize, max: usize, until: Instant, out: &mut Vec<Arc<Self::Parcel>>) -> bool;

    /// How it stands with the partitions of consumer `owner`.
    fn outlook(&self, owner: usize) -> PartitionOutlook;

    /// For each slot, the sequence number from which on nothing can be committed any more; `None` where its assignment is gone.
    fn cuts(&self, slots: Vec<Slot>) -> Vec<(Slot, Option<u64>)>;

    /// These are not written: whoever gets their partition reads them again.
    fn give_back(&self, parcels: Vec<Arc<Self::Parcel>>);

    /// The watermarks to commit for consumer `owner` when all of its slots is finished up to the sequence numbers given, these
    /// excluded. `None` if that cannot be any more: a slot is gone, or something before was dropped.
    fn watermarks(&self, owner: usize, released: &[(Slot, u64)]) -> Option<Vec<Watermark>>;

    /// All of these are written, and the broker has the watermarks. Empties `parcels`.
    fn committed(&self, parcels: &mut Vec<Arc<Self::Parcel>>, watermarks: &[Watermark]);
}

/// How it stands with a consumer's partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionOutlook {
    /// One of them is to be given up.
    pub leaving: bool,
    /// There is something to commit, even if nothing is to be written.
    pub uncommitted: bool,
}

/// See the module.
pub struct Transactor<O: Releases, C: Committer<O::Parcel>> {
    settings: Settings,
    outbox: Arc<O>,
    route: Arc<Route>,
    context: Context,
    standing: Arc<GroupMetadata>,
    trouble: Sender<Trouble>,
    clock: Arc<dyn Clock>,
    connection: C,
    client: Mutex<Arc<C::Client>>,
    outstanding: AtomicUsize,
    held: AtomicUsize,
    stopped: AtomicBool,
}

/// What the thread has in its hands.
struct Work<P> {
    lines: Lines<P>,
    /// Written in the open transaction, in this order.
    batch: Vec<Arc<P>>,
    /// More was ready than was taken at once: it comes with the next turn.
    more: bool,
    /// Since when a transaction is open.
    open: Option<Instant>,
    /// Records handed to the client and not reported.
    outstanding: usize,
    /// What was not written, and why.
    failures: Vec<((Slot, u64), Undelivered)>,
    /// What a commit was asked for that is not known to be done.
    asked: Vec<Watermark>,
    /// After a failure nothing is begun before.
    not_before: Instant,
    pause: Duration,
    /// How long ending a transaction takes, smoothed.
    commit_time: Duration,
    /// When offsets alone are committed next.
    next_offsets: Instant,
    /// How much metadata the broker takes with an offset, as far as we know.
    metadata_limit: usize,
    /// When other clients of the same name have shut ours out.
    fenced: Vec<Instant>,
    /// How the next client puts batches together.
    narrowing: Narrowing,
}

/// Why a turn ended early.
#[derive(Debug)]
enum Halt {
    /// The program ends.
    Stopped,
    /// The transaction must be aborted.
    Abort(String),
    /// The client is of no use any more.
    Rebuild(Code, String),
}

impl From<Failed> for Halt {
    fn from(failed: Failed) -> Self {
        match failed.remedy {
            Remedy::Again | Remedy::Abort => Self::Abort(failed.text),
            Remedy::Rebuild => Self::Rebuild(failed.code, failed.text),
        }
    }
}

impl<O: Releases, C: Committer<O::Parcel>> Transactor<O, C> {
    /// A transactor with its client; nobody is asked anything before the thread runs.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(settings: Settings, connection: C, neighbours: Deps<O>) -> KafkaResult<Self> {
        let Deps { outbox, route, context, standing, trouble, clock } = neighbours;
        let client = Mutex::new(Arc::new(connection.connect(&route.topics(), Batches::default())?));
        Ok(Self {
            settings,
            outbox,
            route,
            context,
            standing,
            trouble,
            clock,
            connection,
            client,
            outstanding: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        })
    }

    /// The client that is in use now, for metadata.
    pub fn client(&self) -> Arc<C::Client> {
        self.client.lock().clone()
    }

    /// Records written and not reported.
    pub fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Results that wait for an earlier record of their partition.
    pub fn held_back(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Gives up: what is not committed is aborted, and the thread ends.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The thread's life, until it is stopped or nothing more will come.
    pub fn run(&self) {
        let mut work = Work::new(self.clock.now());
        let mut parcels = Vec::with_capacity(BATCH);
        let mut halt = self.init().err();
        while !matches!(halt, Some(Halt::Stopped)) && !self.is_stopped() {
            halt = match halt {
                Some(halt) => self.recover(&mut work, halt).err(),
                None => {
                    if !self.outbox.take_until(
                        self.settings.index,
                        BATCH,
                        self.next_look(&work),
                        &mut parcels,
                    ) {
                        break;
                    }
                    work.more = parcels.len() == BATCH;
                    parcels.drain(..).for_each(|parcel| work.lines.hold(O::place(&parcel), parcel));
                    self.turn(&mut work).err()
                }
            };
            self.outstanding.store(work.outstanding, Ordering::Relaxed);
            self.held.store(work.lines.len(), Ordering::Relaxed);
        }
        self.leave_nothing_open(&mut work);
    }

    fn next_look(&self, work: &Work<O::Parcel>) -> Instant {
        let now = self.clock.now();
        match work.open {
            Some(since) => (now + TICK).min(since + self.open_for(work)),
            None if now < work.not_before => (now + TICK).min(work.not_before),
            None => (now + IDLE).min(work.next_offsets.max(now + TICK)),
        }
    }

    /// How long a transaction takes in what is released: with its commit it is to last an interval. Half of one at least, however
    /// long commits take.
    fn open_for(&self, work: &Work<O::Parcel>) -> Duration {
        let interval = self.settings.interval;
        interval.saturating_sub(work.commit_time).max(interval / 2)
    }

    /// Begins a transaction, goes on with it, or ends it.
    fn turn(&self, work: &mut Work<O::Parcel>) -> Result<(), Halt> {
        self.serve(work, Duration::ZERO)?;
        let now = self.clock.now();
        if now < work.not_before {
            return Ok(());
        }
        let outlook = self.outbox.outlook(self.settings.index);
        self.prune(work);
        // What is ready goes with it: a transaction for each turn would take many times as long.
        let leaving = outlook.leaving && !work.more;
        let offsets = outlook.uncommitted && (leaving || now >= work.next_offsets);
        if work.open.is_none() {
            self.maybe_rebatch(work)?;
            // Without a membership nothing can be committed: it comes with the next assignment.
            if !(work.lines.is_ready() || offsets) || self.standing.get().is_none() {
                return Ok(());
            }
            self.client().begin()?;
            work.open = Some(now);
        }
        self.write_released(work)?;
        let over = work.open.is_some_and(|since| now >= since + self.open_for(work));
        if over || offsets || leaving || work.batch.len() >= self.settings.most {
            self.commit(work)?;
        }
        Ok(())
    }

    /// Lets go of what can never be committed.
    fn prune(&self, work: &mut Work<O::Parcel>) {
        let pruned = work.lines.prune(&self.outbox.cuts(work.lines.slots()));
        if !pruned.is_empty() {
            self.outbox.give_back(pruned);
        }
    }
}

impl<P> Work<P> {
    fn new(now: Instant) -> Self {
        Self {
            lines: Lines::default(),
            batch: Vec::new(),
            more: false,
            open: None,
            outstanding: 0,
            failures: Vec::new(),
            asked: Vec::new(),
            not_before: now,
            pause: FIRST_PAUSE,
            commit_time: Duration::ZERO,
            next_offsets: now,
            metadata_limit: crate::checkpoint::note::LIMIT,
            fenced: Vec::new(),
            narrowing: Narrowing::default(),
        }
    }
}
