//! Order, one at a time, bounds, and what moves the watermark.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use processor::checkpoint::Budget;
use processor::engine::Policy;
use processor::ops::Snapshot;
use processor::ops::metrics::Format;
use processor::policy::{Order, Retry};
use processor::record::{Parts, Record};
use processor::sink::{Parcel, Target};
use processor::source::Intake;
use processor::transform::{Context, Field, Outcome, Output};

use super::rig::{Answer, Rig, With, eventually, policy, record};

/// Counts how often two records of one lane were in the transform together.
#[derive(Clone, Default)]
struct OneAtATime {
    running: Arc<Mutex<HashSet<Vec<u8>>>>,
    violations: Arc<AtomicUsize>,
}

impl OneAtATime {
    fn enter(&self, lane: &[u8], run: impl FnOnce() -> Outcome) -> Outcome {
        if !self.running.lock().insert(lane.to_vec()) {
            self.violations.fetch_add(1, Ordering::SeqCst);
        }
        std::thread::yield_now();
        let outcome = run();
        self.running.lock().remove(lane);
        outcome
    }
}

/// Some fail once, some twice, most never.
fn fails(record: &Record, context: &Context) -> bool {
    let hash = (record.offset() as u32 * 2 + record.partition() as u32).wrapping_mul(2_654_435_769) >> 20;
    match hash % 10 {
        0 => context.attempt < 3,
        1 | 2 => context.attempt < 2,
        _ => false,
    }
}

fn retry_or_emit(record: &Record, context: &Context) -> Outcome {
    if fails(record, context) { Outcome::retry("flaky", "not yet") } else { Outcome::Emit(Output::default()) }
}

/// Keys that tell their partition, so that a lane's name is its key.
fn keys(partition: i32, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{partition}-{}", number * number % 13)).collect()
}

fn offsets_by_key(partition: i32, count: usize) -> BTreeMap<String, Vec<i64>> {
    let mut by_key: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (key, offset) in keys(partition, count).into_iter().zip(0..) {
        by_key.entry(key).or_default().push(offset);
    }
    by_key
}

#[test]
fn records_of_a_key_run_one_at_a_time_and_come_out_in_order_retries_included() {
    const COUNT: usize = 700;
    let probe = OneAtATime::default();
    let lanes = probe.clone();
    let transform = With(move |record: &Record, context: &Context| {
        lanes.enter(record.key().unwrap(), || retry_or_emit(record, context))
    });
    let rig = Rig::new(policy(), transform);
    let mut expected = BTreeMap::new();
    for partition in 0..2 {
        let slot = rig.assign(partition);
        let keys = keys(partition, COUNT);
        rig.feed(slot, partition, &keys.iter().map(String::as_str).collect::<Vec<_>>());
        expected.extend(offsets_by_key(partition, COUNT));
    }
    rig.wait_until_idle();
    assert_eq!(rig.by_key(Target::Output), expected);
    assert_eq!(probe.violations.load(Ordering::SeqCst), 0);
    rig.end();
}

#[test]
fn records_of_a_partition_run_one_at_a_time_and_come_out_in_order() {
    const COUNT: usize = 300;
    let probe = OneAtATime::default();
    let lanes = probe.clone();
    let transform = With(move |record: &Record, context: &Context| {
        lanes.enter(&record.partition().to_be_bytes(), || retry_or_emit(record, context))
    });
    let rig = Rig::new(Policy { order: Order::Partition, ..policy() }, transform);
    for partition in 0..2 {
        let slot = rig.assign(partition);
        let keys = keys(partition, COUNT);
        rig.feed(slot, partition, &keys.iter().map(String::as_str).collect::<Vec<_>>());
    }
    rig.wait_until_idle();
    for partition in 0..2 {
        let written = rig.written().into_iter().filter(|one| one.partition == partition);
        assert_eq!(written.map(|one| one.offset).collect::<Vec<_>>(), (0..COUNT as i64).collect::<Vec<_>>());
    }
    assert_eq!(probe.violations.load(Ordering::SeqCst), 0);
    rig.end();
}

