//! Partitions change hands while records are on their way.

use crate::support::kafka::Kafka;
use crate::support::record::Input;
use crate::support::setup::{Mode, Setup, in_every_mode, setup};
use crate::support::{admin, eventually, seconds};

in_every_mode!(two_then_three_then_one_instance, acknowledgements_outstanding, partitions_lost);

fn two_then_three_then_one_instance(mode: Mode) {
    let kafka = Kafka::for_test();
    let mut s = setup().patient().mode(mode).input_partitions(7).on(&kafka);
    let last = s.while_sending(|s| {
        let (mut first, mut second) = (s.start(), s.start());
        s.wait_for_members(4);
        s.wait_until_written(s.written() + 300);
        let third = s.start();
        s.wait_for_members(6);
        s.wait_until_written(s.written() + 300);
        first.stop_cleanly();
        second.stop_cleanly();
        s.wait_for_members(2);
        s.wait_until_written(s.written() + 300);
        third
    });
    s.finish(last);
}

fn acknowledgements_outstanding(mode: Mode) {
    with_acknowledgements_outstanding(setup().mode(mode));
}

/// Outputs wait half a second in the producer, so every revocation finds some that are not acknowledged.
pub(super) fn with_acknowledgements_outstanding(setup: Setup) {
    let kafka = Kafka::for_test();
    let mut s = setup.patient().set("KAFKA_PRODUCER_LINGER_MS", 500).on(&kafka);
    let first = s.while_sending(|s| {
        let first = s.start();
        s.wait_until_written(300);
        for _ in 0..2 {
            let mut second = s.start();
            s.wait_for_members(4);
            s.wait_until_written(s.written() + 300);
            second.stop_cleanly();
            s.wait_for_members(2);
        }
        first
    });
    s.finish(first);
}

fn partitions_lost(mode: Mode) {
    with_partitions_lost(setup().mode(mode));
}

/// One instance stands still for longer than its session; when it wakes, its partitions are another's.
pub(super) fn with_partitions_lost(setup: Setup) {
    let kafka = Kafka::for_test();
    // At most 500 in flight, each of which waits in the producer: so no machine writes more between two commits than the bound
    // has room for, however much came before the instances were there.
    let setup = setup.set("PROCESSOR_MAX_IN_FLIGHT", 500).set("KAFKA_PRODUCER_LINGER_MS", 100);
    let mut s = setup.set("PROCESSOR_COMMIT_INTERVAL", "50ms").on(&kafka);
    let (mut sleeper, mut other) = s.while_sending(|s| {
        let (sleeper, other) = (s.start(), s.start());
        s.wait_for_members(4);
        s.wait_until_written(s.written() + 500);
        sleeper.signal("STOP");
        s.wait_for_members(2);
        s.wait_until_written(s.written() + 500);
        sleeper.signal("CONT");
        s.wait_for_members(4);
        s.wait_until_written(s.written() + 500);
        (sleeper, other)
    });
    s.wait_until_committed();
    sleeper.stop_cleanly();
    other.stop_cleanly();
    s.judge(500 + 2_500);
}

#[test]
fn partitions_added_to_the_input() {
    partitions_added("earliest");
}

/// Whoever asked for what comes from now on gets all of a new partition: it came later.
#[test]
fn partitions_added_to_the_input_are_read_from_their_start_even_with_reset_latest() {
    partitions_added("latest");
}

fn partitions_added(reset: &str) {
    let kafka = Kafka::for_test();
    let setup = setup().input_partitions(2).set("KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS", 2_000);
    let mut s = setup.on(&kafka);
    s.send_load(200);
    let mut first = s.start();
    s.wait_until_committed();
    first.stop_cleanly();
    let instance = s.start_with(&[("KAFKA_OFFSET_RESET", reset)]);
    s.wait_for_members(2);
    admin::add_partitions(&kafka, &s.input, 4);
    s.input_grew_to(4);
    // They are there before the program knows of their partitions.
    let early: Vec<_> = (0..400).map(|n| Input::valid(&s.id()).key(format!("new-{n}")).to(n % 4)).collect();
    s.send(early);
    s.finish(instance);
}

#[test]
fn more_members_than_partitions() {
    let kafka = Kafka::for_test();
    let mut s = setup().patient().input_partitions(1).on(&kafka);
    s.send_load(500);
    let mut spare = s.start();
    let instance = s.start();
    s.wait_for_members(4);
    eventually(seconds(60), "the load is done", || s.is_committed(|_| true));
    spare.stop_cleanly();
    s.send_load(500);
    s.finish(instance);
}
