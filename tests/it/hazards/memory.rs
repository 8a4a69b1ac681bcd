//! Whatever stands still, the process does not grow: what is in flight has a budget, and what is fetched has a bound.
//!
//! Measured as the peak of the resident set (Linux), against what the process has when it has joined and read nothing.

use std::time::Duration;

use super::retries::{OFTEN, SOON, never, wait_for_failures};
use crate::support::kafka::Kafka;
use crate::support::process::Instance;
use crate::support::record::Input;
use crate::support::scenario::Scenario;
use crate::support::setup::{Setup, setup};
use crate::support::{admin, holds_within, say};

const MIB: usize = 1 << 20;
/// What may be in flight.
const BUDGET: usize = 16 * MIB;
/// What may be fetched and not admitted, for each of two consumers: 16 MiB in the queue of all, as much for each of four
/// partitions that are held back, one answer of a broker on its way, and what was taken of it last.
const FETCHED: usize = 2 * (1 + 4 + 1 + 1) * 16 * MIB;
/// What allocators keep back, and the rest of the program at work.
const SLACK: usize = 128 * MIB;

/// glibc keeps large buffers that were freed, for the next ones: up to a hundred MiB here. RebalanceEvent not to, it shows what we hold.
const GIVE_BACK: &str = "MALLOC_MMAP_THRESHOLD_";

fn bounded() -> Setup {
    setup()
        .set(GIVE_BACK, 128 * 1024)
        .set("PROCESSOR_MAX_IN_FLIGHT_BYTES", "16MiB")
        .set("PROCESSOR_MAX_IN_FLIGHT", 20_000)
}

/// Starts an instance, and tells what it has when it owns its partitions and has read nothing.
fn idle(s: &Scenario) -> (Instance, usize) {
    let instance = s.start();
    s.wait_for_members(2);
    let memory = instance.memory("VmRSS");
    (instance, memory)
}

fn assert_bounded(instance: &Instance, idle: usize) {
    let (peak, bound) = (instance.memory("VmHWM"), idle + BUDGET + FETCHED + SLACK);
    say(&format!("{} MiB idle, {} MiB at the most, {} MiB allowed", idle / MIB, peak / MIB, bound / MIB));
    assert!(peak <= bound, "{} MiB, and {} MiB are allowed", peak / MIB, bound / MIB);
}

/// How long an output stands still: `STALL_SECONDS` in a long run.
fn stall() -> Duration {
    let given = std::env::var("STALL_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(given.unwrap_or(15))
}

/// 440 MiB of input in forty partitions, and nothing of it can be written.
#[test]
fn a_stalled_output_with_large_records() {
    let kafka = Kafka::for_test();
    let setup = bounded().input("max.message.bytes", "2000000").input_partitions(40);
    let mut s = setup.set("KAFKA_TOPIC_METADATA_PROPAGATION_MAX_MS", 500).on(&kafka);
    let (instance, idle) = idle(&s);
    admin::delete_topic(&kafka, &s.output);
    for round in 0..64 {
        let large = |n: usize| {
            let input = Input::valid(&s.id()).key(format!("key-{round}-{n}"));
            let text = String::from_utf8(input.value.clone().unwrap_or_default()).expect("JSON is text");
            let text = text.replace("more than ten characters", &"x".repeat(900_000));
            Input { value: Some(text.into_bytes()), ..input }
        };
        let inputs: Vec<_> = (0..8).map(large).collect();
        s.send(inputs);
    }
    assert!(!holds_within(stall(), || s.is_committed(|_| true)), "the output is gone");
    assert_bounded(&instance, idle);
    admin::create_topic(&kafka, &s.output, s.partitions[1], &[]);
    s.wait_until_committed();
    assert_bounded(&instance, idle);
    s.finish(instance);
}

/// One key has all the records, and each of them takes a millisecond: they wait for each other.
#[test]
fn one_hot_key() {
    let kafka = Kafka::for_test();
    let mut s = bounded().probe().set("WORKER_POOL", 8).on(&kafka);
    let (instance, idle) = idle(&s);
    let hot: Vec<_> = (0..4_000).map(|_| Input::valid(&s.id()).key("hot").slow(1)).collect();
    s.send(hot);
    s.send_load(20_000);
    s.wait_until_committed();
    assert_bounded(&instance, idle);
    s.finish(instance);
}

/// A retry that does not come in this test holds the watermark, and a hundred thousand records are finished behind it.
#[test]
fn a_stuck_record_with_a_hundred_thousand_behind_it() {
    let kafka = Kafka::for_test();
    let mut s = never(bounded().probe().input_partitions(1)).on(&kafka);
    let (mut instance, idle) = idle(&s);
    let stuck = Input::valid(&s.id()).key("stuck").retried(OFTEN);
    s.send([stuck]);
    wait_for_failures(&instance, 1);
    for _ in 0..10 {
        s.send_load(10_000);
    }
    s.wait_until_written(100_000);
    assert_eq!(s.committed_of(0), 0, "nothing passes what is not finished");
    assert_bounded(&instance, idle);
    instance.stop_cleanly();
    s.judge_so_far();
    s.finish(s.start_with(&SOON));
}

/// Each of a thousand partitions gets its turn, with room for twenty records a partition.
#[test]
fn a_thousand_partitions() {
    let kafka = Kafka::for_test();
    let mut s = bounded().input_partitions(1_000).on(&kafka);
    let (instance, idle) = idle(&s);
    for _ in 0..4 {
        let inputs: Vec<_> = (0..1_000).map(|n| Input::valid(&s.id()).key(format!("k{n}")).to(n)).collect();
        s.send(inputs);
        s.send_load(5_000);
    }
    s.wait_until_committed();
    assert_bounded(&instance, idle);
    s.finish(instance);
}
