//! The binary: arguments and exit code.
use processor::config::*;
use std::time::Duration;
fn main() {
    processor::telemetry::logging::init(
        &std::env::var("RUST_LOG").unwrap_or("info".into()),
        LogFormat::Text,
        processor::telemetry::logging::Stream::Stdout,
    )
    .unwrap();
    let v = |k: &str, d: &str| std::env::var(k).unwrap_or(d.into());
    let kv = |l: &[(&str, &str)]| l.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect::<Vec<_>>();
    let servers = v("KAFKA_SERVERS", "127.0.0.1:19092");
    let group = v("KAFKA_GROUP_ID", "g");
    let config = Config {
        group_id: group.clone(),
        input_topics: vec![v("KAFKA_CONSUMER_TOPICS", "in")],
        output_topic: v("KAFKA_CONSUMER_TOPIC", "out"),
        dead_letter_topic: Some(v("KAFKA_DLQ_TOPIC", "dlq")),
        offset_reset: OffsetReset::Earliest,
        workers: v("WORKER_POOL", "6").parse().unwrap(),
        tasks_pick_up: std::env::var("TASKS_PICK_UP").ok().map(|s| s.parse().unwrap()),
        consumers: v("CONSUMERS_COUNT", "2").parse().unwrap(),
        producers: v("PRODUCERS_COUNT", "2").parse().unwrap(),
        order: Order::Key,
        retry: Retry {
            attempts: 3,
            backoff: Duration::from_millis(200),
            backoff_max: Duration::from_secs(30),
        },
        on_failure: OnFailure::DeadLetter,
        max_in_flight: v("PROCESSOR_MAX_IN_FLIGHT", "10000").parse().unwrap(),
        max_in_flight_bytes: 64 << 20,
        commit_interval: Duration::from_secs(1),
        drain_timeout: Duration::from_secs(25),
        partitioning: Partitioning::Murmur2,
        http: Http::Default("127.0.0.1:8890".parse().unwrap()),
        log_filter: "info".into(),
        log_format: LogFormat::Text,
        consumer_properties: kv(&[
            ("bootstrap.servers", &servers),
            ("group.id", &group),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("isolation.level", "read_committed"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("fetch.queue.backoff.ms", "1"),
            ("queued.min.messages", "10000"),
            ("queued.max.messages.kbytes", "16384"),
            ("log.connection.close", "false"),
        ]),
        producer_properties: kv(&[
            ("bootstrap.servers", &servers),
            ("enable.idempotence", "true"),
            ("message.timeout.ms", "0"),
            ("linger.ms", "5"),
            ("partitioner", "murmur2_random"),
            ("log.connection.close", "false"),
        ]),
    };
    let ended = processor::app::App::new(config).run();
    if !ended.message.is_empty() {
        eprintln!("error: {}", ended.message);
    }
    std::process::exit(ended.exit as i32);
}
