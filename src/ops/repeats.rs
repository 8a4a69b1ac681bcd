//! Keeps one message from filling the log: a broker that is gone says so many times a second, on every thread.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The same message is admitted once in this time.
const PERIOD: Duration = Duration::from_secs(10);
/// How many different messages are remembered.
const MOST: usize = 256;

/// Remembers which messages were written lately. Pure: the caller brings the time, and a lock if threads share it.
#[derive(Debug, Default)]
pub struct Repeats {
    seen: HashMap<String, Seen>,
}

#[derive(Debug)]
struct Seen {
    written: Instant,
    suppressed: u64,
}

impl Repeats {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the message with this key may be written now: `Some(n)` if so, where `n` of the same were left out
    /// since the last one; `None` to leave out this one too.
    pub fn admit(&mut self, key: &str, now: Instant) -> Option<u64> {
        if let Some(seen) = self.seen.get_mut(key) {
            if now.saturating_duration_since(seen.written) < PERIOD {
                seen.suppressed += 1;
                return None;
            }
            seen.written = now;
            return Some(std::mem::take(&mut seen.suppressed));
        }
        self.make_room(now);
        self.seen.insert(key.to_owned(), Seen { written: now, suppressed: 0 });
        Some(0)
    }

    /// At the limit forgets what may be written anyway, and if there is no such message, the oldest.
    fn make_room(&mut self, now: Instant) {
        if self.seen.len() < MOST {
            return;
        }
        self.seen.retain(|_, seen| now.saturating_duration_since(seen.written) < PERIOD);
        if self.seen.len() >= MOST {
            let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.written).map(|(key, _)| key.clone());
            oldest.map(|key| self.seen.remove(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_written_then_one_in_ten_seconds_with_a_count() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut repeats = Repeats::new();
        assert_eq!(repeats.admit("a", at(0)), Some(0));
        assert_eq!(repeats.admit("a", at(1)), None);
        assert_eq!(repeats.admit("b", at(2)), Some(0));
        assert_eq!(repeats.admit("a", at(9_999)), None);
        assert_eq!(repeats.admit("a", at(10_000)), Some(2));
        assert_eq!(repeats.admit("a", at(10_001)), None);
        assert_eq!(repeats.admit("a", at(30_000)), Some(1));
        assert_eq!(repeats.admit("a", at(50_000)), Some(0));
    }

    #[test]
    fn a_time_that_goes_back_is_no_fault() {
        let start = Instant::now() + Duration::from_secs(60);
        let mut repeats = Repeats::new();
        assert_eq!(repeats.admit("a", start), Some(0));
        assert_eq!(repeats.admit("a", start - Duration::from_secs(30)), None);
    }

    #[test]
    fn memory_is_bounded_and_the_newest_are_kept() {
        let start = Instant::now();
        let mut repeats = Repeats::new();
        for n in 0..10_000u64 {
            repeats.admit(&n.to_string(), start + Duration::from_micros(n));
            assert!(repeats.seen.len() <= MOST);
        }
        assert_eq!(repeats.admit("9999", start + Duration::from_secs(1)), None);
        assert_eq!(repeats.admit("new", start + Duration::from_secs(60)), Some(0));
        assert_eq!(repeats.seen.len(), 1, "what is older than the period was forgotten");
    }
}
