//! The pipeline between a consumer and a sink of a few lines, all of them threads of the model.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};

use crate::checkpoint::{Beginning, Budget, OffsetMap, Slot};
use crate::engine::{Job, Pipeline, Policy};
use crate::ops::metrics::{About, Metrics};
use crate::policy::{AfterFailure, Delivery, OnFailure, Order, Retry};
use crate::record::{Headers, Parts, Record};
use crate::sink::dead_letter::Sender;
use crate::sink::{Outbox, Parcel, Refusal, Target};
use crate::source::Intake;
use crate::sync::model::{self, Board, Clock, JoinHandle, pass, spawn};
use crate::transform::{Context, Outcome, Transform};

/// Longer than anything here takes in model time, unless it hangs or waits for something that nobody told it.
const HOUR: Duration = Duration::from_secs(3600);

/// Making them takes longer than an execution.
pub(super) static METRICS: LazyLock<Arc<Metrics>> =
    LazyLock::new(|| Arc::new(Metrics::new(About::default())));

/// What the sink does with a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Deliver,
    Refuse,
    PutBack,
    PutOff,
}

/// A record, by its partition and offset.
pub(super) type Place = (i32, i64);

/// What has happened, in its order.
#[derive(Default)]
pub(super) struct Log {
    /// Handed to the broker: where to, its key, and which record it was made of.
    pub written: Vec<(Target, String, Place)>,
    /// What the broker has answered for, or a transform has filtered.
    pub finished: BTreeSet<Place>,
    /// Keys of partitions that a transform is at, and whether two ever were at one.
    at_work: BTreeSet<(i32, String)>,
    two_at_one_key: bool,
    /// Written, and not answered.
    wire: Vec<Arc<Job>>,
    no_more: bool,
}

pub(super) struct Rig {
    pub pipeline: Arc<Pipeline>,
    pub log: Arc<Board<Log>>,
    pub stop: Receiver<String>,
    producers_wanted: usize,
    workers: Vec<JoinHandle<()>>,
    producers: Vec<JoinHandle<()>>,
    answers: Option<JoinHandle<()>>,
}

/// A transform that notes what it is at.
struct Noting<F> {
    log: Arc<Board<Log>>,
    apply: F,
    quick: bool,
}

impl<F: Fn(&Record, &Context) -> Outcome + Send + Sync> Transform for Noting<F> {
    fn apply(&self, record: &Record, context: &Context) -> Outcome {
        let key = (record.partition(), text(record.key()));
        self.log.change(|log| log.two_at_one_key |= !log.at_work.insert(key.clone()) && !key.1.is_empty());
        pass();
        let outcome = (self.apply)(record, context);
        let place = (record.partition(), record.offset());
        self.log.change(|log| {
            log.at_work.remove(&key);
            // Before the pipeline knows, so that a commit cannot be seen too early.
            log.finished.extend(matches!(outcome, Outcome::Filter).then_some(place));
        });
        outcome
    }

    fn is_quick(&self) -> bool {
        self.quick
    }
}

pub(super) fn policy() -> Policy {
    let (backoff, backoff_max) = (Duration::from_millis(2), Duration::from_millis(8));
    Policy {
        order: Order::Key,
        delivery: Delivery::AtLeastOnce,
        retry: Retry { attempts: 3, backoff, backoff_max },
        on_failure: OnFailure::DeadLetter,
        budget: Budget { records: 100, bytes: 1 << 20 },
        workers: 2,
        tasks_pick_up: Some(2),
        producers: 2,
        sender: Sender { group: "group".into(), transform: "test".into(), instance: "host-1".into() },
        source_header: false,
        after_failure: AfterFailure::Continue,
        largest_record: 1_000_000,
    }
}

impl Rig {
    /// With a sink that answers each parcel as it is told.
    pub(super) fn new(
        policy: Policy,
        apply: impl Fn(&Record, &Context) -> Outcome + Send + Sync + 'static,
        answer: impl Fn(&Job) -> Answer + Clone + Send + 'static,
    ) -> Self {
        Self::of(policy, apply, answer, false)
    }

    /// As [`Rig::new`], in one execution with the reader running what it may, in another without.
    pub(super) fn quick_or_not(
        policy: Policy,
        apply: impl Fn(&Record, &Context) -> Outcome + Send + Sync + 'static,
        answer: impl Fn(&Job) -> Answer + Clone + Send + 'static,
    ) -> Self {
        Self::of(policy, apply, answer, model::random(2) == 0)
    }

