//! From the consumer to the commit, with everything that may happen on the way.

use super::rig::{Answer, Rig, policy};
use crate::sink::{Parcel, Target};
use crate::sync::model::{check, random};
use crate::transform::{Outcome, Output};

const KEYS: [&str; 6] = ["a", "b", "a", "a", "b", "a"];

/// Retries, what is put back, late answers: each record once, and each key in its order.
#[test]
fn every_record_is_written_once_and_in_order_and_then_committed() {
    check(|| {
        let rig = Rig::quick_or_not(
            policy(),
            |_, context| match random(4) {
                0 if context.attempt < 3 => Outcome::retry("busy", "not now"),
                _ => Outcome::Emit(Output::default()),
            },
            |_| if random(4) == 0 { Answer::PutBack } else { Answer::Deliver },
        );
        let slot = rig.assign(0, 0);
        assert_eq!(rig.offer(slot, 0, 0, &KEYS[..4]), 4);
        assert_eq!(rig.offer(slot, 0, 4, &KEYS[4..]), 2);
        rig.until("all are finished", || rig.watermark(slot) == 6);
        let log = rig.end();
        assert!(log.times().values().all(|times| *times == 1), "each once: {:?}", log.times());
        log.assert_one_at_a_time();
        let firsts = log.firsts(Target::Output);
        assert_eq!(firsts["a"], [(0, 0), (0, 2), (0, 3), (0, 5)]);
        assert_eq!(firsts["b"], [(0, 1), (0, 4)]);
    });
}

/// Records that are filtered, that fail for good, whose dead letter is put off, that the output refuses.
#[test]
fn every_record_ends_in_one_of_the_topics_or_is_filtered() {
    check(|| {
        let rig = Rig::quick_or_not(
            policy(),
            |record, context| match record.offset() {
                0 if context.attempt < 2 => Outcome::retry("busy", "not now"),
                1 => Outcome::reject("bad", "never"),
                2 => Outcome::Filter,
                3 => Outcome::retry("busy", "not now"),
                _ => Outcome::Emit(Output::default()),
            },
            |job| match (job.record().offset(), job.times_put_off()) {
                (1 | 3, 0) => Answer::PutOff,
                (4, _) if job.leg(0).target == Target::Output => Answer::Refuse,
                _ => Answer::Deliver,
            },
        );
        let slot = rig.assign(0, 0);
        assert_eq!(rig.offer(slot, 0, 0, &KEYS), 6);
        rig.until("all are finished", || rig.watermark(slot) == 6);
        let log = rig.end();
        let offsets = |target| {
            let mut offsets: Vec<_> =
                log.written.iter().filter(|(to, ..)| *to == target).map(|(.., place)| place.1).collect();
            offsets.sort_unstable();
            offsets
        };
        assert_eq!(offsets(Target::Output), [0, 5]);
        assert_eq!(offsets(Target::DeadLetter), [1, 3, 4]);
    });
}
