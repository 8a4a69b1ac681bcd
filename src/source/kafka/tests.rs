//! A member on a client that does as it is told: no Kafka, no thread, and time that the test makes pass.

mod reading;
mod recreated;
mod unreadable;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};

use super::recreated::Watch;
use super::{Control, Deps, KafkaSource, Settings, Trouble};
use crate::checkpoint::ledger::Watermark;
use crate::checkpoint::{Beginning, OffsetMap, Slot};
use crate::clock::{Clock as _, ManualClock};
use crate::kafka::context::Context;
use crate::kafka::membership::Membership;
use crate::ops::metrics::{About, Metrics};
use crate::policy::OffsetReset;
use crate::record::TopicPartition;
use crate::record::{Parts, Record};
use crate::source::Intake;
use crate::source::client::{Batch, Client, Committed, Ends, Event, Misread, RebalanceEvent};
use crate::sync::Mutex;

/// What the member did, in order, and what the client is to say.
#[derive(Default)]
struct Script {
    done: Vec<String>,
    events: Vec<Event>,
    records: Vec<(TopicPartition, Vec<Record>)>,
    misread: Vec<Misread>,
    committed: HashMap<TopicPartition, Committed>,
    silent: bool,
    /// Why commits cannot be sent, if so.
    unsendable: Option<Code>,
    /// Whether commits are answered, all well.
    answers: bool,
    lost: bool,
    /// Which generation the client is in, if it is a member.
    generation: Option<i32>,
    /// Whether partitions cannot be parked.
    stubborn: bool,
    /// How many records are said to be there.
    queued: usize,
    /// How often it was asked which topics the names mean.
    questions: usize,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Script>>);

impl Fake {
    fn note(&self, what: String) {
        self.0.lock().done.push(what);
    }

    fn done(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().done)
    }

    fn tell(&self, event: Event) {
        self.0.lock().events.push(event);
    }
}

impl Client for Fake {
    fn subscribe(&mut self, topics: &[String]) -> KafkaResult<()> {
        self.note(format!("subscribe {topics:?}"));
        Ok(())
    }

    fn serve(&mut self, _: Duration) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().events)
    }

    fn committed(&mut self, _: &[TopicPartition]) -> KafkaResult<HashMap<TopicPartition, Committed>> {
        let script = self.0.lock();
        if script.silent {
            return Err(KafkaError::MetadataFetch(Code::OperationTimedOut));
        }
        Ok(script.committed.clone())
    }

    fn bounds(&mut self, _: &TopicPartition) -> KafkaResult<(i64, i64)> {
        Ok((3, 9))
    }

    fn ask_topic_ids(&mut self, _: &[String]) {
        self.0.lock().questions += 1;
    }

    fn commit(&mut self, offsets: &[(TopicPartition, Committed)]) -> Result<(), Code> {
        if let Some(code) = self.0.lock().unsendable {
            return Err(code);
        }
        for ((_, number), committed) in offsets {
            self.note(format!("commit {number}@{}", committed.offset));
        }
        if self.0.lock().answers {
            self.tell(Event::Committed(Ok(())));
        }
        Ok(())
    }

    fn take(&mut self, _: Duration) -> Batch {
        let mut script = self.0.lock();
        let (runs, errors) = (std::mem::take(&mut script.records), std::mem::take(&mut script.misread));
        Batch { runs, errors }
    }

    fn queued(&self) -> usize {
        self.0.lock().queued
    }

    fn attach(&mut self, partition: &TopicPartition) {
        self.note(format!("attach {}", partition.1));
    }

    fn detach(&mut self, partition: &TopicPartition) {
        self.note(format!("detach {}", partition.1));
    }

    fn park(&mut self, partition: &TopicPartition, offset: i64) -> bool {
        self.note(format!("park {}@{offset}", partition.1));
        !self.0.lock().stubborn
    }

    fn restart_paused(&mut self, partition: &TopicPartition, offset: i64) {
        self.note(format!("restart {}@{offset}", partition.1));
    }

    fn unpark(&mut self, partition: &TopicPartition) {
        self.note(format!("unpark {}", partition.1));
    }

    fn restart(&mut self, partition: &TopicPartition, places: &[(TopicPartition, i64)]) -> KafkaResult<()> {
        let places: Vec<_> = places.iter().map(|((_, number), at)| format!("{number}@{at}")).collect();
        self.note(format!("restart {} of {}", partition.1, places.join(" ")));
        Ok(())
    }

    fn forget(&mut self, partition: &TopicPartition) {
        self.note(format!("forget {}", partition.1));
    }

    fn ask_ends(&mut self, _: &[TopicPartition]) {}

    fn ends(&mut self) -> Option<Ends> {
        None
    }

    fn accept(&mut self, starts: &[(TopicPartition, i64)]) -> KafkaResult<()> {
        let starts: Vec<String> = starts.iter().map(|((_, number), at)| format!("{number}@{at}")).collect();
        self.note(format!("accept {}", starts.join(" ")));
        Ok(())
    }

    fn give_up(&mut self, partitions: &[TopicPartition]) -> KafkaResult<()> {
        let numbers: Vec<String> = partitions.iter().map(|(_, number)| number.to_string()).collect();
        self.note(format!("give up {}", numbers.join(" ")));
        Ok(())
    }

    fn membership(&mut self) -> Option<Membership> {
        let generation = self.0.lock().generation?;
        Some(Membership {
            group: "group".to_owned(),
            generation,
            member: "member".to_owned(),
            instance: None,
        })
    }

    fn is_lost(&mut self) -> bool {
        self.0.lock().lost
    }

    fn leave(self, unanswered: bool, _: Duration) {
        self.note(format!("leave, unanswered: {unanswered}"));
    }

    fn abandon(self) {
        self.note("abandon".to_owned());
    }
}

