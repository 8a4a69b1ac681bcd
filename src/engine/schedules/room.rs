//! The budget is full, and nobody who waits for room is forgotten.

use std::sync::Arc;
use std::time::Duration;

use super::rig::{Answer, Rig, policy, rest};
use crate::checkpoint::Budget;
use crate::engine::Policy;
use crate::policy::Retry;
use crate::record::Record;
use crate::source::Intake;
use crate::sync::model::{self, check, spawn};
use crate::transform::{Outcome, Output};

const HOUR: Duration = Duration::from_secs(3600);

/// Two partitions, and room for two records: a consumer that waits for room hears of it long before its wait is over.
#[test]
fn a_consumer_that_waits_for_room_is_woken() {
    check(|| {
        let policy = Policy { budget: Budget { records: 2, bytes: 1 << 20 }, ..policy() };
        let apply = |record: &Record, _: &_| match record.offset() {
            1 => Outcome::Filter,
            _ => Outcome::Emit(Output::default()),
        };
        let rig = Rig::new(policy, apply, |_| Answer::Deliver);
        let begin = model::now();
        let mut partitions =
            [0, 1].map(|partition| (partition, rig.assign(partition, 0), rest(&["a", "b", "c"])));
        while partitions.iter().any(|(.., keys)| !keys.is_empty()) {
            let mut taken = 0;
            for (partition, slot, keys) in &mut partitions {
                let next = 3 - keys.len() as i64;
                let admitted = rig.offer(*slot, *partition, next, keys.make_contiguous());
                keys.drain(..admitted);
                taken += admitted;
            }
            assert!(rig.in_flight() <= 2, "the budget holds");
            if taken == 0 {
                let held = partitions.iter().filter(|(.., keys)| !keys.is_empty());
                let held: Vec<_> = held.map(|(_, slot, _)| (*slot, 1)).collect();
                rig.pipeline.wait_for_room(&held, HOUR);
            }
        }
        let waited = model::now() - begin;
        assert!(waited < HOUR, "somebody waited {waited:?} for room");
        rig.until("all are finished", || partitions.iter().all(|(_, slot, _)| rig.watermark(*slot) == 3));
        rig.end();
    });
}

/// What is stuck elsewhere fills the budget; when its partition goes, whoever waits hears of that, too.
#[test]
fn a_partition_that_goes_makes_room_for_those_that_wait() {
    check(|| {
        let retry = Retry { attempts: 1000, backoff: HOUR * 100, backoff_max: HOUR * 100 };
        let policy = Policy { budget: Budget { records: 2, bytes: 1 << 20 }, retry, ..policy() };
        let apply = |record: &Record, _: &_| match record.partition() {
            0 => Outcome::Emit(Output::default()),
            _ => Outcome::retry("busy", "not for a long time"),
        };
        let rig = Arc::new(Rig::new(policy, apply, |_| Answer::Deliver));
        let stuck = [1, 2].map(|partition| (partition, rig.assign(partition, 0)));
        stuck.iter().for_each(|(partition, slot)| assert_eq!(rig.offer(*slot, *partition, 0, &["a"]), 1));
        let flows = rig.assign(0, 0);
        let consumer = {
            let rig = rig.clone();
            spawn(move || {
                let begin = model::now();
                while rig.offer(flows, 0, 0, &["a"]) == 0 {
                    rig.pipeline.wait_for_room(&[], HOUR);
                }
                model::now() - begin
            })
        };
        model::sleep(Duration::from_millis(model::random(3)));
        rig.pipeline.revoke(&[stuck[0].1]);
        let waited = consumer.join();
        assert!(waited < HOUR, "it waited {waited:?} for room");
        rig.until("it is finished", || rig.watermark(flows) == 1);
        rig.pipeline.revoke(&[stuck[1].1]);
        Arc::into_inner(rig).expect("the consumer has ended").end();
    });
}
