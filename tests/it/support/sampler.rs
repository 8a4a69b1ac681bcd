//! Watches a group's committed offsets from outside for as long as a test runs.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::admin::{Committed, Offsets};
use super::kafka::Kafka;

/// A thread with a client of its own; it ends with the value.
pub(crate) struct Sampler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    client: Committed,
    topic: String,
    partitions: i32,
    /// Only changes are kept.
    samples: Mutex<Vec<Offsets>>,
    stop: AtomicBool,
}

impl Sampler {
    /// Begins to watch.
    pub(crate) fn start(kafka: &Kafka, group: &str, topic: &str, partitions: i32) -> Self {
        let shared = Arc::new(Shared {
            client: Committed::of(kafka, group),
            topic: topic.to_owned(),
            partitions,
            samples: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while !of_thread.stop.load(Ordering::Relaxed) {
                of_thread.sample();
                std::thread::park_timeout(Duration::from_millis(50));
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// Looks once more, now, and returns what is committed; `None` when the cluster does not answer.
    pub(crate) fn now(&self) -> Option<Offsets> {
        self.shared.sample()
    }

    /// All that was seen, in order.
    pub(crate) fn samples(&self) -> Vec<Offsets> {
        self.shared.samples.lock().expect("no sampler panics").clone()
    }

    /// Forgets what was seen: for a test that itself sets offsets back.
    pub(crate) fn forget(&self) {
        self.shared.samples.lock().expect("no sampler panics").clear();
    }
}

impl Shared {
    /// Reads under the lock, so that samples are kept in the order they were taken in.
    fn sample(&self) -> Option<Offsets> {
        let mut samples = self.samples.lock().expect("no sampler panics");
        let now = self.client.read(&self.topic, self.partitions)?;
        if samples.last() != Some(&now) {
            samples.push(now.clone());
        }
        Some(now)
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ended by a panic only if a client did, and that was shown.
            let _ = thread.join();
        }
    }
}
