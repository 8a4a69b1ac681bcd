//! The broker refuses a batch for what is wrong with one record of it, or because batches have become too large: the record at fault
//! becomes a dead letter, if there is one, and nothing else does.

use processor::embedded::{Fault, Request};

use super::faults::{send_before, start_known};
use crate::support::admin;
use crate::support::client::read_topic;
use crate::support::codes::{INVALID_RECORD, TOPIC_AUTHORIZATION_FAILED};
use crate::support::kafka::Kafka;
use crate::support::record::{Input, now_ms};
use crate::support::scenario::Scenario;
use crate::support::setup::{Setup, setup};
use crate::support::{eventually, seconds};

/// Where everything is taken, whenever it was made.
const ALWAYS: &str = "9223372036854775807";
const TWO_HOURS_MS: i64 = 7_200_000;

/// A test in both ways of delivery.
macro_rules! in_both_ways {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::support::setup::setup;

            #[test]
            fn at_least_once() {
                super::$name(setup());
            }

            #[test]
            fn exactly_once() {
                super::$name(setup().exactly_once());
            }
        }
    )+};
}

in_both_ways!(
    a_limit_that_is_lowered_while_it_runs,
    a_limit_that_nobody_may_ask_for,
    one_record_from_the_future_among_a_hundred,
    some_records_without_a_key_for_a_compacted_topic,
    a_batch_that_is_refused_without_a_name,
);

/// Smaller batches are all it takes: every record fits by itself.
fn a_limit_that_is_lowered_while_it_runs(setup: Setup) {
    let kafka = Kafka::for_test();
    let mut s = setup.on(&kafka);
    let instance = start_known(&mut s);
    admin::configure_topic(&kafka, &s.output, "max.message.bytes", "20000");
    s.send_load(20_000);
    s.finish(instance);
}

/// The same where the limit is known to nobody, at the start and later.
fn a_limit_that_nobody_may_ask_for(setup: Setup) {
    let kafka = Kafka::embedded();
    let mut s = setup.output("max.message.bytes", "3000").on(&kafka);
    for _ in 0..100 {
        kafka.faults().next(Request::DescribeConfigs, Fault::Refuse(TOPIC_AUTHORIZATION_FAILED));
    }
    s.send_load(5_000);
    s.finish(s.start());
}

/// Its neighbours are written, and in order. The dead-letter topic would not take that timestamp either.
fn one_record_from_the_future_among_a_hundred(setup: Setup) {
    let kafka = Kafka::for_test();
    let mut s = setup.input("message.timestamp.after.max.ms", ALWAYS).on(&kafka);
    for _ in 0..5 {
        s.send_load(50);
        let early = Input { timestamp: now_ms() + TWO_HOURS_MS, ..s.load(1) };
        s.send([Input { expect: Input::valid("").dead("timestamp_out_of_range").expect, ..early }]);
        s.send_load(50);
    }
    s.finish(s.start());
}

fn some_records_without_a_key_for_a_compacted_topic(setup: Setup) {
    let kafka = Kafka::for_test();
    let mut s = setup.output("cleanup.policy", "compact").on(&kafka);
    let inputs: Vec<_> = (0..1_000)
        .map(|n| match n % 100 {
            7 => Input::valid(&s.id()).dead("no_key_on_compacted_topic"),
            _ => Input::valid(&s.id()).key(format!("key-{}", n % 37)),
        })
        .collect();
    s.send(inputs);
    s.finish(s.start());
}

/// As brokers before 2.4 do, and some that are not Apache Kafka: each record is written by itself then, and all are good.
fn a_batch_that_is_refused_without_a_name(setup: Setup) {
    let mut s = setup.on(&Kafka::embedded());
    let instance = start_known(&mut s);
    send_before(&mut s, &instance, 3_000, |script| {
        (0..3).for_each(|_| script.next(Request::Produce, Fault::Refuse(INVALID_RECORD)));
    });
    s.wait_until_committed();
    s.finish(instance);
}

#[test]
fn a_time_of_death_that_the_topic_does_not_take() {
    letters_are_written_without_a_time(setup(), &Kafka::for_test());
}

/// Apache Kafka would not take its own markers of transactions either, with this setting.
#[test]
fn a_time_of_death_that_the_topic_does_not_take_in_a_transaction() {
    letters_are_written_without_a_time(setup().exactly_once(), &Kafka::embedded());
}

/// As where the clock of the machine is hours from the broker's.
fn letters_are_written_without_a_time(setup: Setup, kafka: &Kafka) {
    let mut s = setup.dead_letters("message.timestamp.before.max.ms", "0").on(kafka);
    let inputs: Vec<_> = (0..100)
        .map(|n| match n % 3 {
            0 => Input::invalid(&s.id()),
            _ => Input::valid(&s.id()).key(format!("key-{}", n % 37)),
        })
        .collect();
    s.send(inputs);
    let mut instance = s.start();
    s.wait_until_committed();
    instance.stop_cleanly();
    let mut evidence = s.evidence();
    let undated: Vec<_> =
        evidence.dead_letters.iter_mut().filter(|letter| letter.timestamp.is_none()).collect();
    assert!(!undated.is_empty(), "the topic took every time of death: this test shows nothing");
    undated.into_iter().for_each(|letter| letter.timestamp = Some(now_ms()));
    s.judge_this(&evidence, 0);
}