    fn of(
        policy: Policy,
        apply: impl Fn(&Record, &Context) -> Outcome + Send + Sync + 'static,
        answer: impl Fn(&Job) -> Answer + Clone + Send + 'static,
        quick: bool,
    ) -> Self {
        let mut rig = Self::idle(policy, apply, quick);
        let (pipeline, log) = (rig.pipeline.clone(), rig.log.clone());
        let producer = |shard| {
            let (pipeline, log, answer) = (pipeline.clone(), log.clone(), answer.clone());
            spawn(move || produce(&pipeline, &log, shard, answer))
        };
        let producers: Vec<_> = (0..rig.producers_wanted).map(producer).collect();
        rig.sink_runs(producers, spawn(move || deliver(&pipeline, &log)));
        rig
    }

    /// Nobody takes what is ready, until [`Rig::sink_runs`].
    pub(super) fn without_sink(
        policy: Policy,
        apply: impl Fn(&Record, &Context) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        Self::idle(policy, apply, false)
    }

    fn idle(
        policy: Policy,
        apply: impl Fn(&Record, &Context) -> Outcome + Send + Sync + 'static,
        quick: bool,
    ) -> Self {
        let (workers, producers_wanted) = (policy.workers, policy.shards());
        let log = Arc::new(Board::<Log>::default());
        let transform = Arc::new(Noting { log: log.clone(), apply, quick });
        let (sender, stop) = unbounded();
        let pipeline = Arc::new(Pipeline::new(policy, transform, Arc::new(Clock), METRICS.clone(), sender));
        let worker = |_| {
            let pipeline = pipeline.clone();
            spawn(move || pipeline.work())
        };
        let workers = (0..workers).map(worker).collect();
        Self { pipeline, log, stop, producers_wanted, workers, producers: Vec::new(), answers: None }
    }

    /// Threads that end when the ready list is closed, and one that takes answers.
    pub(super) fn sink_runs(&mut self, producers: Vec<JoinHandle<()>>, answers: JoinHandle<()>) {
        (self.producers, self.answers) = (producers, Some(answers));
    }

    pub(super) fn assign(&self, partition: i32, start: i64) -> Slot {
        self.assign_behind(partition, start, OffsetMap::default())
    }

    /// What of `finished` comes is skipped.
    pub(super) fn assign_behind(&self, partition: i32, start: i64, finished: OffsetMap) -> Slot {
        let beginning = Beginning { start, finished, ..Beginning::default() };
        self.pipeline.assign(0, "in".into(), partition, beginning)
    }

    /// What would be committed now.
    pub(super) fn position(&self, slot: Slot) -> (i64, OffsetMap) {
        self.pipeline.with_ledger(|ledger| {
            let tracker = ledger.get(slot).expect("assigned").tracker();
            (tracker.watermark(), tracker.finished())
        })
    }

    /// Offers records of these keys from `next` on, and says how many were admitted.
    pub(super) fn offer(&self, slot: Slot, partition: i32, next: i64, keys: &[&str]) -> usize {
        let mut records =
            keys.iter().zip(next..).map(|(key, offset)| record(partition, offset, key)).collect();
        self.pipeline.admit(slot, &mut records)
    }

    pub(super) fn watermark(&self, slot: Slot) -> i64 {
        self.pipeline.with_ledger(|ledger| ledger.get(slot).expect("assigned").tracker().watermark())
    }

    pub(super) fn in_flight(&self) -> usize {
        self.pipeline.with_ledger(|ledger| ledger.in_flight().records)
    }

    /// Waits for a state that the pipeline comes to by itself.
    pub(super) fn until(&self, what: &str, reached: impl Fn() -> bool) {
        let end = model::now() + HOUR;
        let mut pause = Duration::from_millis(1);
        while !reached() {
            self.check();
            assert!(model::now() < end, "never: {what}");
            model::sleep(pause);
            pause *= 2;
        }
        self.check();
    }

    /// What may be committed is finished.
    pub(super) fn check(&self) {
        for watermark in self.pipeline.uncommitted(0) {
            let ranges = watermark.note.finished.ranges().iter().cloned();
            let mut said = (0..watermark.offset).chain(ranges.flatten());
            let finished = |offset: &i64| {
                let place = (watermark.partition, *offset);
                self.log.look(|log| log.finished.contains(&place))
            };
            let open = said.find(|offset| !finished(offset));
            assert_eq!(open, None, "said to be finished, and open: watermark {}", watermark.offset);
        }
    }

