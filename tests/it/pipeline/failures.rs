//! What becomes of records that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use processor::engine::Policy;
use processor::policy::OnFailure;
use processor::record::Record;
use processor::sink::{Parcel, Target};
use processor::source::Intake;
use processor::transform::{Context, Outcome, Output};

use super::rig::{Answer, DEADLINE, Rig, With, Written, eventually, policy};

/// Emits, but for one offset.
fn but_at(offset: i64, outcome: fn() -> Outcome) -> With<impl Fn(&Record, &Context) -> Outcome> {
    With(
        move |record: &Record, _: &Context| {
            if record.offset() == offset { outcome() } else { Outcome::Emit(Output::default()) }
        },
    )
}

fn header(written: &Written, name: &str) -> String {
    String::from_utf8(written.headers.last(name).unwrap_or_default().to_vec()).expect("our headers are text")
}

fn dead_letters(rig: &Rig) -> Vec<Written> {
    rig.written().into_iter().filter(|one| one.target == Target::DeadLetter).collect()
}

#[test]
fn a_panic_becomes_a_dead_letter_and_the_workers_go_on() {
    let rig = Rig::new(Policy { workers: 1, ..policy() }, but_at(2, || panic!("this test's own panic")));
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["a"; 6]);
    rig.wait_until_idle();
    assert_eq!(rig.watermark(slot), 6);
    assert_eq!(rig.by_key(Target::Output)["a"], [0, 1, 3, 4, 5]);
    let letters = dead_letters(&rig);
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].offset, letters[0].value.as_deref()), (2, Some(&b"2"[..])));
    assert_eq!(header(&letters[0], "processor.dlq.reason"), "transform_panic");
    assert!(header(&letters[0], "__dlq.errors.message").contains("this test's own panic"));
    rig.end();
}

#[test]
fn a_transient_failure_is_tried_as_often_as_configured_and_then_a_dead_letter() {
    let rig = Rig::new(policy(), but_at(1, || Outcome::retry("down", "no answer")));
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["a"; 4]);
    rig.wait_until_idle();
    assert_eq!(rig.watermark(slot), 4);
    let letters = dead_letters(&rig);
    assert_eq!(letters.len(), 1);
    assert_eq!(header(&letters[0], "__dlq.errors.delivery.count"), policy().retry.attempts.to_string());
    assert_eq!(header(&letters[0], "processor.dlq.retryable"), "true");
    assert_eq!(rig.by_key(Target::Output)["a"], [0, 2, 3]);
    rig.end();
}

#[test]
fn skip_finishes_the_record_without_writing_anything() {
    let on_failure = OnFailure::Skip;
    let rig = Rig::new(Policy { on_failure, ..policy() }, but_at(1, || Outcome::reject("bad", "never")));
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["a"; 4]);
    rig.wait_until_idle();
    assert_eq!(rig.watermark(slot), 4);
    assert_eq!(rig.by_key(Target::Output)["a"], [0, 2, 3]);
    assert!(dead_letters(&rig).is_empty() && rig.stop.is_empty());
    rig.end();
}

#[test]
fn stop_says_where_and_commits_nothing_from_there_on() {
    let on_failure = OnFailure::Stop;
    let rig = Rig::new(Policy { on_failure, ..policy() }, but_at(3, || Outcome::reject("bad", "never")));
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["a", "b", "c"]);
    rig.wait_until_idle();
    rig.feed(slot, 0, &["d", "e", "f"]);
    let reason = rig.stop.recv_timeout(DEADLINE).expect("a reason to stop");
    assert!(reason.contains("in/0/3") && reason.contains("bad"), "{reason}");
    // The drain that follows must not wait for it.
    rig.wait_until_idle();
    assert_eq!(rig.watermark(slot), 3);
    assert_eq!(rig.pipeline.uncommitted(0)[0].offset, 3);
    rig.end();
}

