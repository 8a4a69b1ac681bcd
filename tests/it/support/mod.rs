//! What every integration test stands on: a Kafka, a client of our own, the program as a process, and the guarantees.
//!
//! Nothing here asks the program how it is doing. Topics and offsets are read with plain clients, so that a wrong
//! counter, a wrong log line or a wrong metric cannot hide a lost record.

pub(crate) mod admin;
pub(crate) mod client;
pub(crate) mod codes;
pub(crate) mod evidence;
pub(crate) mod guarantees;
pub(crate) mod kafka;
pub(crate) mod listeners;
pub(crate) mod load;
pub(crate) mod meter;
pub(crate) mod own_broker;
pub(crate) mod page;
pub(crate) mod probe;
pub(crate) mod process;
#[cfg(test)]
mod proof;
pub(crate) mod record;
mod rot;
pub(crate) mod sampler;
pub(crate) mod scenario;
pub(crate) mod seed;
pub(crate) mod setup;

use std::io::Write;
use std::time::{Duration, Instant};

/// Asks `condition` until it holds; panics with `what` when it does not within `deadline`.
pub(crate) fn eventually(deadline: Duration, what: &str, condition: impl FnMut() -> bool) {
    assert!(holds_within(deadline, condition), "not within {deadline:?}: {what}");
}

/// Whether `condition` comes to hold within `deadline`. The pause only spares the processor; nothing relies on it.
pub(crate) fn holds_within(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Writes a line past the test harness, which hides what a passing test prints.
pub(crate) fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).expect("stderr is open");
}

/// Seconds, because every deadline is written in them.
pub(crate) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
