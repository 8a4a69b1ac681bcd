//! What every integration test stands on: a Kafka, a client of our own, the program as a process, and the guarantees.
//!
//! Nothing here asks the program how it is doing. Topics and offsets are read with plain clients, so that a wrong
//! counter, a wrong log line or a wrong metric cannot hide a lost record.

pub mod admin;
pub mod client;
pub mod codes;
pub mod evidence;
pub mod guarantees;
pub mod kafka;
pub mod listeners;
pub mod load;
pub mod meter;
pub mod own_broker;
pub mod page;
pub mod probe;
pub mod process;
#[cfg(test)]
mod proof;
pub mod record;
mod rot;
pub mod sampler;
pub mod scenario;
pub mod seed;
pub mod setup;

use std::io::Write;
use std::time::{Duration, Instant};

/// Asks `condition` until it holds; panics with `what` when it does not within `deadline`.
pub fn eventually(deadline: Duration, what: &str, condition: impl FnMut() -> bool) {
    assert!(holds_within(deadline, condition), "not within {deadline:?}: {what}");
}

/// Whether `condition` comes to hold within `deadline`. The pause only spares the processor; nothing relies on it.
pub fn holds_within(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
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
pub fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).expect("stderr is open");
}

/// Seconds, because every deadline is written in them.
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
