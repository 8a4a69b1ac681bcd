//! A record failed and its dead letter cannot be written: it stays unfinished, whatever succeeds behind it.

use crate::support::kafka::Kafka;
use crate::support::record::Input;
use crate::support::scenario::Scenario;
use crate::support::setup::{Setup, setup};
use crate::support::{admin, eventually, holds_within, seconds};

/// The client says within a second that a topic is gone. By itself it waits half a minute for it to come back, and the
/// program would not notice anything.
fn impatient() -> Setup {
    setup().set("KAFKA_TOPIC_METADATA_PROPAGATION_MAX_MS", 500)
}

/// Runs until a first load is done, then `bad` failures into partition 0 and good records behind them everywhere.
fn fail_in_partition_0(s: &mut Scenario, bad: usize) {
    let failures: Vec<_> = (0..bad).map(|n| Input::invalid(&s.id()).key(format!("bad-{n}")).to(0)).collect();
    s.send(failures);
    let good: Vec<_> = (0..400).map(|n| Input::valid(&s.id()).key(format!("good-{n}")).to(n % 4)).collect();
    s.send(good);
}

/// The others are finished and committed, partition 0 is not, and the log says why.
fn others_flow(s: &Scenario, log: impl Fn() -> String) {
    eventually(seconds(60), "the other partitions flow", || s.is_committed(|sent| sent.partition != 0));
    eventually(seconds(60), "the log names the dead-letter topic", || log().contains(&s.dead_letters));
    let committed = holds_within(seconds(3), || s.committed_of(0) > 0);
    assert!(!committed, "partition 0 is committed beyond a record that is nowhere");
}

#[test]
fn a_success_behind_a_failure_does_not_hide_it_from_the_next_start() {
    let kafka = Kafka::for_test();
    let mut s = impatient().on(&kafka);
    let instance = s.start();
    instance.wait_for_log("running", seconds(30));
    admin::delete_topic(&kafka, &s.dead_letters);
    fail_in_partition_0(&mut s, 1);
    eventually(seconds(60), "good records behind the failure are written", || s.written() >= 400);
    others_flow(&s, || instance.log());
    instance.kill();
    admin::create_topic(&kafka, &s.dead_letters, 2, &[]);
    let mut next = s.start();
    s.wait_until_committed();
    next.stop_cleanly();
    s.judge(100);
}

#[test]
fn the_dead_letter_topic_deleted_and_made_again() {
    let kafka = Kafka::for_test();
    let mut s = impatient().on(&kafka);
    let instance = s.start();
    instance.wait_for_log("running", seconds(30));
    admin::delete_topic(&kafka, &s.dead_letters);
    fail_in_partition_0(&mut s, 3);
    others_flow(&s, || instance.log());
    admin::create_topic(&kafka, &s.dead_letters, 2, &[]);
    s.finish(instance);
}

#[test]
fn a_dead_letter_that_the_topic_refuses() {
    let kafka = Kafka::for_test();
    let mut s = setup().dead_letters("max.message.bytes", "100").on(&kafka);
    let instance = s.start();
    instance.wait_for_log("running", seconds(30));
    fail_in_partition_0(&mut s, 3);
    others_flow(&s, || instance.log());
    instance.kill();
    admin::configure_topic(&kafka, &s.dead_letters, "max.message.bytes", "1000000");
    let mut next = s.start();
    s.wait_until_committed();
    next.stop_cleanly();
    s.judge(100);
}

#[test]
fn a_partition_full_of_failures_that_cannot_be_written_leaves_room_for_the_others() {
    let kafka = Kafka::for_test();
    let mut s = impatient().set("PROCESSOR_MAX_IN_FLIGHT", 200).on(&kafka);
    let instance = s.start();
    instance.wait_for_log("running", seconds(30));
    admin::delete_topic(&kafka, &s.dead_letters);
    fail_in_partition_0(&mut s, 1_000);
    others_flow(&s, || instance.log());
    admin::create_topic(&kafka, &s.dead_letters, 2, &[]);
    s.finish(instance);
}

#[test]
fn a_record_larger_than_the_output_allows() {
    let kafka = Kafka::for_test();
    let mut s = setup().output("max.message.bytes", "20000").on(&kafka);
    s.send_load(200);
    let large = too_large(&s);
    s.send([large]);
    s.send_load(200);
    s.finish(s.start());
}

fn too_large(s: &Scenario) -> Input {
    Input::valid(&s.id()).key("key-1").large().dead("too_large")
}

/// The client breaks at each that has others behind it, and empties its queue by itself. What a producer thread hands over in
/// that moment comes into a queue that nobody works on any more.
#[test]
fn records_that_the_output_refuses_break_the_producer_and_nothing_waits_for_ever() {
    let kafka = Kafka::for_test();
    let setup = setup().output("max.message.bytes", "20000").set("KAFKA_PRODUCER_LINGER_MS", 0);
    let mut s = setup.on(&kafka);
    for _ in 0..10 {
        s.send_load(2_000);
        let large = too_large(&s);
        s.send([large]);
    }
    s.send_load(2_000);
    s.finish(s.start());
}
