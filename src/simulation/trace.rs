//! Who did what, at which model time: a hash of it for every run that wants one, and lines for who wants to read.

use std::hash::Hasher as _;
use std::time::Duration;

use xxhash_rust::xxh3::Xxh3;

/// See the module.
#[derive(Default)]
pub(super) struct Trace {
    wanted: bool,
    hash: Xxh3,
    lines: Vec<String>,
}

impl Trace {
    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted, ..Self::default() }
    }

    pub(super) fn note(&mut self, at: Duration, what: impl FnOnce() -> String) {
        if self.wanted {
            let line = format!("{:>10.3} ms  {}", at.as_secs_f64() * 1000.0, what());
            self.hash.write(line.as_bytes());
            self.lines.push(line);
        }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash.digest()
    }

    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}
