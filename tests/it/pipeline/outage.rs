//! One key that fails is poison; many that fail together are an outage.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use processor::checkpoint::Budget;
use processor::engine::Policy;
use processor::engine::breaker::KEYS;
use processor::policy::{AfterFailure, Order};
use processor::record::Record;
use processor::sink::Target;
use processor::source::Intake;
use processor::transform::{Context, Outcome, Output};

use super::rig::{Rig, With, eventually, policy};

/// What a transform needs, and may be without.
#[derive(Clone, Default)]
struct Service {
    is_down: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
}

impl Service {
    fn transform(&self, how: fn() -> Outcome) -> With<impl Fn(&Record, &Context) -> Outcome + use<>> {
        let service = self.clone();
        With(move |_: &Record, _: &Context| {
            service.calls.fetch_add(1, Ordering::SeqCst);
            if service.is_down.load(Ordering::SeqCst) { how() } else { Outcome::Emit(Output::default()) }
        })
    }

    fn down(&self, down: bool) {
        self.is_down.store(down, Ordering::SeqCst);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn down() -> Outcome {
    Outcome::retry("down", "no answer")
}

/// As many records as this, of 40 keys.
fn keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("key-{}", number % 40)).collect()
}

fn feed(rig: &Rig, slot: processor::checkpoint::Slot, keys: &[String]) {
    rig.feed(slot, 0, &keys.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Every record is in one of the topics, once, and those of a key are in order in each.
fn all_arrived_once_and_in_order(rig: &Rig, order: Order, count: usize) {
    let mut seen = BTreeMap::<i64, usize>::new();
    for target in [Target::Output, Target::DeadLetter] {
        for (key, offsets) in rig.by_key(target) {
            assert!(order == Order::Unordered || offsets.is_sorted(), "{target:?}, {key}: {offsets:?}");
            offsets.iter().for_each(|offset| *seen.entry(*offset).or_default() += 1);
        }
    }
    assert_eq!(seen, (0..count as i64).map(|offset| (offset, 1)).collect());
}

fn dead_letters(rig: &Rig) -> usize {
    rig.written().iter().filter(|one| one.target == Target::DeadLetter).count()
}

#[test]
fn an_outage_gives_up_hardly_anything_and_ends_by_itself() {
    for (order, how) in [
        (Order::Key, down as fn() -> Outcome),
        (Order::Partition, down),
        (Order::Unordered, down),
        (Order::Key, || panic!("this test's own panic")),
    ] {
        const COUNT: usize = 3_000;
        let service = Service::default();
        let policy = Policy { order, budget: Budget { records: 500, bytes: 64 << 20 }, ..policy() };
        let rig = Rig::new(policy, service.transform(how));
        let slot = rig.assign(0);
        let keys = keys(COUNT);
        feed(&rig, slot, &keys[..1_000]);
        rig.wait_until_idle();
        service.down(true);
        feed(&rig, slot, &keys[1_000..1_000 + KEYS + 20]);
        eventually("it is taken for an outage", || rig.pipeline.outage().is_some());
        // The source brings what there is room for, and no more.
        let next = std::cell::Cell::new(1_000 + KEYS + 20);
        let waiting: Vec<&str> = keys.iter().map(String::as_str).collect();
        eventually("its share is used up", || {
            let taken = rig.offer(slot, 0, &waiting[next.get()..]);
            next.set(next.get() + taken);
            taken == 0
        });
        eventually("no worker has anything", || rig.pipeline.depth().running == 0);
        let (calls, dead) = (service.calls(), dead_letters(&rig));
        assert!(dead < KEYS, "{dead} dead letters, {order:?}");
        eventually("it is tried", || service.calls() > calls);
        assert!(service.calls() <= calls + 2, "one at a time");
        service.down(false);
        feed(&rig, slot, &keys[next.get()..]);
        rig.wait_until_idle();
        assert_eq!((rig.pipeline.outage(), rig.watermark(slot)), (None, COUNT as i64));
        assert_eq!(dead_letters(&rig), dead);
        all_arrived_once_and_in_order(&rig, order, COUNT);
        rig.end();
    }
}

#[test]
fn one_poisonous_key_among_many_is_no_outage() {
    for after_failure in [AfterFailure::Continue, AfterFailure::DeadLetterKey] {
        const COUNT: usize = 2_000;
        let opened = Arc::new(AtomicBool::new(false));
        let transform = With(|record: &Record, _: &Context| {
            let poisonous = record.key() == Some(b"key-7");
            if poisonous { Outcome::retry("down", "always") } else { Outcome::Emit(Output::default()) }
        });
        let rig = Rig::new(Policy { after_failure, ..policy() }, transform);
        let slot = rig.assign(0);
        feed(&rig, slot, &keys(COUNT));
        eventually("all is done", || {
            opened.fetch_or(rig.pipeline.outage().is_some(), Ordering::SeqCst);
            rig.in_flight().records == 0
        });
        assert!(!opened.load(Ordering::SeqCst));
        assert_eq!(dead_letters(&rig), COUNT / 40);
        all_arrived_once_and_in_order(&rig, Order::Key, COUNT);
        rig.end();
    }
}

#[test]
fn rejected_records_are_no_outage_however_many() {
    let rig = Rig::new(policy(), With(|_: &Record, _: &Context| Outcome::reject("bad", "never")));
    let slot = rig.assign(0);
    feed(&rig, slot, &keys(400));
    rig.wait_until_idle();
    assert_eq!((rig.pipeline.outage(), dead_letters(&rig)), (None, 400));
    rig.end();
}

#[test]
fn a_revocation_during_an_outage_does_not_wait_for_its_end() {
    let service = Service::default();
    let rig = Rig::new(policy(), service.transform(down));
    let slot = rig.assign(0);
    service.down(true);
    feed(&rig, slot, &keys(400));
    eventually("it is taken for an outage", || rig.pipeline.outage().is_some());
    eventually("no worker has anything", || rig.pipeline.depth().running == 0);
    rig.pipeline.leave(&[slot]);
    // No more than what came before those few that were given up.
    let left = rig.in_flight_of(slot);
    assert!(left <= 40, "{left} records cannot be given back");
    rig.pipeline.revoke(&[slot]);
    rig.wait_until_idle();
    rig.end();
}
