//! The broker stands still, dies, or is not there. These tests have one of their own, one test at a time.

use crate::support::load::SLOW_LOAD_A_SECOND;
use crate::support::own_broker::OwnBroker;
use crate::support::process::Instance;
use crate::support::setup::setup;
use crate::support::{eventually, holds_within, seconds};

/// What may be finished without being committed: commits come every 200 ms, and one may be on its way.
const UNCOMMITTED: usize = SLOW_LOAD_A_SECOND * 2 / 5;

fn lines(instance: &Instance) -> usize {
    instance.log().lines().count()
}

#[test]
fn a_broker_that_stands_still_for_forty_seconds() {
    let Some(broker) = OwnBroker::borrow() else { return };
    let patient = setup().set("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", 90_000);
    let mut s = patient.on(&broker.kafka);
    let mut instance = s.start();
    s.send_load(100);
    s.wait_until_committed();
    s.send_load(20_000);
    broker.pause();
    let before = lines(&instance);
    let ended = holds_within(seconds(40), || !instance.is_running());
    broker.resume();
    assert!(!ended, "it waits for the broker");
    let said = lines(&instance) - before;
    assert!(said <= 20, "it says so once, not {said} times\n{}", instance.log());
    s.finish(instance);
}

#[test]
fn a_broker_killed_in_the_middle() {
    let Some(broker) = OwnBroker::borrow() else { return };
    let mut s = setup().probe().set("PROCESSOR_MAX_IN_FLIGHT", 500).on(&broker.kafka);
    let mut instance = s.start();
    s.send_load(100);
    s.wait_until_committed();
    s.send_slow_load(20_000);
    broker.kill();
    let before = lines(&instance);
    let ended = holds_within(seconds(15), || !instance.is_running());
    assert!(!ended, "it keeps trying\n{}", instance.log());
    let said = lines(&instance) - before;
    assert!((1..=20).contains(&said), "it says so once, not {said} times\n{}", instance.log());
    broker.launch();
    s.wait_until_committed();
    instance.stop_cleanly();
    s.judge(500 + UNCOMMITTED);
}

#[test]
fn a_broker_that_is_not_there_at_the_start() {
    let Some(broker) = OwnBroker::borrow() else { return };
    let mut s = setup().on(&broker.kafka);
    s.send_load(500);
    broker.kill();
    let mut instance = s.start();
    let ended = holds_within(seconds(10), || !instance.is_running());
    assert!(!ended, "it keeps trying\n{}", instance.log());
    assert!((1..=20).contains(&lines(&instance)), "it says so once\n{}", instance.log());
    broker.launch();
    s.finish(instance);
}

#[test]
fn a_stop_with_work_in_flight_and_the_broker_gone() {
    let Some(broker) = OwnBroker::borrow() else { return };
    let mut s = setup().probe().set("PROCESSOR_DRAIN_TIMEOUT", "4s").on(&broker.kafka);
    let mut instance = s.start();
    s.send_load(100);
    s.wait_until_committed();
    s.send_slow_load(30_000);
    broker.kill();
    instance.terminate();
    let code = instance.wait_exit(seconds(20));
    assert!(
        matches!(code, Some(0 | 75)),
        "within the drain time and by itself: {code:?}\n{}",
        instance.log()
    );
    broker.launch();
    let mut next = s.start();
    s.wait_until_committed();
    next.stop_cleanly();
    s.judge(10_000 + UNCOMMITTED);
}

#[test]
fn fifty_terminations_with_the_broker_gone() {
    let Some(broker) = OwnBroker::borrow() else { return };
    let mut s = setup().input_partitions(25).set("PROCESSOR_DRAIN_TIMEOUT", "5s").on(&broker.kafka);
    s.send_load(100);
    for round in 0..2 {
        let mut instances: Vec<_> = (0..25).map(|_| s.start_with(&[("CONSUMERS_COUNT", "1")])).collect();
        s.wait_for_members(25);
        eventually(seconds(60), "the load is done", || s.is_committed(|_| true));
        broker.kill();
        for instance in &instances {
            instance.terminate();
        }
        for (n, instance) in instances.iter_mut().enumerate() {
            let code = instance.wait_exit(seconds(30));
            let ours = matches!(code, Some(0 | 75));
            assert!(
                ours,
                "round {round}, instance {n}: {code:?} is no exit code of ours\n{}",
                instance.log()
            );
        }
        broker.launch();
    }
}

#[test]
fn fifty_terminations_without_a_broker_ever() {
    let Some(broker) = OwnBroker::borrow() else { return };
    let s = setup().set("PROCESSOR_DRAIN_TIMEOUT", "5s").on(&broker.kafka);
    broker.kill();
    for round in 0..5 {
        let mut instances: Vec<_> = (0..10).map(|_| s.start()).collect();
        eventually(seconds(30), "all of them say that there is no broker", || {
            instances.iter().all(|instance| lines(instance) > 0)
        });
        for instance in &instances {
            instance.terminate();
        }
        for (n, instance) in instances.iter_mut().enumerate() {
            let code = instance.wait_exit(seconds(20));
            assert_eq!(code, Some(0), "round {round}, instance {n}: nothing was begun\n{}", instance.log());
        }
    }
}