/// Takes up to `room` records of a partition, and finishes them when the test says so.
#[derive(Default)]
struct Desk {
    room: Mutex<usize>,
    /// Partitions below this one have none of it.
    blocked: Mutex<u32>,
    in_flight: Mutex<usize>,
    /// Of partition 0: the only one that ever has something to commit.
    uncommitted: Mutex<Option<i64>>,
    admitted: Mutex<Vec<i64>>,
    /// Finished, and not dropped.
    spent: Mutex<usize>,
    /// Why partitions stand.
    stands: Mutex<Vec<String>>,
    /// Where it was begun, assignment by assignment, and what is said of the topic.
    begun: Mutex<Vec<Beginning>>,
    retired: Mutex<Vec<Slot>>,
}

impl Desk {
    fn finish(&self, watermark: i64) {
        *self.spent.lock() += std::mem::take(&mut *self.in_flight.lock());
        *self.uncommitted.lock() = Some(watermark);
    }
}

impl Intake for Desk {
    fn assign(&self, _: usize, _: Arc<str>, partition: i32, beginning: Beginning) -> Slot {
        let mut begun = self.begun.lock();
        begun.push(beginning);
        Slot { index: partition as u32, epoch: begun.len() as u32 - 1 }
    }

    fn admit(&self, slot: Slot, records: &mut VecDeque<Record>) -> usize {
        if slot.index < *self.blocked.lock() {
            return 0;
        }
        let mut in_flight = self.in_flight.lock();
        let count = records.len().min(self.room.lock().saturating_sub(*in_flight));
        *in_flight += count;
        self.admitted.lock().extend(records.drain(..count).map(|record| record.offset()));
        count
    }

    fn note_end(&self, _: Slot, _: i64, _: Instant) {}

    fn unfinished_of(&self, slots: &[Slot]) -> u64 {
        self.in_flight_of(slots) as u64
    }

    fn stand(&self, _: Slot, why: String, _: Duration) {
        self.stands.lock().push(why);
    }

    fn has_room(&self, _: Slot) -> bool {
        2 * *self.in_flight.lock() <= *self.room.lock()
    }

    fn is_full(&self) -> bool {
        false
    }

    fn drop_finished(&self) {
        *self.spent.lock() = 0;
    }

    fn wait_for_room(&self, _: &[(Slot, usize)], _: Duration) {}

    fn leave(&self, _: &[Slot]) {}

    fn retire(&self, slot: Slot) {
        self.retired.lock().push(slot);
    }

    fn in_flight_of(&self, _: &[Slot]) -> usize {
        *self.in_flight.lock()
    }

    fn revoke(&self, _: &[Slot]) -> usize {
        std::mem::take(&mut *self.in_flight.lock())
    }

    fn uncommitted(&self, _: usize) -> Vec<Watermark> {
        let slot = Slot { index: 0, epoch: 0 };
        let offset = *self.uncommitted.lock();
        let finished = OffsetMap::default();
        let watermark = |offset| Watermark {
            slot,
            topic: "in".into(),
            partition: 0,
            offset,
            note: finished.into(),
            changes: 0,
        };
        offset.map(watermark).into_iter().collect()
    }

    fn is_committed(&self, _: &[Slot]) -> bool {
        self.uncommitted.lock().is_none()
    }

    fn committed(&self, watermarks: &[Watermark]) {
        let mut uncommitted = self.uncommitted.lock();
        if *uncommitted == watermarks.first().map(|watermark| watermark.offset) {
            *uncommitted = None;
        }
    }
}

struct Bench {
    source: KafkaSource<Desk, Fake>,
    client: Fake,
    desk: Arc<Desk>,
    clock: Arc<ManualClock>,
    control: Arc<Control>,
    trouble: Receiver<Trouble>,
}

