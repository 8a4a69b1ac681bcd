//! One member of the consumer group, and its thread.
//!
//! # The thread, one round
//! 1. Serve one event of the group: assigned, revoked, committed, an error. Never blocks.
//! 2. Go on with what the group asked for: find the starts of what is assigned; give up what is revoked once its work is
//!    done, or when the time for that is over.
//! 3. Commit, if the interval is over.
//! 4. Take records, if there is room; admit them.
//!
//! # At the limit
//! The thread stops taking. Fetched records stay in librdkafka's queue, which is bounded, and nothing is fetched twice
//! (pausing would throw away what is fetched: 3.85 times the traffic in an experiment). A single partition that takes more
//! than its share is detached: its records wait in a queue of their own, and the others flow.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::Offset;

use super::Intake;
use super::start::{self, Known, StartError};
use crate::config::OffsetReset;
use crate::kafka::context::{Context, Member, Told, TopicPartition};
use crate::kafka::errors::{self, Consuming};
use crate::kafka::ffi::{Commits, Message, RecordQueue, destroy_without_leaving};
use crate::offsets::Slot;
use crate::offsets::ledger::Watermark;
use crate::record::Record;
use crate::telemetry::metrics::{Commit, Rebalance};

/// Records taken from librdkafka at once.
const BATCH: usize = 1024;
/// How long a quiet thread waits for a record before it looks after the group.
const IDLE: Duration = Duration::from_millis(50);
/// The same while the group is being rearranged, or a partition waits for room.
const BUSY: Duration = Duration::from_millis(2);
/// How long a thread that may take nothing waits before it looks after the group.
const FULL: Duration = Duration::from_millis(10);
/// How long the group may take to let us go.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long after a commit that failed the next one may follow while something waits for it.
const COMMIT_PAUSE: Duration = Duration::from_millis(100);

/// What a member is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its number in this process.
    pub index: usize,
    /// The client's properties.
    pub properties: ClientConfig,
    /// What to read.
    pub topics: Vec<String>,
    /// Where a new group begins.
    pub reset: OffsetReset,
    /// What was known of the topics at start.
    pub known: HashMap<Arc<str>, Known>,
    /// How often offsets are committed.
    pub commit_interval: Duration,
    /// How long revoked partitions may take to finish.
    pub revoke_timeout: Duration,
}

/// Why a member cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The user has to choose where the group begins.
    Undecided(String),
    /// Not allowed.
    Denied(String),
    /// Another process uses the same `group.instance.id`.
    Fenced(String),
    /// Anything else.
    Failed(String),
}

/// What a member left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Farewell {
    /// Records that were in flight and will be delivered again.
    pub left: usize,
    /// Partitions whose last watermark the broker did not confirm.
    pub uncommitted: usize,
}

/// What the rest of the process sees of a member's thread.
#[derive(Debug, Default)]
pub struct Control {
    stop: AtomicBool,
    /// Gives up at once what is not finished.
    abort: AtomicBool,
    /// Whether the group has told it what it owns (nothing is an answer too).
    joined: AtomicBool,
    beat: crate::sync::Mutex<Option<Instant>>,
}

impl Control {
    /// Stop taking records, finish, commit, leave the group.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Do not wait for what is not finished.
    pub fn abort(&self) {
        self.stop();
        self.abort.store(true, Ordering::Relaxed);
    }

