//! Somebody else moves the group's offsets between two runs.

use crate::support::admin::{self, Offsets};
use crate::support::kafka::Kafka;
use crate::support::setup::setup;

#[test]
fn offsets_set_back_from_outside_are_read_again() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    s.send_load(1_000);
    let mut first = s.start();
    s.wait_until_committed();
    first.stop_cleanly();
    s.judge(0);
    let back: Offsets = (0..4).map(|partition| ((s.input.clone(), partition), 10)).collect();
    s.wait_for_members(0);
    admin::reset_offsets(&kafka, &s.group, &back);
    s.forget_committed();
    let repeats = s.sent.iter().filter(|sent| sent.offset >= 10).count();
    let mut second = s.start();
    s.wait_until_committed();
    second.stop_cleanly();
    s.judge(repeats);
    assert_eq!(s.written(), 1_000 + repeats, "all of them, and each once more");
}

#[test]
fn offsets_set_forward_from_outside_are_obeyed() {
    let kafka = Kafka::for_test();
    let mut s = setup().input_partitions(1).on(&kafka);
    s.send_load(100);
    admin::reset_offsets(&kafka, &s.group, &Offsets::from([((s.input.clone(), 0), 60)]));
    s.sent.retain(|sent| sent.offset >= 60);
    s.finish(s.start());
}
