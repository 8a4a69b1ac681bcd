//! How many records are due: so many a second, and what was missed for long is not made up for.

use std::time::{Duration, Instant};

/// What may be made up for at once.
const DEBT: Duration = Duration::from_millis(500);

/// The pace of the generator.
#[derive(Debug)]
pub struct Pace {
    /// Records a second; 0 is as fast as it goes.
    rate: u64,
    /// Since when `went` counts; unset before the first question.
    since: Option<Instant>,
    went: u64,
}

impl Pace {
    /// So many a second; 0 is as fast as it goes.
    pub fn new(rate: u64) -> Self {
        Self { rate, since: None, went: 0 }
    }

    /// How many records are to be written now.
    pub fn due(&mut self, now: Instant) -> u64 {
        if self.rate == 0 {
            return u64::MAX;
        }
        let since = *self.since.get_or_insert(now);
        let due = self.in_time(now.saturating_duration_since(since)).saturating_sub(self.went);
        if due > self.in_time(DEBT).max(1) {
            self.forgive(now.checked_sub(DEBT).unwrap_or(now));
            return self.in_time(DEBT).max(1);
        }
        due
    }

    /// So many were written.
    pub fn went(&mut self, records: u64) {
        self.went += records;
    }

    /// What was missed before this time is not to be made up for.
    pub fn forgive(&mut self, before: Instant) {
        self.since = Some(before);
        self.went = 0;
    }

    fn in_time(&self, time: Duration) -> u64 {
        let records = u128::from(self.rate) * time.as_micros() / 1_000_000;
        u64::try_from(records).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_second() {
        let start = Instant::now();
        for (rate, tick_ms) in [(5000, 1), (5000, 7), (1, 300), (200_000, 3)] {
            let mut pace = Pace::new(rate);
            let mut sum = 0;
            for tick in 0..=10_000 / tick_ms {
                let due = pace.due(start + Duration::from_millis(tick * tick_ms));
                pace.went(due);
                sum += due;
            }
            assert!(sum.abs_diff(rate * 10) <= rate * tick_ms / 1000 + 1, "{rate} every {tick_ms} ms: {sum}");
        }
    }

    #[test]
    fn what_was_missed_for_long_is_not_made_up_for() {
        let start = Instant::now();
        let mut pace = Pace::new(1000);
        assert_eq!(pace.due(start), 0);
        let late = start + Duration::from_secs(60);
        assert_eq!(pace.due(late), 500);
        pace.went(500);
        assert_eq!(pace.due(late + Duration::from_millis(10)), 10, "and then as before");
    }

    #[test]
    fn as_fast_as_it_goes() {
        assert_eq!(Pace::new(0).due(Instant::now()), u64::MAX);
    }
}
