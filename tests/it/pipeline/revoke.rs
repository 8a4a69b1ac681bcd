//! Partitions that go away: cleanly, and while something of them is still at work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use processor::checkpoint::Budget;
use processor::engine::Policy;
use processor::policy::{OnFailure, Retry};
use processor::record::Record;
use processor::sink::Target;
use processor::source::Intake;
use processor::transform::{Context, Outcome, Output};

use super::rig::{Answer, Rig, With, eventually, policy};

/// Holds records in the transform until it is told to let go.
#[derive(Clone, Default)]
struct Hold {
    open: Arc<AtomicBool>,
    inside: Arc<AtomicUsize>,
    begun: Arc<Mutex<Vec<i64>>>,
}

impl Hold {
    fn transform(&self, holds: fn(i64) -> bool) -> With<impl Fn(&Record, &Context) -> Outcome + use<>> {
        let hold = self.clone();
        With(move |record: &Record, _: &Context| {
            hold.begun.lock().push(record.offset());
            if holds(record.offset()) {
                hold.inside.fetch_add(1, Ordering::SeqCst);
                eventually("let go", || hold.open.load(Ordering::SeqCst));
            }
            Outcome::Emit(Output::default())
        })
    }

    fn wait_for(&self, inside: usize) {
        eventually("records are in the transform", || self.inside.load(Ordering::SeqCst) == inside);
    }

