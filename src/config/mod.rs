//! What the program was told, checked and typed. The only place where the user's variable names meet ours.

mod describe;
mod finding;
mod given;
mod load;
mod names;
mod nearest;
mod parse;
mod pass;
mod raw;
mod rotation;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod topics;
mod validate;

use std::path::PathBuf;
use std::time::Duration;

use crate::kafka::properties::Properties;
use crate::policy::{AfterFailure, Delivery, OffsetReset, OnFailure, Order, Partitioning, Retry};
use crate::telemetry::Http;
use crate::telemetry::logging::LogFormat;

pub use describe::markdown;
pub use finding::{Faults, Finding, Warnings};
pub use load::{Loaded, http, load};
pub use parse::duration;
pub use settings::{Row, Settings};
pub use table::{Fallback, Kind, SETTINGS, Setting};
pub use topics::name as topic_name;

/// Everything the program needs to know, valid in itself. What only the cluster can tell is checked at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `KAFKA_GROUP_ID`.
    pub group_id: String,
    /// `KAFKA_CONSUMER_TOPICS`, each once, in the order given.
    pub input_topics: Vec<String>,
    /// `KAFKA_CONSUMER_TOPIC` (historic name) or `KAFKA_OUTPUT_TOPIC`.
    pub output_topic: String,
    /// `KAFKA_DLQ_TOPIC`; `None` is `off`.
    pub dead_letter_topic: Option<String>,
    /// `KAFKA_OFFSET_RESET`.
    pub offset_reset: OffsetReset,
    /// `WORKER_POOL`: transforms that run at a time.
    pub workers: usize,
    /// `TASKS_PICK_UP`: how many tasks a worker takes at once, at most; `None` adapts to the transform's pace.
    pub tasks_pick_up: Option<usize>,
    /// `CONSUMERS_COUNT`: members of the consumer group in this process, each with a thread.
    pub consumers: usize,
    /// `PRODUCERS_COUNT`: producer threads.
    pub producers: usize,
    /// `PROCESSOR_ORDER`.
    pub order: Order,
    /// `PROCESSOR_DELIVERY`.
    pub delivery: Delivery,
    /// `PROCESSOR_INSTANCE`, or `KAFKA_GROUP_INSTANCE_ID`; `None` is to be made up at each start.
    pub instance: Option<String>,
    /// `PROCESSOR_RETRY_*`.
    pub retry: Retry,
    /// `PROCESSOR_ON_FAILURE`, resolved: `Stop` where there is no dead-letter topic and nothing was said.
    pub on_failure: OnFailure,
    /// `PROCESSOR_AFTER_FAILURE`.
    pub after_failure: AfterFailure,
    /// `PROCESSOR_MAX_IN_FLIGHT`, records.
    pub max_in_flight: usize,
    /// `PROCESSOR_MAX_IN_FLIGHT_BYTES`, bytes.
    pub max_in_flight_bytes: usize,
    /// `PROCESSOR_COMMIT_INTERVAL`.
    pub commit_interval: Duration,
    /// `PROCESSOR_DRAIN_TIMEOUT`.
    pub drain_timeout: Duration,
    /// `PROCESSOR_PARTITIONING`.
    pub partitioning: Partitioning,
    /// `PROCESSOR_SOURCE_HEADER`: results say which record they were made of.
    pub source_header: bool,
    /// `PROCESSOR_HTTP_ADDR`.
    pub http: Http,
    /// `RUST_LOG`, or `info`.
    pub log_filter: String,
    /// `PROCESSOR_LOG_FORMAT`.
    pub log_format: LogFormat,
    /// The file that the password of all clients came from, for a user of all of them: clients that live can be given another.
    pub password_file: Option<PathBuf>,
    /// Every librdkafka property of the consumers, ours and the user's, secrets included: `Debug` masks them.
    pub consumer_properties: Properties,
    /// Every librdkafka property of the producer, ours and the user's, secrets included: `Debug` masks them.
    pub producer_properties: Properties,
}
