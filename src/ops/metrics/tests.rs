//! What a scrape sees.

use std::time::{Duration, SystemTime};

use super::*;
use crate::ops::{Broker, LastError, PartitionStatus, Phase};

fn partition(
    topic: &str,
    partition: i32,
    lag_records: Option<u64>,
    lag_seconds: Option<f64>,
) -> PartitionStatus {
    PartitionStatus {
        topic: topic.into(),
        partition,
        lag_records,
        lag_age: lag_records.map(|_| Duration::from_millis(500)),
        lag_seconds,
        in_flight: 0,
        ends: vec![("produced", 4)],
        balance: 2,
        blocked: None,
    }
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "no line {line} in\n{text}");
}

/// Something of every counter.
fn count(metrics: &Metrics) {
    metrics.consumed("in", 3, 900);
    metrics.consumed("in", 2, 100);
    metrics.processed(Processed::Ok, 4);
    metrics.processed(Processed::Invalid, 1);
    metrics.produced("out", 4, 1200);
    metrics.retried("transform", "busy");
    metrics.dead_lettered((&"in".into(), 0, 7), "too_old");
    metrics.dead_letter_failed();
    metrics.breaker_opened();
    metrics.redelivered("in", 7);
    metrics.skipped("in", 6);
    metrics.committed(Commit::Ok, Duration::from_millis(3));
    metrics.rebalanced(Rebalance::Lost, Duration::from_millis(3));
    metrics.kafka_error("_TRANSPORT");
    metrics.log_suppressed(99);
}

#[test]
fn counters_add_up_by_label() {
    let metrics = Metrics::new(About::default());
    count(&metrics);
    let text = metrics.render(Snapshot::default(), Format::OpenMetrics).unwrap();
    for line in [
        r#"processor_records_consumed_total{topic="in"} 5"#,
        r#"processor_consumed_bytes_total{topic="in"} 1000"#,
        r#"processor_records_processed_total{outcome="ok"} 4"#,
        r#"processor_records_processed_total{outcome="invalid"} 1"#,
        r#"processor_records_processed_total{outcome="failed"} 0"#,
        r#"processor_records_produced_total{topic="out"} 4"#,
        r#"processor_produced_bytes_total{topic="out"} 1200"#,
        r#"processor_retries_total{stage="transform",reason="busy"} 1"#,
        r#"processor_dlq_records_total{topic="in",reason="too_old"} 1"#,
        "processor_dlq_write_errors_total 1",
        "processor_breaker_openings_total 1",
        r#"processor_records_redelivered_total{topic="in"} 7"#,
        r#"processor_records_skipped_total{topic="in"} 6"#,
        r#"processor_commits_total{outcome="ok"} 1"#,
        r#"processor_commits_total{outcome="failed"} 0"#,
        "processor_commit_duration_seconds_count 1",
        r#"processor_rebalances_total{kind="lost"} 1"#,
        r#"processor_kafka_errors_total{code="_TRANSPORT"} 1"#,
        "processor_log_suppressed_total 99",
    ] {
        has(&text, line);
    }
}

