//! A transform that does not return keeps its worker and its lane, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use processor::engine::Policy;
use processor::policy::Order;
use processor::record::Record;
use processor::sink::Target;
use processor::transform::{Context, Outcome, Output};

use super::rig::{Rig, With, eventually, policy};

/// Hangs at one offset of partition 0 until it is let go.
#[derive(Clone)]
struct Hang {
    at: Arc<AtomicI64>,
    hangs: Arc<AtomicBool>,
    may_begin: Arc<AtomicBool>,
}

impl Hang {
    fn at(offset: i64) -> Self {
        let no = || Arc::new(AtomicBool::new(false));
        Self { at: Arc::new(AtomicI64::new(offset)), hangs: no(), may_begin: no() }
    }

    fn transform(&self) -> With<impl Fn(&Record, &Context) -> Outcome + use<>> {
        let hang = self.clone();
        With(move |record: &Record, _: &Context| {
            eventually("it may begin", || hang.may_begin.load(Ordering::SeqCst));
            if (record.partition(), record.offset()) == (0, hang.at.load(Ordering::SeqCst)) {
                hang.hangs.store(true, Ordering::SeqCst);
                eventually("it is let go", || hang.at.load(Ordering::SeqCst) < 0);
            }
            Outcome::Emit(Output::default())
        })
    }

    fn begin(&self) {
        self.may_begin.store(true, Ordering::SeqCst);
    }

    fn hangs(&self) -> bool {
        self.hangs.load(Ordering::SeqCst)
    }

    fn let_go(&self) {
        self.at.store(-1, Ordering::SeqCst);
    }
}

/// Waits as the main thread does: looking after the workers.
fn eventually_looking_out(rig: &Rig, what: &str, reached: impl Fn() -> bool) {
    eventually(what, || {
        rig.pipeline.look_out();
        reached()
    });
}

#[test]
fn what_was_taken_along_with_a_stuck_record_flows() {
    // The stuck one in the middle of its lane, which is the tenth of those that one worker takes at once.
    let mut keys: Vec<String> = (0..64).map(|number| format!("key-{number}")).collect();
    keys.extend(["key-9", "key-9", "key-9", "key-9"].map(str::to_owned));
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for order in [Order::Key, Order::Unordered] {
        let hang = Hang::at(65);
        let rig =
            Rig::new(Policy { order, workers: 2, tasks_pick_up: Some(64), ..policy() }, hang.transform());
        let slot = rig.assign(0);
        rig.feed(slot, 0, &keys);
        hang.begin();
        let behind = if order == Order::Key { 2 } else { 0 };
        eventually_looking_out(&rig, "all others are finished", || {
            hang.hangs() && rig.in_flight().records == 1 + behind
        });
        assert_eq!(rig.written().len(), 67 - behind);
        // What was made of its own lane before it, too: nothing is open before it.
        assert_eq!(rig.watermark(slot), 65);
        rig.feed(slot, 0, &["key-1", "key-9"]);
        eventually_looking_out(&rig, "the other worker goes on", || {
            rig.by_key(Target::Output)["key-1"].len() == 2
        });
        hang.let_go();
        rig.wait_until_idle();
        if order == Order::Key {
            assert_eq!(rig.by_key(Target::Output)["key-9"], [9, 64, 65, 66, 67, 69]);
        }
        assert_eq!((rig.watermark(slot), rig.written().len()), (70, 70));
        rig.end();
    }
}

#[test]
fn a_stuck_partition_waits_and_the_other_flows() {
    let hang = Hang::at(5);
    let policy = Policy { order: Order::Partition, workers: 2, tasks_pick_up: Some(64), ..policy() };
    let rig = Rig::new(policy, hang.transform());
    let slots = [rig.assign(0), rig.assign(1)];
    rig.feed(slots[0], 0, &["a"; 20]);
    rig.feed(slots[1], 1, &["a"; 20]);
    hang.begin();
    eventually_looking_out(&rig, "the other is finished, and this one up to the stuck record", || {
        rig.watermark(slots[0]) == 5 && rig.watermark(slots[1]) == 20
    });
    hang.let_go();
    rig.wait_until_idle();
    assert_eq!(rig.watermark(slots[0]), 20);
    rig.end();
}

#[test]
fn a_stuck_record_is_named_with_its_worker_and_its_time() {
    let hang = Hang::at(0);
    let rig = Rig::new(Policy { workers: 2, ..policy() }, hang.transform());
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["a", "b", "a"]);
    hang.begin();
    eventually_looking_out(&rig, "the other is finished", || hang.hangs() && rig.in_flight().records == 2);
    assert!(rig.pipeline.stuck().is_empty(), "not after so short a time");
    rig.pass(Duration::from_secs(11));
    rig.pipeline.look_out();
    let stuck = rig.pipeline.stuck();
    assert_eq!((stuck.len(), &stuck[0].record[..]), (1, "in/0/0"));
    assert!(stuck[0].time >= Duration::from_secs(11) && !stuck[0].worker.is_empty());
    hang.let_go();
    rig.wait_until_idle();
    eventually("nothing is stuck", || rig.pipeline.stuck().is_empty());
    rig.end();
}
