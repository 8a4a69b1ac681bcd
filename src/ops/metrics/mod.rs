//! Counters and histograms, and how everything is written for Prometheus.
//!
//! The stages call in once a batch, not once a record: a call costs a look-up of its labels and, for a histogram, an
//! uncontended lock for each observation.

mod format;
mod gauges;
mod kinds;
mod labels;
pub mod names;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

pub use self::format::Format;
use self::gauges::Gauges;
pub use self::kinds::{Commit, Processed, Rebalance};
use self::labels::{One, Two, Words};
use self::names::Name;
use super::deaths::Deaths;
use super::status::Snapshot;

/// Below 5 ms: for transforms and queues.
const FINE: [f64; 5] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025];
/// The buckets of OpenTelemetry's semantic conventions.
const USUAL: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Above 10 s: for what may take minutes.
const LONG: [f64; 4] = [30.0, 60.0, 300.0, 3600.0];

type Histograms = Family<One, Histogram, fn() -> Histogram>;

/// What is running.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Of this program.
    pub version: String,
    /// The commit it was built from, empty if unknown.
    pub revision: String,
    /// Of the librdkafka it runs with.
    pub librdkafka: String,
    /// Hash of the effective configuration, empty if unknown.
    pub config_hash: String,
}

/// All counters and histograms, shared by all threads.
#[derive(Debug)]
pub struct Metrics {
    about: About,
    registry: Registry,
    reasons: Words,
    deaths: Deaths,
    codes: Words,
    records_consumed: Family<One, Counter>,
    consumed_bytes: Family<One, Counter>,
    records_processed: Family<One, Counter>,
    records_produced: Family<One, Counter>,
    produced_bytes: Family<One, Counter>,
    retries: Family<Two, Counter>,
    dlq_records: Family<Two, Counter>,
    dlq_write_errors: Counter,
    breaker_openings: Counter,
    records_redelivered: Family<One, Counter>,
    records_skipped: Family<One, Counter>,
    commits: Family<One, Counter>,
    rebalances: Family<One, Counter>,
    kafka_errors: Family<One, Counter>,
    log_suppressed: Counter,
    transform_duration: Histograms,
    queue_wait: Histogram,
    produce_ack: Histogram,
    end_to_end: Histogram,
    commit_duration: Histogram,
    rebalance_duration: Histogram,
    drain_duration: Histogram,
}

impl Metrics {
    /// All at zero. Series whose labels are known beforehand exist from the start, so that a rate sees their first step.
    pub fn new(about: About) -> Self {
        let mut registry = Registry::with_prefix(names::PREFIX);
        info(&mut registry, &about);
        let r = &mut registry;
        let metrics = Self {
            reasons: Words::default(),
            deaths: Deaths::default(),
            codes: Words::default(),
            records_consumed: register(r, names::RECORDS_CONSUMED, Family::default()),
            consumed_bytes: register(r, names::CONSUMED_BYTES, Family::default()),
            records_processed: register(r, names::RECORDS_PROCESSED, Family::default()),
            records_produced: register(r, names::RECORDS_PRODUCED, Family::default()),
            produced_bytes: register(r, names::PRODUCED_BYTES, Family::default()),
            retries: register(r, names::RETRIES, Family::default()),
            dlq_records: register(r, names::DLQ_RECORDS, Family::default()),
            dlq_write_errors: register(r, names::DLQ_WRITE_ERRORS, Counter::default()),
            breaker_openings: register(r, names::BREAKER_OPENINGS, Counter::default()),
            records_redelivered: register(r, names::RECORDS_REDELIVERED, Family::default()),
            records_skipped: register(r, names::RECORDS_SKIPPED, Family::default()),
            commits: register(r, names::COMMITS, Family::default()),
            rebalances: register(r, names::REBALANCES, Family::default()),
            kafka_errors: register(r, names::KAFKA_ERRORS, Family::default()),
            log_suppressed: register(r, names::LOG_SUPPRESSED, Counter::default()),
            transform_duration: register(r, names::TRANSFORM_DURATION, Family::new_with_constructor(fine)),
            queue_wait: register(r, names::QUEUE_WAIT, fine()),
            produce_ack: register(r, names::PRODUCE_ACK, fine()),
            end_to_end: register(r, names::END_TO_END, long()),
            commit_duration: register(r, names::COMMIT_DURATION, fine()),
            rebalance_duration: register(r, names::REBALANCE_DURATION, long()),
            drain_duration: register(r, names::DRAIN_DURATION, long()),
            about,
            registry,
        };
        metrics.begin();
        metrics
    }

    fn begin(&self) {
        for outcome in [Processed::Ok, Processed::Filtered, Processed::Invalid, Processed::Failed] {
            self.processed(outcome, 0);
        }
        for outcome in [Commit::Ok, Commit::Failed] {
            self.commits.get_or_create(&[("outcome", outcome.label().to_owned())]).inc_by(0);
        }
        for kind in [Rebalance::Assign, Rebalance::Revoke, Rebalance::Lost] {
            self.rebalances.get_or_create(&[("kind", kind.label().to_owned())]).inc_by(0);
        }
    }

    /// What is running.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// A batch of one topic was read.
    pub fn consumed(&self, topic: &str, records: u64, bytes: u64) {
        let labels = [("topic", topic.to_owned())];
        self.records_consumed.get_or_create(&labels).inc_by(records);
        self.consumed_bytes.get_or_create(&labels).inc_by(bytes);
    }

