//! Writes stamped records: some of them broken, their customers by chance. For the demo, and for `processor generate`.

use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::oracle::stamp::{BREAKS, HEADER_NAME, Stamper};
use fastrand::Rng;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

/// The share of broken records is a part of so many.
pub const MILLION: u32 = 1_000_000;
/// How long to wait where there is nothing to do.
pub const PAUSE: Duration = Duration::from_millis(1);

/// What is to be written.
#[derive(Clone, Debug)]
pub struct Style {
    /// Into this topic.
    pub topic: String,
    /// So many of a million are broken.
    pub bad: u32,
    /// So many customers, each with a key of its own.
    pub customers: u32,
    /// So many bytes a value.
    pub size: usize,
    /// What chance begins with.
    pub seed: u64,
}

/// See the module.
pub struct Pen<C: ProducerContext<DeliveryOpaque = ()> + 'static> {
    /// The client; its answers go to its context.
    pub producer: BaseProducer<C>,
    style: Style,
    chance: Rng,
    stamper: Stamper,
}

impl<C: ProducerContext<DeliveryOpaque = ()> + 'static> Pen<C> {
    /// Has written nothing.
    pub fn new(producer: BaseProducer<C>, style: Style) -> Self {
        let (chance, stamper) = (Rng::with_seed(style.seed), Stamper::new(style.size));
        Self { producer, style, chance, stamper }
    }

    /// What is written from now on is of this moment.
    pub fn look_at_the_clock(&mut self) {
        self.stamper.set_time(SystemClock.unix_ms());
    }

    /// Writes the record of this number; whether it is a broken one. The first never is: it shows that the way is free.
    ///
    /// # Errors
    /// When the client does not take it. (A full queue is waited for.)
    pub fn write(&mut self, number: u64) -> Result<bool, String> {
        let Self { producer, style, chance, stamper } = self;
        // Of two, the lower one: the first customers come about twice as often as the average one.
        let customer = chance.u32(..style.customers).min(chance.u32(..style.customers));
        let (key, good) = stamper.fill(number, customer);
        if number == 0 || chance.u32(..MILLION) >= style.bad {
            send(producer, &style.topic, key, Some(good), None)?;
            return Ok(false);
        }
        let broken = BREAKS[chance.usize(..BREAKS.len())].apply(good);
        send(producer, &style.topic, key, broken.as_deref(), Some(&number.to_string()))?;
        Ok(true)
    }
}

/// Sends a record; with a header for its number, where that cannot be found in the value.
fn send<C: ProducerContext<DeliveryOpaque = ()> + 'static>(
    producer: &BaseProducer<C>,
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

/// Serves the client, and waits a moment. Not in its own call, which spins for what is less than a millisecond.
pub fn rest<C: ProducerContext<DeliveryOpaque = ()> + 'static>(producer: &BaseProducer<C>) {
    producer.poll(Duration::ZERO);
    std::thread::park_timeout(PAUSE);
}
