//! In a lane one transform runs at a time, in whichever instance; the lanes run beside each other.

use crate::support::evidence::{Evidence, Span};
use crate::support::guarantees::{Guarantee, OneAtATimePerLane};
use crate::support::kafka::Kafka;
use crate::support::record::Input;
use crate::support::scenario::Scenario;
use crate::support::setup::{Mode, in_every_mode, setup};

in_every_mode!(slow_transforms_in_two_instances);

fn slow(s: &Scenario, count: usize) -> Vec<Input> {
    (0..count).map(|n| Input::valid(&s.id()).key(format!("key-{}", n % 12)).slow(20)).collect()
}

fn slow_transforms_in_two_instances(mode: Mode) {
    let kafka = Kafka::for_test();
    let mut s = setup().mode(mode).probe().set("WORKER_POOL", 8).on(&kafka);
    let inputs = slow(&s, 300);
    s.send(inputs);
    let mut first = s.start();
    s.wait_until_written(50);
    let second = s.start_with(&[("TASKS_PICK_UP", "16")]);
    s.wait_for_members(4);
    let inputs = slow(&s, 300);
    s.send(inputs);
    s.wait_until_committed();
    first.stop_cleanly();
    s.finish(second);
    let evidence = s.evidence();
    assert_eq!(evidence.spans.len(), 600, "one span a record: there was something to judge");
    run_beside_each_other(mode, evidence);
}

/// The guarantee, asked for more than the mode promises, objects: the lanes do overlap, and overlaps are seen.
fn run_beside_each_other(mode: Mode, mut evidence: Evidence) {
    evidence.spans = match mode {
        Mode::Unordered => evidence.spans_in(Mode::Key),
        Mode::Key => evidence.spans_in(Mode::Partition),
        Mode::Partition => {
            let one_lane = |span: Span| Span { lane: "all".to_owned(), ..span };
            evidence.spans.into_iter().map(one_lane).collect()
        }
    };
    let overlaps = OneAtATimePerLane.violations(&evidence).len();
    assert!(overlaps > 50, "{overlaps} overlaps: the workers hardly worked at the same time");
}