    /// Records of a batch that left their transform for good in this way.
    pub fn processed(&self, outcome: Processed, records: u64) {
        self.records_processed.get_or_create(&[("outcome", outcome.label().to_owned())]).inc_by(records);
    }

    /// The output topic acknowledged these.
    pub fn produced(&self, topic: &str, records: u64, bytes: u64) {
        let labels = [("topic", topic.to_owned())];
        self.records_produced.get_or_create(&labels).inc_by(records);
        self.produced_bytes.get_or_create(&labels).inc_by(bytes);
    }

    /// One attempt failed and will be repeated.
    pub fn retried(&self, stage: &'static str, reason: &str) {
        let labels = [("stage", stage.to_owned()), ("reason", self.reasons.bounded(reason))];
        self.retries.get_or_create(&labels).inc();
    }

    /// The dead letter of the record at this topic, partition and offset was acknowledged.
    pub fn dead_lettered(&self, place: (&Arc<str>, i32, i64), reason: &str) {
        let reason = self.reasons.bounded(reason);
        self.dlq_records.get_or_create(&[("topic", place.0.to_string()), ("reason", reason.clone())]).inc();
        self.deaths.note(reason, place);
    }

    /// The dead letters that were acknowledged, for people.
    pub fn deaths(&self) -> &Deaths {
        &self.deaths
    }

    /// One dead letter could not be written.
    pub fn dead_letter_failed(&self) {
        self.dlq_write_errors.inc();
    }

    /// The transform failed for many keys together.
    pub fn breaker_opened(&self) {
        self.breaker_openings.inc();
    }

    /// Records of this topic were read that had been read before.
    pub fn redelivered(&self, topic: &str, records: u64) {
        self.records_redelivered.get_or_create(&[("topic", topic.to_owned())]).inc_by(records);
    }

    /// Records of this topic were read that an earlier assignment had finished.
    pub fn skipped(&self, topic: &str, records: u64) {
        self.records_skipped.get_or_create(&[("topic", topic.to_owned())]).inc_by(records);
    }

    /// One commit ended.
    pub fn committed(&self, outcome: Commit, took: Duration) {
        self.commits.get_or_create(&[("outcome", outcome.label().to_owned())]).inc();
        self.commit_duration.observe(took.as_secs_f64());
    }

    /// One change of the assignment was dealt with.
    pub fn rebalanced(&self, kind: Rebalance, took: Duration) {
        self.rebalances.get_or_create(&[("kind", kind.label().to_owned())]).inc();
        self.rebalance_duration.observe(took.as_secs_f64());
    }

    /// The Kafka client reported an error with this code, such as `_TRANSPORT`.
    pub fn kafka_error(&self, code: &str) {
        self.kafka_errors.get_or_create(&[("code", self.codes.bounded(code))]).inc();
    }

    /// Log lines were left out.
    pub fn log_suppressed(&self, lines: u64) {
        self.log_suppressed.inc_by(lines);
    }

    /// How long this transform took for each record of a batch.
    pub fn transformed(&self, transform: &str, took: impl IntoIterator<Item = Duration>) {
        let labels = [("transform", transform.to_owned())];
        observe(&self.transform_duration.get_or_create(&labels), took);
    }

    /// How long each record of a batch waited for its worker.
    pub fn waited(&self, waits: impl IntoIterator<Item = Duration>) {
        observe(&self.queue_wait, waits);
    }

    /// How long each acknowledgement of a batch took.
    pub fn acknowledged(&self, took: impl IntoIterator<Item = Duration>) {
        observe(&self.produce_ack, took);
    }

    /// How old each record of a batch was when its output was acknowledged.
    pub fn end_to_end(&self, ages: impl IntoIterator<Item = Duration>) {
        observe(&self.end_to_end, ages);
    }

    /// Nothing is in flight any more, this long after the signal.
    pub fn drained(&self, took: Duration) {
        self.drain_duration.observe(took.as_secs_f64());
    }

    /// Everything, in this format.
    ///
    /// # Errors
    /// None that a `String` could cause; the encoder's signature has one.
    pub fn render(&self, snapshot: Snapshot, format: Format) -> Result<String, std::fmt::Error> {
        let mut state = Registry::with_prefix(names::PREFIX);
        state.register_collector(Box::new(Gauges(snapshot)));
        let mut out = String::new();
        text::encode_registry(&mut out, &self.registry)?;
        text::encode_registry(&mut out, &state)?;
        text::encode_eof(&mut out)?;
        Ok(match format {
            Format::OpenMetrics => out,
            Format::Text => format::as_text(&out),
        })
    }
}

fn register<M: Metric + Clone>(registry: &mut Registry, Name { name, help, .. }: Name, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn info(registry: &mut Registry, about: &About) {
    let About { version, revision, librdkafka, config_hash } = about.clone();
    let build = [("version", version), ("revision", revision), ("librdkafka", librdkafka)];
    registry.register(names::BUILD.name, names::BUILD.help, Info::new(build));
    registry.register(names::CONFIG.name, names::CONFIG.help, Info::new([("hash", config_hash)]));
}

fn observe(histogram: &Histogram, values: impl IntoIterator<Item = Duration>) {
    values.into_iter().for_each(|value| histogram.observe(value.as_secs_f64()));
}

fn fine() -> Histogram {
    Histogram::new(FINE.into_iter().chain(USUAL))
}

fn long() -> Histogram {
    Histogram::new(USUAL.into_iter().chain(LONG))
}
