//! Waiting for a condition, with a deadline; and letting time pass, where time is the fault.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// After so long it is said what is waited for.
const LONG: Duration = seconds(15);

/// Seconds, shorter.
pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Waits until it holds, and says how long that took.
///
/// # Errors
/// When it does not hold in time.
pub(crate) fn until(
    limit: Duration,
    what: &str,
    mut holds: impl FnMut() -> bool,
) -> Result<Duration, String> {
    let (begin, mut patient) = (Instant::now(), LONG);
    while !holds() {
        if begin.elapsed() > patient {
            println!("    waiting for {} s: {what}", patient.as_secs());
            patient *= 2;
        }
        if begin.elapsed() > limit {
            return Err(format!("not within {} s: {what}", limit.as_secs()));
        }
        std::thread::park_timeout(LOOK);
    }
    Ok(begin.elapsed())
}

/// Waits until `look` says that it holds, for as long as what it says beside that changes: how long work takes depends on the machine.
///
/// # Errors
/// When nothing changes for so long.
pub(crate) fn while_it_moves<T: PartialEq>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> (bool, T),
) -> Result<(), String> {
    loop {
        let (holds, before) = look();
        if holds {
            return Ok(());
        }
        until(patience, what, || {
            let (holds, now) = look();
            holds || now != before
        })?;
    }
}

/// Lets time pass: how long a fault lasts, or the pause between two of them.
pub(crate) fn pass(time: Duration) {
    std::thread::sleep(time);
}
