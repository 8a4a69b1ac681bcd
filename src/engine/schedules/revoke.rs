//! A partition goes while its records are everywhere: at workers, waiting for a retry, with the sink, unanswered.

use super::rig::{Answer, Rig, policy};
use crate::checkpoint::{OffsetMap, Slot};
use crate::record::Record;
use crate::sink::Target;
use crate::source::Intake;
use crate::sync::model::{check, random};
use crate::transform::{Context, Outcome, Output};

const KEYS: [&str; 6] = ["a", "b", "a", "", "b", "a"];
const END: i64 = KEYS.len() as i64;

fn now_and_then(record: &Record, context: &Context) -> Outcome {
    match random(4) {
        0 if context.attempt < 3 => Outcome::retry("busy", "not now"),
        _ if record.offset() == 2 => Outcome::Filter,
        _ => Outcome::Emit(Output::default()),
    }
}

fn rig() -> Rig {
    Rig::new(policy(), now_and_then, |_| if random(5) == 0 { Answer::PutBack } else { Answer::Deliver })
}

/// Lets the pipeline come to a state of the schedule's choice.
fn some_time(rig: &Rig) {
    let enough = random(4) as usize;
    rig.until("some are finished", || rig.log.look(|log| log.finished.len()) >= enough);
}

fn admit_from(rig: &Rig, slot: Slot, start: i64) {
    assert_eq!(rig.offer(slot, 0, start, &KEYS[start as usize..]), (END - start) as usize);
}

/// Leave, drain, fence: what was given back and what was begun make up the whole, and nothing is done twice.
#[test]
fn a_clean_revoke_repeats_nothing() {
    check(|| {
        let rig = rig();
        let slot = rig.assign(0, 0);
        admit_from(&rig, slot, 0);
        some_time(&rig);
        rig.pipeline.leave(&[slot]);
        rig.until("what was begun is finished", || rig.pipeline.in_flight_of(&[slot]) == 0);
        let (start, finished) = rig.position(slot);
        assert_eq!(rig.pipeline.revoke(&[slot]), 0);
        let slot = rig.assign_behind(0, start, finished);
        admit_from(&rig, slot, start);
        rig.until("all are finished", || rig.watermark(slot) == END);
        let log = rig.end();
        assert!(log.times().values().all(|times| *times == 1), "each once: {:?}", log.times());
        assert_eq!(log.finished.len(), KEYS.len());
        log.assert_in_order(Target::Output);
        log.assert_one_at_a_time();
    });
}

/// No drain: what is finished from now on is stale. It moves no offset, not even when the partition comes back while the old
/// epoch's work still runs, and it gives its budget back.
#[test]
fn what_a_lost_partition_leaves_behind_moves_no_offset() {
    check(|| {
        let rig = rig();
        let mut slot = rig.assign(0, 0);
        admit_from(&rig, slot, 0);
        for _ in 0..2 {
            some_time(&rig);
            rig.check();
            let (mut start, mut finished) = rig.position(slot);
            if random(2) == 0 {
                // A commit may not have come through.
                (start, finished) = (random(start as u64 + 1) as i64, OffsetMap::default());
            }
            rig.pipeline.revoke(&[slot]);
            slot = rig.assign_behind(0, start, finished);
            admit_from(&rig, slot, start);
        }
        rig.until("all are finished", || rig.watermark(slot) == END);
        rig.until("nothing is in flight", || rig.in_flight() == 0);
        let log = rig.end();
        assert_eq!(log.finished.len(), KEYS.len());
        log.assert_in_order(Target::Output);
    });
}

/// Two partitions; one goes while the other flows.
#[test]
fn a_partition_that_goes_does_not_disturb_another() {
    check(|| {
        let rig = rig();
        let (goes, stays) = (rig.assign(0, 0), rig.assign(1, 0));
        admit_from(&rig, goes, 0);
        assert_eq!(rig.offer(stays, 1, 0, &["c", "c", ""]), 3);
        some_time(&rig);
        rig.pipeline.leave(&[goes]);
        if random(2) == 0 {
            rig.until("what was begun is finished", || rig.pipeline.in_flight_of(&[goes]) == 0);
        }
        rig.pipeline.revoke(&[goes]);
        rig.until("the other is finished", || rig.watermark(stays) == 3);
        let log = rig.end();
        let times = log.times();
        assert!((0..3).all(|offset| times.get(&(1, offset)).is_none_or(|times| *times == 1)), "{times:?}");
        log.assert_in_order(Target::Output);
        log.assert_one_at_a_time();
    });
}
