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
//! (pausing would throw away what is fetched: 3.85 times the traffic in an experiment). A single partition that takes more
//! than its share is detached: its records wait in a queue of their own, and the others flow.

mod batch;
mod commit;
mod control;
mod group;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};

use super::Intake;
use crate::kafka::context::{Context, Member, Told, TopicPartition};
use crate::kafka::errors::{self, Consuming};
use crate::kafka::ffi::{Commits, RecordQueue, destroy_without_leaving};
use crate::offsets::Slot;
use crate::offsets::ledger::Watermark;
use crate::record::Record;
use batch::Intook;
pub use control::{Control, Farewell, Settings, Trouble};

/// Records taken from librdkafka at once.
const BATCH: usize = 1024;
/// Events of the group, log lines among them, served in a round: a rebalance must not wait behind a chatty log.
const EVENTS: usize = 16;
/// How long a quiet thread waits for a record before it looks after the group.
const IDLE: Duration = Duration::from_millis(50);
/// The same while the group is being rearranged, or a partition waits for room.
const BUSY: Duration = Duration::from_millis(2);
/// How long a thread that may take nothing waits before it looks after the group.
const FULL: Duration = Duration::from_millis(10);
/// How long the group may take to let us go.
const GOODBYE: Duration = Duration::from_secs(5);

/// A partition that this member owns.
struct Owned {
    slot: Slot,
    /// Read, but not admitted yet.
    held: VecDeque<Record>,
    detached: bool,
    /// Being given up: what still comes of it belongs to its next owner.
    leaving: bool,
}

/// Partitions that are being given up.
struct Leaving {
    partitions: Vec<TopicPartition>,
    slots: Vec<Slot>,
    until: Instant,
    lost: bool,
    since: Instant,
}

/// See the module.
pub struct KafkaSource<I: Intake> {
    settings: Settings,
    intake: Arc<I>,
    context: Context,
    control: Arc<Control>,
    trouble: Sender<Trouble>,
    queue: RecordQueue,
    commits: Commits,
    consumer: Arc<BaseConsumer<Member>>,
    owned: HashMap<TopicPartition, Owned>,
    /// Owned partitions by librdkafka's topic handle, to find them without hashing a name for each record.
    names: HashMap<usize, Arc<str>>,
    /// Told to be ours, and not accepted yet.
    assigned: Vec<TopicPartition>,
    assigned_at: Instant,
    retry_starts_at: Instant,
    leaving: Option<Leaving>,
    told: VecDeque<Told>,
    next_commit: Instant,
    commit_not_before: Instant,
    /// What was sent and not answered yet.
    committing: Option<(Vec<Watermark>, Instant)>,
    /// Rounds in which records were held and none could be admitted.
    quiet_rounds: u32,
    next_ends: Instant,
}

impl<I: Intake> KafkaSource<I> {
    /// A member that has not joined yet.
    pub fn new(
        settings: Settings,
        intake: Arc<I>,
        context: Context,
        control: Arc<Control>,
        trouble: Sender<Trouble>,
    ) -> KafkaResult<Self> {
        let consumer: BaseConsumer<Member> =
            settings.properties.create_with_context(Member::new(context.clone()))?;
        let consumer = Arc::new(consumer);
        let queue = RecordQueue::new(&consumer, BATCH);
        let now = Instant::now();
        Ok(Self {
            settings,
            intake,
            context,
            control,
            trouble,
            commits: Commits::new(&consumer),
            queue,
            consumer,
            owned: HashMap::new(),
            names: HashMap::new(),
            assigned: Vec::new(),
            assigned_at: now,
            retry_starts_at: now,
            leaving: None,
            told: VecDeque::new(),
            next_commit: now,
            commit_not_before: now,
            quiet_rounds: 0,
            next_ends: now,
            committing: None,
        })
    }

    /// The thread's life: joins, reads until told to stop, finishes within the time given by whoever calls
    /// [`Control::abort`], commits, leaves.
    pub fn run(mut self) -> Farewell {
        let topics: Vec<&str> = self.settings.topics.iter().map(String::as_str).collect();
        if let Err(error) = self.consumer.subscribe(&topics) {
            self.report(Trouble::Failed(format!("cannot subscribe to {topics:?}: {error}")));
        }
        while !self.control.stop.load(Ordering::Relaxed) {
            self.look_after_the_group();
            if self.intake.is_full() {
                self.intake.wait_for_room(FULL);
            } else {
                self.read();
            }
        }
        self.finish()
    }

    fn look_after_the_group(&mut self) {
        *self.control.beat.lock() = Some(Instant::now());
        self.serve();
        self.go_on_with_the_group();
        self.commit_if_due();
        self.note_ends();
    }

    /// Tells where the partitions end, for the lag. The client knows it from its fetches: nobody is asked.
    fn note_ends(&mut self) {
        let now = Instant::now();
        if now < self.next_ends {
            return;
        }
        self.next_ends = now + Duration::from_secs(1);
        for ((topic, partition), owned) in &self.owned {
            if let Some(end) = self.queue.end(topic, *partition) {
                self.intake.note_end(owned.slot, end);
            }
        }
    }

