//! A transform that never returns.

use crate::support::kafka::Kafka;
use crate::support::probe::Flag;
use crate::support::record::Input;
use crate::support::setup::setup;
use crate::support::{eventually, seconds};

/// One of two workers hangs with 63 other records in its hand: they are done, and so is whatever comes.
#[test]
fn a_stuck_record_is_named_and_keeps_nothing_but_its_key() {
    let kafka = Kafka::for_test();
    let hang = Flag::raise();
    let setup = setup().probe().set("PROBE_HANG_WHILE", hang.path().display()).set("WORKER_POOL", 2);
    // A second member, should it join late, would get the record again, and it would hang the other worker.
    let setup = setup.set("CONSUMERS_COUNT", 1);
    let mut s = setup.set("TASKS_PICK_UP", 64).set("PROCESSOR_DRAIN_TIMEOUT", "3s").on(&kafka);
    let others = |s: &crate::support::scenario::Scenario, count: usize| -> Vec<Input> {
        (0..count).map(|n| Input::valid(&s.id()).key(format!("key-{n}"))).collect()
    };
    let mut inputs = others(&s, 200);
    inputs.insert(100, Input::valid(&s.id()).key("stuck").hanging());
    inputs.push(Input::valid(&s.id()).key("stuck"));
    s.send(inputs);
    let mut instance = s.start();
    s.wait_until_written(200);
    let more = others(&s, 2_000);
    s.send(more);
    s.wait_until_written(2_200);
    let stuck = s.sent.iter().find(|sent| sent.input.headers.iter().any(|(name, _)| name == "probe.hang"));
    let stuck =
        stuck.map(|sent| format!("{}/{}/{}", sent.topic, sent.partition, sent.offset)).expect("it was sent");
    instance.wait_for_log("stuck: the transform has not returned", seconds(30));
    assert!(instance.log().contains(&stuck), "its position is said");
    s.judge_so_far();
    instance.terminate();
    assert_eq!(instance.wait_exit(seconds(40)), Some(75), "two records are left\n{}", instance.log());
    hang.lower();
    let mut next = s.start();
    s.wait_until_committed();
    next.stop_cleanly();
    let behind = s.sent.iter().filter(|sent| sent.partition == partition_of(&stuck)).count();
    s.judge(behind);
}

#[test]
fn a_stuck_record_that_returns_at_last_is_like_any_other() {
    let kafka = Kafka::for_test();
    let hang = Flag::raise();
    let setup = setup().probe().set("PROBE_HANG_WHILE", hang.path().display()).set("WORKER_POOL", 2);
    let mut s = setup.set("TASKS_PICK_UP", 64).on(&kafka);
    let mut inputs: Vec<_> = (0..300).map(|n| Input::valid(&s.id()).key(format!("key-{}", n % 40))).collect();
    inputs.insert(30, Input::valid(&s.id()).key("key-3").hanging());
    s.send(inputs);
    let instance = s.start();
    // Of its key there are seven behind it.
    eventually(seconds(60), "all but its key is done", || s.written() >= 301 - 8);
    hang.lower();
    s.finish(instance);
}

fn partition_of(place: &str) -> i32 {
    place.rsplit('/').nth(1).and_then(|text| text.parse().ok()).expect("topic/partition/offset")
}
