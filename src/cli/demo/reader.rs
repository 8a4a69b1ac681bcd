//! The judge's eyes: a plain consumer without a group that reads all three topics from their beginning while they grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::kafka::ffi::{Message, RecordQueue};
use crate::oracle::stamp;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::generator::Counts;
use super::judge::{Judge, Seen};
use super::topics::{End, RECONNECT_MS, TOPICS};

/// Records taken at once.
const BATCH: usize = 1000;
/// How long to wait for one when there is none.
const WAIT: Duration = Duration::from_millis(50);

/// Reads on a thread of its own.
pub struct Reader {
    bench: Arc<Mutex<Bench>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// The judge, and how far he has read. Written by the reader's thread, a batch at a time.
struct Bench {
    judge: Judge,
    /// The offset behind the last record read, by topic and partition.
    positions: [Vec<i64>; TOPICS.len()],
    /// Why there can be no verdict.
    trouble: Option<String>,
}

impl Reader {
    /// Starts reading.
    ///
    /// # Errors
    /// When there can be no consumer.
    pub fn start(servers: &str, counts: Arc<Counts>) -> Result<Self, String> {
        let consumer = consumer(servers).map_err(|error| format!("the judge's consumer: {error}"))?;
        let mut queue = RecordQueue::new(&consumer, BATCH);
        assign(&consumer, &mut queue).map_err(|error| format!("the judge's partitions: {error}"))?;
        let positions = TOPICS.map(|topic| vec![0; topic.partitions as usize]);
        let bench = Arc::new(Mutex::new(Bench { judge: Judge::new(), positions, trouble: None }));
        let stop = Arc::new(AtomicBool::new(false));
        let mut eyes = Eyes { bench: bench.clone(), counts, consumer, queue, known: Vec::new() };
        let until = stop.clone();
        let life = move || {
            while !until.load(Ordering::Relaxed) {
                eyes.look();
            }
        };
        let thread = std::thread::Builder::new().name("judge".to_owned()).spawn(life);
        Ok(Self { bench, stop, thread: thread.map_err(|error| format!("no thread for the judge: {error}"))? })
    }

    /// Asks the judge.
    pub fn ask<T>(&self, question: impl FnOnce(&mut Judge) -> T) -> T {
        question(&mut self.bench.lock().judge)
    }

    /// Why there can be no verdict, if so.
    pub fn trouble(&self) -> Option<String> {
        let gone = || self.thread.is_finished().then(|| "the judge's thread has ended".to_owned());
        self.bench.lock().trouble.clone().or_else(gone)
    }

    /// Whether everything before these ends was read.
    pub fn has_read(&self, ends: &[End]) -> bool {
        let bench = self.bench.lock();
        let position =
            |end: &End| bench.positions[end.topic].get(end.partition as usize).copied().unwrap_or(0);
        ends.iter().all(|end| position(end) >= end.offset)
    }

    /// Stops reading.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        // A thread that panicked has said so.
        let _ = self.thread.join();
    }
}

fn consumer(servers: &str) -> Result<Arc<BaseConsumer>, KafkaError> {
    ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("client.id", "demo-judge")
        // Needed for an assignment by hand; the group is never joined.
        .set("group.id", "demo-judge")
        .set("enable.auto.commit", "false")
        // What is not there any more must not be passed over in silence.
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        // Where a partition ends with the end of a transaction, there is no record to tell how far it was read.
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "50")
        .set("reconnect.backoff.max.ms", RECONNECT_MS)
        .set("fetch.queue.backoff.ms", "1")
        .set("queued.min.messages", "10000")
        .set("queued.max.messages.kbytes", "16384")
        .create()
        .map(Arc::new)
}

/// All partitions from their beginning, their records through `queue`.
fn assign(consumer: &Arc<BaseConsumer>, queue: &mut RecordQueue) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for topic in TOPICS {
        let name = Arc::from(topic.name);
        for partition in 0..topic.partitions {
            queue.attach(&name, partition);
            list.add_partition_offset(topic.name, partition, Offset::Offset(0))?;
        }
    }
    consumer.assign(&list)
}

/// What the thread works with.
struct Eyes {
    bench: Arc<Mutex<Bench>>,
    counts: Arc<Counts>,
    consumer: Arc<BaseConsumer>,
    queue: RecordQueue,
    /// The topics' places among [`TOPICS`], by the client's cheap name for them.
    known: Vec<(usize, usize)>,
}

impl Eyes {
    /// Takes a batch and shows it to the judge.
    fn look(&mut self) {
        let Self { bench, counts, consumer, queue, known } = self;
        let mut held = None;
        let mut now_ms = 0;
        let taken = queue.take(WAIT, |message| {
            // Only now that the records are there: nobody may wait for the judge while he waits for records.
            let bench = held.get_or_insert_with(|| {
                now_ms = SystemClock.unix_ms();
                let mut bench = bench.lock();
                bench.judge.given(counts.given());
                bench
            });
            bench.see(&message, known, now_ms);
        });
        if let Some(bench) = held {
            counts.settle(bench.judge.tally().settled);
        }
        if taken < BATCH {
            // Errors and the like; records do not come this way.
            consumer.poll(Duration::ZERO);
        }
    }
}

impl Bench {
    fn see(&mut self, message: &Message<'_>, known: &mut Vec<(usize, usize)>, now_ms: i64) {
        let error = message.error();
        let is_end = matches!(error, Some((RDKafkaErrorCode::PartitionEOF, _)));
        if let Some((code, text)) = error.filter(|_| !is_end) {
            return self.fault(code, &text);
        }
        let Some(place) = place(message, known) else { return };
        if let Some(position) = self.positions[place].get_mut(message.partition() as usize) {
            *position = message.offset() + i64::from(!is_end);
        }
        if is_end {
            return;
        }
        let age_ms = message.timestamp().map_or(0, |timestamp| now_ms - timestamp);
        let number = stamp::read(message.header(stamp::HEADER), message.value());
        let seen = Seen { number, key: message.key().unwrap_or_default(), age_ms };
        self.judge.see(TOPICS[place].topic, seen);
    }

    /// librdkafka tries again by itself, except where records are gone.
    fn fault(&mut self, code: RDKafkaErrorCode, text: &str) {
        if matches!(code, RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) {
            self.trouble = Some(format!("records were removed before the judge could read them ({text})"));
        }
    }
}

fn place(message: &Message<'_>, known: &mut Vec<(usize, usize)>) -> Option<usize> {
    let id = message.topic_id();
    if let Some((_, place)) = known.iter().find(|(known, _)| *known == id) {
        return Some(*place);
    }
    let name = message.topic()?;
    let place = TOPICS.iter().position(|topic| topic.name == name)?;
    known.push((id, place));
    Some(place)
}
