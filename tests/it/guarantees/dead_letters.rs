//! A record that fails is set aside whole, and holds up nobody.

use crate::support::kafka::Kafka;
use crate::support::page::{ANY_PORT, Pages};
use crate::support::record::{Expect, Input};
use crate::support::scenario::Scenario;
use crate::support::setup::setup;
use crate::support::{eventually, seconds};

/// A valid record with one piece of its value replaced.
fn spoiled(s: &Scenario, from: &str, to: &str, reason: &'static str) -> Input {
    let input = Input::valid(&s.id()).key("key");
    let text = String::from_utf8(input.value.clone().unwrap_or_default()).expect("JSON is text");
    assert!(text.contains(from), "{from} is in {text}");
    input.value(Some(text.replacen(from, to, 1).into_bytes())).dead(reason)
}

#[test]
fn each_reason_is_named() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    let whole =
        |value: &[u8], reason| Input::valid(&s.id()).key("key").value(Some(value.to_vec())).dead(reason);
    let year = jiff::Timestamp::now().to_string()[..4].to_owned();
    let inputs = vec![
        whole(b"{\"id\":", "invalid_json"),
        whole(b"", "invalid_json"),
        whole(b"\xff\xfe", "invalid_json"),
        Input::valid(&s.id()).key("key").value(None).dead("tombstone"),
        spoiled(&s, "\"id\":", "\"ID\":", "id_missing"),
        spoiled(&s, "\"timestamp\":", "\"time\":", "timestamp_missing"),
        spoiled(&s, "\"timestamp\":\"", "\"timestamp\":\"the ", "timestamp_invalid"),
        spoiled(&s, &format!("\"{year}-"), "\"2001-", "too_old"),
        spoiled(&s, &format!("\"{year}-"), "\"2999-", "in_future"),
    ];
    s.send(inputs);
    s.finish(s.start());
}

#[test]
fn the_original_headers_stay_and_ours_cannot_be_forged() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    let input = Input::invalid(&s.id())
        .key(b"\xff\x00\xfe")
        .header("twice", Some(b"1"))
        .header("empty", Some(b""))
        .header("null", None)
        .header("bytes", Some(b"\xff\xfe\x00"))
        .header("__dlq.errors.offset", Some(b"12345"))
        .header("processor.dlq.reason", Some(b"forged"))
        .header("twice", Some(b"2"));
    s.send([input]);
    s.finish(s.start());
}

#[test]
fn a_long_failure_stays_below_two_kibibytes() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    let value = format!(r#"{{"id":"{}","#, "é".repeat(20_000));
    let inputs: Vec<_> =
        (0..20).map(|_| Input::invalid(&s.id()).value(Some(value.clone().into_bytes()))).collect();
    // The identity is there twice now: once is enough.
    s.send(inputs.into_iter().map(|mut input| {
        input.headers.truncate(1);
        input
    }));
    s.finish(s.start());
}

#[test]
fn a_partition_of_failures_only_goes_on() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    let inputs: Vec<_> = (0..2_000).map(|_| Input::invalid(&s.id()).key("key").to(3)).collect();
    s.send(inputs);
    s.finish(s.start());
}

#[test]
fn skip_gives_up_the_failed_and_keeps_the_rest() {
    let kafka = Kafka::for_test();
    let mut s = setup().set("PROCESSOR_ON_FAILURE", "skip").on(&kafka);
    s.send_load(200);
    let mut instance = s.start();
    s.wait_until_committed();
    instance.stop_cleanly();
    let evidence = s.evidence();
    assert_eq!(evidence.dead_letters.len(), 0, "nobody asked for dead letters");
    assert_eq!(evidence.output.len(), 195, "200 less one in 40");
}

#[test]
fn stop_ends_at_the_failure_and_commits_nothing_behind_it() {
    let kafka = Kafka::for_test();
    let mut s = setup().input_partitions(1).set("KAFKA_DLQ_TOPIC", "off").on(&kafka);
    let good: Vec<_> = (0..50).map(|_| Input::valid(&s.id()).key("a")).collect();
    s.send(good);
    let bad = Input::invalid(&s.id()).key("b");
    s.send([bad]);
    let more: Vec<_> = (0..50).map(|_| Input::valid(&s.id()).key("a")).collect();
    s.send(more);
    let (code, log) = s.run_to_end(&[]);
    assert_eq!(code, Some(1), "a failure while running\n{log}");
    assert!(log.contains(&s.input) && log.contains("50"), "the message has the position\n{log}");
    assert!((1..=101).contains(&redelivered(&log)), "at least the failed record comes again\n{log}");
    assert!(s.committed_of(0) <= 50, "the failed record is not committed");
    // The reason is mended: with a place for dead letters, the next run begins at the failed record or before it.
    let topic = s.dead_letters.clone();
    let mut instance = s.start_with(&[("KAFKA_DLQ_TOPIC", &topic)]);
    s.wait_until_committed();
    instance.stop_cleanly();
    s.judge(100);
}

/// What the last line says of what comes again.
fn redelivered(log: &str) -> u64 {
    let (before, _) = log.split_once(" will be redelivered").expect("a line about the drain");
    before.rsplit(' ').next().expect("a word").parse().expect("a number")
}

#[test]
fn a_stop_counts_what_is_held_among_what_comes_again() {
    let kafka = Kafka::for_test();
    let mut s = setup().set("PROCESSOR_AFTER_FAILURE", "hold").on(&kafka);
    let mut instance = s.start_with(&[ANY_PORT]);
    let behind: Vec<_> = (0..5).map(|_| Input::valid(&s.id()).key("key").to(0)).collect();
    let bad = Input::invalid(&s.id()).key("key").to(0);
    s.send([bad]);
    s.send(behind);
    let pages = Pages::of(&instance);
    eventually(seconds(60), "all six are in flight", || pages.get("/").contains("in flight   6 records"));
    instance.stop_cleanly();
    assert_eq!(redelivered(&instance.log()), 6, "{}", instance.log());
    let mut next = s.start_with(&[("PROCESSOR_AFTER_FAILURE", "continue")]);
    s.wait_until_committed();
    next.stop_cleanly();
    s.judge(0);
}

#[test]
fn failures_are_said_by_reason_with_their_count_and_the_last_position() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    let mut instance = s.start_with(&[ANY_PORT]);
    for _ in 0..40 {
        let bad = [
            Input::invalid(&s.id()).key("a").to(1),
            Input::valid(&s.id()).key("b").value(None).to(2).dead("tombstone"),
        ];
        s.send(bad);
    }
    s.send_load(50);
    s.wait_until_committed();
    let page = Pages::of(&instance).get("/");
    let last = |reason: &'static str| {
        let of_it = s.sent.iter().filter(|sent| sent.input.expect == Expect::DeadLetter(reason));
        of_it.map(|sent| format!("{}/{}/{}", sent.topic, sent.partition, sent.offset)).next_back()
    };
    assert!(
        page.contains("tombstone: 40, the last one of") && page.contains(&last("tombstone").unwrap()),
        "{page}"
    );
    instance.stop_cleanly();
    let log = instance.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let said: Vec<_> = lines.filter(|line| line["reason"] == "tombstone").collect();
    let count: u64 = said.iter().filter_map(|line| line["count"].as_u64()).sum();
    assert!(count == 40 && said.len() <= 10, "{said:?}\n{log}");
    let message = said.last().map(ToString::to_string).unwrap_or_default();
    assert!(message.contains(&last("tombstone").unwrap()) && message.contains(&s.dead_letters), "{message}");
    s.judge(0);
}
