//! How many tasks a worker takes at once.

use std::time::Duration;

/// The most a worker takes when it may choose.
const MOST: usize = 64;
/// How long a batch should keep a worker busy: long enough to make the lock's price small, short enough that no task waits
/// noticeably behind its neighbours.
const BATCH: Duration = Duration::from_micros(200);

/// Adapts the batch to the transform's pace: one task at a time for slow transforms, up to 64 for fast ones.
#[derive(Debug)]
pub struct Pace {
    limit: Option<usize>,
    /// Smoothed time of one task, nanoseconds; 0 before the first batch.
    task_ns: u64,
}

impl Pace {
    /// With a limit set by the user, that is what is taken; otherwise it adapts.
    pub fn new(limit: Option<usize>) -> Self {
        Self { limit, task_ns: 0 }
    }

    /// How many tasks to take, at most; at least 1. The first batch is a single task.
    pub fn pick(&self) -> usize {
        match (self.limit, self.task_ns) {
            (Some(limit), _) => limit,
            (None, 0) => 1,
            (None, task_ns) => (BATCH.as_nanos() as u64 / task_ns).clamp(1, MOST as u64) as usize,
        }
    }

    /// Notes that `tasks` took `time` together.
    pub fn measure(&mut self, tasks: usize, time: Duration) {
        let one = (time.as_nanos() as u64 / tasks.max(1) as u64).max(1);
        self.task_ns = if self.task_ns == 0 { one } else { (self.task_ns * 3 + one) / 4 }.max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_transforms_are_taken_one_by_one_and_fast_ones_by_the_batch() {
        let mut pace = Pace::new(None);
        assert_eq!(pace.pick(), 1);
        for _ in 0..100 {
            pace.measure(1, Duration::from_micros(1));
        }
        assert_eq!(pace.pick(), MOST);
        pace.measure(64, Duration::from_millis(64));
        assert_eq!(pace.pick(), 1, "a transform that became slow is noticed with the next batch");
    }

    #[test]
    fn the_users_limit_holds() {
        let mut pace = Pace::new(Some(2));
        pace.measure(1, Duration::from_nanos(10));
        assert_eq!(pace.pick(), 2);
    }
}
