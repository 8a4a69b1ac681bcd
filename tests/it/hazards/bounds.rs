//! A full program refuses work; what it refuses must come back.

use crate::support::kafka::Kafka;
use crate::support::record::Input;
use crate::support::setup::{Mode, in_every_mode, setup};
use crate::support::{admin, eventually, holds_within, seconds};

in_every_mode!(a_refused_hand_over_loses_nothing, a_bound_in_bytes_loses_nothing);

fn a_refused_hand_over_loses_nothing(mode: Mode) {
    let kafka = Kafka::for_test();
    let mut s = setup().mode(mode).set("PROCESSOR_MAX_IN_FLIGHT", 7).on(&kafka);
    s.send_load(2_000);
    s.finish(s.start_with(&[("WORKER_POOL", "3"), ("TASKS_PICK_UP", "64")]));
}

fn a_bound_in_bytes_loses_nothing(mode: Mode) {
    let kafka = Kafka::for_test();
    let mut s = setup().mode(mode).set("PROCESSOR_MAX_IN_FLIGHT_BYTES", "64KiB").on(&kafka);
    s.send_load(200);
    // One that is larger than the bound itself must go through too, alone.
    let input = Input::valid(&s.id()).key("key-1");
    let text = String::from_utf8(input.value.clone().unwrap_or_default()).expect("JSON is text");
    let large = text.replace("more than ten characters", &"x".repeat(200_000)).into_bytes();
    s.send([Input { value: Some(large), ..input }]);
    s.send_load(800);
    s.finish(s.start());
}

#[test]
fn what_stands_behind_as_many_records_as_may_be_in_flight_is_not_begun() {
    nothing_behind_failures_is_begun("PROCESSOR_MAX_IN_FLIGHT", "200", 10);
}

#[test]
fn what_stands_behind_as_many_bytes_as_may_be_in_flight_is_not_begun() {
    nothing_behind_failures_is_begun("PROCESSOR_MAX_IN_FLIGHT_BYTES", "256KiB", 1_500);
}

/// 200 failures of `size` bytes fill the bound, none of them can be written, and good records stand behind them: one of
/// those in the output topic would show, whatever the program says of itself, that more was in flight.
fn nothing_behind_failures_is_begun(variable: &'static str, bound: &str, size: usize) {
    let kafka = Kafka::for_test();
    let setup = setup().input_partitions(1).set(variable, bound);
    let mut s = setup.set("KAFKA_TOPIC_METADATA_PROPAGATION_MAX_MS", 500).on(&kafka);
    let instance = s.start();
    instance.wait_for_log("running", seconds(30));
    admin::delete_topic(&kafka, &s.dead_letters);
    let failure = |n| Input::valid(&s.id()).key(format!("bad-{n}")).value(Some(vec![b'x'; size]));
    let failures = (0..200).map(|n| failure(n).dead("invalid_json"));
    let good = (0..1_000).map(|n| Input::valid(&s.id()).key(format!("good-{n}")));
    let inputs: Vec<_> = failures.chain(good).collect();
    s.send(inputs);
    eventually(seconds(60), "the log says that dead letters wait", || {
        instance.log().contains("cannot be written")
    });
    let begun = holds_within(seconds(5), || s.written() > 0);
    assert!(!begun, "{bound} are full, and {} good records behind them are written", s.written());
    instance.kill();
    admin::create_topic(&kafka, &s.dead_letters, 2, &[]);
    s.finish(s.start());
}
