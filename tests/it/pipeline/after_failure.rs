//! What happens behind a record that failed for good, in its lane: `PROCESSOR_AFTER_FAILURE`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use processor::engine::Policy;
use processor::policy::{AfterFailure, Order};
use processor::record::Record;
use processor::sink::Target;
use processor::source::Intake;
use processor::transform::{Context, Field, Outcome, Output};

use super::rig::{Rig, With, Written, eventually, policy};

/// Fails at some offsets until it is mended, does nothing before it may begin, and counts its calls.
#[derive(Clone, Default)]
struct Patient {
    may_begin: Arc<AtomicBool>,
    mended: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
}

impl Patient {
    fn failing(&self, at: i64, how: fn() -> Outcome) -> With<impl Fn(&Record, &Context) -> Outcome + use<>> {
        let patient = self.clone();
        With(move |record: &Record, _: &Context| {
            eventually("it may begin", || patient.may_begin.load(Ordering::SeqCst));
            patient.calls.fetch_add(1, Ordering::SeqCst);
            let healthy = record.offset() != at || patient.mended.load(Ordering::SeqCst);
            if healthy { Outcome::Emit(Output::default()) } else { how() }
        })
    }

    fn begin(&self) {
        self.may_begin.store(true, Ordering::SeqCst);
    }

    fn mend(&self) {
        self.mended.store(true, Ordering::SeqCst);
    }
}

const FAILURES: [fn() -> Outcome; 4] = [
    || Outcome::reject("bad", "never"),
    || Outcome::retry("down", "not yet"),
    || panic!("this test's own panic"),
    || {
        let value = Field::New(Some(vec![0; 2_000_000]));
        Outcome::Emit(Output { value, ..Output::default() })
    },
];

fn after(after_failure: AfterFailure, pick_up: usize) -> Policy {
    Policy { after_failure, tasks_pick_up: Some(pick_up), ..policy() }
}

#[test]
fn a_held_record_holds_its_key_and_no_other_and_nothing_is_given_up() {
    for (how, pick_up) in FAILURES.into_iter().zip([1, 8, 1, 8]) {
        let patient = Patient::default();
        let rig = Rig::new(after(AfterFailure::BlockKey, pick_up), patient.failing(2, how));
        let slot = rig.assign(0);
        patient.begin();
        rig.feed(slot, 0, &["a", "b", "a", "b", "a", "b", "a", "b"]);
        eventually("the other key is finished", || rig.in_flight().records == 3);
        let calls = patient.calls.load(Ordering::SeqCst);
        // Long past the last attempt.
        eventually("it is tried again and again", || patient.calls.load(Ordering::SeqCst) > calls + 20);
        assert_eq!(rig.pipeline.held(), 1);
        assert_eq!(rig.by_key(Target::Output)["b"], [1, 3, 5, 7]);
        assert_eq!((&rig.by_key(Target::Output)["a"][..], rig.watermark(slot)), (&[0][..], 2));
        patient.mend();
        rig.wait_until_idle();
        assert_eq!(rig.by_key(Target::Output)["a"], [0, 2, 4, 6]);
        assert!(rig.by_key(Target::DeadLetter).is_empty() && rig.stop.is_empty());
        assert_eq!((rig.pipeline.held(), rig.watermark(slot)), (0, 8));
        rig.end();
    }
}

#[test]
fn without_a_lane_the_held_record_waits_alone() {
    for (order, key) in [(Order::Key, ""), (Order::Unordered, "a")] {
        let patient = Patient::default();
        let policy = Policy { order, ..after(AfterFailure::BlockKey, 4) };
        let rig = Rig::new(policy, patient.failing(2, FAILURES[0]));
        let slot = rig.assign(0);
        patient.begin();
        rig.feed(slot, 0, &[key; 8]);
        eventually("the others are finished", || rig.in_flight().records == 1);
        assert_eq!((rig.watermark(slot), rig.pipeline.held()), (2, 1));
        patient.mend();
        rig.wait_until_idle();
        assert_eq!(rig.watermark(slot), 8);
        rig.end();
    }
}

