//! One member of the consumer group, and its thread.
//!
//! # The thread, one round
//! 1. Serve the group's events: assigned, revoked, committed, an error. Never blocks.
//! 2. Go on with what the group asked for: find the starts of what is assigned; give up what is revoked once its work is
//!    done, or when the time for that is over.
//! 3. Commit, if the interval is over.
//! 4. Take records, if there is room; admit them.
//!
//! # At the limit
//! The thread stops taking. Fetched records stay in librdkafka's queue, which is bounded, and nothing is fetched twice
//! (pausing would throw away what is fetched: 3.85 times the traffic in an experiment). What becomes of a single partition
//! that takes more than its share: [`reading`].

mod commit;
mod control;
mod group;
mod reading;
mod recreated;
#[cfg(test)]
mod tests;
mod unreadable;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use rdkafka::error::RDKafkaErrorCode as Code;

use super::Intake;
use super::client::{Client, Event, RebalanceEvent};
use crate::checkpoint::Slot;
use crate::checkpoint::ledger::Watermark;
use crate::clock::Clock;
use crate::kafka::context::Context;
use crate::kafka::errors::{self, Consuming};
use crate::record::TopicPartition;
pub use control::{Control, Deps, Settings, ShutdownReport, Trouble};
use reading::Owned;
use recreated::Watch;

/// How long it waits for a record while the group is being rearranged, or a partition waits for room.
const BUSY: Duration = Duration::from_millis(2);
/// How long a thread that may take nothing waits before it looks after the group.
const FULL: Duration = Duration::from_millis(10);
/// How often the brokers are asked where the partitions end.
const ENDS: Duration = Duration::from_secs(1);
/// How long the group may take to let us go.
const GOODBYE: Duration = Duration::from_secs(5);

/// Partitions that are being given up.
struct Leaving {
    partitions: Vec<TopicPartition>,
    slots: Vec<Slot>,
    until: Instant,
    lost: bool,
    since: Instant,
}

/// See the module.
pub struct KafkaSource<I: Intake, C: Client> {
    settings: Settings,
    client: C,
    intake: Arc<I>,
    context: Context,
    control: Arc<Control>,
    trouble: Sender<Trouble>,
    clock: Arc<dyn Clock>,
    /// In an order of its own, so that a simulation does the same for the same seed.
    owned: BTreeMap<TopicPartition, Owned>,
    /// RebalanceEvent to be ours, and not accepted yet.
    assigned: Vec<TopicPartition>,
    assigned_at: Instant,
    retry_starts_at: Instant,
    leaving: Option<Leaving>,
    told: VecDeque<RebalanceEvent>,
    next_commit: Instant,
    commit_not_before: Instant,
    /// How much metadata the broker takes with an offset, as far as we know.
    metadata_limit: usize,
    /// What was sent and not answered yet.
    committing: Option<(Vec<Watermark>, Instant)>,
    /// Rounds in which records were held and none could be admitted.
    quiet_rounds: u32,
    /// Records taken so far, out of the queue of all.
    taken: u64,
    next_ends: Instant,
    /// When the brokers were asked where the partitions end, while they have not answered.
    ends_asked_at: Option<Instant>,
    watch: Watch,
}

impl<I: Intake, C: Client> KafkaSource<I, C> {
    /// A member that has not joined yet.
    pub fn new(settings: Settings, client: C, neighbours: Deps<I>) -> Self {
        let Deps { intake, context, control, trouble, clock } = neighbours;
        let now = clock.now();
        let watch = Watch::new(&settings.known, now);
        Self {
            settings,
            client,
            intake,
            context,
            control,
            trouble,
            clock,
            owned: BTreeMap::new(),
            assigned: Vec::new(),
            assigned_at: now,
            retry_starts_at: now,
            leaving: None,
            told: VecDeque::new(),
            next_commit: now,
            commit_not_before: now,
            metadata_limit: crate::checkpoint::note::LIMIT,
            quiet_rounds: 0,
            taken: 0,
            next_ends: now,
            ends_asked_at: None,
            committing: None,
            watch,
        }
    }

    /// The thread's life: joins, reads until told to stop, finishes within the time given by whoever calls
    /// [`Control::abort`], commits, leaves.
    pub fn run(mut self) -> ShutdownReport {
        let topics = &self.settings.topics;
        if let Err(error) = self.client.subscribe(topics) {
            self.report(Trouble::Failed(format!("cannot subscribe to {topics:?}: {error}")));
        }
        while !self.control.stop.load(Ordering::Relaxed) {
            self.round();
        }
        self.finish()
    }

