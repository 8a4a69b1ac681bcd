//! The pipeline between a source and a sink in memory: the real worker threads, and one thread a producer that answers as
//! it is told to.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;
use processor::checkpoint::{Beginning, Budget, OffsetMap, Slot};
use processor::clock::{Clock, SystemClock};
use processor::engine::{Job, Pipeline, Policy};
use processor::ops::Metrics;
use processor::ops::metrics::About;
use processor::policy::{AfterFailure, Delivery, OnFailure, Order, Retry};
use processor::record::{Headers, Parts, Record};
use processor::sink::dead_letter::Sender as LetterSender;
use processor::sink::{Outbox, Parcel, Refusal, Target};
use processor::source::Intake;
use processor::transform::{AsyncTransform, Context, Handler, Outcome, Transform};

/// Nothing here takes that long, unless it hangs.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for a state that other threads bring about.
pub(super) fn eventually(what: &str, reached: impl Fn() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !reached() {
        assert!(Instant::now() < until, "never: {what}");
        thread::park_timeout(Duration::from_micros(200));
    }
}

/// A transform made of a function.
pub(super) struct With<F>(pub F);

impl<F: Fn(&Record, &Context) -> Outcome + Send + Sync> Transform for With<F> {
    fn apply(&self, record: &Record, context: &Context) -> Outcome {
        (self.0)(record, context)
    }
}

/// One that says it is quick.
pub(super) struct Quick<F>(pub F);

impl<F: Fn(&Record, &Context) -> Outcome + Send + Sync> Transform for Quick<F> {
    fn apply(&self, record: &Record, context: &Context) -> Outcome {
        (self.0)(record, context)
    }

    fn is_quick(&self) -> bool {
        true
    }
}

/// What the sink does with a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Deliver,
    Refuse,
    PutBack,
    PutOff,
}

/// A leg that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub target: Target,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
    /// Of the record it was made from.
    pub partition: i32,
    pub offset: i64,
}

type Decide = dyn Fn(&Job) -> Answer + Send + Sync;

pub(super) struct Rig {
    pub pipeline: Arc<Pipeline>,
    pub metrics: Arc<Metrics>,
    /// Reasons to stop the program.
    pub stop: Receiver<String>,
    written: Arc<Mutex<Vec<Written>>>,
    /// While it is shut, nothing is answered.
    gate: Arc<AtomicBool>,
    held: Arc<Mutex<usize>>,
    ended: Receiver<()>,
    threads: usize,
    next: Mutex<HashMap<Slot, i64>>,
    clock: Arc<Ahead>,
}

/// The machine's time, and as much more as a test has let pass.
#[derive(Default)]
struct Ahead(Mutex<Duration>);

impl Clock for Ahead {
    fn now(&self) -> Instant {
        SystemClock.now() + *self.0.lock()
    }

    fn unix_ms(&self) -> i64 {
        SystemClock.unix_ms()
    }
}

pub(super) fn policy() -> Policy {
    Policy {
        order: Order::Key,
        delivery: Delivery::AtLeastOnce,
        retry: Retry {
            attempts: 3,
            backoff: Duration::from_millis(2),
            backoff_max: Duration::from_millis(8),
        },
        on_failure: OnFailure::DeadLetter,
        after_failure: AfterFailure::Continue,
        largest_record: 1_000_000,
        budget: Budget { records: 10_000, bytes: 64 << 20 },
        workers: 4,
        tasks_pick_up: Some(3),
        producers: 2,
        source_header: false,
        sender: LetterSender { group: "group".into(), transform: "test".into(), instance: "host-1".into() },
    }
}

impl Rig {
    /// Everything is delivered.
    pub(super) fn new(policy: Policy, transform: impl Transform + 'static) -> Self {
        Self::answering(policy, transform, |_| Answer::Deliver)
    }

    /// With a transform that waits, on so many threads as there are workers.
    pub(super) fn waiting(policy: Policy, transform: impl AsyncTransform + 'static) -> Self {
        Self::of(policy, Handler::Async(Arc::new(transform)), |_| Answer::Deliver)
    }

