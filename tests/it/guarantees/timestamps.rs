//! Timestamps: a result has its record's, whatever it is; a dead letter has the time of the death, as its topic counts from there how
//! long it keeps it.

use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::conformance::wire::{Batch, Wire};
use crate::support::kafka::Kafka;
use crate::support::own_broker::OwnBroker;
use crate::support::process::Instance;
use crate::support::record::{Expect, Input, Sent, now_ms};
use crate::support::scenario::Scenario;
use crate::support::setup::{Setup, setup};
use crate::support::{admin, eventually, seconds};

const DAY: i64 = 86_400_000;

/// Writes records with these timestamps into partition 0, each time a good one and one that fails, in one batch. librdkafka cannot
/// write all of them.
fn send_at(s: &mut Scenario, timestamps: &[i64]) {
    let at = |timestamp| [(timestamp, None), (timestamp, Some("tombstone"))];
    let inputs: Vec<Input> = timestamps
        .iter()
        .flat_map(|timestamp| at(*timestamp))
        .map(|(timestamp, fails)| {
            let input = Input { timestamp, ..Input::valid(&s.id()) };
            // A field twice: the value still says who it is.
            let twice = |value: Vec<u8>| [&value[..value.len() - 1], br#","status":"twice"}"#].concat();
            match fails {
                None => input,
                Some(_) => Input {
                    value: input.value.map(twice),
                    expect: Expect::DeadLetter("duplicate_field"),
                    ..input
                },
            }
        })
        .collect();
    let values: Vec<_> = inputs.iter().filter_map(|input| input.value.clone()).collect();
    let times: Vec<_> = inputs.iter().map(|input| input.timestamp).collect();
    let produced = Wire::to(&s.kafka).produce(&s.input, 0, &Batch::of(&values).at(&times));
    assert_eq!(produced.code, 0, "the broker takes {times:?}");
    let topic = s.input.clone();
    s.sent.extend((produced.base..).zip(inputs).map(|(offset, input)| Sent {
        input,
        topic: topic.clone(),
        partition: 0,
        offset,
    }));
}

fn come_through(setup: Setup) {
    let kafka = Kafka::for_test();
    let mut s = setup.on(&kafka);
    let now = now_ms();
    // The first of a batch has a part of its own in the format.
    for timestamps in [vec![-1, now, -1, 0, 1], vec![0, -1], vec![now - 2 * DAY, 2, -1], vec![-1]] {
        send_at(&mut s, &timestamps);
    }
    s.finish(s.start());
}

#[test]
fn every_timestamp_comes_through_and_none_stays_none() {
    come_through(setup());
}

#[test]
fn every_timestamp_comes_through_in_transactions() {
    come_through(setup().exactly_once());
}

#[test]
fn every_timestamp_comes_through_in_compressed_batches() {
    come_through(setup().set("KAFKA_PRODUCER_COMPRESSION_TYPE", "lz4"));
}

/// Exit code and all that is printed.
fn check(s: &Scenario, arguments: &[&str]) -> (Option<i32>, String) {
    let mut checking = Instance::spawn(&s.program, arguments, &s.variables);
    let code = checking.wait_exit(seconds(60));
    (code, checking.log())
}

#[test]
fn a_dead_letter_topic_that_keeps_less_than_the_input_is_warned_of() {
    let kafka = Kafka::for_test();
    let s = setup().on(&kafka);
    let warned = |what: &str| {
        let (code, said) = check(&s, &["check"]);
        assert_eq!(code, Some(0), "a warning is no fault\n{said}");
        let line = said.lines().find(|line| line.starts_with("WARN dead letters"));
        assert!(
            line.is_some_and(|line| line.contains(&s.dead_letters) && line.contains(what)),
            "{what}\n{said}"
        );
        let (code, said) = check(&s, &["check", "--strict"]);
        assert_eq!(code, Some(78), "with --strict it is one\n{said}");
    };
    let quiet = || {
        let (code, said) = check(&s, &["check", "--strict"]);
        assert!(code == Some(0) && !said.contains("WARN"), "{code:?}\n{said}");
    };
    quiet();
    admin::configure_topic(&kafka, &s.dead_letters, "retention.ms", "3600000");
    warned("3600000 ms");
    admin::configure_topic(&kafka, &s.input, "retention.ms", "3600000");
    quiet();
    admin::configure_topic(&kafka, &s.input, "cleanup.policy", "compact");
    warned("for ever");
    admin::configure_topic(&kafka, &s.dead_letters, "retention.ms", "-1");
    quiet();
    admin::configure_topic(&kafka, &s.dead_letters, "cleanup.policy", "compact");
    warned("compacted");
}

/// The broker looks every second what is too old to be kept.
#[test]
fn letters_of_old_records_are_kept_when_the_records_are_not() {
    let Some(broker) = OwnBroker::borrow() else { return };
    let (kafka, hour) = (&broker.kafka, "3600000");
    let mut s = setup().dead_letters("retention.ms", hour).on(kafka);
    send_at(&mut s, &[now_ms() - 2 * DAY; 5]);
    s.finish(s.start());
    if kafka.is_real() {
        admin::configure_topic(kafka, &s.input, "retention.ms", hour);
        let reader: BaseConsumer = admin::settings(kafka).create().expect("a client");
        eventually(seconds(60), "the broker has deleted the records", || {
            reader.fetch_watermarks(&s.input, 0, seconds(5)).is_ok_and(|(first, end)| first == end)
        });
    }
    assert_eq!(s.evidence().dead_letters.len(), 5, "the letters are there");
}

#[test]
fn a_letter_that_had_to_wait_is_dated_anew() {
    let kafka = Kafka::for_test();
    // The client says within a second that a topic is gone.
    let mut s = setup().set("KAFKA_TOPIC_METADATA_PROPAGATION_MAX_MS", 500).on(&kafka);
    let instance = s.start();
    instance.wait_for_log("running", seconds(30));
    admin::delete_topic(&kafka, &s.dead_letters);
    let input = Input::invalid(&s.id());
    s.send([input]);
    instance.wait_for_log("dead letters cannot be written", seconds(30));
    admin::create_topic(&kafka, &s.dead_letters, 2, &[]);
    s.finish(instance);
    let letters = s.evidence().dead_letters;
    let failed: jiff::Timestamp =
        letters[0].text("processor.dlq.failed-at").expect("a header").parse().expect("a time");
    assert!(letters[0].timestamp > Some(failed.as_millisecond()), "{letters:?}");
}