impl Bench {
    fn new(room: usize) -> Self {
        let (client, clock) = (Fake::default(), Arc::new(ManualClock::new()));
        let desk = Arc::new(Desk { room: Mutex::new(room), ..Desk::default() });
        let control = Arc::<Control>::default();
        let (sender, trouble) = unbounded();
        let metrics = Arc::new(Metrics::new(About::default()));
        let neighbours = Deps {
            intake: desk.clone(),
            context: Context::new(Arc::default(), metrics),
            control: control.clone(),
            trouble: sender,
            clock: clock.clone(),
        };
        let settings = Settings {
            index: 0,
            group: "group".to_owned(),
            servers: "kafka:9092".to_owned(),
            topics: vec!["in".to_owned()],
            reset: OffsetReset::Earliest,
            known: HashMap::new(),
            commit_interval: Some(Duration::from_secs(5)),
            revoke_timeout: Duration::from_secs(60),
        };
        let source = KafkaSource::new(settings, client.clone(), neighbours);
        Self { source, client, desk, clock, control, trouble }
    }

    /// One that owns partition 0, and has just committed.
    fn at_work(room: usize) -> Self {
        let mut bench = Self::new(room);
        bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Assigned(vec![partition(0)])));
        bench.source.round();
        bench.client.done();
        bench
    }

    fn feed(&mut self, offsets: std::ops::Range<i64>) {
        self.fetch(0, offsets);
        self.source.round();
    }

    /// Records of a partition are there to be taken.
    fn fetch(&mut self, number: i32, offsets: std::ops::Range<i64>) {
        let record = |offset| Record::new("in".into(), number, offset, Parts::default());
        self.client.0.lock().records.push((partition(number), offsets.map(record).collect()));
    }

    /// Makes time pass and returns what the member does then.
    fn after(&mut self, ms: u64) -> Vec<String> {
        self.clock.pass(ms);
        self.source.round();
        self.client.done()
    }
}

fn partition(number: i32) -> TopicPartition {
    ("in".into(), number)
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_partition_is_attached_before_it_is_accepted_and_begins_where_the_group_stands() {
    let mut bench = Bench::new(10);
    let committed = Committed { offset: 7, metadata: "anything".to_owned() };
    bench.client.0.lock().committed.insert(partition(1), committed);
    bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Assigned(vec![partition(0), partition(1)])));
    assert_eq!(bench.after(0), ["attach 0", "attach 1", "accept 0@3 1@7"]);
    bench.feed(3..6);
    assert_eq!(*bench.desk.admitted.lock(), [3, 4, 5]);
}

#[test]
fn a_cluster_that_does_not_say_where_to_start_is_asked_again_half_a_second_later() {
    let mut bench = Bench::new(10);
    bench.client.0.lock().silent = true;
    bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Assigned(vec![partition(0)])));
    assert_eq!(bench.after(0), NOTHING);
    bench.client.0.lock().silent = false;
    assert_eq!(bench.after(499), NOTHING);
    assert_eq!(bench.after(1), ["attach 0", "accept 0@3"]);
}

/// And not when it commits: the client may be in the next generation then, where what is in flight is somebody else's.
#[test]
fn as_whom_a_member_commits_is_noted_before_the_group_is_answered() {
    let mut bench = Bench::new(10);
    bench.source.settings.commit_interval = None;
    let after = |bench: &mut Bench, generation, told: Option<RebalanceEvent>| {
        bench.client.0.lock().generation = generation;
        told.into_iter().for_each(|told| bench.client.tell(Event::RebalanceEvent(told)));
        bench.source.round();
        bench.control.standing().get().map(|standing| standing.generation)
    };
    assert_eq!(after(&mut bench, Some(1), None), None, "nothing is told yet");
    assert_eq!(
        after(&mut bench, Some(1), Some(RebalanceEvent::Assigned(vec![partition(0), partition(1)]))),
        Some(1)
    );
    assert_eq!(after(&mut bench, Some(2), None), Some(1), "the thread has not heard of it");
    // It is taken away in this generation, and given to nobody before the answer.
    assert_eq!(after(&mut bench, Some(2), Some(RebalanceEvent::Revoked(vec![partition(0)]))), Some(2));
    assert_eq!(after(&mut bench, Some(3), Some(RebalanceEvent::Assigned(vec![]))), Some(3));
    // Thrown out, and a member again before the thread has heard of it.
    bench.client.0.lock().lost = true;
    assert_eq!(after(&mut bench, Some(5), Some(RebalanceEvent::Revoked(vec![partition(1)]))), None);
}

