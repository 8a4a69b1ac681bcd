//! Writes [stamped](super::stamp) records at a rate, some of them broken, their keys by chance: for `processor generate` and for the
//! demo. [`Rate`] says how many are due; [`Answers`] counts what the broker said of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

use super::kafka::{self, Denial};
use super::stamp::{BREAKS, HEADER_NAME, Stamper};
use crate::app::Ended;
use crate::clock::{Clock, SystemClock};

/// The share of broken records is a part of so many.
const MILLION: u32 = 1_000_000;
/// Records between two looks at the clock and at the broker's answers.
const CHUNK: u64 = 100;
/// How long to wait where there is nothing to do.
const PAUSE: Duration = Duration::from_millis(1);

/// What is to be written.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Into this topic.
    pub topic: String,
    /// The number of the first record.
    pub first: u64,
    /// Records a second; 0 is as fast as it goes.
    pub rate: u64,
    /// So many of a million are broken.
    pub bad: u32,
    /// So many customers, each with a key of its own.
    pub customers: u32,
    /// So many bytes a value.
    pub size: usize,
    /// Seed of the random choices.
    pub seed: u64,
}

/// What was written so far, and what the broker said of it.
#[derive(Default)]
pub(super) struct Answers {
    given: AtomicU64,
    taken: AtomicU64,
    refused: AtomicU64,
    /// Why a broker does not let us in, if so.
    pub denial: Denial,
}

impl Answers {
    /// Records handed to the client. Counted before the record is handed over.
    pub(super) fn given(&self) -> u64 {
        self.given.load(Ordering::Acquire)
    }

    /// Records that are in the topic by the broker's word.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Records that the broker did not take.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Both together.
    pub(super) fn all(&self) -> u64 {
        self.taken() + self.refused()
    }
}

/// The context of the client.
pub(super) struct Context(Arc<Answers>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.0.denial.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.denial.error(error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.0.taken } else { &self.0.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// See the module.
pub(super) struct Generator {
    producer: BaseProducer<Context>,
    answers: Arc<Answers>,
    load: Load,
    rate: Rate,
    chance: Rng,
    stamper: Stamper,
    broken: u64,
}

impl Generator {
    /// Has written nothing.
    ///
    /// # Errors
    /// When no client can be made of these properties.
    pub(super) fn new(client: &ClientConfig, load: Load, answers: Arc<Answers>) -> Result<Self, Ended> {
        let producer = client.create_with_context(Context(answers.clone())).map_err(kafka::unusable)?;
        let (chance, stamper) = (Rng::with_seed(load.seed), Stamper::new(load.size));
        Ok(Self { producer, answers, rate: Rate::new(load.rate), load, chance, stamper, broken: 0 })
    }

    /// The client.
    pub(super) fn producer(&self) -> &BaseProducer<Context> {
        &self.producer
    }

    /// What was written, and what the broker said of it.
    pub(super) fn answers(&self) -> &Answers {
        &self.answers
    }

    /// How many of the records written are broken.
    pub(super) fn broken(&self) -> u64 {
        self.broken
    }

    /// Writes what is due by now, up to `room`, and takes the broker's answers; waits a moment where nothing is due. What is not
    /// written for want of room is not made up for.
    ///
    /// # Errors
    /// When the client does not take a record. (A full queue is waited for.)
    pub(super) fn step(&mut self, room: u64) -> Result<(), String> {
        if room == 0 {
            self.rate.forgive(Instant::now());
        }
        let due = self.rate.due(Instant::now()).min(room).min(CHUNK);
        if due == 0 {
            self.rest();
            return Ok(());
        }
        self.stamper.set_time(SystemClock.unix_ms());
        for _ in 0..due {
            let number = self.load.first + self.answers.given.fetch_add(1, Ordering::Release);
            self.write(number)?;
        }
        self.rate.went(due);
        self.take_answers();
        Ok(())
    }

    /// Takes the broker's answers, and waits a moment.
    pub(super) fn rest(&self) {
        self.take_answers();
        std::thread::park_timeout(PAUSE);
    }

    /// All that are there. A call of the client takes one batch of them, and does not say whether there was one.
    fn take_answers(&self) {
        loop {
            let before = self.answers.all();
            self.producer.poll(Duration::ZERO);
            if self.answers.all() == before {
                return;
            }
        }
    }

    /// Writes the record of this number. The first is never broken: it shows that the way is free.
    fn write(&mut self, number: u64) -> Result<(), String> {
        let Self { producer, load, chance, stamper, broken, .. } = self;
        // Of two, the lower one: the first customers come about twice as often as the average one.
        let customer = chance.u32(..load.customers).min(chance.u32(..load.customers));
        let (key, good) = stamper.fill(number, customer);
        if number == 0 || chance.u32(..MILLION) >= load.bad {
            return send(producer, &load.topic, key, Some(good), None);
        }
        let value = BREAKS[chance.usize(..BREAKS.len())].apply(good);
        *broken += 1;
        send(producer, &load.topic, key, value.as_deref(), Some(&number.to_string()))
    }
}

/// Sends a record; with a header for its number, where that cannot be found in the value.
fn send(
    producer: &BaseProducer<Context>,
    topic: &str,
    key: &[u8],
    value: Option<&[u8]>,
    number: Option<&str>,
) -> Result<(), String> {
    let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).key(key);
    record.payload = value;
    record.headers = number.map(|number| {
        let header = Header { key: HEADER_NAME, value: Some(number) };
        OwnedHeaders::new_with_capacity(1).insert(header)
    });
    while let Err((error, refused)) = producer.send(record) {
        if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
            return Err(format!("records cannot be written to {topic}: {error}"));
        }
        // The client's own errors end a wait that would never end.
        if let Some((code, text)) = producer.client().fatal_error() {
            return Err(format!("records cannot be written to {topic}: {code}: {text}"));
        }
        rest(producer);
        record = refused;
    }
    Ok(())
}