#[test]
fn records_without_a_key_and_unordered_ones_do_not_wait_for_each_other() {
    for (order, key) in [(Order::Key, ""), (Order::Unordered, "same")] {
        let together = Arc::new(AtomicUsize::new(0));
        let here = together.clone();
        let transform = With(move |_: &Record, _: &Context| {
            here.fetch_add(1, Ordering::SeqCst);
            eventually("all four are in the transform", || here.load(Ordering::SeqCst) == 4);
            Outcome::Emit(Output::default())
        });
        let rig = Rig::new(Policy { order, workers: 4, tasks_pick_up: Some(1), ..policy() }, transform);
        let slot = rig.assign(0);
        rig.feed(slot, 0, &[key; 4]);
        rig.wait_until_idle();
        assert_eq!(rig.written().len(), 4);
        assert_eq!(rig.watermark(slot), 4);
        rig.end();
    }
}

#[test]
fn what_the_sink_puts_back_keeps_its_order() {
    const COUNT: usize = 600;
    let tries = Mutex::new(BTreeMap::<i64, u32>::new());
    let rig = Rig::answering(policy(), With(retry_or_emit), move |job| {
        let offset = job.record().offset();
        let mut tries = tries.lock();
        let tries = tries.entry(offset).or_default();
        *tries += 1;
        if offset % 5 == 0 && *tries < 3 { Answer::PutBack } else { Answer::Deliver }
    });
    let slot = rig.assign(0);
    let keys = keys(0, COUNT);
    rig.feed(slot, 0, &keys.iter().map(String::as_str).collect::<Vec<_>>());
    rig.wait_until_idle();
    assert_eq!(rig.by_key(Target::Output), offsets_by_key(0, COUNT));
    assert_eq!(rig.watermark(slot), COUNT as i64);
    rig.end();
}

#[test]
fn several_outputs_finish_their_record_only_when_they_are_delivered() {
    let transform = With(|_: &Record, _: &Context| {
        let output = |text: &str| Output { value: Field::New(Some(text.into())), ..Output::default() };
        Outcome::EmitMany(vec![output("one"), output("two"), output("three")])
    });
    let rig = Rig::new(policy(), transform);
    let slot = rig.assign(0);
    rig.shut();
    rig.feed(slot, 0, &["a"]);
    eventually("the sink has it", || rig.held() == 1);
    assert_eq!((rig.watermark(slot), rig.in_flight().records), (0, 1));
    rig.open();
    rig.wait_until_idle();
    assert_eq!(rig.watermark(slot), 1);
    let values: Vec<_> = rig.written().into_iter().filter_map(|one| one.value).collect();
    assert_eq!(values, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    rig.end();
}

#[test]
fn filtered_records_and_empty_lists_of_outputs_are_finished_without_a_word() {
    let transform =
        With(
            |record: &Record, _: &Context| {
                if record.offset() % 2 == 0 { Outcome::Filter } else { Outcome::EmitMany(Vec::new()) }
            },
        );
    let rig = Rig::new(policy(), transform);
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["a"; 20]);
    rig.wait_until_idle();
    assert_eq!((rig.watermark(slot), rig.written().len()), (20, 0));
    rig.end();
}

#[test]
fn a_later_success_does_not_move_the_watermark_past_an_earlier_failure() {
    let broken = Arc::new(AtomicBool::new(true));
    let still = broken.clone();
    let transform = With(move |record: &Record, _: &Context| {
        let fails = record.offset() == 3 && still.load(Ordering::SeqCst);
        if fails { Outcome::retry("down", "not yet") } else { Outcome::Emit(Output::default()) }
    });
    let retry = Retry { attempts: u32::MAX, ..policy().retry };
    let rig = Rig::new(Policy { retry, ..policy() }, transform);
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["a", "b", "c", "d", "e", "f", "d", "g"]);
    eventually("all others are delivered", || rig.written().len() == 6);
    assert_eq!(rig.watermark(slot), 3);
    assert_eq!(rig.pipeline.uncommitted(0)[0].offset, 3);
    broken.store(false, Ordering::SeqCst);
    rig.wait_until_idle();
    assert_eq!(rig.watermark(slot), 8);
    assert_eq!(rig.by_key(Target::Output)["d"], [3, 6]);
    rig.end();
}

