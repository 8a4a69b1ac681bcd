//! The support itself on a real Kafka: a copy made by hand, with nothing of the program in it, satisfies every
//! guarantee; the same copy with one fault does not.

use std::panic::AssertUnwindSafe;

use super::admin::{self, Offsets};
use super::client::{Sender, read_topic};
use super::kafka::Kafka;
use super::record::{Expect, Input, Sent, now_ms};
use super::scenario::Scenario;
use super::setup::setup;

/// What the program should write for a record, and where.
fn copied(s: &Scenario, sent: &Sent) -> (String, Input) {
    let mut input = sent.input.clone();
    input.partition = None;
    let Expect::DeadLetter(reason) = input.expect else {
        let text = String::from_utf8(input.value.unwrap_or_default()).expect("JSON is text");
        input.value = Some(text.replace(r#""status":"new""#, r#""status":"valid""#).into_bytes());
        return (s.output.clone(), input);
    };
    input.partition = Some(sent.partition % 2);
    input.timestamp = now_ms();
    let died = jiff::Timestamp::from_millisecond(input.timestamp).expect("now is a time").to_string();
    for (name, value) in [
        ("__dlq.errors.topic", s.input.as_str()),
        ("__dlq.errors.partition", &sent.partition.to_string()),
        ("__dlq.errors.offset", &sent.offset.to_string()),
        ("__dlq.errors.group", &s.group),
        ("__dlq.errors.delivery.count", "1"),
        ("__dlq.errors.message", "not JSON"),
        ("processor.dlq.reason", reason),
        ("processor.dlq.stage", "validate"),
        ("processor.dlq.retryable", "false"),
        ("processor.dlq.timestamp", &sent.input.timestamp.to_string()),
        ("processor.dlq.failed-at", &died),
    ] {
        input = input.header(name, Some(value.as_bytes()));
    }
    (s.dead_letters.clone(), input)
}

fn copy(s: &Scenario) -> Offsets {
    let sender = Sender::new(&s.kafka);
    let mut offsets = Offsets::new();
    let (mut output, mut dead) = (Vec::new(), Vec::new());
    for sent in &s.sent {
        let (topic, input) = copied(s, sent);
        if topic == s.output {
            output.push(input)
        } else {
            dead.push(input)
        }
        offsets.insert((sent.topic.clone(), sent.partition), sent.offset + 1);
    }
    sender.send(&s.output, output);
    sender.send(&s.dead_letters, dead);
    offsets
}

#[test]
fn a_copy_made_by_hand_satisfies_every_guarantee() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    s.send_load(500);
    assert_eq!(read_topic(&kafka, &s.input, 4).len(), 500, "what was sent can be read");
    let offsets = copy(&s);
    assert!(!s.is_committed(|_| true), "nothing is committed yet");
    admin::reset_offsets(&kafka, &s.group, &offsets);
    s.wait_until_committed();
    assert_eq!(s.written(), 500);
    s.judge(0);
}

#[test]
fn a_commit_without_its_output_is_caught() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    s.send_load(100);
    let mut offsets = copy(&s);
    let id = s.id();
    s.send([Input::valid(&id).to(0)]);
    offsets.insert((s.input.clone(), 0), s.sent.last().map_or(0, |last| last.offset + 1));
    admin::reset_offsets(&kafka, &s.group, &offsets);
    s.wait_until_committed();
    let judged = std::panic::catch_unwind(AssertUnwindSafe(|| s.judge_so_far()));
    let complaint = judged.expect_err("a guarantee objects");
    let text = complaint.downcast_ref::<String>().expect("it says why");
    assert!(text.contains("committed is finished (1 times)") && text.contains(&id), "{text}");
}

#[test]
fn records_of_an_aborted_transaction_are_not_read() {
    let kafka = Kafka::for_test();
    let s = setup().on(&kafka);
    let sender = Sender::transactional(&kafka, &s.group);
    let inputs = |n: usize| (0..n).map(|_| Input::valid(&s.id())).collect();
    sender.send_transaction(&s.input, inputs(5), false);
    let kept = sender.send_transaction(&s.input, inputs(7), true);
    assert_eq!(kept.len(), 7);
    assert_eq!(read_topic(&kafka, &s.input, 4).len(), 7);
}