    pub(super) fn answering(
        policy: Policy,
        transform: impl Transform + 'static,
        decide: impl Fn(&Job) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::of(policy, Arc::new(transform).into(), decide)
    }

    fn of(
        policy: Policy,
        transform: Handler,
        decide: impl Fn(&Job) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let waits = matches!(transform, Handler::Async(_));
        let (sender, stop) = unbounded();
        let (workers, producers) = (policy.workers, policy.shards());
        let metrics = Arc::new(Metrics::new(About::default()));
        let clock = Arc::new(Ahead::default());
        let pipeline = Arc::new(Pipeline::new(policy, transform, clock.clone(), metrics.clone(), sender));
        let (done, ended) = unbounded();
        let (written, gate, held) = (Arc::default(), Arc::new(AtomicBool::new(true)), Arc::default());
        let decide: Arc<Decide> = Arc::new(decide);
        let takers = if waits { 1 } else { workers };
        for _ in 0..takers {
            let pipeline = pipeline.clone();
            spawn(&done, move || if waits { dispatch(&pipeline, workers) } else { pipeline.work() });
        }
        for shard in 0..producers {
            let pipeline = pipeline.clone();
            let sink = Sink {
                decide: decide.clone(),
                written: Arc::clone(&written),
                gate: gate.clone(),
                held: Arc::clone(&held),
            };
            spawn(&done, move || sink.run(&pipeline, shard));
        }
        let threads = takers + producers;
        Self { pipeline, metrics, stop, written, gate, held, ended, threads, next: Mutex::default(), clock }
    }

    pub(super) fn assign(&self, partition: i32) -> Slot {
        self.assign_at(partition, 0)
    }

    pub(super) fn assign_at(&self, partition: i32, start: i64) -> Slot {
        self.assign_with(partition, start, OffsetMap::default())
    }

    /// From `start` on, and what of `finished` comes is skipped.
    pub(super) fn assign_with(&self, partition: i32, start: i64, finished: OffsetMap) -> Slot {
        let beginning = Beginning { start, finished, ..Beginning::default() };
        let slot = self.pipeline.assign(0, "in".into(), partition, beginning);
        self.next.lock().insert(slot, start);
        slot
    }

    /// Offers records, as keys, from the slot's next offset on, and returns how many were admitted. A record's value is
    /// its offset.
    pub(super) fn offer(&self, slot: Slot, partition: i32, keys: &[&str]) -> usize {
        let mut next = self.next.lock();
        let next = next.get_mut(&slot).expect("assigned");
        let mut records: VecDeque<Record> =
            keys.iter().zip(*next..).map(|(key, offset)| record(partition, offset, key)).collect();
        let taken = self.pipeline.admit(slot, &mut records);
        *next += taken as i64;
        taken
    }

    /// Admits all of these, waiting for room where there is none.
    pub(super) fn feed(&self, slot: Slot, partition: i32, keys: &[&str]) {
        let mut rest = keys;
        let until = Instant::now() + DEADLINE;
        while !rest.is_empty() {
            assert!(Instant::now() < until, "no room for {} records", rest.len());
            rest = &rest[self.offer(slot, partition, rest)..];
            self.pipeline.wait_for_room(&[], Duration::from_millis(1));
        }
    }

    pub(super) fn watermark(&self, slot: Slot) -> i64 {
        self.pipeline.with_ledger(|ledger| ledger.get(slot).expect("assigned").tracker().watermark())
    }

    pub(super) fn in_flight(&self) -> Budget {
        self.pipeline.with_ledger(|ledger| ledger.in_flight())
    }

    pub(super) fn in_flight_of(&self, slot: Slot) -> usize {
        self.pipeline.in_flight_of(&[slot])
    }

    /// Lets time pass for the pipeline. Not while something waits for a time: threads sleep by the machine's.
    pub(super) fn pass(&self, time: Duration) {
        *self.clock.0.lock() += time;
    }

    pub(super) fn wait_until_idle(&self) {
        eventually("nothing in flight", || self.in_flight() == Budget { records: 0, bytes: 0 });
    }

    /// From now on the sink keeps what it takes.
    pub(super) fn shut(&self) {
        self.gate.store(false, Ordering::SeqCst);
    }

