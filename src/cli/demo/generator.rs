//! Writes orders into the input topic: at a rate, or as fast as it goes, but never further ahead than the judge can follow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::oracle::stamp::SIZE;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

use super::topics::{INPUT, RECONNECT_MS};
use crate::cli::pace::Pace;
use crate::cli::pen::{PAUSE, Pen, Style};

/// Records that may be written and not yet read back with their result. It bounds what the broker has to keep for the
/// judge: see [`super::RETENTION`].
pub const AHEAD: u64 = 30_000;
/// Records between two looks at the clock and at the broker's answers.
const CHUNK: u64 = 100;
/// How long the broker may take for the last answers.
const FLUSH: Duration = Duration::from_secs(60);
/// How many customers there are, and so how many keys.
const CUSTOMERS: u32 = 1000;

/// What the generator counts, and what it is told.
#[derive(Debug, Default)]
pub struct Counts {
    /// Numbers given so far. Written before the record of that number is handed over.
    given: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    waited_us: AtomicU64,
    /// Written by the judge's reader.
    settled: AtomicU64,
    stop: AtomicBool,
}

impl Counts {
    /// Numbers below this may be met in the topics.
    pub fn given(&self) -> u64 {
        self.given.load(Ordering::Acquire)
    }

    /// Records that are in the input topic by the broker's word.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Records that the broker did not take.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How long the generator was held back so far.
    pub fn waited(&self) -> Duration {
        Duration::from_micros(self.waited_us.load(Ordering::Relaxed))
    }

    /// So many records were read back with their result.
    pub fn settle(&self, records: u64) {
        self.settled.store(records, Ordering::Relaxed);
    }

    /// Records that were read back with their result.
    pub fn settled(&self) -> u64 {
        self.settled.load(Ordering::Relaxed)
    }

    /// How many more records may be written. The first one goes alone: it waits until the group has formed, and is the only
    /// one whose time that spoils.
    fn room(&self) -> u64 {
        let ahead = if self.settled() == 0 { 1 } else { AHEAD };
        let under_way = self.given().saturating_sub(self.settled() + self.refused());
        ahead.saturating_sub(under_way)
    }
}

/// Counts the broker's answers.
struct Answers(Arc<Counts>);

impl ClientContext for Answers {}

impl ProducerContext for Answers {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.0.acknowledged } else { &self.0.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The running generator.
pub struct Generator {
    counts: Arc<Counts>,
    thread: JoinHandle<Result<(), String>>,
}

impl Generator {
    /// Starts writing: so many records a second (0: as fast as it goes), so many of a million broken.
    ///
    /// # Errors
    /// When there can be no producer.
    pub fn start(servers: &str, rate: u64, bad: u32, seed: u64, counts: Arc<Counts>) -> Result<Self, String> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("client.id", "demo-generator")
            .set("enable.idempotence", "true")
            .set("allow.auto.create.topics", "false")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5")
            .set("reconnect.backoff.max.ms", RECONNECT_MS)
            .create_with_context(Answers(counts.clone()))
            .map_err(|error| format!("the generator's producer: {error}"))?;
        let style = Style { topic: INPUT.to_owned(), bad, customers: CUSTOMERS, size: SIZE, seed };
        let mut writer = Writer { pen: Pen::new(producer, style), counts: counts.clone() };
        let life = move || writer.write(Pace::new(rate));
        let thread = std::thread::Builder::new().name("generator".to_owned()).spawn(life);
        Ok(Self { counts, thread: thread.map_err(|error| format!("no thread for the generator: {error}"))? })
    }

    /// Tells it to stop.
    pub fn stop(&self) {
        self.counts.stop.store(true, Ordering::Relaxed);
    }

    /// Whether it has ended, told or not.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Why it could not go on, if so. Waits for nothing.
    pub fn end(self) -> Result<(), String> {
        if !self.has_ended() {
            return Err("the generator did not end in time".to_owned());
        }
        self.thread.join().unwrap_or_else(|_| Err("the generator's thread panicked".to_owned()))
    }
}

/// What the thread works with.
struct Writer {
    pen: Pen<Answers>,
    counts: Arc<Counts>,
}

impl Writer {
    fn write(&mut self, mut pace: Pace) -> Result<(), String> {
        while !self.counts.stop.load(Ordering::Relaxed) {
            let room = self.counts.room();
            if room == 0 {
                self.hold_back();
                pace.forgive(Instant::now());
                continue;
            }
            let due = pace.due(Instant::now()).min(room).min(CHUNK);
            if due == 0 {
                self.pause();
                continue;
            }
            self.pen.look_at_the_clock();
            for _ in 0..due {
                self.pen.write(self.counts.given.fetch_add(1, Ordering::Release))?;
            }
            pace.went(due);
            self.take_answers();
        }
        self.pen
            .producer
            .flush(FLUSH)
            .map_err(|error| format!("the broker did not take all that was generated: {error}"))
    }

    /// All that are there. A call of the client takes one batch of them, and does not say whether there was one.
    fn take_answers(&self) {
        let answers = || self.counts.acknowledged() + self.counts.refused();
        loop {
            let before = answers();
            self.pen.producer.poll(Duration::ZERO);
            if answers() == before {
                return;
            }
        }
    }

    /// Waits a moment. (The client's own wait spins when less than a millisecond is left of it.)
    fn pause(&self) {
        self.take_answers();
        std::thread::park_timeout(PAUSE);
    }

    /// Waits a moment for the judge.
    fn hold_back(&self) {
        let started = Instant::now();
        self.pause();
        let waited = u64::try_from(started.elapsed().as_micros()).unwrap_or(0);
        self.counts.waited_us.fetch_add(waited, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_goes_alone_and_then_no_more_than_the_judge_can_follow() {
        let counts = Counts::default();
        assert_eq!(counts.room(), 1);
        counts.given.store(1, Ordering::Relaxed);
        assert_eq!(counts.room(), 0);
        counts.settle(1);
        assert_eq!(counts.room(), AHEAD);
        counts.given.store(AHEAD + 1, Ordering::Relaxed);
        assert_eq!(counts.room(), 0);
        counts.refused.store(2, Ordering::Relaxed);
        assert_eq!(counts.room(), 2, "nobody waits for a record that was not taken");
    }
}