    fn round(&mut self) {
        self.look_after_the_group();
        if self.intake.is_full() {
            self.intake.wait_for_room(&[], FULL);
        } else {
            self.read();
        }
    }

    fn look_after_the_group(&mut self) {
        *self.control.beat.lock() = Some(self.clock.now());
        self.serve(Duration::ZERO);
        self.go_on_with_the_group();
        self.watch_topics();
        self.commit_if_due();
        self.note_ends();
        self.intake.drop_finished();
    }

    /// Tells where the partitions end, for the lag. What the client knows from its fetches is not enough: it stands still where
    /// nothing is fetched.
    fn note_ends(&mut self) {
        let now = self.clock.now();
        if let Some(asked_at) = self.ends_asked_at
            && let Some(ends) = self.client.ends()
        {
            self.ends_asked_at = None;
            for (partition, end) in ends {
                if let Some(owned) = self.owned.get(&partition) {
                    self.intake.note_end(owned.slot, end, asked_at);
                }
            }
        }
        if self.ends_asked_at.is_none() && now >= self.next_ends && !self.owned.is_empty() {
            self.next_ends = now + ENDS;
            self.ends_asked_at = Some(now);
            let partitions: Vec<TopicPartition> = self.owned.keys().cloned().collect();
            self.client.ask_ends(&partitions);
        }
    }

    /// What the group and the client have to say.
    fn serve(&mut self, wait: Duration) {
        for event in self.client.serve(wait) {
            match event {
                Event::RebalanceEvent(told) => self.told.push_back(told),
                Event::Committed(answer) => self.commit_answered(answer),
                Event::TopicIds(answer) => self.heard_of_topics(answer),
                Event::Error(code, text) => self.judge(code, &text, None),
                // Every partition is attached before it is accepted.
                Event::Astray(place) => self.report(Trouble::Failed(format!(
                    "record {place} came past the record queue: this is our bug"
                ))),
            }
        }
    }

    fn judge(&mut self, code: Code, text: &str, partition: Option<TopicPartition>) {
        match errors::consuming(code) {
            // What comes without a partition the client's context has counted and said.
            Consuming::Passing | Consuming::Unreadable => {
                tracing::debug!("consumer {}: {text}", self.settings.index)
            }
            Consuming::OffsetGone => self.offset_is_gone(text, partition),
            Consuming::Denied => self.report(Trouble::Denied(text.to_owned())),
            Consuming::Fenced => self.report(Trouble::Fenced(format!(
                "another process uses this member's KAFKA_GROUP_INSTANCE_ID: {text}"
            ))),
        }
    }

    fn report(&self, trouble: Trouble) {
        // The first one ends the process; the receiver is gone only then.
        let _ = self.trouble.send(trouble);
    }

    /// Stops taking, waits for what has begun, commits, leaves the group.
    fn finish(mut self) -> ShutdownReport {
        let all: Vec<TopicPartition> = self.owned.keys().cloned().collect();
        let slots: Vec<Slot> = self.owned.values().flat_map(Owned::slots).collect();
        self.hold_nothing(&all);
        self.intake.leave(&slots);
        let abort = self.control.clone();
        let aborted = || abort.abort.load(Ordering::Relaxed);
        while !aborted() && (self.intake.in_flight_of(&slots) > 0 || !self.intake.is_committed(&slots)) {
            self.look_after_the_group();
            self.commit();
            self.serve(BUSY);
        }
        let uncommitted = self.intake.uncommitted(self.settings.index).len();
        let unfinished = self.intake.unfinished_of(&slots);
        let left = self.intake.revoke(&slots);
        self.leave_group();
        ShutdownReport { left, unfinished, uncommitted }
    }

    /// Leaves the group, whatever is left: what is not committed is its next owner's, who should not wait for that until the session
    /// is over. Unless nobody is there to be told.
    fn leave_group(self) {
        let unanswered = self.leaving.is_some() || !self.assigned.is_empty() || !self.told.is_empty();
        if self.context.link.is_down() {
            self.client.abandon();
        } else {
            self.client.leave(unanswered, GOODBYE);
        }
    }
}
