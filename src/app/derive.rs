//! From the configuration and what was found out about the cluster: what each stage is told.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use super::start::Found;
use crate::checkpoint::Budget;
use crate::config::Config;
use crate::engine::Policy;
use crate::kafka::credentials::Credentials;
use crate::ops::Http;
use crate::ops::logging::LogFormat;
use crate::ops::metrics::About;
use crate::policy::{AfterFailure, Delivery, Order};
use crate::sink::batches::Batches;
use crate::sink::route::Route;
use crate::sink::{self, Target, dead_letter, transaction};
use crate::source;

/// librdkafka's own default of `batch.size`.
const LARGEST_BATCH: usize = 1_000_000;
/// The largest `message.max.bytes` that librdkafka knows: whether a record is too large is the broker's to say.
const LARGEST_RECORD: usize = 1_000_000_000;

pub(super) fn policy(config: &Config, transform: &str) -> Policy {
    Policy {
        order: config.order,
        delivery: config.delivery,
        retry: config.retry,
        on_failure: config.on_failure,
        after_failure: config.after_failure,
        largest_record: largest_record(config),
        budget: Budget { records: config.max_in_flight, bytes: config.max_in_flight_bytes },
        workers: config.workers,
        tasks_pick_up: config.tasks_pick_up,
        producers: match config.delivery {
            Delivery::AtLeastOnce => config.producers,
            Delivery::ExactlyOnce => config.consumers,
        },
        source_header: config.source_header,
        sender: dead_letter::Sender {
            group: config.group_id.clone(),
            transform: transform.to_owned(),
            instance: instance(),
        },
    }
}

/// What the client refuses before it asks any broker: only what the user says. What a topic takes counts compressed batches, which
/// nobody but the broker can judge.
fn largest_record(config: &Config) -> usize {
    let bound = config.producer_properties.get("message.max.bytes");
    bound.and_then(|text| text.parse().ok()).unwrap_or(usize::MAX)
}

fn instance() -> String {
    let host = std::env::var("HOSTNAME").ok().or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    format!("{}-{}", host.as_deref().map_or("host", str::trim), std::process::id())
}

/// Of a client that writes to these topics. librdkafka does not split a batch that a topic finds too large, so batches are no larger
/// than what the topics take; a single record may be.
pub(super) fn producer_properties(config: &Config, found: &Found, targets: &[Target]) -> ClientConfig {
    let mut properties = client_config(&config.producer_properties);
    let smallest = targets.iter().map(|target| found.largest_batches[*target as usize]).min();
    let size = smallest.map_or(LARGEST_BATCH, Batches::within).min(LARGEST_BATCH);
    for (name, value) in [("batch.size", size), ("message.max.bytes", LARGEST_RECORD)] {
        if config.producer_properties.get(name).is_none() {
            properties.set(name, value.to_string());
        }
    }
    properties
}

pub(super) fn route(config: &Config) -> Route {
    Route::new(config.output_topic.clone(), config.dead_letter_topic.clone(), config.partitioning)
}

pub(super) fn sink_settings(config: &Config, route: Arc<Route>, writes: Target) -> sink::kafka::Settings {
    let dead_letters_in_order = config.after_failure == AfterFailure::DeadLetterKey;
    sink::kafka::Settings { route, writes, dead_letters_in_order, patience: patience(config) }
}

