//! A transform is still at work when the partition is wanted elsewhere, or when the process dies.

use crate::support::kafka::Kafka;
use crate::support::probe::Flag;
use crate::support::record::Input;
use crate::support::scenario::Scenario;
use crate::support::setup::{Mode, Setup, in_every_mode, setup};
use crate::support::{eventually, seconds};

in_every_mode!(
    a_rebalance_while_slow_transforms_run,
    a_transform_that_outlives_its_assignment_writes_nothing,
    parts_that_were_not_acknowledged_at_a_crash,
);

fn a_rebalance_while_slow_transforms_run(mode: Mode) {
    while_slow_transforms_run(setup().mode(mode));
}

/// Some are slow and most are not: behind every slow one there are finished ones that nobody must do again.
pub(super) fn while_slow_transforms_run(setup: Setup) {
    let kafka = Kafka::for_test();
    // One member in each instance: a second one may still be joining, and the other instance's come with it.
    let mut s = setup.patient().probe().set("WORKER_POOL", 6).set("CONSUMERS_COUNT", 1).on(&kafka);
    // As much as six workers do: each has something in its hand whenever partitions go.
    let second = s.while_sending_such(20, one_in_nine_is_slow, |s| {
        let mut first = s.start();
        s.wait_until_written(8);
        let revocations = || first.log().matches("revoked ").count();
        let before = revocations();
        let second = s.start();
        eventually(seconds(60), "partitions are revoked", || revocations() > before);
        s.wait_for_members(2);
        s.wait_until_written(s.written() + 8);
        first.stop_cleanly();
        second
    });
    s.finish(second);
}

fn one_in_nine_is_slow(s: &Scenario) -> Input {
    let id = s.id();
    let n: i32 = id[1..].parse().expect("an identity ends in a number");
    Input::valid(&id).key(format!("key-{}", n % 30)).to(n % 4).slow(if n % 9 == 4 { 2_000 } else { 60 })
}

fn a_transform_that_outlives_its_assignment_writes_nothing(mode: Mode) {
    when_transforms_outlive_their_assignment(setup().mode(mode));
}

/// One record in each partition whose transform takes longer than a revocation may: the new owner runs it again, and only the new
/// owner's result is written.
pub(super) fn when_transforms_outlive_their_assignment(setup: Setup) {
    let kafka = Kafka::for_test();
    let hang = Flag::raise();
    let setup = setup.probe().set("PROBE_HANG_WHILE", hang.path().display());
    let mut s = setup.set("PROCESSOR_DRAIN_TIMEOUT", "1s").on(&kafka);
    let mut first = s.start();
    s.wait_for_members(2);
    let quick: Vec<_> = (0..40).map(|n| Input::valid(&s.id()).key("key").to(n % 4)).collect();
    s.send(quick);
    s.wait_until_committed();
    let inputs: Vec<_> = (0..4).map(|n| Input::valid(&s.id()).key("key").to(n).hanging()).collect();
    s.send(inputs);
    let mut second = s.start();
    first.wait_for_log("still in flight when their partitions had to be given up", seconds(60));
    s.wait_for_members(4);
    hang.lower();
    s.wait_until_committed();
    first.stop_cleanly();
    second.stop_cleanly();
    s.judge(0);
}

/// Outputs wait half a second in the producer, and the crash comes right behind a commit: what was committed without all
/// its parts is missing then.
fn parts_that_were_not_acknowledged_at_a_crash(mode: Mode) {
    let kafka = Kafka::for_test();
    let setup = setup().mode(mode).probe().set("PROCESSOR_MAX_IN_FLIGHT", 200);
    let mut s = setup.set("KAFKA_PRODUCER_LINGER_MS", 500).on(&kafka);
    let inputs: Vec<_> =
        (0..3_000).map(|n| Input::valid(&s.id()).key(format!("key-{}", n % 37)).split(5)).collect();
    s.send(inputs);
    for round in 1..=2 {
        let instance = s.start();
        let committed = || s.committed().values().sum::<i64>();
        eventually(seconds(60), "some of it is committed", || committed() >= round * 400);
        instance.kill();
        s.judge_so_far();
    }
    let mut last = s.start_with(&[("KAFKA_PRODUCER_LINGER_MS", "5")]);
    s.wait_until_committed();
    last.stop_cleanly();
    // Twice: what was in flight, and what was finished since the last commit.
    s.judge(2 * 5 * (200 + 400));
}
