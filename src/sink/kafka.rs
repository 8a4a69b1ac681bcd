//! The Kafka sink: producer threads that write parcels, one thread that takes the broker's answers.
//!
//! All producer threads share one client: each client has broker threads and queues of its own, and one serves them all
//! (`docs/adr/0003`). What must stay in order comes to the same thread.
//!
//! # When the output cannot be written
//! 1. A report says so, or the client refuses a record at once, for a reason that is not the record's. The flow *halts*:
//!    no thread hands over anything new.
//! 2. Everything handed over is answered. What failed is collected.
//! 3. After a pause that doubles each time, what failed goes back before all others, in its old order, and the flow goes
//!    on. If the client itself is broken a new one takes its place first.
//!
//! So a record never overtakes one of its lane that failed before it was handed over, and nothing is lost. A dead letter
//! that cannot be written halts nobody: it comes again later, and its record stays unfinished.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};

use super::{Leg, Outbox, Parcel, Refusal, Target};
use crate::config::Partitioning;
use crate::kafka::context::Context;
use crate::kafka::errors::{self, Delivery};
use crate::kafka::ffi::{Outgoing, Report, Writer};
use crate::sync::{Condvar, Mutex};
use crate::telemetry::metrics::Metrics;

/// Parcels handed over under one lock.
const BATCH: usize = 256;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// What the sink is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The client's properties.
    pub properties: ClientConfig,
    /// Where results go.
    pub output: String,
    /// Where dead letters go, if anywhere.
    pub dead_letters: Option<String>,
    /// Which output partition.
    pub partitioning: Partitioning,
}

/// See the module.
pub struct KafkaSink<O: Outbox> {
    settings: Settings,
    context: Context,
    outbox: Arc<O>,
    metrics: Arc<Metrics>,
    writer: Mutex<Arc<Writer<O::Parcel, Context>>>,
    flow: Mutex<Flow<O::Parcel>>,
    /// Producers wait here while the flow is halted or the client's queue is full.
    go_on: Condvar,
    /// Partitions of the output and of the dead-letter topic, as last seen.
    partitions: [AtomicI32; 2],
    turn: AtomicUsize,
    /// A dead letter could not be written since the topic was last looked up.
    misses_dead_letters: AtomicBool,
    /// How many failures `flow` holds.
    failing: AtomicUsize,
    stopped: AtomicBool,
}

struct Flow<P> {
    /// Parcels handed over and not answered in full.
    outstanding: usize,
    /// Why a parcel of several legs has failed, until its last leg is answered.
    failures: HashMap<(u32, u64), Code>,
    /// What is to be written again.
    failed: Vec<P>,
    halt: Option<Halt>,
    /// How many halts there were.
    halts: u64,
    pause: Duration,
}

struct Halt {
    resume_at: Instant,
    rebuild: bool,
}

impl<O: Outbox> KafkaSink<O> {
    /// A sink with its client; nothing is written before the threads run.
    pub fn new(settings: Settings, context: Context, outbox: Arc<O>) -> KafkaResult<Self> {
        let writer = Mutex::new(Arc::new(connect(&settings, &context)?));
        let flow = Flow {
            outstanding: 0,
            failures: HashMap::new(),
            failed: Vec::new(),
            halt: None,
            halts: 0,
            pause: FIRST_PAUSE,
        };
        Ok(Self {
            metrics: context.metrics.clone(),
            settings,
            context,
            outbox,
            writer,
            flow: Mutex::new(flow),
            go_on: Condvar::new(),
            partitions: [AtomicI32::new(1), AtomicI32::new(1)],
            turn: AtomicUsize::new(0),
            misses_dead_letters: AtomicBool::new(false),
            failing: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        })
    }

    /// The client, for metadata.
    pub fn writer(&self) -> Arc<Writer<O::Parcel, Context>> {
        self.writer.lock().clone()
    }