/// Serves the client, and waits a moment. (The client's own wait spins for what is less than a millisecond.)
pub(super) fn rest(producer: &BaseProducer<Context>) {
    producer.poll(Duration::ZERO);
    std::thread::park_timeout(PAUSE);
}

/// What may be made up for at once.
const DEBT: Duration = Duration::from_millis(500);

/// How many records are due: so many a second, and what was missed for long is not made up for.
#[derive(Debug)]
struct Rate {
    /// Records a second; 0 is as fast as it goes.
    rate: u64,
    /// Since when `went` counts; unset before the first question.
    since: Option<Instant>,
    went: u64,
}

impl Rate {
    /// So many a second; 0 is as fast as it goes.
    fn new(rate: u64) -> Self {
        Self { rate, since: None, went: 0 }
    }

    /// How many records are to be written now.
    fn due(&mut self, now: Instant) -> u64 {
        if self.rate == 0 {
            return u64::MAX;
        }
        let since = *self.since.get_or_insert(now);
        let due = self.in_time(now.saturating_duration_since(since)).saturating_sub(self.went);
        if due > self.in_time(DEBT).max(1) {
            self.forgive(now.checked_sub(DEBT).unwrap_or(now));
            return self.in_time(DEBT).max(1);
        }
        due
    }

    /// So many were written.
    fn went(&mut self, records: u64) {
        self.went += records;
    }

    /// What was missed before this time is not to be made up for.
    fn forgive(&mut self, before: Instant) {
        self.since = Some(before);
        self.went = 0;
    }

    fn in_time(&self, time: Duration) -> u64 {
        let records = u128::from(self.rate) * time.as_micros() / 1_000_000;
        u64::try_from(records).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_second() {
        let start = Instant::now();
        for (per_second, tick_ms) in [(5000, 1), (5000, 7), (1, 300), (200_000, 3)] {
            let mut rate = Rate::new(per_second);
            let mut sum = 0;
            for tick in 0..=10_000 / tick_ms {
                let due = rate.due(start + Duration::from_millis(tick * tick_ms));
                rate.went(due);
                sum += due;
            }
            assert!(
                sum.abs_diff(per_second * 10) <= per_second * tick_ms / 1000 + 1,
                "{per_second} every {tick_ms} ms: {sum}"
            );
        }
    }

    #[test]
    fn what_was_missed_for_long_is_not_made_up_for() {
        let start = Instant::now();
        let mut rate = Rate::new(1000);
        assert_eq!(rate.due(start), 0);
        let late = start + Duration::from_secs(60);
        assert_eq!(rate.due(late), 500);
        rate.went(500);
        assert_eq!(rate.due(late + Duration::from_millis(10)), 10, "and then as before");
    }

    #[test]
    fn as_fast_as_it_goes() {
        assert_eq!(Rate::new(0).due(Instant::now()), u64::MAX);
    }
}