    pub(super) fn open(&self) {
        self.gate.store(true, Ordering::SeqCst);
    }

    /// Parcels that the sink keeps.
    pub(super) fn held(&self) -> usize {
        *self.held.lock()
    }

    pub(super) fn written(&self) -> Vec<Written> {
        self.written.lock().clone()
    }

    /// Offsets of what was written to the target, by key, in the order of writing.
    pub(super) fn by_key(&self, target: Target) -> BTreeMap<String, Vec<i64>> {
        let mut by_key: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for one in self.written().into_iter().filter(|one| one.target == target) {
            let key = String::from_utf8(one.key.unwrap_or_default()).expect("keys are text here");
            by_key.entry(key).or_default().push(one.offset);
        }
        by_key
    }

    /// Ends all threads, and fails if one does not end or has panicked.
    pub(super) fn end(&self) {
        self.open();
        self.pipeline.close();
        self.pipeline.close_ready();
        for number in 0..self.threads {
            assert!(self.ended.recv_timeout(DEADLINE).is_ok(), "{number} of {} threads ended", self.threads);
        }
    }
}

pub(super) fn record(partition: i32, offset: i64, key: &str) -> Record {
    let value = offset.to_string();
    let key = (!key.is_empty()).then_some(key.as_bytes());
    let parts =
        Parts { key, value: Some(value.as_bytes()), timestamp: Some(offset), headers: Headers::new() };
    Record::new("in".into(), partition, offset, parts)
}

fn spawn(ended: &Sender<()>, life: impl FnOnce() + Send + 'static) {
    let ended = ended.clone();
    thread::spawn(move || {
        life();
        let _ = ended.send(());
    });
}

fn dispatch(pipeline: &Arc<Pipeline>, threads: usize) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(threads).enable_all().build().expect("threads");
    pipeline.dispatch(runtime.handle());
    runtime.shutdown_background();
}

/// A producer thread, and the broker behind it.
struct Sink {
    decide: Arc<Decide>,
    written: Arc<Mutex<Vec<Written>>>,
    gate: Arc<AtomicBool>,
    held: Arc<Mutex<usize>>,
}

impl Sink {
    fn run(&self, pipeline: &Pipeline, shard: usize) {
        let mut parcels = Vec::new();
        while pipeline.take(shard, 4, &mut parcels) {
            *self.held.lock() += parcels.len();
            eventually("the sink may answer", || self.gate.load(Ordering::SeqCst));
            *self.held.lock() -= parcels.len();
            self.answer(
                pipeline,
                parcels.drain(..).map(|parcel| Arc::into_inner(parcel).expect("sole holder")),
            );
        }
    }

    /// As a producer does: once one is to be written again, so are all those after it.
    fn answer(&self, pipeline: &Pipeline, parcels: impl Iterator<Item = Job>) {
        let (mut delivered, mut back) = (Vec::new(), Vec::new());
        for parcel in parcels {
            let answer = if back.is_empty() { (self.decide)(&parcel) } else { Answer::PutBack };
            match answer {
                Answer::Deliver => {
                    self.write(&parcel);
                    delivered.push(Arc::new(parcel));
                }
                Answer::Refuse => {
                    let refusal = Refusal { code: "too_large", message: "larger than allowed".into() };
                    pipeline.refused(parcel, &refusal);
                }
                Answer::PutBack => back.push(parcel),
                Answer::PutOff => pipeline.put_off(parcel),
            }
        }
        pipeline.delivered(&mut delivered);
        // In any order: the pipeline knows the right one.
        back.reverse();
        pipeline.put_back(back.into_iter().map(Arc::new).collect());
    }

    fn write(&self, parcel: &Job) {
        assert!(parcel.legs() > 0);
        let mut written = self.written.lock();
        for leg in (0..parcel.legs()).map(|index| parcel.leg(index)) {
            written.push(Written {
                target: leg.target,
                key: leg.key.map(<[u8]>::to_vec),
                value: leg.value.map(<[u8]>::to_vec),
                headers: leg.headers.clone(),
                partition: leg.source.0,
                offset: parcel.record().offset(),
            });
        }
    }
}
