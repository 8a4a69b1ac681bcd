//! `PROCESSOR_DELIVERY=exactly-once`: all that a record can become, each exactly once for a reader with `read_committed`, in the
//! order of its partition.

use std::time::Instant;

use crate::support::guarantees::{Guarantee, PerPartitionOrder};
use crate::support::kafka::Kafka;
use crate::support::record::Input;
use crate::support::scenario::Scenario;
use crate::support::seconds;
use crate::support::setup::{Mode, in_every_mode, setup};

in_every_mode!(whatever_becomes_of_a_record);

fn keyed(s: &Scenario, n: usize) -> Input {
    Input::valid(&s.id()).key(format!("key-{}", n % 20))
}

fn whatever_becomes_of_a_record(mode: Mode) {
    let kafka = Kafka::for_test();
    let setup = setup().mode(mode).probe().exactly_once().set("PROCESSOR_RETRY_BACKOFF", "20ms");
    let mut s = setup.on(&kafka);
    let inputs: Vec<_> = (0..2_000)
        .map(|n| match n % 10 {
            0 => keyed(&s, n).filtered(),
            1 => keyed(&s, n).split(3),
            2 => keyed(&s, n).split(0),
            3 => keyed(&s, n % 7).rejected(),
            4 => keyed(&s, n).retried(2),
            5 => keyed(&s, n).slow(5),
            _ => keyed(&s, n),
        })
        .collect();
    s.send(inputs);
    // Nothing is written behind these: their offsets must be committed all the same.
    let last: Vec<_> = (0..40).map(|n| keyed(&s, n).to(n as i32 % 4).filtered()).collect();
    s.send(last);
    s.finish(s.start());
    // By key is all that is promised; by partition is what holding back makes of it.
    let evidence = s.evidence();
    let swapped = PerPartitionOrder.violations(&evidence);
    assert!(swapped.is_empty(), "{:?}", swapped.first());
}

#[test]
fn one_instance_follows_another() {
    let kafka = Kafka::for_test();
    let mut s = setup().exactly_once().on(&kafka);
    for _ in 0..3 {
        let inputs: Vec<_> = (0..500).map(|n| keyed(&s, n)).collect();
        s.send(inputs);
        s.finish(s.start());
    }
}

/// A start is committed at once, by a transaction that has nothing else in it: a crash must not make the group choose anew.
#[test]
fn a_start_is_committed_before_anything_is_read() {
    let kafka = Kafka::for_test();
    let s = setup().exactly_once().on(&kafka);
    let mut instance = s.start();
    crate::support::eventually(seconds(30), "all four starts are committed", || s.committed().len() == 4);
    instance.stop_cleanly();
}

/// What at least once left behind, the map of what is finished beyond the watermark included, is respected.
#[test]
fn the_mode_may_change_between_two_starts() {
    let kafka = Kafka::for_test();
    let mut s = setup().probe().on(&kafka);
    let inputs: Vec<_> =
        (0..400).map(|n| if n % 100 == 7 { keyed(&s, n).slow(4_000) } else { keyed(&s, n) }).collect();
    s.send(inputs);
    let mut first = s.start();
    s.wait_until_written(300);
    let started = Instant::now();
    first.stop_cleanly();
    assert!(started.elapsed() < seconds(20));
    let mut second = s.start_with(&[("PROCESSOR_DELIVERY", "exactly-once")]);
    let more: Vec<_> = (0..100).map(|n| keyed(&s, n)).collect();
    s.send(more);
    s.wait_until_committed();
    second.stop_cleanly();
    let more: Vec<_> = (0..100).map(|n| keyed(&s, n)).collect();
    s.send(more);
    s.finish(s.start());
}
