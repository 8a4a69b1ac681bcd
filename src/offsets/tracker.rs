//! One partition's watermark, for one assignment: what was delivered to us, what of it is finished. Pure, single writer.
//!
//! Counted over the records delivered, never by adding one: offsets have holes (transaction markers, compaction).

use std::collections::VecDeque;
use std::time::Instant;

/// One delivered record: its offset, or `!offset` (negative) once it is finished, and its timestamp.
struct Entry {
    offset: i64,
    times: Times,
}

/// When a record was written and read.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Its own timestamp, milliseconds since 1970; `i64::MAX` if it has none.
    pub timestamp: i64,
    /// When it was admitted.
    pub admitted: Instant,
}

/// See the module.
pub struct Tracker {
    /// Delivered records in arrival order; the first one is not finished.
    window: VecDeque<Entry>,
    /// Sequence number of the first of `window`. Sequence numbers count deliveries from 0.
    front: u64,
    /// **Invariant:** only grows. Every delivered record below is finished.
    watermark: i64,
    /// **Invariant:** only grows; every record of `window` is below.
    next: i64,
}

impl Tracker {
    /// Starts where reading starts: `start` is the offset of the first record that may come.
    pub fn new(start: i64) -> Self {
        Self { window: VecDeque::new(), front: 0, watermark: start, next: start }
    }

    /// Notes a delivered record and returns its sequence number, or `None` if it was delivered before (the client may
    /// go back after a resume or a re-assignment: what was delivered twice is dropped, not processed twice).
    pub fn deliver(&mut self, offset: i64, times: Times) -> Option<u64> {
        if offset < self.next {
            return None;
        }
        self.next = offset + 1;
        self.window.push_back(Entry { offset, times });
        Some(self.front + self.window.len() as u64 - 1)
    }

    /// Notes that a delivered record is finished. Each sequence number once.
    pub fn finish(&mut self, sequence: u64) {
        let index = sequence.checked_sub(self.front).expect("a record is finished once") as usize;
        let entry = self.window.get_mut(index).expect("only a delivered record can be finished");
        assert!(entry.offset >= 0, "offset {} is finished twice", !entry.offset);
        entry.offset = !entry.offset;
        while let Some(first) = self.window.front().filter(|first| first.offset < 0) {
            let watermark = !first.offset + 1;
            assert!(watermark > self.watermark, "the watermark went back: {} to {watermark}", self.watermark);
            self.watermark = watermark;
            self.window.pop_front();
            self.front += 1;
        }
    }

    /// The next offset to store: every delivered record below it is finished.
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    /// The offset after the last delivered one.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// How many records were delivered: the sequence number of the next one.
    pub fn deliveries(&self) -> u64 {
        self.front + self.window.len() as u64
    }

    /// The first record that is not finished: its offset and its times.
    pub fn oldest(&self) -> Option<(i64, Times)> {
        self.window.front().map(|entry| (entry.offset, entry.times))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Times {
        Times { timestamp: 0, admitted: Instant::now() }
    }

    /// The same in the plainest words: a list of offsets and a set of what is finished.
    #[derive(Default)]
    struct Model {
        start: i64,
        delivered: Vec<i64>,
        finished: std::collections::BTreeSet<u64>,
    }

    impl Model {
        fn watermark(&self) -> i64 {
            let done = (0..).take_while(|sequence| self.finished.contains(sequence)).count();
            if done == 0 { self.start } else { self.delivered[done - 1] + 1 }
        }
    }

    proptest! {
        #[test]
        fn the_watermark_is_the_end_of_the_finished_prefix(
            start in 0i64..1000,
            steps in prop::collection::vec((0i64..4, any::<prop::sample::Index>(), any::<bool>()), 1..200),
        ) {
            let mut tracker = Tracker::new(start);
            let mut model = Model { start, ..Model::default() };
            let mut open: Vec<u64> = Vec::new();
            let mut offset = start;
            for (gap, which, deliver) in steps {
                if deliver || open.is_empty() {
                    offset += gap;
                    let sequence = tracker.deliver(offset, now());
                    prop_assert_eq!(sequence, Some(model.delivered.len() as u64));
                    model.delivered.push(offset);
                    open.extend(sequence);
                    prop_assert_eq!(tracker.deliver(offset, now()), None, "a repeated delivery is dropped");
                    offset += 1;
                } else {
                    let sequence = open.swap_remove(which.index(open.len()));
                    tracker.finish(sequence);
                    model.finished.insert(sequence);
                }
                prop_assert_eq!(tracker.watermark(), model.watermark());
                let oldest = (0..).find(|sequence| !model.finished.contains(sequence))
                    .and_then(|sequence| model.delivered.get(sequence as usize).copied());
                prop_assert_eq!(tracker.oldest().map(|(offset, _)| offset), oldest);
            }
        }
    }

    #[test]
    fn a_later_success_does_not_pass_an_earlier_record_that_is_open() {
        let mut tracker = Tracker::new(10);
        let (first, second) = (tracker.deliver(10, now()), tracker.deliver(15, now()));
        tracker.finish(second.expect("new"));
        assert_eq!(tracker.watermark(), 10);
        tracker.finish(first.expect("new"));
        assert_eq!(tracker.watermark(), 16);
    }

    #[test]
    #[should_panic(expected = "finished once")]
    fn finishing_twice_is_our_bug() {
        let mut tracker = Tracker::new(0);
        let sequence = tracker.deliver(0, now()).expect("new");
        tracker.finish(sequence);
        tracker.finish(sequence);
    }
}
