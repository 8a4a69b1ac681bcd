//! What a rebalance costs, in places of the scheduler's lists that are looked at.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::*;
use crate::checkpoint::Budget;
use crate::clock::ManualClock;
use crate::engine::Policy;
use crate::ops::metrics::{About, Metrics};
use crate::policy::{AfterFailure, Delivery, OnFailure, Order, Retry};
use crate::record::Parts;
use crate::sink::dead_letter::Sender;
use crate::transform::{Context, Outcome, Output, Transform};

const PARTITIONS: i32 = 1_000;
const RECORDS: i64 = 80;

/// Passes records on, where they are read as long as it says that it is quick.
struct Pass(Arc<AtomicBool>);

impl Transform for Pass {
    fn apply(&self, _: &Record, _: &Context) -> Outcome {
        Outcome::Emit(Output::default())
    }

    fn is_quick(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

fn pipeline(order: Order, delivery: Delivery, quick: &Arc<AtomicBool>) -> Pipeline {
    let pause = Duration::from_millis(1);
    let policy = Policy {
        order,
        delivery,
        retry: Retry { attempts: 3, backoff: pause, backoff_max: pause },
        on_failure: OnFailure::DeadLetter,
        after_failure: AfterFailure::Continue,
        largest_record: 1_000_000,
        budget: Budget { records: 1_000_000, bytes: 1 << 40 },
        workers: 2,
        tasks_pick_up: None,
        producers: 2,
        source_header: false,
        sender: Sender { group: "group".into(), transform: "test".into(), instance: "host-1".into() },
    };
    let (metrics, stop) = (Arc::new(Metrics::new(About::default())), crossbeam_channel::unbounded().0);
    Pipeline::new(policy, Arc::new(Pass(quick.clone())), Arc::new(ManualClock::new()), metrics, stop)
}

/// Half of each partition's records are ready, and half wait for a worker.
fn fill(pipeline: &Pipeline, quick: &AtomicBool) -> Vec<Slot> {
    let topic: Arc<str> = "in".into();
    let slots: Vec<Slot> = (0..PARTITIONS)
        .map(|partition| pipeline.assign(0, topic.clone(), partition, Beginning::default()))
        .collect();
    for (is_quick, offsets) in [(true, 0..RECORDS / 2), (false, RECORDS / 2..RECORDS)] {
        quick.store(is_quick, std::sync::atomic::Ordering::Relaxed);
        for (slot, partition) in slots.iter().zip(0..) {
            let record = |offset: i64| {
                let key = [(offset % 7) as u8];
                let parts = Parts { key: Some(&key), ..Parts::default() };
                Record::new(topic.clone(), partition, offset, parts)
            };
            let mut records: VecDeque<Record> = offsets.clone().map(record).collect();
            assert_eq!(pipeline.admit(*slot, &mut records) as i64, RECORDS / 2);
        }
    }
    slots
}

/// Each record of the partitions that are given up is looked at twice at most: first to see whether all that waits may be given
/// back. No record of others is.
#[test]
fn partitions_that_are_given_up_cost_what_belongs_to_them() {
    for (order, delivery) in [
        (Order::Key, Delivery::AtLeastOnce),
        (Order::Partition, Delivery::AtLeastOnce),
        (Order::Unordered, Delivery::AtLeastOnce),
        (Order::Key, Delivery::ExactlyOnce),
    ] {
        let quick = Arc::default();
        let pipeline = pipeline(order, delivery, &quick);
        let slots = fill(&pipeline, &quick);
        let all = (i64::from(PARTITIONS) * RECORDS) as usize;
        let depth = pipeline.depth();
        assert_eq!((depth.pending, depth.ready), (all / 2, all / 2));
        let given_up: Vec<Slot> = slots.into_iter().step_by(2).collect();
        let (before, began) = (pipeline.scheduler.visits(), Instant::now());
        pipeline.leave(&given_up);
        let after_leave = began.elapsed();
        assert_eq!(pipeline.in_flight_of(&given_up), all / 4, "what waited is given back");
        let left = pipeline.revoke(&given_up);
        let (visits, time) = (pipeline.scheduler.visits() - before, began.elapsed());
        println!("{order:?}, {delivery:?}: {visits} visits, {after_leave:?} to leave, {time:?} in all");
        let depth = pipeline.depth();
        assert_eq!((left, depth.pending, depth.ready), (all / 4, all / 4, all / 4));
        assert_eq!(pipeline.with_ledger(|ledger| ledger.in_flight().records), all / 2);
        let own = all as u64 / 2;
        assert!(visits <= 2 * own, "{visits} places were looked at, for {own} records of the partitions");
    }
}