/// Much larger than what the topic takes, but not when it is compressed, as the broker gets it.
#[test]
fn what_the_broker_takes_compressed_is_not_refused() {
    let kafka = Kafka::for_test();
    let setup = setup().set("KAFKA_PRODUCER_COMPRESSION_TYPE", "lz4").output("max.message.bytes", "50000");
    let mut s = setup.dead_letters("max.message.bytes", "50000").on(&kafka);
    s.send_load(100);
    let long = "ten chars ".repeat(80_000);
    let good = text_of(&s, &long);
    let bad = Input::invalid(&s.id()).key("long").value(Some(format!("[\"{long}\"").into_bytes()));
    s.send([good, bad.dead("invalid_json")]);
    s.send_load(100);
    s.finish(s.start());
}

fn text_of(s: &Scenario, long: &str) -> Input {
    let plain = Input::valid(&s.id()).key("long");
    let text = String::from_utf8(plain.value.clone().unwrap_or_default()).expect("JSON is text");
    let value = text.replace("more than ten characters", long).into_bytes();
    Input { value: Some(value), ..plain }
}

/// Nothing is left out of a dead letter for another reason than its size: it waits, and is whole when the topic takes it.
#[test]
fn a_dead_letter_that_is_refused_for_what_it_is_waits_whole() {
    let kafka = Kafka::for_test();
    let mut s = setup().dead_letters("cleanup.policy", "compact").on(&kafka);
    let instance = s.start();
    let inputs: Vec<_> = (0..20).map(|_| Input::invalid(&s.id())).collect();
    s.send(inputs);
    eventually(seconds(60), "the log says what is wrong", || {
        let log = instance.log();
        log.contains("no_key_on_compacted_topic") && log.contains(&format!("{}/", s.input))
    });
    assert_eq!(s.written(), 0, "nothing is written of it");
    admin::configure_topic(&kafka, &s.dead_letters, "cleanup.policy", "delete");
    s.finish(instance);
}

/// Once the limit is raised again, letters are whole again: also of those that were refused before.
#[test]
fn a_dead_letter_is_whole_once_the_limit_is_raised() {
    let kafka = Kafka::for_test();
    let mut s = setup().input_partitions(1).dead_letters("max.message.bytes", "100").on(&kafka);
    let large = |s: &Scenario| {
        let text: String = (0..20_000).map(|_| fastrand::alphanumeric()).collect();
        Input::invalid(&s.id()).key("large").value(Some(text.into_bytes())).dead("invalid_json")
    };
    let instance = s.start();
    let first = large(&s);
    s.send([first]);
    eventually(seconds(60), "it waits", || instance.log().contains("a dead letter is refused"));
    admin::configure_topic(&kafka, &s.dead_letters, "max.message.bytes", "1000000");
    let second = large(&s);
    s.send([second]);
    s.finish(instance);
}

/// Each fits by itself, and none loses its value.
#[test]
fn many_dead_letters_for_a_topic_that_takes_small_batches() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    let instance = start_known(&mut s);
    admin::configure_topic(&kafka, &s.dead_letters, "max.message.bytes", "10000");
    let inputs: Vec<_> =
        (0..20_000).map(|n| Input::invalid(&s.id()).key(format!("key-{}", n % 37))).collect();
    s.send(inputs);
    s.finish(instance);
}

/// Letters that are refused one after the other break no client, and the results do not notice.
#[test]
fn refused_dead_letters_disturb_no_results() {
    let kafka = Kafka::for_test();
    let mut s = setup().dead_letters("cleanup.policy", "compact").on(&kafka);
    let instance = s.start();
    let inputs: Vec<_> = (0..4_000)
        .map(|n| match n % 20 {
            0 => Input::invalid(&s.id()).to(0),
            _ => Input::valid(&s.id()).key(format!("good-{}", n % 37)).to(1 + n % 3),
        })
        .collect();
    s.send(inputs);
    eventually(seconds(60), "the others are done", || s.is_committed(|sent| sent.partition != 0));
    eventually(seconds(60), "the log names a refused letter", || {
        instance.log().contains("a dead letter is refused")
    });
    assert!(!instance.log().contains("the producer client failed"), "{}", instance.log());
    admin::configure_topic(&kafka, &s.dead_letters, "cleanup.policy", "delete");
    s.finish(instance);
}

/// With its own number of partitions, from the first letter on.
#[test]
fn a_dead_letter_topic_that_is_made_while_it_runs() {
    for delivery in ["at-least-once", "exactly-once"] {
        let kafka = Kafka::for_test();
        let mut s = setup().set("PROCESSOR_DELIVERY", delivery).on(&kafka);
        let topic = format!("dlq.{}", s.group);
        let mut instance = s.start_with(&[("KAFKA_DLQ_TOPIC", &topic)]);
        let inputs: Vec<_> = (0..40).map(|n| Input::invalid(&s.id()).key(format!("{n}")).to(n % 4)).collect();
        s.send(inputs);
        eventually(seconds(60), "the log names the topic", || {
            instance.log().contains(&format!("dead letters cannot be written to {topic}"))
        });
        admin::create_topic(&kafka, &topic, 4, &[]);
        s.wait_until_committed();
        instance.stop_cleanly();
        let letters = read_topic(&kafka, &topic, 4);
        assert_eq!(letters.len(), 40, "{delivery}");
        for letter in letters {
            let source = letter.text("__dlq.errors.partition").and_then(|text| text.parse().ok());
            assert_eq!(source, Some(letter.partition), "{delivery}");
        }
    }
}