/// It comes first after the restart: if the next one of its key were written before, their order would be broken.
#[test]
fn stop_writes_nothing_of_the_key_behind_the_record_that_failed() {
    for pick_up in [1, 8] {
        let policy = Policy { on_failure: OnFailure::Stop, tasks_pick_up: Some(pick_up), ..policy() };
        let rig = Rig::new(policy, but_at(3, || Outcome::reject("bad", "never")));
        let slot = rig.assign(0);
        rig.feed(slot, 0, &["a"; 10]);
        // All of one lane: the three before it are done when its turn comes.
        rig.stop.recv_timeout(DEADLINE).expect("a reason to stop");
        rig.wait_until_idle();
        assert_eq!(rig.by_key(Target::Output)["a"], [0, 1, 2]);
        assert_eq!(rig.watermark(slot), 3);
        rig.end();
    }
}

#[test]
fn what_the_output_refuses_becomes_a_dead_letter() {
    let rig = Rig::answering(policy(), but_at(-1, || Outcome::Filter), |job| {
        let refuse = job.record().offset() == 1 && job.leg(0).target == Target::Output;
        if refuse { Answer::Refuse } else { Answer::Deliver }
    });
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["a"; 4]);
    rig.wait_until_idle();
    assert_eq!(rig.watermark(slot), 4);
    let letters = dead_letters(&rig);
    assert_eq!((letters.len(), letters[0].offset), (1, 1));
    assert_eq!(header(&letters[0], "processor.dlq.reason"), "too_large");
    assert_eq!(header(&letters[0], "processor.dlq.stage"), "produce");
    rig.end();
}

#[test]
fn a_dead_letter_that_is_refused_comes_again_without_its_value() {
    let rig = Rig::answering(policy(), but_at(1, || Outcome::reject("bad", "never")), |job| {
        let leg = job.leg(0);
        let refuse = leg.target == Target::DeadLetter && leg.value.is_some_and(|value| !value.is_empty());
        if refuse { Answer::Refuse } else { Answer::Deliver }
    });
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["a"; 4]);
    rig.wait_until_idle();
    let letters = dead_letters(&rig);
    assert_eq!((letters.len(), letters[0].value.as_deref()), (1, Some(&b""[..])));
    assert_eq!(header(&letters[0], "processor.dlq.value.truncated"), "true");
    assert_eq!(header(&letters[0], "processor.dlq.value.size"), "1");
    assert_eq!(rig.watermark(slot), 4);
    rig.end();
}

#[test]
fn dead_letters_that_are_put_off_hold_their_records_and_nobody_else() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = down.clone();
    let rig = Rig::answering(policy(), but_at(1, || Outcome::reject("bad", "never")), move |job| {
        let put_off = job.leg(0).target == Target::DeadLetter && is_down.load(Ordering::SeqCst);
        if put_off { Answer::PutOff } else { Answer::Deliver }
    });
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["a"; 8]);
    eventually("the others are finished", || rig.in_flight().records == 1);
    assert_eq!((rig.watermark(slot), rig.written().len()), (1, 7));
    down.store(false, Ordering::SeqCst);
    rig.wait_until_idle();
    assert_eq!(dead_letters(&rig).len(), 1);
    assert_eq!(rig.watermark(slot), 8);
    rig.end();
}

/// With a back-off of an hour nothing but a timer can hold the retry: the one worker must be free for the others.
#[test]
fn a_retry_holds_no_worker() {
    let retry = processor::policy::Retry {
        attempts: 5,
        backoff: Duration::from_secs(3600),
        backoff_max: Duration::from_secs(3600),
    };
    let rig = Rig::new(
        Policy { retry, workers: 1, tasks_pick_up: Some(1), ..policy() },
        but_at(0, || Outcome::retry("down", "not yet")),
    );
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["a", "b", "a", "c", "d"]);
    eventually("the others are finished", || rig.in_flight().records == 2);
    assert_eq!((rig.watermark(slot), rig.written().len()), (0, 3));
    // A revoke gives back what waits for its retry: nothing of it was written.
    rig.pipeline.leave(&[slot]);
    rig.pipeline.revoke(&[slot]);
    assert_eq!(rig.in_flight().records, 0);
    rig.end();
}
