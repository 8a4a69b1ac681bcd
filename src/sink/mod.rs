//! Where results go: the output topic, and the dead-letter topic for what failed.

pub mod batches;
pub mod client;
pub mod dead_letter;
pub mod kafka;
pub mod librdkafka;
pub mod origin;
pub mod route;
pub mod transaction;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rdkafka::error::RDKafkaErrorCode as Code;

use crate::kafka::errors;
use crate::record::Headers;

/// Which topic a leg is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The output topic.
    Output,
    /// The dead-letter topic.
    DeadLetter,
}

/// One record to write, borrowed from whoever holds it until the broker has answered.
#[derive(Clone, Copy, Debug)]
pub struct Leg<'a> {
    /// Which topic.
    pub target: Target,
    /// The partition that the input record was read from, and its offset there.
    pub source: (i32, i64),
    /// The key, if any.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers in order.
    pub headers: &'a Headers,
    /// Milliseconds since 1970; `None` writes a record without one.
    pub timestamp: Option<i64>,
}

impl Leg<'_> {
    /// Bytes of key, value and headers.
    pub fn size(&self) -> usize {
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + self.headers.size()
    }
}

/// What a sink is given: it writes all legs and reports once, when the last of them is answered.
pub trait Parcel: Send + Sync + 'static {
    /// How many records it consists of; at least one.
    fn legs(&self) -> usize;

    /// One of them.
    fn leg(&self, index: usize) -> Leg<'_>;

    /// Its place in the order in which parcels were handed out: the sink keeps it when it has to write some again.
    fn order(&self) -> (u32, u64);

    /// Where the sink notes in which of two turns it handed the parcel over.
    fn turn(&self) -> &AtomicBool;
}

/// The code of a [`Refusal`]: larger than what the topic takes, or than the client's own `message.max.bytes`.
pub const TOO_LARGE: &str = "too_large";
/// The code of a [`Refusal`]: older or newer than what the topic takes.
pub const OUT_OF_RANGE: &str = "timestamp_out_of_range";
/// The code of a [`Refusal`]: a compacted topic takes no record without a key.
pub const NO_KEY: &str = "no_key_on_compacted_topic";
/// The code of a [`Refusal`]: for a reason that only the broker knows.
pub const REJECTED: &str = "produce_rejected";

/// Why the broker will never take a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A stable word, such as [`TOO_LARGE`].
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// Why `topic` refuses this leg, which it has judged alone.
fn refusal(topic: &str, leg: &Leg<'_>, code: Code) -> Refusal {
    let (code, message) = match code {
        _ if errors::is_size(code) => (TOO_LARGE, format!("topic {topic} refused the record: {code}")),
        Code::InvalidTimestamp => (
            OUT_OF_RANGE,
            format!("topic {topic} refused the record: its timestamp is out of the topic's range ({code})"),
        ),
        // librdkafka (2.12) frees the broker's own text before it can be read; of Apache Kafka this is what it says.
        Code::InvalidRecord if leg.key.is_none() => (
            NO_KEY,
            format!(
                "topic {topic} refused the record, which has no key: a compacted topic takes none without ({code})"
            ),
        ),
        _ => (REJECTED, format!("topic {topic} refused the record: {code}")),
    };
    Refusal { code, message }
}

/// That dead letters cannot be written to `topic`, for people.
fn letters_wait(topic: &str, why: &str) -> String {
    format!(
        "dead letters cannot be written to {topic}: {why}. Their records stay unfinished and wait; other partitions go on"
    )
}

/// That `topic` refuses a batch of several records, for people.
fn shared_refusal(topic: &str, code: Code, bytes: usize) -> String {
    format!(
        "{topic} refused a batch of {bytes} bytes of records: {code}. They are written again in smaller batches, until the record at \
         fault is alone in one"
    )
}

/// Where a sink gets parcels from, and whom it tells what became of them.
pub trait Outbox: Send + Sync + 'static {
    /// What is written.
    type Parcel: Parcel;

    /// Waits for parcels of producer `shard` and moves up to `max` into `out`, in order; `false` when none will come.
    fn take(&self, shard: usize, max: usize, out: &mut Vec<Arc<Self::Parcel>>) -> bool;

    /// All legs of these are acknowledged, and nobody else holds them. Empties `parcels`.
    fn delivered(&self, parcels: &mut Vec<Arc<Self::Parcel>>);

    /// The broker will never take this one.
    fn refused(&self, parcel: Self::Parcel, refusal: &Refusal);

    /// These were not written, but may be: they come again, and of all that waits the older comes first.
    fn put_back(&self, parcels: Vec<Arc<Self::Parcel>>);

    /// This one was not written and comes again later, while others go on.
    fn put_off(&self, parcel: Self::Parcel);
}

/// A parcel that nobody else holds, because every report of it has come.
fn sole<P>(parcel: Arc<P>) -> P {
    Arc::into_inner(parcel).expect("every report has come, so nobody else holds the parcel")
}
