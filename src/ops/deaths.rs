//! Which records failed for good: counts by reason, and of each reason the last record, for the log and for the page.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A reason is said no more often than this.
const PERIOD: Duration = Duration::from_secs(10);

/// Dead letters that were acknowledged. Whoever notes one bounds the number of reasons.
#[derive(Debug, Default)]
pub struct Deaths(Mutex<BTreeMap<String, Reason>>);

#[derive(Debug)]
struct Reason {
    total: u64,
    /// Those that were not said yet.
    unsaid: u64,
    /// Topic, partition and offset.
    last: (Arc<str>, i32, i64),
    said: Option<Instant>,
}

/// What is to be said of a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// Such as `invalid_json`.
    pub reason: String,
    /// Records since it was said last.
    pub count: u64,
    /// Records since the start.
    pub total: u64,
    /// Where the last of them stands, as topic/partition/offset.
    pub last: String,
}

impl Deaths {
    /// The dead letter of the record at this place was acknowledged.
    pub(super) fn note(&self, reason: String, (topic, partition, offset): (&Arc<str>, i32, i64)) {
        let last = (topic.clone(), partition, offset);
        let mut reasons = self.0.lock();
        let reason = reasons.entry(reason).or_insert_with(|| Reason {
            total: 0,
            unsaid: 0,
            last: last.clone(),
            said: None,
        });
        reason.total += 1;
        reason.unsaid += 1;
        reason.last = last;
    }

    /// What is due to be said now: the first of a reason at once, then what came in ten seconds.
    pub fn due(&self, now: Instant) -> Vec<Death> {
        self.say(now, |said| now.saturating_duration_since(said) >= PERIOD)
    }

    /// All that was not said yet, before the end.
    pub fn rest(&self, now: Instant) -> Vec<Death> {
        self.say(now, |_| true)
    }

    fn say(&self, now: Instant, is_due: impl Fn(Instant) -> bool) -> Vec<Death> {
        let mut reasons = self.0.lock();
        let due = reasons.iter_mut().filter(|(_, one)| one.unsaid > 0 && one.said.is_none_or(&is_due));
        due.map(|(name, one)| {
            let death = one.death(name);
            (one.unsaid, one.said) = (0, Some(now));
            death
        })
        .collect()
    }

    /// All reasons so far.
    pub fn all(&self) -> Vec<Death> {
        self.0.lock().iter().map(|(name, one)| one.death(name)).collect()
    }
}

impl Reason {
    fn death(&self, name: &str) -> Death {
        let (topic, partition, offset) = &self.last;
        let last = format!("{topic}/{partition}/{offset}");
        Death { reason: name.to_owned(), count: self.unsaid, total: self.total, last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_at_once_then_what_came_in_ten_seconds_and_the_rest_at_the_end() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (deaths, topic) = (Deaths::default(), Arc::from("in"));
        let note = |reason: &str, offset| deaths.note(reason.to_owned(), (&topic, 3, offset));
        let death = |reason: &str, count, total, offset| Death {
            reason: reason.to_owned(),
            count,
            total,
            last: format!("in/3/{offset}"),
        };
        assert_eq!(deaths.due(at(0)), []);
        note("too_old", 1);
        assert_eq!(deaths.due(at(1)), [death("too_old", 1, 1, 1)]);
        note("too_old", 2);
        note("too_old", 7);
        note("bad", 5);
        assert_eq!(deaths.due(at(2)), [death("bad", 1, 1, 5)]);
        assert_eq!(deaths.due(at(11)), [death("too_old", 2, 3, 7)]);
        assert_eq!(deaths.due(at(60)), []);
        note("bad", 9);
        note("too_old", 10);
        assert_eq!(deaths.all(), [death("bad", 1, 2, 9), death("too_old", 1, 4, 10)]);
        assert_eq!(deaths.due(at(61)).len(), 2);
        note("bad", 12);
        assert_eq!(deaths.rest(at(62)), [death("bad", 1, 3, 12)]);
        assert_eq!(deaths.rest(at(63)), []);
    }
}