    /// What the group and the client have to say. One call serves one event, and does not tell whether there was one.
    fn serve(&mut self) {
        let consumer = self.consumer.clone();
        for _ in 0..EVENTS {
            match consumer.poll(Duration::ZERO) {
                None => {}
                Some(Ok(message)) => {
                    // Every partition is attached to our queue before it is assigned; a record here would be lost.
                    use rdkafka::Message as _;
                    let place = format!("{}/{}/{}", message.topic(), message.partition(), message.offset());
                    self.report(Trouble::Failed(format!(
                        "record {place} came past the record queue: this is our bug"
                    )));
                }
                Some(Err(error)) => self.consumer_error(&error),
            }
        }
        self.told.extend(consumer.context().take());
        if let Some(answer) = self.commits.answer() {
            self.commit_answered(answer);
        }
    }

    fn consumer_error(&mut self, error: &KafkaError) {
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        let text = self.consumer.client().fatal_error().map_or_else(|| error.to_string(), |(_, text)| text);
        self.judge(code, &text);
    }

    fn judge(&mut self, code: Code, text: &str) {
        match errors::consuming(code) {
            Consuming::Passing => tracing::debug!("consumer {}: {text}", self.settings.index),
            Consuming::OffsetGone => self.report(Trouble::Failed(format!(
                "a committed offset is not in the log any more, so records were lost before they were read: {text}. Choose \
                 where to go on with kafka-consumer-groups --reset-offsets, then start again"
            ))),
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

    /// Takes a batch of records and admits what there is room for.
    fn read(&mut self) {
        let rearranging = self.leaving.is_some() || !self.assigned.is_empty() || !self.told.is_empty();
        let holding = self.owned.values().any(|owned| !owned.held.is_empty());
        // A partition that is stuck for long is looked at less and less often.
        let wait = match (rearranging, holding) {
            (true, _) => BUSY,
            (false, true) => IDLE.min(BUSY * (1 << self.quiet_rounds.min(5))),
            (false, false) => IDLE,
        };
        let mut batch = Intook::default();
        let names = &mut self.names;
        self.queue.take(wait, |message| batch.see(&message, names));
        for (code, text) in batch.errors {
            self.judge(code, &text);
        }
        for (partition, records) in batch.runs {
            // Records of a partition that was given up: whoever owns it reads them again.
            if let Some(owned) = self.owned.get_mut(&partition).filter(|owned| !owned.leaving) {
                owned.held.extend(records);
            }
        }
        self.admit();
    }

    /// Admits what is held, and detaches the partitions that hold more than they may have in flight.
    fn admit(&mut self) {
        let mut progress = false;
        for ((topic, partition), owned) in &mut self.owned {
            if !owned.held.is_empty() {
                progress |= self.intake.admit(owned.slot, &mut owned.held) > 0;
            }
            let wait = !owned.held.is_empty();
            if wait && !owned.detached && !self.intake.is_full() {
                self.queue.detach(topic, *partition);
                owned.detached = true;
            } else if !wait && owned.detached {
                self.queue.attach(topic, *partition);
                owned.detached = false;
            }
        }
        self.quiet_rounds = if progress { 0 } else { self.quiet_rounds.saturating_add(1) };
    }

    /// Stops taking, waits for what has begun, commits, leaves the group.
    fn finish(mut self) -> Farewell {
        let all: Vec<TopicPartition> = self.owned.keys().cloned().collect();
        let slots: Vec<Slot> = self.owned.values().map(|owned| owned.slot).collect();
        self.hold_nothing(&all);
        self.intake.leave(&slots);
        let abort = self.control.clone();
        let aborted = || abort.abort.load(Ordering::Relaxed);
        while !aborted() && (self.intake.in_flight_of(&slots) > 0 || self.is_uncommitted(&slots)) {
            self.look_after_the_group();
            self.commit();
            std::thread::park_timeout(BUSY);
        }
        let uncommitted = self.intake.uncommitted(self.settings.index).len();
        let left = self.intake.revoke(&slots);
        self.leave_group(aborted());
        Farewell { left, uncommitted }
    }

    /// Leaves the group, unless nobody is there to be told.
    fn leave_group(self, aborted: bool) {
        let unanswered = self.leaving.is_some() || !self.assigned.is_empty() || !self.told.is_empty();
        let Self { queue, commits, consumer, context, .. } = self;
        drop((queue, commits));
        let Some(consumer) = Arc::into_inner(consumer) else { return };
        if !context.link.is_down() && !aborted {
            consumer.context().close();
            let until = Instant::now() + GOODBYE;
            match consumer.close_queue() {
                Ok(()) => {
                    if unanswered {
                        // The group waits for an answer from before; while closing, giving up everything is one.
                        let answer = consumer.unassign();
                        tracing::debug!("leaving the group in the middle of a rebalance: {answer:?}");
                    }
                    while !consumer.closed() && Instant::now() < until {
                        consumer.poll(BUSY);
                    }
                }
                Err(error) => tracing::debug!("leaving the group: {error}"),
            }
        }
        destroy_without_leaving(consumer);
    }
}
