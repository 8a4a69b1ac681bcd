//! A transform that waits: futures instead of workers.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use processor::engine::{Policy, STUCK_AFTER};
use processor::record::Record;
use processor::sink::Target;
use processor::transform::{AsyncTransform, Context, Outcome, Output};
use tokio::sync::Semaphore;

use super::rig::{Rig, eventually, policy};

/// Waits for its turn, and notes who waits at the same time.
#[derive(Clone)]
struct Turnstile {
    open: Arc<Semaphore>,
    inside: Arc<Mutex<Inside>>,
}

#[derive(Default)]
struct Inside {
    keys: HashSet<Vec<u8>>,
    most: usize,
    twice: bool,
}

impl Turnstile {
    fn shut() -> Self {
        Self { open: Arc::new(Semaphore::new(0)), inside: Arc::default() }
    }

    fn open(&self) {
        self.open.close();
    }

    fn most(&self) -> usize {
        self.inside.lock().most
    }
}

impl AsyncTransform for Turnstile {
    async fn apply(&self, record: &Record, context: &Context) -> Outcome {
        let key = record.key().unwrap_or_default().to_vec();
        {
            let mut inside = self.inside.lock();
            inside.twice |= !inside.keys.insert(key.clone());
            inside.most = inside.most.max(inside.keys.len());
        }
        // Closed is open for good.
        let _ = self.open.acquire().await;
        tokio::task::yield_now().await;
        self.inside.lock().keys.remove(&key);
        if record.offset() % 7 == 3 && context.attempt < 3 {
            return Outcome::retry("busy", "not now");
        }
        Outcome::Emit(Output::default())
    }
}

#[test]
fn a_thousand_wait_on_one_thread_each_key_alone_and_in_its_order() {
    const KEYS: usize = 1_000;
    let turnstile = Turnstile::shut();
    let rig = Rig::waiting(Policy { workers: 1, ..policy() }, turnstile.clone());
    let slot = rig.assign(0);
    let keys: Vec<String> = (0..3 * KEYS).map(|n| format!("k{}", n % KEYS)).collect();
    rig.feed(slot, 0, &keys.iter().map(String::as_str).collect::<Vec<_>>());
    eventually("one of each key waits", || turnstile.most() == KEYS);
    turnstile.open();
    eventually("all are finished", || rig.watermark(slot) == 3 * KEYS as i64);
    assert!(!turnstile.inside.lock().twice, "two of one key at a time");
    let expected: BTreeMap<String, Vec<i64>> =
        (0..KEYS as i64).map(|n| (format!("k{n}"), vec![n, n + KEYS as i64, n + 2 * KEYS as i64])).collect();
    assert_eq!(rig.by_key(Target::Output), expected);
    rig.end();
}

/// Panics before it waits, or after.
struct Panics;

impl AsyncTransform for Panics {
    async fn apply(&self, record: &Record, _: &Context) -> Outcome {
        assert_ne!(record.offset(), 1, "at once");
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_ne!(record.offset(), 2, "later");
        Outcome::Emit(Output::default())
    }
}

#[test]
fn a_future_that_panics_fails_its_record_alone() {
    let rig = Rig::waiting(policy(), Panics);
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["a", "a", "a", "a"]);
    eventually("all are finished", || rig.watermark(slot) == 4);
    assert_eq!(rig.by_key(Target::Output)["a"], [0, 3]);
    assert_eq!(rig.by_key(Target::DeadLetter)["a"], [1, 2]);
    rig.end();
}

#[test]
fn a_future_that_is_not_done_is_named_and_keeps_its_lane_alone() {
    let turnstile = Turnstile::shut();
    let hangs = turnstile.clone();
    let rig = Rig::waiting(policy(), Hangs(hangs));
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["stuck", "stuck", "b", "c", "b"]);
    eventually("the others flow", || rig.in_flight().records == 2);
    assert!(rig.pipeline.stuck().is_empty());
    rig.pass(STUCK_AFTER);
    rig.pipeline.look_out();
    let stuck: Vec<String> = rig.pipeline.stuck().iter().map(|stuck| stuck.record.clone()).collect();
    assert_eq!(stuck, ["in/0/0"]);
    turnstile.open();
    eventually("all are finished", || rig.watermark(slot) == 5);
    assert!(rig.pipeline.stuck().is_empty());
    rig.end();
}

/// Waits with the first record only.
struct Hangs(Turnstile);

impl AsyncTransform for Hangs {
    async fn apply(&self, record: &Record, _: &Context) -> Outcome {
        if record.offset() == 0 {
            let _ = self.0.open.acquire().await;
        }
        Outcome::Emit(Output::default())
    }
}

#[test]
fn closing_waits_for_futures_and_for_what_they_ask_to_be_tried_again() {
    let turnstile = Turnstile::shut();
    let rig = Rig::waiting(policy(), turnstile.clone());
    let slot = rig.assign(0);
    rig.feed(slot, 0, &["a", "b", "c", "d", "d", "d", "d", "d", "d", "d", "d"]);
    eventually("they wait", || turnstile.most() == 4);
    rig.pipeline.close();
    turnstile.open();
    eventually("all are finished", || rig.watermark(slot) == 11);
    rig.end();
}