#[test]
fn a_revoked_partition_is_given_up_once_its_work_is_done_and_the_broker_has_its_watermark() {
    let mut bench = Bench::at_work(10);
    bench.feed(3..5);
    bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Revoked(vec![partition(0)])));
    assert_eq!(bench.after(59_000), NOTHING, "two records are in flight");
    bench.desk.finish(5);
    assert_eq!(bench.after(0), ["commit 0@5"]);
    bench.client.tell(Event::Committed(Err(Code::RequestTimedOut)));
    assert_eq!(bench.after(0), NOTHING, "a commit that failed is not sent again at once");
    assert_eq!(bench.after(100), ["commit 0@5"]);
    bench.client.tell(Event::Committed(Ok(())));
    assert_eq!(bench.after(0), ["forget 0", "give up 0"]);
}

#[test]
fn a_revoked_partition_is_given_up_when_its_time_is_over_and_a_lost_one_at_once() {
    let mut bench = Bench::at_work(10);
    bench.feed(3..5);
    bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Revoked(vec![partition(0)])));
    bench.source.round();
    assert_eq!(bench.after(59_999), NOTHING);
    assert_eq!(bench.after(1), ["forget 0", "give up 0"]);

    let mut bench = Bench::at_work(10);
    bench.feed(3..5);
    bench.client.0.lock().lost = true;
    bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Revoked(vec![partition(0)])));
    assert_eq!(bench.after(0), ["forget 0", "give up 0"]);
}

#[test]
fn a_member_that_is_stopped_commits_and_leaves_and_one_that_is_aborted_leaves_at_once() {
    for (abort, done, uncommitted) in [
        (false, vec!["commit 0@5", "leave, unanswered: false"], 0),
        (true, vec!["leave, unanswered: false"], 1),
    ] {
        let bench = Bench::at_work(10);
        bench.client.0.lock().answers = true;
        bench.desk.finish(5);
        if abort {
            bench.control.abort();
        } else {
            bench.control.stop();
        }
        let farewell = bench.source.run();
        assert_eq!(farewell.uncommitted, uncommitted);
        assert_eq!(bench.client.done()[1..], done);
        assert!(bench.trouble.is_empty());
    }
}

/// The broker's, and the client's own.
const COMMIT_ERRORS: [Code; 22] = [
    Code::Unknown,
    Code::UnknownTopicOrPartition,
    Code::RequestTimedOut,
    Code::OffsetMetadataTooLarge,
    Code::CoordinatorLoadInProgress,
    Code::CoordinatorNotAvailable,
    Code::NotCoordinator,
    Code::IllegalGeneration,
    Code::InvalidGroupId,
    Code::UnknownMemberId,
    Code::RebalanceInProgress,
    Code::InvalidCommitOffsetSize,
    Code::TopicAuthorizationFailed,
    Code::GroupAuthorizationFailed,
    Code::FencedInstanceId,
    Code::UnstableOffsetCommit,
    Code::NoOffset,
    Code::AssignmentLost,
    Code::BrokerTransportFailure,
    Code::OperationTimedOut,
    Code::AllBrokersDown,
    Code::Fatal,
];

#[test]
fn no_commit_error_ends_the_member_and_each_is_followed_by_another_commit() {
    let mut bench = Bench::at_work(10);
    bench.desk.finish(5);
    bench.after(5_000);
    for code in COMMIT_ERRORS {
        bench.client.tell(Event::Committed(Err(code)));
        assert_eq!(bench.after(0), NOTHING, "{code:?}: not at once");
        assert_eq!(bench.after(5_000), ["commit 0@5"], "{code:?}: again");
    }
    assert!(bench.trouble.is_empty());
}

#[test]
fn a_commit_that_cannot_be_sent_is_sent_later() {
    let mut bench = Bench::at_work(10);
    bench.desk.finish(5);
    bench.client.0.lock().unsendable = Some(Code::OperationTimedOut);
    assert_eq!(bench.after(5_000), NOTHING);
    bench.client.0.lock().unsendable = None;
    assert_eq!(bench.after(5_000), ["commit 0@5"]);
    assert!(bench.trouble.is_empty());
}

/// The group counts it as a member no more: nothing can be committed, so nothing is waited for.
#[test]
fn a_revoke_ends_when_the_commit_says_that_the_member_is_out_of_the_group() {
    for code in [Code::UnknownMemberId, Code::IllegalGeneration, Code::FencedInstanceId] {
        let mut bench = Bench::at_work(10);
        bench.feed(3..5);
        bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Revoked(vec![partition(0)])));
        bench.desk.finish(5);
        assert_eq!(bench.after(0), ["commit 0@5"]);
        bench.client.tell(Event::Committed(Err(code)));
        assert_eq!(bench.after(0), ["forget 0", "give up 0"], "{code:?}");
    }
}

#[test]
fn what_is_finished_is_dropped_also_while_nothing_is_read() {
    let mut bench = Bench::at_work(2);
    bench.feed(0..2);
    bench.desk.finish(2);
    *bench.desk.room.lock() = 0;
    bench.after(0);
    assert_eq!(*bench.desk.spent.lock(), 0);
}