    /// Notes how many partitions a topic has now.
    pub fn set_partitions(&self, target: Target, count: i32) {
        self.partitions[target as usize].store(count.max(1), Ordering::Relaxed);
    }

    /// Whether a dead letter could not be written since the last question: the topic may be missing, or have been made again
    /// with another number of partitions.
    pub fn misses_dead_letters(&self) -> bool {
        self.misses_dead_letters.swap(false, Ordering::Relaxed)
    }

    /// Parcels handed over and not answered.
    pub fn outstanding(&self) -> usize {
        self.flow.lock().outstanding
    }

    /// Gives up: producer threads do not wait for the output any longer, and [`KafkaSink::report`] ends.
    pub fn stop(&self) {
        // Under the lock, so that nobody checks before and sleeps after.
        let _flow = self.flow.lock();
        self.stopped.store(true, Ordering::Relaxed);
        self.go_on.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// A producer thread's life: writes what comes for its shard, until nothing more will come.
    pub fn produce(&self, shard: usize) {
        let mut parcels = Vec::with_capacity(BATCH);
        while let Some(halts) = self.wait_until_flowing() {
            if !self.outbox.take(shard, BATCH, &mut parcels) {
                return;
            }
            if !self.begin(parcels.len(), halts) {
                // What has failed since is older than what this thread holds.
                self.outbox.put_back(std::mem::take(&mut parcels));
                continue;
            }
            let writer = self.writer();
            for parcel in parcels.drain(..) {
                self.write(&writer, parcel);
            }
        }
    }

    /// Waits while the flow is halted. Returns how often it was; `None` if the sink was stopped.
    fn wait_until_flowing(&self) -> Option<u64> {
        let mut flow = self.flow.lock();
        while flow.halt.is_some() && !self.is_stopped() {
            self.go_on.wait(&mut flow);
        }
        (!self.is_stopped()).then_some(flow.halts)
    }

    /// Counts `parcels` as handed over, unless the flow was halted since it had been so `halts` times.
    fn begin(&self, parcels: usize, halts: u64) -> bool {
        let mut flow = self.flow.lock();
        let flowing = flow.halts == halts;
        if flowing {
            flow.outstanding += parcels;
        }
        flowing
    }

    fn write(&self, writer: &Writer<O::Parcel, Context>, parcel: Arc<O::Parcel>) {
        let legs = parcel.legs();
        for index in 0..legs {
            // The last leg carries the last count, so that whoever gets the last answer holds the parcel alone.
            let mut holder = parcel.clone();
            loop {
                match writer.write(holder, |parcel| self.outgoing(&parcel.leg(index))) {
                    Ok(()) => break,
                    Err((back, code)) if errors::delivery(code) == Delivery::Full && !self.is_stopped() => {
                        holder = back;
                        self.wait_for_space();
                    }
                    Err((back, code)) => {
                        self.fail(&*back, code);
                        break;
                    }
                }
            }
        }
        if let Some(parcel) = Arc::into_inner(parcel) {
            // Every leg was answered while this thread still held the parcel.
            let mut settled = Settled::default();
            self.settle(parcel, &mut settled);
            self.close(settled);
        }
    }

    fn wait_for_space(&self) {
        let mut flow = self.flow.lock();
        if flow.outstanding > 0 {
            self.go_on.wait_for(&mut flow, Duration::from_millis(20));
        }
    }

    fn outgoing<'a>(&self, leg: &Leg<'a>) -> Outgoing<'a> {
        let count = self.partitions[leg.target as usize].load(Ordering::Relaxed);
        let (source, offset) = leg.source;
        let partition = match (leg.target, self.settings.partitioning) {
            (Target::DeadLetter, _) => Some(source % count),
            (Target::Output, Partitioning::Murmur2) if leg.key.is_some() => None,
            (Target::Output, Partitioning::Murmur2) => Some(spread(source, offset, count)),
            (Target::Output, Partitioning::SamePartition) => Some(source),
            (Target::Output, Partitioning::RoundRobin) => {
                Some((self.turn.fetch_add(1, Ordering::Relaxed) % count as usize) as i32)
            }
        };
        let (topic, timestamp) = (leg.target as usize, leg.timestamp);
        Outgoing { topic, partition, key: leg.key, value: leg.value, headers: leg.headers, timestamp }
    }

    fn fail(&self, parcel: &O::Parcel, code: Code) {
        let mut flow = self.flow.lock();
        flow.failures.entry(parcel.order()).or_insert(code);
        self.failing.store(flow.failures.len(), Ordering::Release);
    }

    /// The delivery thread's life: takes the broker's answers until the sink is stopped.
    pub fn report(&self) {
        while !self.is_stopped() {
            let writer = self.writer();
            let mut settled = Settled::default();
            let mut wait = Duration::from_millis(100);
            while writer.poll(wait, &mut |report| self.take(report, &mut settled)) {
                // What is there at once belongs to the same batch.
                wait = Duration::ZERO;
                if settled.count >= 4096 {
                    break;
                }
            }
            self.close(settled);
            self.maybe_resume();
        }
    }

    fn take(&self, report: Report<O::Parcel>, settled: &mut Settled<O::Parcel>) {
        match report {
            Report::Delivery(parcel, result) => {
                if let Err(code) = result {
                    self.fail(&parcel, code);
                }
                if let Some(parcel) = Arc::into_inner(parcel) {
                    self.settle(parcel, settled);
                }
            }
            Report::Error(code, text) => {
                if code == Code::Fatal {
                    tracing::error!("the producer is broken ({text}); a new one takes its place");
                    self.halt(true);
                } else {
                    self.context.failed(code, &text);
                }
            }
            Report::Log(level, facility, text) => self.context.line(level, &facility, &text),
        }
    }

    /// All legs of a parcel are answered.
    fn settle(&self, parcel: O::Parcel, settled: &mut Settled<O::Parcel>) {
        settled.count += 1;
        // A parcel's failure is noted before its last holder lets go, so this sees it; and a lock a record is not paid
        // while all goes well.
        let code = (self.failing.load(Ordering::Acquire) > 0).then(|| {
            let mut flow = self.flow.lock();
            let code = flow.failures.remove(&parcel.order());
            self.failing.store(flow.failures.len(), Ordering::Release);
            code
        });
        match code.flatten() {
            None => settled.delivered.push(parcel),
            Some(code) => settled.failed.push((parcel, code)),
        }
    }

    fn close(&self, settled: Settled<O::Parcel>) {
        let Settled { count, mut delivered, failed } = settled;
        if count == 0 {
            return;
        }
        if !delivered.is_empty() {
            self.context.link.answered();
            self.count(&delivered);
            self.outbox.delivered(&mut delivered);
        }
        let recovered = failed.is_empty();
        for (parcel, code) in failed {
            self.not_delivered(parcel, code);
        }
        let mut flow = self.flow.lock();
        flow.outstanding -= count;
        if recovered && flow.halt.is_none() {
            flow.pause = FIRST_PAUSE;
        }
        drop(flow);
        self.go_on.notify_all();
    }

    fn count(&self, delivered: &[O::Parcel]) {
        let mut sums = [(0, 0); 2];
        for leg in delivered.iter().flat_map(|parcel| (0..parcel.legs()).map(|index| parcel.leg(index))) {
            let sum = &mut sums[leg.target as usize];
            *sum = (sum.0 + 1, sum.1 + leg.size() as u64);
        }
        let topics = [Some(&self.settings.output), self.settings.dead_letters.as_ref()];
        for (topic, (records, bytes)) in topics.into_iter().zip(sums) {
            if let Some(topic) = topic.filter(|_| records > 0) {
                self.metrics.produced(topic, records, bytes);
            }
        }
    }

    fn not_delivered(&self, parcel: O::Parcel, code: Code) {
        let target = parcel.leg(0).target;
        let topic = match target {
            Target::Output => &self.settings.output,
            Target::DeadLetter => self.settings.dead_letters.as_ref().unwrap_or(&self.settings.output),
        };
        self.metrics.kafka_error(&format!("{code:?}"));
        match (errors::delivery(code), target) {
            (Delivery::Refused(reason), _) => {
                let message = format!("topic {topic} refused the record: {code}");
                self.outbox.refused(parcel, &Refusal { code: reason, message });
            }
            (Delivery::Wait | Delivery::Full, Target::DeadLetter) => {
                self.metrics.dead_letter_failed();
                self.context.complain(
                    topic,
                    &format!("dead letters cannot be written to {topic}: {code}. Their records stay unfinished and wait; \
                              other partitions go on"),
                );
                self.misses_dead_letters.store(true, Ordering::Relaxed);
                self.outbox.put_off(parcel);
            }
            (action, _) => {
                self.context.complain(
                    topic,
                    &format!(
                        "{topic} cannot be written: {code}. Records wait, nothing is committed; trying again"
                    ),
                );
                self.flow.lock().failed.push(parcel);
                self.halt(action == Delivery::Rebuild);
            }
        }
    }

    fn halt(&self, rebuild: bool) {
        let mut flow = self.flow.lock();
        let pause = flow.pause;
        match &mut flow.halt {
            Some(halt) => halt.rebuild |= rebuild,
            None => {
                flow.halts += 1;
                flow.halt = Some(Halt { resume_at: Instant::now() + pause, rebuild });
                flow.pause = (pause * 2).min(LAST_PAUSE);
            }
        }
        let broken = flow.halt.as_ref().is_some_and(|halt| halt.rebuild);
        drop(flow);
        if broken {
            // A broken client answers nothing by itself.
            self.writer().purge();
        }
    }

    /// Ends a halt whose time has come and for which every parcel is answered.
    fn maybe_resume(&self) {
        let mut flow = self.flow.lock();
        let due = flow.halt.as_ref().is_some_and(|halt| Instant::now() >= halt.resume_at);
        if !due || flow.outstanding > 0 {
            return;
        }
        let failed = std::mem::take(&mut flow.failed);
        let rebuild = flow.halt.as_ref().is_some_and(|halt| halt.rebuild);
        drop(flow);
        if rebuild {
            match connect(&self.settings, &self.context) {
                Ok(writer) => {
                    let old = std::mem::replace(&mut *self.writer.lock(), Arc::new(writer));
                    // Ends the old client, which takes a while: not under the lock.
                    drop(old);
                }
                Err(error) => tracing::error!("no new producer can be made: {error}"),
            }
        }
        // Before the flow goes on, or a newer record of a lane could be handed over first.
        self.outbox.put_back(failed.into_iter().map(Arc::new).collect());
        self.flow.lock().halt = None;
        self.go_on.notify_all();
    }
}

/// Where a record without a key goes: a run of neighbours to one partition, so that they share a batch, the next run to the
/// next. It follows from the record's place, so a record that is written again goes where it went before: chance would put
/// it behind its successors after a crash.
fn spread(source: i32, offset: i64, count: i32) -> i32 {
    const RUN: i64 = 64;
    ((offset / RUN + i64::from(source)) % i64::from(count)) as i32
}

struct Settled<P> {
    count: usize,
    delivered: Vec<P>,
    failed: Vec<(P, Code)>,
}

impl<P> Default for Settled<P> {
    fn default() -> Self {
        Self { count: 0, delivered: Vec::new(), failed: Vec::new() }
    }
}

fn connect<P: Parcel>(settings: &Settings, context: &Context) -> KafkaResult<Writer<P, Context>> {
    let topics: Vec<&str> =
        std::iter::once(settings.output.as_str()).chain(settings.dead_letters.as_deref()).collect();
    Writer::new(&settings.properties, context.clone(), &topics)
}