#[test]
fn a_transform_cannot_make_series_without_end() {
    let metrics = Metrics::new(About::default());
    for n in 0..1000 {
        metrics.dead_lettered((&"in".into(), 0, n), &format!("row_{n}"));
        metrics.kafka_error(&format!("code_{n}"));
    }
    let text = metrics.render(Snapshot::default(), Format::OpenMetrics).unwrap();
    has(&text, r#"processor_dlq_records_total{topic="in",reason="other"} 936"#);
    assert_eq!(text.matches("processor_dlq_records_total{").count(), 65);
    assert_eq!(text.matches("processor_kafka_errors_total{").count(), 65);
}

#[test]
fn histograms_take_a_batch() {
    let metrics = Metrics::new(About::default());
    let batch = [1, 200, 3_000_000].map(Duration::from_micros);
    metrics.transformed("builtin:validate", batch);
    metrics.waited(batch);
    metrics.acknowledged(batch);
    metrics.end_to_end(batch);
    metrics.drained(batch[2]);
    let text = metrics.render(Snapshot::default(), Format::OpenMetrics).unwrap();
    has(&text, r#"processor_transform_duration_seconds_bucket{le="0.0001",transform="builtin:validate"} 1"#);
    has(&text, r#"processor_transform_duration_seconds_count{transform="builtin:validate"} 3"#);
    has(&text, r#"processor_queue_wait_seconds_bucket{le="0.00025"} 2"#);
    has(&text, "processor_produce_ack_seconds_count 3");
    has(&text, r#"processor_end_to_end_seconds_bucket{le="3600.0"} 3"#);
    has(&text, "processor_drain_duration_seconds_sum 3.0");
}

#[test]
fn gauges_show_the_snapshot_and_nothing_that_is_not_known() {
    let metrics = Metrics::new(About::default());
    let mut blocked = partition("in", 1, None, None);
    blocked.blocked = Some("dead letters cannot be written".to_owned());
    let snapshot = Snapshot {
        phase: Phase::Running,
        broker: Broker::Reachable,
        pending: 5,
        ready: 2,
        producing: 1,
        in_flight_records: 11,
        in_flight_bytes: 4096,
        oldest_in_flight: Some(Duration::from_millis(1500)),
        workers: 6,
        workers_busy: 3,
        held_lanes: 2,
        stuck: vec!["in/0/7".to_owned()],
        outage: Some("the transform fails".to_owned()),
        partitions: vec![
            partition("in", 0, Some(12), Some(0.25)),
            blocked,
            partition("two", 0, Some(0), Some(f64::NAN)),
        ],
        last_commit: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_714_564_800)),
        last_error: Some(failed("consume", 9)),
        ..Snapshot::default()
    };
    let text = metrics.render(snapshot, Format::OpenMetrics).unwrap();
    for line in [
        r#"processor_consumer_lag_records{topic="in",partition="0"} 12.0"#,
        r#"processor_consumer_lag_seconds{topic="in",partition="0"} 0.25"#,
        r#"processor_consumer_lag_records{topic="two",partition="0"} 0.0"#,
        r#"processor_consumer_lag_age_seconds{topic="in",partition="0"} 0.5"#,
        r#"processor_partition_records{topic="two",partition="0",end="produced"} 4"#,
        r#"processor_partition_balance{topic="two",partition="0"} 2.0"#,
        r#"processor_assigned_partitions{topic="in"} 2"#,
        r#"processor_assigned_partitions{topic="two"} 1"#,
        "processor_paused_partitions 1",
        r#"processor_in_flight_records{stage="pending"} 5"#,
        r#"processor_in_flight_records{stage="working"} 3"#,
        r#"processor_in_flight_records{stage="ready"} 2"#,
        r#"processor_in_flight_records{stage="producing"} 1"#,
        "processor_in_flight_bytes 4096",
        "processor_oldest_in_flight_seconds 1.5",
        "processor_workers 6",
        "processor_workers_busy 3",
        "processor_held_lanes 2",
        "processor_stuck_records 1",
        "processor_breaker_open 1",
        "processor_ready 1",
        "processor_draining 0",
        "processor_broker_reachable 1",
        "processor_last_commit_timestamp_seconds 1714564800.0",
        r#"processor_last_error_timestamp_seconds{stage="consume"} 9.0"#,
    ] {
        has(&text, line);
    }
    assert!(!text.contains(r#"lag_records{topic="in",partition="1"}"#), "an unknown lag is absent\n{text}");
    assert!(!text.contains("NaN") && !text.contains("-1"), "{text}");

    let after = metrics
        .render(Snapshot { phase: Phase::Draining, ..Snapshot::default() }, Format::OpenMetrics)
        .unwrap();
    has(&after, "processor_ready 0");
    has(&after, "processor_draining 1");
    for gone in
        ["partition=", "processor_oldest_in_flight_seconds ", "processor_last_commit_timestamp_seconds "]
    {
        assert!(
            !after.lines().any(|l| !l.starts_with('#') && l.contains(gone)),
            "{gone} is still there\n{after}"
        );
    }
}

fn failed(stage: &'static str, seconds: u64) -> LastError {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    LastError { stage, at, text: "it failed".to_owned() }
}

#[test]
fn every_name_is_written_described_and_in_openmetrics_form() {
    let about = About { version: "1.2.3".into(), config_hash: "c0ffee".into(), ..About::default() };
    let metrics = Metrics::new(about);
    count(&metrics);
    metrics.transformed("custom", [Duration::ZERO]);
    let snapshot = Snapshot {
        oldest_in_flight: Some(Duration::ZERO),
        last_commit: Some(SystemTime::UNIX_EPOCH),
        last_error: Some(failed("client", 0)),
        partitions: vec![partition("in", 0, Some(0), Some(0.0))],
        ..Snapshot::default()
    };
    let text = metrics.render(snapshot, Format::OpenMetrics).unwrap();
    for names::Name { name, help, .. } in names::ALL {
        assert_eq!(text.matches(&format!("# HELP processor_{name} {help}.\n")).count(), 1, "{name}\n{text}");
        assert_eq!(text.matches(&format!("# TYPE processor_{name} ")).count(), 1, "{name}\n{text}");
    }
    has(&text, r#"processor_build_info{version="1.2.3",revision="",librdkafka=""} 1"#);
    has(&text, r#"processor_config_info{hash="c0ffee"} 1"#);
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(text.matches("# EOF").count(), 1);
}

/// The grammar of a format, as far as a scraper is strict about it: each sample belongs to the family above it, each family comes
/// once, with a type that the format has, and the end is marked or not.
fn check_grammar(page: &str, format: Format) {
    let types: &[&str] = match format {
        Format::OpenMetrics => &["counter", "gauge", "histogram", "info", "unknown"],
        Format::Text => &["counter", "gauge", "histogram", "untyped"],
    };
    let (mut family, mut seen) = (("", ""), std::collections::HashSet::new());
    let body = match format {
        Format::OpenMetrics => page.strip_suffix("# EOF\n").expect("an end"),
        Format::Text => page,
    };
    assert!(body.ends_with('\n'));
    for line in body.lines() {
        match line.splitn(4, ' ').collect::<Vec<_>>()[..] {
            ["#", "HELP", name, _] => assert!(!seen.contains(name), "{line}: described after its samples"),
            ["#", "TYPE", name, kind] => {
                assert!(types.contains(&kind) && seen.insert(name), "{line}");
                family = (name, kind);
            }
            ["#", ..] => panic!("{line}"),
            _ => {
                let (name, rest) = line.split_at(line.find(['{', ' ']).expect("a value"));
                let value = rest.rsplit(' ').next().expect("a value");
                value.parse::<f64>().unwrap_or_else(|_| panic!("{line}: no number"));
                let endings: &[&str] = match (family.1, format) {
                    ("counter", Format::OpenMetrics) => &["_total"],
                    ("info", _) => &["_info"],
                    ("histogram", _) => &["_bucket", "_sum", "_count"],
                    _ => &[""],
                };
                let belongs = name.strip_prefix(family.0).is_some_and(|ending| endings.contains(&ending));
                assert!(belongs, "{line} is below {family:?}");
            }
        }
    }
}

#[test]
fn both_formats_keep_their_grammar_and_have_the_same_samples() {
    let metrics = Metrics::new(About::default());
    count(&metrics);
    metrics.transformed("custom", [Duration::ZERO]);
    let snapshot =
        || Snapshot { partitions: vec![partition("in", 0, Some(1), Some(0.5))], ..Snapshot::default() };
    let [open, text] = [Format::OpenMetrics, Format::Text].map(|format| {
        let page = metrics.render(snapshot(), format).unwrap();
        check_grammar(&page, format);
        page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(open, text);
}