/// How long a delivery may wait while the broker answers others: as long as the client waits for an answer before it asks again,
/// and after that as long as the broker may wait for its replicas. (librdkafka's defaults: a minute, and half of one.)
fn patience(config: &Config) -> Duration {
    let ms = |name, default| {
        let text = config.producer_properties.get(name);
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    Duration::from_millis(ms("socket.timeout.ms", 60_000) + ms("request.timeout.ms", 30_000))
}

/// What the transactions of this process are called, but for the number of the consumer. Where no name was given none is used
/// again: what a process that died left open ends by itself then, after `transaction.timeout.ms`.
pub(super) fn transactional_name(config: &Config) -> String {
    let name = config.instance.clone().unwrap_or_else(new_instance);
    format!("{}-{name}", config.group_id)
}

/// A name for this instance that nobody had before.
pub(super) fn new_instance() -> String {
    format!("{}-{:08x}", instance(), fastrand::u32(..))
}

pub(super) fn transactor_settings(config: &Config, name: &str, index: usize) -> transaction::Settings {
    transaction::Settings {
        index,
        group: config.group_id.clone(),
        name: format!("{name}-{index}"),
        interval: config.commit_interval,
        // The workers must not wait for a commit: what is not in a transaction is for the next.
        most: (config.max_in_flight / 2 / config.consumers).max(1),
        timeout: transaction_timeout(config),
    }
}

pub(super) fn transaction_timeout(config: &Config) -> Duration {
    let text = config.producer_properties.get("transaction.timeout.ms");
    Duration::from_millis(text.and_then(|text| text.parse().ok()).unwrap_or(10_000))
}

pub(super) fn consumer_properties(config: &Config, index: usize) -> ClientConfig {
    let mut properties = client_config(&config.consumer_properties);
    // Every member needs an identity of its own.
    if let Some(id) = properties.get("group.instance.id").map(str::to_owned) {
        properties.set("group.instance.id", format!("{id}-{index}"));
    }
    properties
}

pub(super) fn source_settings(config: &Config, found: &Found, index: usize) -> source::kafka::Settings {
    let properties = client_config(&config.consumer_properties);
    let max_poll_ms: u64 =
        properties.get("max.poll.interval.ms").and_then(|text| text.parse().ok()).unwrap_or(300_000);
    source::kafka::Settings {
        index,
        group: config.group_id.clone(),
        servers: servers(config),
        topics: config.input_topics.clone(),
        reset: config.offset_reset,
        known: found.known.clone(),
        commit_interval: (config.delivery == Delivery::AtLeastOnce).then_some(config.commit_interval),
        // The group waits for us all that time: a fifth of what it allows, and no longer than a drain.
        revoke_timeout: Duration::from_millis(max_poll_ms / 5).min(config.drain_timeout),
    }
}

/// `bootstrap.servers`, for commands that the user is told.
pub(super) fn servers(config: &Config) -> String {
    config.consumer_properties.get("bootstrap.servers").unwrap_or("localhost:9092").to_owned()
}

pub(super) fn client_config(properties: &[(String, String)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in properties {
        config.set(name, value);
    }
    config.set_log_level(log_level(&config));
    config
}

/// The level of librdkafka's own lines. It has to be said although librdkafka knows it from `debug`: rust-rdkafka sets a level of
/// its own once the client is made, and what is below it is not even written.
fn log_level(config: &ClientConfig) -> RDKafkaLogLevel {
    match config.get("debug") {
        Some(_) => RDKafkaLogLevel::Debug,
        // Why a broker closed a connection is told at no higher level; what is noise is left out by `Context::line`.
        None => RDKafkaLogLevel::Info,
    }
}

/// What clients log in with: what comes from a file may change.
pub(super) fn credentials(config: &Config) -> Credentials {
    let of = |name| config.consumer_properties.get(name).unwrap_or_default().to_owned();
    match &config.password_file {
        Some(file) => Credentials::new(of("sasl.username"), of("sasl.password"), file.clone()),
        None => Credentials::default(),
    }
}

/// The version of librdkafka that this program runs with.
pub fn librdkafka_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

pub(super) fn about(config: &Config) -> About {
    About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: option_env!("PROCESSOR_REVISION").unwrap_or_default().to_owned(),
        librdkafka: librdkafka_version(),
        config_hash: config_hash(config),
    }
}

/// Equal for instances that do the same: an alarm can compare them. What has to differ between them (the port, who they are), and
/// how they log, is left out. `Debug` leaves secrets out, so the hash tells nothing of them.
fn config_hash(config: &Config) -> String {
    const OWN: [&str; 7] = [
        "client.id",
        "client.rack",
        "debug",
        "group.instance.id",
        "log_level",
        "log.connection.close",
        "log.thread.name",
    ];
    let shared = Config {
        http: Http::Off,
        instance: None,
        log_filter: String::new(),
        log_format: LogFormat::Text,
        consumer_properties: config.consumer_properties.without(&OWN),
        producer_properties: config.producer_properties.without(&OWN),
        ..config.clone()
    };
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(format!("{shared:?}").as_bytes()))
}

pub(super) fn promise(config: &Config) -> String {
    let order = match config.order {
        Order::Key => "in order per key",
        Order::Partition => "in order per partition",
        Order::Unordered => "in no order",
    };
    let guarantee = match config.delivery {
        Delivery::ExactlyOnce => format!(
            "exactly once for readers with read_committed, {order}; a transaction every {} ms",
            config.commit_interval.as_millis()
        ),
        Delivery::AtLeastOnce => format!(
            "at least once, {order}; after a crash up to {} records in flight and those of {} ms may be repeated",
            config.max_in_flight,
            config.commit_interval.as_millis()
        ),
    };
    format!(
        "processor {} running: {} -> {}, failed records to {}; guarantee: {guarantee}",
        env!("CARGO_PKG_VERSION"),
        config.input_topics.join(" "),
        config.output_topic,
        config.dead_letter_topic.as_deref().unwrap_or("nowhere"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Config {
        let minimum = [
            ("KAFKA_SERVERS", "localhost"),
            ("KAFKA_GROUP_ID", "group"),
            ("KAFKA_CONSUMER_TOPICS", "in"),
            ("KAFKA_CONSUMER_TOPIC", "out"),
        ];
        let all = minimum.iter().chain(variables).map(|(name, value)| (name.into(), value.into()));
        crate::config::load(all, vec![]).unwrap().config
    }

    #[test]
    fn instances_that_do_the_same_have_equal_hashes() {
        let plain = config_hash(&with(&[]));
        for own in [
            ("PROCESSOR_HTTP_ADDR", "127.0.0.1:18890"),
            ("PROCESSOR_HTTP_ADDR", "off"),
            ("PROCESSOR_INSTANCE", "pod-3"),
            ("KAFKA_GROUP_INSTANCE_ID", "pod-3"),
            ("KAFKA_CLIENT_ID", "pod-3"),
            ("KAFKA_CLIENT_RACK", "zone-b"),
            ("RUST_LOG", "debug"),
            ("PROCESSOR_LOG_FORMAT", "json"),
            ("KAFKA_DEBUG", "cgrp"),
            ("KAFKA_LOG_LEVEL", "7"),
        ] {
            assert_eq!(config_hash(&with(&[own])), plain, "{own:?}");
        }
        for shared in [("WORKER_POOL", "7"), ("PROCESSOR_ORDER", "partition"), ("KAFKA_LINGER_MS", "6")] {
            assert_ne!(config_hash(&with(&[shared])), plain, "{shared:?}");
        }
    }

    #[test]
    fn librdkafka_writes_debug_lines_where_they_are_asked_for() {
        let level =
            |variables: &[(&str, &str)]| client_config(&with(variables).producer_properties).log_level as i32;
        assert_eq!((level(&[]), level(&[("KAFKA_DEBUG", "msg")])), (6, 7));
    }
}
