//! Time as a parameter: the stages ask a [`Clock`], so that a simulation can give them any time it likes.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// For durations and deadlines.
    fn now(&self) -> Instant;

    /// Milliseconds since 1970.
    fn unix_ms(&self) -> i64;
}

/// The machine's own time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A clock that stands still until a test moves it.
#[cfg(test)]
pub(crate) struct ManualClock {
    start: Instant,
    passed_ms: std::sync::atomic::AtomicU64,
}

#[cfg(test)]
impl ManualClock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), passed_ms: 0.into() }
    }

    pub(crate) fn pass(&self, ms: u64) {
        self.passed_ms.fetch_add(ms, std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn now(&self) -> Instant {
        let passed = self.passed_ms.load(std::sync::atomic::Ordering::Relaxed);
        self.start + std::time::Duration::from_millis(passed)
    }

    fn unix_ms(&self) -> i64 {
        1_700_000_000_000 + self.passed_ms.load(std::sync::atomic::Ordering::Relaxed) as i64
    }
}
