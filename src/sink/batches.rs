//! How much goes into one batch. A broker refuses a batch as a whole: what it says holds for a record only if that was alone in its
//! batch, or named. So a batch that is refused makes the next ones smaller, until the record at fault is found. Pure.
//!
//! * Too large: what the topic takes now, where that can be asked, else half of the batch that was refused. That lasts for a minute
//!   at least, as what comes next would be as large; if the old size is refused again then, for twice as long, up to an hour.
//! * Refused for another reason, and no record is named (brokers before 2.4): each record by itself, until those of the batch are
//!   through.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use crate::kafka::errors;

const FIRST_PATIENCE: Duration = Duration::from_secs(60);
const LAST_PATIENCE: Duration = Duration::from_secs(3600);
/// A batch's own header, which counts against `max.message.bytes` too.
const HEADER: usize = 512;

/// What a client puts into one batch; `None` is what its properties say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batches {
    /// Bytes of all its records, but for one that is larger by itself.
    pub size: Option<usize>,
    /// Whether each record is alone in its batch.
    pub alone: bool,
}

impl Batches {
    /// The size of batches for a topic that takes so many bytes.
    pub fn within(max_message_bytes: usize) -> usize {
        max_message_bytes.saturating_sub(HEADER).max(1)
    }
}

/// A parcel's place in the order in which parcels were handed out.
type Place = (u32, u64);

/// See the module.
pub(super) struct Narrowing {
    now: Batches,
    /// The smallest batch that was refused as too large since the client was made, bytes.
    too_large: Option<usize>,
    /// A batch was refused for another reason since the client was made.
    refused: bool,
    /// Of such batches, and not through.
    suspects: HashSet<Place>,
    /// When larger batches are tried again.
    until: Option<Instant>,
    patience: Duration,
}

impl Default for Narrowing {
    fn default() -> Self {
        let (now, suspects) = (Batches::default(), HashSet::new());
        Self { now, too_large: None, refused: false, suspects, until: None, patience: FIRST_PATIENCE }
    }
}

impl Narrowing {
    /// A batch of so many bytes, which this parcel was in, was refused as a whole.
    pub(super) fn refused(&mut self, place: Place, code: Code, bytes: usize) {
        if errors::is_size(code) {
            self.too_large = Some(self.too_large.map_or(bytes, |smallest| smallest.min(bytes)));
        } else {
            self.refused = true;
            self.suspects.insert(place);
        }
    }

    /// This parcel is through: written, or at fault itself.
    pub(super) fn through(&mut self, place: Place) {
        self.suspects.remove(&place);
    }

    /// How many parcels are waited for.
    pub(super) fn suspects(&self) -> usize {
        self.suspects.len()
    }

    /// Whether a topic's limit is what the next client depends on.
    pub(super) fn asks_for_limit(&self) -> bool {
        self.too_large.is_some()
    }

    /// Whether the next client puts other batches together than the last one.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let over = self.now.alone && self.suspects.is_empty();
        self.refused || self.too_large.is_some() || over || self.until.is_some_and(|until| now >= until)
    }

    /// The batches of the next client; `limit` is what the topics take, if known.
    pub(super) fn next(&mut self, limit: Option<usize>, now: Instant) -> Batches {
        if self.until.is_some_and(|until| now >= until) {
            // Also what waited for parcels that never came: their partition is somebody else's.
            self.now = Batches::default();
            self.until = None;
            self.suspects.clear();
        }
        if let Some(bytes) = self.too_large.take() {
            let known = limit.map(Batches::within).filter(|size| *size < bytes);
            self.now.size = Some(known.unwrap_or(bytes / 2).max(1));
            self.wait(now);
        }
        if std::mem::take(&mut self.refused) {
            self.wait(now);
        }
        self.now.alone = !self.suspects.is_empty();
        self.now
    }

    fn wait(&mut self, now: Instant) {
        if self.until.is_none() {
            self.until = Some(now + self.patience);
            self.patience = (self.patience * 2).min(LAST_PATIENCE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOO_LARGE: Code = Code::MessageSizeTooLarge;
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_batch_that_is_too_large_is_halved_until_a_record_is_alone() {
        let (mut narrowing, now) = (Narrowing::default(), Instant::now());
        let mut refused = 1_000_000;
        for times in 1.. {
            narrowing.refused((0, 0), TOO_LARGE, refused);
            narrowing.refused((0, 1), TOO_LARGE, 2 * refused);
            assert!(narrowing.is_due(now) && narrowing.asks_for_limit());
            let size = narrowing.next(None, now).size.expect("narrower than before");
            assert!(size < refused, "{size} B after {refused} B");
            assert!(!narrowing.is_due(now) && times < 30);
            refused = size;
            if size == 1 {
                break;
            }
        }
    }

    #[test]
    fn what_the_topic_says_counts_unless_the_refused_batch_is_smaller() {
        let (mut narrowing, now) = (Narrowing::default(), Instant::now());
        narrowing.refused((0, 0), TOO_LARGE, 900_000);
        assert_eq!(narrowing.next(Some(20_000), now).size, Some(19_488));
        narrowing.refused((0, 0), TOO_LARGE, 10_000);
        assert_eq!(narrowing.next(Some(20_000), now).size, Some(5_000), "an answer of before");
        narrowing.refused((0, 0), TOO_LARGE, 2);
        assert_eq!(narrowing.next(Some(100), now).size, Some(1));
    }

    #[test]
    fn larger_batches_are_tried_again_after_a_while_and_each_time_later() {
        let (mut narrowing, mut now) = (Narrowing::default(), Instant::now());
        for patience in [60, 120, 240] {
            narrowing.refused((0, 0), TOO_LARGE, 900_000);
            assert_eq!(narrowing.next(None, now).size, Some(450_000));
            assert!(!narrowing.is_due(now + SECOND * (patience - 1)));
            now += SECOND * patience;
            assert!(narrowing.is_due(now));
            assert_eq!(narrowing.next(None, now), Batches::default());
            assert!(!narrowing.is_due(now));
        }
    }

    #[test]
    fn records_are_alone_until_those_of_the_refused_batch_are_through() {
        let (mut narrowing, now) = (Narrowing::default(), Instant::now());
        for place in [(0, 0), (0, 1)] {
            narrowing.refused(place, Code::InvalidRecord, 900_000);
        }
        assert_eq!(narrowing.next(None, now), Batches { size: None, alone: true });
        narrowing.through((0, 1));
        assert!(!narrowing.is_due(now));
        narrowing.through((0, 0));
        assert!(narrowing.is_due(now));
        assert_eq!(narrowing.next(None, now), Batches::default());
        assert!(
            !narrowing.is_due(now + 2 * LAST_PATIENCE)
                || narrowing.next(None, now + LAST_PATIENCE) == Batches::default()
        );
    }

    #[test]
    fn what_never_comes_again_keeps_nobody_alone_for_ever() {
        let (mut narrowing, now) = (Narrowing::default(), Instant::now());
        narrowing.refused((0, 0), Code::InvalidTimestamp, 900_000);
        assert!(narrowing.next(None, now).alone);
        assert!(narrowing.is_due(now + FIRST_PATIENCE));
        assert_eq!(narrowing.next(None, now + FIRST_PATIENCE), Batches::default());
        assert_eq!(narrowing.suspects(), 0);
    }
}