    fn let_go(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

/// What is left in flight when nothing new comes and nothing is held.
fn nothing_is_left(rig: &Rig) {
    rig.wait_until_idle();
    assert_eq!(rig.in_flight(), Budget { records: 0, bytes: 0 });
}

#[test]
fn a_clean_revoke_gives_back_exactly_what_nobody_has_begun_and_repeats_nothing() {
    const COUNT: i64 = 60;
    let keys: Vec<String> = (0..COUNT).map(|number| format!("k{}", number % 7)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let hold = Hold::default();
    let rig = Rig::new(policy(), hold.transform(|offset| offset >= 10));
    let old = rig.assign(0);
    rig.feed(old, 0, &keys);
    hold.wait_for(policy().workers);
    rig.pipeline.leave(&[old]);
    assert_eq!(rig.offer(old, 0, &["more"]), 0, "nothing is admitted any more");
    hold.let_go();
    eventually("what was begun is finished", || rig.pipeline.in_flight_of(&[old]) == 0);
    let end = rig.watermark(old);
    let mut begun = hold.begun.lock().clone();
    begun.sort_unstable();
    assert!(begun.len() < COUNT as usize, "something was given back");
    let watermarks = rig.pipeline.uncommitted(0);
    assert_eq!(watermarks.iter().map(|one| one.offset).collect::<Vec<_>>(), [end]);
    let finished = watermarks[0].note.finished.clone();
    let beyond = finished.ranges().iter().flat_map(|range| range.clone());
    assert_eq!(begun, (0..end).chain(beyond).collect::<Vec<_>>(), "what was begun, and nothing else");
    assert!(!finished.is_empty(), "other keys were ahead");
    rig.pipeline.committed(&watermarks);
    assert!(rig.pipeline.is_committed(&[old]));
    assert!(rig.pipeline.uncommitted(0).is_empty());
    assert_eq!(rig.pipeline.revoke(&[old]), 0, "nothing is left");
    nothing_is_left(&rig);

    let new = rig.assign_with(0, end, finished);
    rig.feed(new, 0, &keys[end as usize..]);
    rig.wait_until_idle();
    assert_eq!(rig.watermark(new), COUNT);
    let mut expected: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    keys.iter().zip(0..).for_each(|(key, offset)| expected.entry((*key).into()).or_default().push(offset));
    assert_eq!(rig.by_key(Target::Output), expected, "each once, in order");
    rig.end();
}

#[test]
fn a_stale_result_moves_no_offset_and_frees_the_budget() {
    let hold = Hold::default();
    let rig = Rig::new(policy(), hold.transform(|offset| offset < 3));
    let old = rig.assign(0);
    rig.feed(old, 0, &["a", "b", "c", "d", "a", "b"]);
    hold.wait_for(3);
    let left = rig.in_flight().records;
    assert_eq!(rig.pipeline.revoke(&[old]), left);
    let new = rig.assign(0);
    hold.let_go();
    nothing_is_left(&rig);
    assert_eq!((rig.watermark(new), rig.pipeline.uncommitted(0)[0].offset), (0, 0));
    assert!(rig.pipeline.with_ledger(|ledger| ledger.get(old).is_none()));
    rig.end();
}

#[test]
fn a_result_that_the_sink_has_when_the_partition_goes_moves_no_offset() {
    for answer in [Answer::Deliver, Answer::Refuse, Answer::PutBack, Answer::PutOff] {
        let (first, hold) = (AtomicBool::new(true), Hold::default());
        let rig = Rig::answering(policy(), hold.transform(|_| false), move |_| {
            if first.swap(false, Ordering::SeqCst) { answer } else { Answer::Deliver }
        });
        let old = rig.assign(0);
        rig.shut();
        rig.feed(old, 0, &["a"]);
        eventually("the sink has it", || rig.held() == 1);
        assert_eq!(rig.pipeline.revoke(&[old]), 1);
        let new = rig.assign(0);
        rig.open();
        nothing_is_left(&rig);
        assert_eq!(rig.watermark(new), 0);
        let written = usize::from(answer == Answer::Deliver);
        assert_eq!(rig.written().len(), written, "{answer:?}: what is stale is not written again");
        rig.end();
    }
}

/// The new owner begins with the earlier one; a later one of its key must not come out before it.
#[test]
fn what_a_worker_finishes_after_the_revoke_does_not_overtake_what_was_dropped() {
    let hold = Hold::default();
    let rig = Rig::new(Policy { producers: 1, ..policy() }, hold.transform(|offset| offset == 2));
    let old = rig.assign(0);
    rig.shut();
    rig.feed(old, 0, &["plug"]);
    eventually("the sink is busy", || rig.held() == 1);
    rig.feed(old, 0, &["a"]);
    eventually("the first of the key is ready", || rig.pipeline.depth().ready == 1);
    rig.feed(old, 0, &["a"]);
    hold.wait_for(1);
    rig.pipeline.revoke(&[old]);
    hold.let_go();
    eventually("no worker has it", || rig.pipeline.depth().running == 0);
    rig.open();
    nothing_is_left(&rig);
    assert_eq!(rig.written().iter().map(|one| one.offset).collect::<Vec<_>>(), [0]);
    let new = rig.assign_at(0, 0);
    rig.feed(new, 0, &["plug", "a", "a"]);
    rig.wait_until_idle();
    assert_eq!(rig.by_key(Target::Output)["a"], [1, 2]);
    rig.end();
}

/// Whatever the policy says of failures, it says it of records that are ours.
#[test]
fn a_stale_failure_is_neither_tried_again_nor_a_reason_to_stop() {
    let retry = Retry { attempts: u32::MAX, ..policy().retry };
    for (on_failure, outcome) in [
        (OnFailure::DeadLetter, Outcome::retry as fn(&'static str, &'static str) -> Outcome),
        (OnFailure::DeadLetter, Outcome::reject),
        (OnFailure::Stop, Outcome::reject),
    ] {
        let hold = Hold::default();
        let inner = hold.transform(|_| true);
        let transform = With(move |record: &Record, context: &Context| {
            let _ = (inner.0)(record, context);
            outcome("bad", "no")
        });
        let rig = Rig::new(Policy { on_failure, retry, tasks_pick_up: Some(1), ..policy() }, transform);
        let old = rig.assign(0);
        rig.feed(old, 0, &["a", "a"]);
        hold.wait_for(1);
        rig.pipeline.revoke(&[old]);
        hold.let_go();
        rig.wait_until_idle();
        assert_eq!(rig.written(), []);
        assert!(rig.stop.is_empty());
        assert_eq!(hold.begun.lock().len(), 1);
        rig.end();
    }
}
