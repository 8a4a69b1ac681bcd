//! Offsets are not counted one by one: markers of transactions, aborted records and compaction leave holes.

use std::collections::HashSet;

use crate::support::client::{Sender, read_topic};
use crate::support::kafka::Kafka;
use crate::support::record::{Input, Seen};
use crate::support::scenario::Scenario;
use crate::support::setup::{Mode, in_every_mode, setup};
use crate::support::{admin, eventually, seconds};

in_every_mode!(markers_of_transactions_and_aborted_records, a_compacted_topic);

fn some(s: &Scenario, count: usize) -> Vec<Input> {
    (0..count).map(|n| Input::valid(&s.id()).key(format!("key-{}", n % 5))).collect()
}

fn markers_of_transactions_and_aborted_records(mode: Mode) {
    let kafka = Kafka::for_test();
    let mut s = setup().mode(mode).on(&kafka);
    let sender = Sender::transactional(&kafka, &s.group);
    let instance = s.start();
    for n in 1..20 {
        let sent = sender.send_transaction(&s.input, some(&s, n), n % 3 != 0);
        s.sent.extend(sent);
    }
    // The last ones are aborted: behind the last record that counts there is only a hole.
    sender.send_transaction(&s.input, some(&s, 20), false);
    s.finish(instance);
}

/// Whoever looks after the lag sees none where no record is left, and whatever comes behind is read.
fn nothing_is_left_behind_markers(delivery: &'static str) {
    let kafka = Kafka::for_test();
    let mut s = setup().set("PROCESSOR_DELIVERY", delivery).on(&kafka);
    let sender = Sender::transactional(&kafka, &s.group);
    let instance = s.start();
    for n in 0..4 {
        let sent = sender.send_transaction(&s.input, some(&s, 20), n % 2 == 0);
        s.sent.extend(sent.into_iter().filter(|_| n % 2 == 0));
        eventually(seconds(60), "the group is at the end of each partition", || {
            let Some(ends) = admin::ends(&kafka, &s.input, 4) else { return false };
            (0..4).all(|number| s.committed_of(number) == ends[number as usize])
        });
    }
    s.finish(instance);
}

#[test]
fn the_lag_is_nothing_behind_markers_at_least_once() {
    nothing_is_left_behind_markers("at-least-once");
}

#[test]
fn the_lag_is_nothing_behind_markers_exactly_once() {
    nothing_is_left_behind_markers("exactly-once");
}

fn a_compacted_topic(mode: Mode) {
    let Some(kafka) = Kafka::real("the embedded broker does not compact") else { return };
    let mut s = setup().mode(mode).input_partitions(1);
    for (key, value) in [
        ("cleanup.policy", "compact"),
        ("segment.ms", "200"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "1000"),
    ] {
        s = s.input(key, value);
    }
    let mut s = s.on(&kafka);
    eventually(seconds(90), "the broker compacts the topic", || {
        let inputs = some(&s, 20);
        s.send(inputs);
        s.sent.len() >= 200 && read_topic(&kafka, &s.input, 1).len() < s.sent.len() / 2
    });
    let instance = s.start();
    // What the broker went on to remove was there to be read, or not: only what is left must have arrived.
    let everything = s.sent.clone();
    let left: HashSet<_> = read_topic(&kafka, &s.input, 1).iter().filter_map(Seen::id).collect();
    s.sent.retain(|sent| left.contains(&sent.input.id));
    s.wait_until_committed();
    let mut instance = instance;
    instance.stop_cleanly();
    let left: HashSet<_> = read_topic(&kafka, &s.input, 1).iter().filter_map(Seen::id).collect();
    let mut evidence = s.evidence();
    evidence.output.retain(|seen| seen.id().is_some_and(|id| left.contains(&id)));
    evidence.sent = everything.into_iter().filter(|sent| left.contains(&sent.input.id)).collect();
    s.judge_this(&evidence, 0);
}

#[test]
fn records_deleted_under_a_committed_offset_are_not_passed_over_in_silence() {
    let kafka = Kafka::for_test();
    let mut s = setup().input_partitions(1).on(&kafka);
    s.send_load(100);
    let mut instance = s.start();
    s.wait_until_committed();
    instance.stop_cleanly();
    s.send_load(100);
    admin::delete_records(&kafka, &s.input, 0, 150);
    let (code, log) = s.run_to_end(&[]);
    assert!(code.is_some_and(|code| code != 0), "fifty records are gone: it must not go on\n{log}");
    assert!(log.contains(&s.input) && log.contains("100"), "topic and committed offset are named\n{log}");
}