    /// Whether the group has told the member what it owns.
    pub fn has_joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed)
    }

    /// When the thread last began a round.
    pub fn last_beat(&self) -> Option<Instant> {
        *self.beat.lock()
    }
}

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

    /// One event of the group.
    fn serve(&mut self) {
        let consumer = self.consumer.clone();
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

    /// Goes on with what the group asked for, one thing after the other and in its order.
    fn go_on_with_the_group(&mut self) {
        if !self.assigned.is_empty() {
            self.maybe_accept();
            return;
        }
        if self.leaving.is_some() {
            self.maybe_give_up();
        }
        while self.leaving.is_none() && self.assigned.is_empty() {
            match self.told.pop_front() {
                Some(Told::Assigned(partitions)) => self.begin_assign(partitions),
                Some(Told::Revoked(partitions)) => self.begin_revoke(partitions),
                None => break,
            }
        }
    }

    fn begin_assign(&mut self, partitions: Vec<TopicPartition>) {
        self.control.joined.store(true, Ordering::Relaxed);
        self.context.link.answered();
        tracing::info!(consumer = self.settings.index, "assigned {}", describe(&partitions));
        if partitions.is_empty() {
            self.answer_assign(&[]);
            return;
        }
        self.assigned = partitions;
        self.assigned_at = Instant::now();
        self.retry_starts_at = Instant::now();
        self.maybe_accept();
    }

    /// Finds out where to start, then accepts.
    fn maybe_accept(&mut self) {
        if Instant::now() < self.retry_starts_at {
            return;
        }
        // What was revoked while the cluster did not answer is not accepted any more.
        let settings = &self.settings;
        match start::starts(&self.consumer, &self.assigned, &settings.known, settings.reset) {
            Ok(starts) => {
                self.assigned.clear();
                self.accept(&starts);
            }
            Err(StartError::Unanswered(error)) => {
                tracing::debug!("consumer {}: {error}", self.settings.index);
                self.retry_starts_at = Instant::now() + Duration::from_millis(500);
            }
            Err(undecided @ StartError::Undecided(..)) => {
                self.retry_starts_at = Instant::now() + Duration::from_secs(3600);
                self.report(Trouble::Undecided(undecided.to_string()));
            }
        }
    }

    fn accept(&mut self, starts: &[start::Start]) {
        for start in starts {
            let (topic, partition) = start.partition.clone();
            self.queue.attach(&topic, partition);
            let slot =
                self.intake.assign(self.settings.index, topic, partition, start.offset, start.committed);
            let owned = Owned { slot, held: VecDeque::new(), detached: false, leaving: false };
            self.owned.insert(start.partition.clone(), owned);
        }
        self.answer_assign(starts);
        self.context.metrics.rebalanced(Rebalance::Assign, self.assigned_at.elapsed());
        self.next_commit = Instant::now();
    }

    fn answer_assign(&self, starts: &[start::Start]) {
        let mut list = start::list(&[], Offset::Invalid);
        for start in starts {
            list.add_partition_offset(&start.partition.0, start.partition.1, Offset::Offset(start.offset))
                .expect("an offset that the broker gave can be represented");
        }
        let answer = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.consumer.incremental_assign(&list),
            _ => self.consumer.assign(&list),
        };
        if let Err(error) = answer {
            self.report(Trouble::Failed(format!("cannot accept partitions: {error}")));
        }
    }

    fn begin_revoke(&mut self, partitions: Vec<TopicPartition>) {
        let lost = self.consumer.assignment_lost();
        let word = if lost { "lost" } else { "revoked" };
        tracing::info!(consumer = self.settings.index, "{word} {}", describe(&partitions));
        let slots: Vec<Slot> =
            partitions.iter().filter_map(|partition| Some(self.owned.get(partition)?.slot)).collect();
        self.hold_nothing(&partitions);
        self.intake.leave(&slots);
        let now = Instant::now();
        // What is lost belongs to somebody else already: nothing can be committed, so nothing is waited for.
        let until = if lost { now } else { now + self.settings.revoke_timeout };
        self.leaving = Some(Leaving { partitions, slots, until, lost, since: now });
        self.maybe_give_up();
    }

    /// Drops what was read and not admitted of these, and takes no more of them.
    fn hold_nothing(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(owned) = self.owned.get_mut(partition) {
                owned.held.clear();
                owned.leaving = true;
            }
        }
    }

    /// Gives revoked partitions up once their work is done and committed, or when their time is over.
    fn maybe_give_up(&mut self) {
        let Some(leaving) = &self.leaving else { return };
        let now = Instant::now();
        let in_time = now < leaving.until && !self.control.abort.load(Ordering::Relaxed);
        if in_time && self.intake.in_flight_of(&leaving.slots) > 0 {
            return;
        }
        if in_time && self.is_uncommitted(&leaving.slots.clone()) {
            self.commit();
            return;
        }
        let Some(leaving) = self.leaving.take() else { return };
        let left = self.intake.revoke(&leaving.slots);
        if left > 0 {
            tracing::warn!(
                consumer = self.settings.index,
                "{left} records were still in flight when their partitions had to be given up; they will be delivered again"
            );
        }
        for partition in &leaving.partitions {
            self.owned.remove(partition);
            self.queue.forget(&partition.0, partition.1);
        }
        let answer = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => {
                self.consumer.incremental_unassign(&start::list(&leaving.partitions, Offset::Invalid))
            }
            _ => self.consumer.unassign(),
        };
        if let Err(error) = answer {
            self.report(Trouble::Failed(format!("cannot give partitions up: {error}")));
        }
        let kind = if leaving.lost { Rebalance::Lost } else { Rebalance::Revoke };
        self.context.metrics.rebalanced(kind, leaving.since.elapsed());
    }

    fn is_uncommitted(&self, slots: &[Slot]) -> bool {
        self.intake.uncommitted(self.settings.index).iter().any(|watermark| slots.contains(&watermark.slot))
    }

    fn commit_if_due(&mut self) {
        if Instant::now() >= self.next_commit {
            self.next_commit = Instant::now() + self.settings.commit_interval;
            self.commit();
        }
    }

    /// Sends the watermarks that the broker does not have; one commit at a time.
    fn commit(&mut self) {
        if self.committing.is_some() || Instant::now() < self.commit_not_before {
            return;
        }
        let watermarks = self.intake.uncommitted(self.settings.index);
        if watermarks.is_empty() {
            return;
        }
        let mut list = start::list(&[], Offset::Invalid);
        for watermark in &watermarks {
            list.add_partition_offset(
                &watermark.topic,
                watermark.partition,
                Offset::Offset(watermark.offset),
            )
            .expect("an offset that the broker gave can be represented");
        }
        match self.commits.send(&list) {
            Ok(()) => self.committing = Some((watermarks, Instant::now())),
            Err(error) => tracing::debug!("consumer {}: commit: {error}", self.settings.index),
        }
    }

    fn commit_answered(&mut self, result: Result<(), Code>) {
        let Some((watermarks, since)) = self.committing.take() else { return };
        match result {
            Ok(()) => {
                self.context.metrics.committed(Commit::Ok, since.elapsed());
                self.context.link.answered();
                self.intake.committed(&watermarks);
            }
            Err(code) => {
                // Sent again with the next commit: the watermarks are still uncommitted. A rebalance in between makes
                // this normal; the partitions that went away are not in the next one.
                self.context.metrics.committed(Commit::Failed, since.elapsed());
                self.commit_not_before = Instant::now() + COMMIT_PAUSE;
                if let Some(leaving) = self.leaving.as_mut().filter(|_| errors::is_out_of_the_group(code)) {
                    leaving.until = Instant::now();
                }
                tracing::debug!("consumer {}: commit failed: {code}; trying again", self.settings.index);
            }
        }
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
        let Self { queue, commits, consumer, context, .. } = self;
        drop((queue, commits));
        let Some(consumer) = Arc::into_inner(consumer) else { return };
        if !context.link.is_down() && !aborted {
            consumer.context().close();
            let until = Instant::now() + GOODBYE;
            match consumer.close_queue() {
                Ok(()) => {
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

/// A batch as it was taken: runs of records of one partition, and errors.
#[derive(Default)]
struct Intook {
    runs: Vec<(TopicPartition, Vec<Record>)>,
    errors: Vec<(Code, String)>,
    last: Option<(usize, i32)>,
}

impl Intook {
    /// Errors first: an error's offset is not a record's.
    fn see(&mut self, message: &Message<'_>, names: &mut HashMap<usize, Arc<str>>) {
        if let Some(error) = message.error() {
            self.errors.push(error);
            return;
        }
        let place = (message.topic_id(), message.partition());
        if self.last != Some(place) {
            let name = message.topic().unwrap_or_default();
            // A handle may be used again for another topic once the first is gone: the name decides.
            let topic = match names.get(&place.0).filter(|known| ***known == *name) {
                Some(known) => known.clone(),
                None => {
                    let topic: Arc<str> = Arc::from(name);
                    names.insert(place.0, topic.clone());
                    topic
                }
            };
            self.runs.push(((topic, place.1), Vec::new()));
            self.last = Some(place);
        }
        if let Some(((topic, partition), records)) = self.runs.last_mut() {
            records.push(Record::new(topic.clone(), *partition, message.offset(), message.parts()));
        }
    }
}

fn describe(partitions: &[TopicPartition]) -> String {
    let names: Vec<String> =
        partitions.iter().take(12).map(|(topic, number)| format!("{topic}/{number}")).collect();
    match partitions.len() {
        0 => "no partition".to_owned(),
        count if count > names.len() => format!("{count} partitions: {} …", names.join(" ")),
        count => format!("{count} partitions: {}", names.join(" ")),
    }
}