    /// Ends all threads, and sees that nothing is left and nothing is charged for.
    pub(super) fn end(self) -> Log {
        let (pipeline, log) = (self.pipeline.clone(), self.log.clone());
        self.end_in_the_middle();
        let in_flight = pipeline.with_ledger(|ledger| ledger.in_flight());
        assert_eq!(in_flight, Budget { records: 0, bytes: 0 }, "nothing is in flight any more");
        let balances: Vec<i64> =
            pipeline.with_ledger(|ledger| ledger.iter().map(|(_, one)| one.balance()).collect());
        assert!(balances.iter().all(|balance| *balance == 0), "what came in has come out: {balances:?}");
        log.change(std::mem::take)
    }

    /// Ends all threads, whatever is left.
    pub(super) fn end_in_the_middle(self) {
        self.pipeline.close();
        self.workers.into_iter().for_each(JoinHandle::join);
        self.pipeline.close_ready();
        self.producers.into_iter().for_each(JoinHandle::join);
        self.log.change(|log| log.no_more = true);
        self.answers.into_iter().for_each(JoinHandle::join);
    }
}

impl Log {
    /// Which records of each key went to `target`, in that order; each only where it stands first.
    pub(super) fn firsts(&self, target: Target) -> BTreeMap<&str, Vec<Place>> {
        let mut by_key: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
        for (_, key, place) in self.written.iter().filter(|(to, ..)| *to == target) {
            let places = by_key.entry(key).or_default();
            if !places.contains(place) {
                places.push(*place);
            }
        }
        by_key
    }

    /// No key's records are out of order.
    pub(super) fn assert_in_order(&self, target: Target) {
        for (key, places) in self.firsts(target) {
            assert!(places.is_sorted(), "key {key} came as {places:?}");
        }
    }

    /// No key was at two workers. Only where no assignment was lost: the new one does not wait for what the old one runs.
    pub(super) fn assert_one_at_a_time(&self) {
        assert!(!self.two_at_one_key, "two workers at one key");
    }

    /// How often each record was written, to whichever topic.
    pub(super) fn times(&self) -> BTreeMap<Place, usize> {
        let mut times = BTreeMap::new();
        self.written.iter().for_each(|(.., place)| *times.entry(*place).or_default() += 1);
        times
    }
}

fn produce(pipeline: &Pipeline, log: &Board<Log>, shard: usize, answer: impl Fn(&Job) -> Answer) {
    let mut parcels = Vec::new();
    while pipeline.take(shard, 2, &mut parcels) {
        let mut back = Vec::new();
        for parcel in parcels.drain(..).map(|parcel| Arc::into_inner(parcel).expect("a sole holder")) {
            // As the sink does: once one is to be written again, so are all behind it.
            match if back.is_empty() { answer(&parcel) } else { Answer::PutBack } {
                Answer::Deliver => log.change(|log| log.write(parcel)),
                Answer::Refuse => {
                    let refusal = Refusal { code: "too_large", message: "larger than allowed".into() };
                    pipeline.refused(parcel, &refusal);
                }
                Answer::PutBack => back.push(Arc::new(parcel)),
                Answer::PutOff => pipeline.put_off(parcel),
            }
        }
        // In any order: the pipeline knows the right one.
        back.reverse();
        pipeline.put_back(back);
    }
}

impl Log {
    fn write(&mut self, parcel: Job) {
        let place = (parcel.record().partition(), parcel.record().offset());
        let leg = parcel.leg(0);
        self.written.push((leg.target, text(leg.key), place));
        self.wire.push(Arc::new(parcel));
    }
}

/// The broker's answers: later than the writing, several at once.
fn deliver(pipeline: &Pipeline, log: &Board<Log>) {
    loop {
        log.wait(|log| !log.wire.is_empty() || log.no_more);
        let mut parcels = log.change(|log| {
            let places = log.wire.iter().map(|job| (job.record().partition(), job.record().offset()));
            log.finished.extend(places.collect::<Vec<_>>());
            std::mem::take(&mut log.wire)
        });
        if parcels.is_empty() {
            return;
        }
        pipeline.delivered(&mut parcels);
    }
}

fn record(partition: i32, offset: i64, key: &str) -> Record {
    let value = offset.to_string();
    let key = (!key.is_empty()).then_some(key.as_bytes());
    let parts = Parts { key, value: Some(value.as_bytes()), timestamp: None, headers: Headers::new() };
    Record::new("in".into(), partition, offset, parts)
}

pub(super) fn text(key: Option<&[u8]>) -> String {
    String::from_utf8_lossy(key.unwrap_or_default()).into_owned()
}

/// What is left to offer: a consumer's queue.
pub(super) fn rest<'a>(keys: &[&'a str]) -> VecDeque<&'a str> {
    keys.iter().copied().collect()
}
