//! A transform of one's own: values in capitals, what is not text to the dead-letter topic `dlq.capitals`.
//!
//! `KAFKA_SERVERS=localhost KAFKA_GROUP_ID=capitals KAFKA_CONSUMER_TOPICS=in KAFKA_OUTPUT_TOPIC=out \
//! cargo run --example custom_transform`

use std::time::Duration;

use processor::app::App;
use processor::config::{Config, Http, LogFormat, OffsetReset, OnFailure, Order, Partitioning, Retry};
use processor::record::Record;
use processor::transform::{Context, Outcome, Transform};

struct Capitals;

impl Transform for Capitals {
    fn apply(&self, record: &Record, _: &Context) -> Outcome {
        match record.value().map(std::str::from_utf8) {
            None => Outcome::Filter,
            Some(Ok(text)) => Outcome::value(text.to_uppercase().into_bytes()),
            Some(Err(error)) => Outcome::reject("not_text", error.to_string()),
        }
    }
}

fn main() {
    let ended = App::new(config()).with_transform(Capitals).run();
    eprintln!("{}", ended.message);
    std::process::exit(ended.exit as i32);
}

/// What the environment says, and our choice of the rest.
fn config() -> Config {
    let variable = |name: &str| {
        std::env::var(name).unwrap_or_else(|_| {
            eprintln!("{name} is not set: see the top of examples/custom_transform.rs");
            std::process::exit(78);
        })
    };
    let group = variable("KAFKA_GROUP_ID");
    let client = |more: &[(&str, &str)]| {
        let servers = ("bootstrap.servers".to_owned(), variable("KAFKA_SERVERS"));
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        std::iter::once(servers).chain(more).collect()
    };
    Config {
        input_topics: vec![variable("KAFKA_CONSUMER_TOPICS")],
        output_topic: variable("KAFKA_OUTPUT_TOPIC"),
        dead_letter_topic: Some(format!("dlq.{group}")),
        offset_reset: OffsetReset::Earliest,
        workers: 6,
        tasks_pick_up: None,
        consumers: 2,
        producers: 2,
        order: Order::Key,
        retry: Retry {
            attempts: 5,
            backoff: Duration::from_millis(200),
            backoff_max: Duration::from_secs(30),
        },
        on_failure: OnFailure::DeadLetter,
        max_in_flight: 10_000,
        max_in_flight_bytes: 64 << 20,
        commit_interval: Duration::from_secs(1),
        drain_timeout: Duration::from_secs(25),
        partitioning: Partitioning::Murmur2,
        http: Http::Off,
        log_filter: "info".to_owned(),
        log_format: LogFormat::Text,
        consumer_properties: client(&[
            ("group.id", &group),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("partition.assignment.strategy", "cooperative-sticky"),
        ]),
        producer_properties: client(&[
            ("enable.idempotence", "true"),
            ("message.timeout.ms", "0"),
            ("partitioner", "murmur2_random"),
        ]),
        group_id: group,
    }
}
