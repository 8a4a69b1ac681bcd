//! What the tests with real threads and those under schedules share.

use std::time::Duration;

use super::*;

/// A worker: runs `job` on what it takes, until the scheduler is closed. `None` is done, else it runs again that much
/// later.
pub(super) fn work_by<T, R>(
    clock: &dyn Fn() -> Instant,
    scheduler: &Scheduler<T, R>,
    max: usize,
    mut job: impl FnMut(&T, u32) -> Option<Duration>,
) {
    let (mut tasks, mut results) = (Vec::new(), Vec::new());
    while scheduler.exchange(&mut results, max, clock, &mut tasks) {
        let mut blocked = None;
        for task in tasks.drain(..) {
            let (lane, attempt) = (task.lane(), task.attempt);
            let (held, value) = task.split();
            let verdict = if lane.is_some() && lane == blocked {
                Verdict::Untouched(value)
            } else if let Some(delay) = job(&value, attempt) {
                blocked = lane;
                Verdict::Later(clock() + delay, value)
            } else {
                Verdict::Done
            };
            results.push((held, verdict));
        }
    }
}
