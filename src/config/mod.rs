//! Environment and flags, checked and typed. The only place that knows the names of settings: one row of [`table`] and one field of
//! [`Config`] for each.

mod effective;
mod given;
mod names;
mod parser;
mod problem;
mod resolve;
mod rotation;
mod table;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use self::problem::Problems;
use crate::kafka::properties::Properties;
use crate::ops::Http;
use crate::ops::logging::LogFormat;
use crate::policy::{AfterFailure, Delivery, OffsetReset, OnFailure, Order, Partitioning, Retry};

pub use self::effective::{EffectiveSetting, EffectiveSettings};
pub use self::parser::time as duration;
pub use self::problem::{ConfigError, SettingProblem, Warnings};
pub use self::table::{Fallback, SETTINGS, Setting, markdown};
pub use crate::kafka::topic_name::topic_name;

/// Everything the program needs to know: what [`load`] returns is valid in itself, and what only the cluster can tell is checked at
/// the start. The default is empty, for [`load`] to fill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `KAFKA_GROUP_ID`.
    pub group_id: String,
    /// `KAFKA_INPUT_TOPICS`, each once, in the order given.
    pub input_topics: Vec<String>,
    /// `KAFKA_OUTPUT_TOPIC`.
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

/// A configuration, what is doubtful about it, and where its values come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Valid in itself.
    pub config: Config,
    /// What is probably not meant.
    pub warnings: Vec<SettingProblem>,
    /// The effective values with their source, secrets masked.
    pub settings: EffectiveSettings,
}

/// Reads settings from `environment` and from `flags`, which are named as the variables are (`WORKER_POOL`) and win.
///
/// # Errors
/// All that is wrong, at once.
pub fn load(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    flags: Vec<(String, OsString)>,
) -> Result<Loaded, ConfigError> {
    let mut problems = Problems::default();
    let given = given::collect(environment, flags, &mut problems);
    let resolved = resolve::resolve(&given, &mut problems);
    if resolved.strict {
        problems.make_strict();
    }
    let settings = EffectiveSettings::new(&given, &resolved.effective);
    let Problems { faults, warnings } = problems;
    if faults.is_empty() {
        Ok(Loaded { config: resolved.config, warnings, settings })
    } else {
        Err(ConfigError { faults, warnings, settings })
    }
}

/// Where a program with these settings listens, whatever else is wrong or missing among them.
///
/// # Errors
/// When the address itself is wrong.
pub fn http(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    flags: Vec<(String, OsString)>,
) -> Result<Http, ConfigError> {
    let given = given::collect(environment, flags, &mut Problems::default());
    let mut problems = Problems::default();
    let http = resolve::http(&given, &mut problems);
    let Problems { faults, warnings } = problems;
    if faults.is_empty() {
        Ok(http)
    } else {
        Err(ConfigError { faults, warnings, settings: EffectiveSettings::default() })
    }
}