#[test]
fn in_flight_is_bounded_while_the_sink_does_not_acknowledge() {
    let budget = Budget { records: 20, bytes: 1 << 20 };
    let rig = Rig::new(Policy { budget, ..policy() }, With(retry_or_emit));
    let slots = [rig.assign(0), rig.assign(1)];
    rig.shut();
    let mut admitted = 0;
    for _ in 0..50 {
        for (partition, slot) in slots.iter().enumerate() {
            admitted += rig.offer(*slot, partition as i32, &["a", "b", "c"]);
            assert!(rig.in_flight().records <= budget.records);
        }
    }
    assert_eq!(admitted, rig.in_flight().records);
    assert!(admitted >= 10, "{admitted} admitted");
    rig.open();
    for (partition, slot) in slots.iter().enumerate() {
        rig.feed(*slot, partition as i32, &["a"; 100]);
    }
    rig.wait_until_idle();
    assert_eq!(rig.written().len(), admitted + 200);
    rig.end();
}

#[test]
fn bytes_in_flight_are_bounded_and_results_count() {
    let budget = Budget { records: 10_000, bytes: 40_000 };
    let transform = With(|_: &Record, _: &Context| Outcome::value(vec![b'x'; 30_000]));
    let rig = Rig::new(Policy { budget, ..policy() }, transform);
    let slot = rig.assign(0);
    rig.shut();
    let small = rig.in_flight().bytes;
    assert_eq!(rig.offer(slot, 0, &["a"]), 1);
    eventually("the result is charged too", || rig.in_flight().bytes > small + 30_000);
    let before = rig.in_flight().bytes;
    let taken = rig.offer(slot, 0, &["a"; 100]);
    let charge = 2 * record(0, 1, "a").size() + 768;
    assert!(taken < 10 && before + taken * charge <= budget.bytes, "{taken} taken, {before} B before");
    rig.open();
    rig.wait_until_idle();
    rig.feed(slot, 0, &["a"; 50]);
    rig.wait_until_idle();
    assert_eq!(rig.watermark(slot), 51 + taken as i64);
    assert!(rig.written().iter().all(|one| one.target == Target::Output));
    rig.end();
}

#[test]
fn a_parcel_has_legs_as_many_as_outputs() {
    let rig = Rig::answering(policy(), With(retry_or_emit), |job| {
        if job.legs() == 1 && job.leg(0).key == job.record().key() { Answer::Deliver } else { Answer::Refuse }
    });
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["a"; 10]);
    rig.wait_until_idle();
    assert!(rig.by_key(Target::DeadLetter).is_empty());
    rig.end();
}

/// librdkafka may give an offset twice after an incremental assignment: while the first is open, and when it is done.
#[test]
fn an_offset_that_comes_again_is_dropped_and_counted() {
    let rig = Rig::new(policy(), With(|_: &Record, _: &Context| Outcome::Emit(Output::default())));
    let slot = rig.assign(0);
    let offer = |offsets: std::ops::Range<i64>| {
        let mut records = offsets.map(|offset| record(0, offset, "k")).collect();
        rig.pipeline.admit(slot, &mut records);
        assert!(records.is_empty(), "all are taken, whatever becomes of them");
    };
    rig.shut();
    offer(0..10);
    offer(4..14);
    rig.open();
    rig.wait_until_idle();
    offer(0..14);
    rig.wait_until_idle();
    assert_eq!(rig.by_key(Target::Output)["k"], (0..14).collect::<Vec<_>>());
    assert_eq!(rig.watermark(slot), 14);
    let page = rig.metrics.render(Snapshot::default(), Format::Text).expect("text");
    assert!(page.contains("processor_records_redelivered_total{topic=\"in\"} 20"), "{page}");
    rig.end();
}

/// Each record has a share of its topic's name: that tells whether it is still there.
#[test]
fn what_is_finished_is_dropped_by_whoever_reads() {
    let rig = Rig::new(policy(), With(|_: &Record, _: &Context| Outcome::Emit(Output::default())));
    let slot = rig.assign(0);
    let topic: Arc<str> = "in".into();
    let mut records = (0..10).map(|offset| Record::new(topic.clone(), 0, offset, Parts::default())).collect();
    rig.pipeline.admit(slot, &mut records);
    rig.wait_until_idle();
    assert_eq!(Arc::strong_count(&topic), 11);
    eventually("all are dropped", || {
        rig.pipeline.drop_finished();
        Arc::strong_count(&topic) == 1
    });
    rig.end();
}
