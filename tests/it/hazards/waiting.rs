//! The program with a transform that waits asynchronously: what holds for workers holds for futures.

use crate::support::kafka::Kafka;
use crate::support::record::Input;
use crate::support::setup::{Mode, in_every_mode, setup};
use crate::support::{eventually, seconds};

use super::slow;

in_every_mode!(futures_of_every_outcome);

fn futures_of_every_outcome(mode: Mode) {
    let kafka = Kafka::for_test();
    let mut s = setup().mode(mode).async_probe().set("PROCESSOR_RETRY_BACKOFF", "5ms").on(&kafka);
    let inputs: Vec<_> = (0..600)
        .map(|n| {
            let input = Input::valid(&s.id()).key(format!("key-{}", n % 40)).to(n % 4).slow(n as u64 % 5);
            match n % 30 {
                3 => input.retried(2),
                9 => input.rejected(),
                14 => input.panicking(),
                20 => input.filtered(),
                26 => input.split(3),
                _ => input,
            }
        })
        .collect();
    s.send(inputs);
    s.finish(s.start());
}

#[test]
fn a_rebalance_while_futures_wait() {
    // As many at a time as there are workers in the test of the workers.
    slow::while_slow_transforms_run(setup().async_probe().set("PROCESSOR_MAX_IN_FLIGHT", 16));
}

#[test]
fn futures_that_outlive_their_assignment() {
    slow::when_transforms_outlive_their_assignment(setup().async_probe());
}

#[test]
fn a_crash_while_futures_wait() {
    let kafka = Kafka::for_test();
    let in_flight = 100;
    let mut s = setup().async_probe().set("PROCESSOR_MAX_IN_FLIGHT", in_flight).on(&kafka);
    let input = |n: i32| Input::valid(&s.id()).key(format!("key-{}", n % 97)).slow(150);
    let inputs: Vec<_> = (0..1_500).map(input).collect();
    s.send(inputs);
    for round in 1..=2 {
        let instance = s.start();
        let committed = || s.committed().values().sum::<i64>();
        eventually(seconds(60), "some of it is committed", || committed() >= round * 400);
        assert!(s.written() < 1_500, "all was done before the crash");
        instance.kill();
        s.judge_so_far();
    }
    let mut last = s.start();
    s.wait_until_committed();
    last.stop_cleanly();
    // Nothing is lost and all is in order; how much is repeated is counted where workers crash.
    s.judge(1_500);
}
