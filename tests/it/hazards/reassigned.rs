//! A partition goes, or comes back, while work of it still runs here.

use std::time::Instant;

use crate::support::kafka::Kafka;
use crate::support::probe::Flag;
use crate::support::record::Input;
use crate::support::setup::setup;
use crate::support::{eventually, seconds};

const LEFT: &str = "still in flight when their partitions had to be given up";

/// Given up with work in flight, taken by another instance that cannot finish it either, and back where the first attempt
/// still runs: that one's result is of an assignment that is gone. The other one gives up waiting, so the group misses it for
/// the six seconds of its session.
#[test]
fn a_partition_comes_back_while_its_old_work_still_runs() {
    let kafka = Kafka::for_test();
    let hang = Flag::raise();
    let setup = setup().probe().set("PROBE_HANG_WHILE", hang.path().display());
    let mut s = setup.set("PROCESSOR_DRAIN_TIMEOUT", "500ms").set("WORKER_POOL", 8).on(&kafka);
    let first = s.start();
    s.wait_for_members(2);
    let quick: Vec<_> = (0..40).map(|n| Input::valid(&s.id()).key("key").to(n % 4)).collect();
    s.send(quick);
    s.wait_until_committed();
    let slow: Vec<_> = (0..4).map(|n| Input::valid(&s.id()).key("key").to(n).hanging()).collect();
    let behind: Vec<_> = (0..40).map(|n| Input::valid(&s.id()).key("key").to(n % 4)).collect();
    s.send(slow.into_iter().chain(behind));
    let mut second = s.start();
    first.wait_for_log(LEFT, seconds(60));
    s.wait_for_members(4);
    let assigned = || first.log().matches("assigned ").count();
    let before = assigned();
    second.terminate();
    let code = second.wait_exit(seconds(40));
    assert!(matches!(code, Some(0 | 75)), "it ended with {code:?}\n{}", second.log());
    eventually(seconds(60), "the partitions are back", || assigned() > before);
    hang.lower();
    s.wait_until_committed();
    let mut first = first;
    first.terminate();
    assert_eq!(first.wait_exit(seconds(30)), Some(0));
    s.judge(0);
}

/// The group lets a member be silent for ten seconds: its work may hold up a rebalance for two of them.
#[test]
fn a_transform_that_hangs_holds_the_group_up_for_a_fifth_of_its_patience() {
    let kafka = Kafka::for_test();
    let setup = setup().probe().set("KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS", 10_000).set("WORKER_POOL", 8);
    // One member in each instance: two would rearrange themselves while they start.
    let setup = setup.set("PROCESSOR_DRAIN_TIMEOUT", "30s").set("CONSUMERS_COUNT", 1);
    let mut s = setup.on(&kafka);
    let mut first = s.start();
    s.wait_for_members(1);
    let slow: Vec<_> = (0..4).map(|n| Input::valid(&s.id()).key("key").to(n).slow(9_000)).collect();
    // Behind each of them a quick one: when they are written, the transforms run.
    let quick: Vec<_> = (0..4).map(|n| Input::valid(&s.id()).key("other").to(n)).collect();
    s.send(slow.into_iter().chain(quick));
    s.wait_until_written(4);
    let revoked = || first.log().contains("revoked ");
    assert!(!revoked(), "nobody came yet");
    let mut second = s.start();
    eventually(seconds(20), "partitions are revoked", revoked);
    let since = Instant::now();
    first.wait_for_log(LEFT, seconds(20));
    let held = since.elapsed();
    assert!(held < seconds(4), "the group was held up for {held:?}");
    s.wait_for_members(2);
    assert!(first.is_running(), "it is a member as before\n{}", first.log());
    s.wait_until_committed();
    first.stop_cleanly();
    second.stop_cleanly();
    s.judge(0);
}