#[test]
fn a_revocation_ends_the_hold() {
    let patient = Patient::default();
    let rig = Rig::new(after(AfterFailure::BlockKey, 1), patient.failing(0, FAILURES[1]));
    let slot = rig.assign(0);
    patient.begin();
    rig.feed(slot, 0, &["a", "a"]);
    eventually("it is held", || rig.pipeline.held() == 1);
    rig.pipeline.leave(&[slot]);
    rig.pipeline.revoke(&[slot]);
    rig.wait_until_idle();
    eventually("nothing is held", || rig.pipeline.held() == 0);
    assert!(rig.written().is_empty());
    rig.end();
}

#[test]
fn what_waits_behind_a_failure_follows_it_in_order_and_untried() {
    for (how, pick_up) in FAILURES.into_iter().zip([1, 8, 3, 1]) {
        let patient = Patient::default();
        let rig = Rig::new(after(AfterFailure::DeadLetterKey, pick_up), patient.failing(2, how));
        let slot = rig.assign(0);
        rig.feed(slot, 0, &["a", "b", "a", "b", "a", "b", "a", "b", "a"]);
        patient.begin();
        rig.wait_until_idle();
        assert_eq!(rig.by_key(Target::Output)["a"], [0]);
        assert_eq!(rig.by_key(Target::DeadLetter)["a"], [2, 4, 6, 8]);
        assert_eq!(rig.by_key(Target::Output)["b"], [1, 3, 5, 7]);
        let letters: Vec<_> =
            rig.written().into_iter().filter(|one| one.target == Target::DeadLetter).collect();
        let text = |index: usize, name| {
            let value = letters.get(index).and_then(|one: &Written| one.headers.last(name));
            String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
        };
        assert_ne!(text(0, "processor.dlq.reason"), "predecessor_failed");
        for index in 1..4 {
            assert_eq!(text(index, "processor.dlq.reason"), "predecessor_failed");
            assert_eq!(text(index, "__dlq.errors.delivery.count"), "0");
            assert!(text(index, "__dlq.errors.message").contains("in/0/2"));
        }
        // Nothing of the key waits any more, and its worker has given it back: it begins anew.
        eventually("no worker has anything", || rig.pipeline.depth().running == 0);
        rig.feed(slot, 0, &["a", "a"]);
        rig.wait_until_idle();
        assert_eq!(rig.by_key(Target::Output)["a"], [0, 9, 10]);
        assert_eq!(rig.watermark(slot), 11);
        rig.end();
    }
}

#[test]
fn in_mode_partition_the_partition_follows_and_without_a_lane_nothing_does() {
    for (order, dead) in
        [(Order::Partition, &[2, 3, 4, 5][..]), (Order::Key, &[2][..]), (Order::Unordered, &[2][..])]
    {
        let patient = Patient::default();
        let policy = Policy { order, ..after(AfterFailure::DeadLetterKey, 2) };
        let rig = Rig::new(policy, patient.failing(2, FAILURES[0]));
        let slot = rig.assign(0);
        rig.feed(slot, 0, &[""; 6]);
        patient.begin();
        rig.wait_until_idle();
        assert_eq!(rig.by_key(Target::DeadLetter)[""], dead, "{order:?}");
        assert_eq!(rig.watermark(slot), 6);
        rig.end();
    }
}

#[test]
fn a_dead_letter_that_no_producer_would_take_goes_without_its_value_at_once() {
    let policy = Policy { largest_record: 100, ..after(AfterFailure::DeadLetterKey, 1) };
    let rig = Rig::new(policy, With(|_: &Record, _: &Context| Outcome::reject("bad", "x".repeat(1_000))));
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["a", "a"]);
    rig.wait_until_idle();
    for one in rig.written() {
        assert_eq!(one.value.as_deref(), Some(&b""[..]));
        assert_eq!(one.headers.last("processor.dlq.value.truncated"), Some(&b"true"[..]));
    }
    assert_eq!((rig.written().len(), rig.watermark(slot)), (2, 2));
    rig.end();
}
