//! Watches from outside how much is written to some topics while a test runs, and how fast.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::kafka::Kafka;
use super::{admin, seconds};

/// How far back [`Meter::written_within`] can look.
const MEMORY: Duration = seconds(5);

/// A thread with a client of its own; it ends with the value.
pub(crate) struct Meter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// When it looked, and how much it saw; the oldest is older than [`MEMORY`], or the first.
    looks: Mutex<VecDeque<(Instant, usize)>>,
    stop: AtomicBool,
}

impl Meter {
    /// Begins to watch these topics, given with the number of their partitions. They are empty yet.
    pub(crate) fn start(kafka: &Kafka, topics: &[(&str, i32)]) -> Self {
        let topics: Vec<_> = topics.iter().map(|(topic, count)| ((*topic).to_owned(), *count)).collect();
        let client: BaseConsumer = admin::settings(kafka).create().expect("a client");
        let shared =
            Arc::new(Shared { looks: Mutex::new([(Instant::now(), 0)].into()), ..Shared::default() });
        let of_thread = Arc::clone(&shared);
        Self { shared, thread: Some(std::thread::spawn(move || of_thread.watch(&client, &topics))) }
    }

    /// How many records the topics hold.
    pub(crate) fn written(&self) -> usize {
        self.shared.looks.lock().expect("no look panics").back().map_or(0, |look| look.1)
    }

    /// How many were written in the last while, or a little longer: from the last look before it on.
    pub(crate) fn written_within(&self, last: Duration) -> usize {
        let looks = self.shared.looks.lock().expect("no look panics");
        let before = looks.iter().rev().find(|(at, _)| at.elapsed() >= last).or(looks.front());
        looks.back().zip(before).map_or(0, |(now, before)| now.1 - before.1)
    }
}

impl Shared {
    fn watch(&self, client: &BaseConsumer, topics: &[(String, i32)]) {
        while !self.stop.load(Ordering::Relaxed) {
            if let Some(written) = records(client, topics) {
                let mut looks = self.looks.lock().expect("no reader panics");
                looks.push_back((Instant::now(), written));
                while looks.get(1).is_some_and(|(at, _)| at.elapsed() >= MEMORY) {
                    looks.pop_front();
                }
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

/// What the topics hold together; `None` when the cluster does not answer.
fn records(client: &BaseConsumer, topics: &[(String, i32)]) -> Option<usize> {
    let ends = topics.iter().map(|(topic, count)| admin::ends_seen_by(client.client(), topic, *count));
    let ends: Option<Vec<Vec<i64>>> = ends.collect();
    usize::try_from(ends?.iter().flatten().sum::<i64>()).ok()
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ended by a panic only if a client did, and that was shown.
            let _ = thread.join();
        }
    }
}
