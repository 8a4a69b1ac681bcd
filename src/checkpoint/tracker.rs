//! One partition's watermark, for one assignment: what was delivered to us, what of it is finished. Pure, single writer.
//!
//! Counted over the records delivered, never by adding one: offsets have holes (transaction markers, compaction).
//!
//! # Memory
//! A record that is stuck for an hour has an hour's finished records behind it. They are forgotten as records and kept as what
//! they are, the gaps between the open ones: the window never has more than four entries for each open record, and a few.

use std::collections::VecDeque;
use std::time::Instant;

use super::map::OffsetMap;
use crate::planted::{Bug, planted};

/// One delivered record: its offset, or `!offset` (negative) once it is finished, and its times.
struct Entry {
    sequence: u64,
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

/// What a delivered record is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// New: to be worked on, under this sequence number.
    New(u64),
    /// Delivered before in this assignment: the client may go back after a resume or a re-assignment. Dropped.
    Repeated,
    /// Finished in an earlier assignment, as the commit's offset map says. Skipped.
    Finished,
}

/// The window is not looked through for entries to forget while it is shorter.
const SHORT: usize = 64;

/// See the module.
pub struct Tracker {
    /// Delivered records in arrival order, the first one open; finished ones may be missing.
    window: VecDeque<Entry>,
    /// From this sequence number on, none is missing in the window.
    dense_from: u64,
    /// How many were delivered to be worked on: the sequence number of the next one.
    deliveries: u64,
    open: usize,
    /// **Invariant:** only grows; every record of `window` is below.
    next: i64,
    /// What an earlier assignment finished, from `next` on.
    finished_before: OffsetMap,
    /// Counts what changes a commit: records finished or skipped.
    changes: u64,
}

impl Tracker {
    /// Starts where reading starts: `start` is the offset of the first record that may come. What of `finished` comes is
    /// skipped.
    pub fn new(start: i64, mut finished: OffsetMap) -> Self {
        assert!(start >= 0, "offset {start} is no record's: a negative one stands for what is finished");
        finished.forget_below(start);
        assert!(
            finished.first().is_none_or(|first| first.start >= start),
            "what is skipped comes after {start}"
        );
        Self {
            window: VecDeque::new(),
            dense_from: 0,
            deliveries: 0,
            open: 0,
            next: start,
            finished_before: finished,
            changes: 0,
        }
    }

    /// Notes a delivered record.
    pub fn deliver(&mut self, offset: i64, times: Times) -> Delivery {
        if offset < self.next && !planted(Bug::RepeatAccepted) {
            return Delivery::Repeated;
        }
        self.next = if planted(Bug::WatermarkByCounting) { self.next } else { offset } + 1;
        assert!(self.next > offset, "offset {offset} is delivered, and {} comes next", self.next);
        if !self.finished_before.is_empty() {
            self.finished_before.forget_below(offset);
            let finished = self.finished_before.first().is_some_and(|range| range.contains(&offset));
            self.finished_before.forget_below(self.next);
            let first = self.finished_before.first();
            assert!(
                first.is_none_or(|first| first.start >= self.next),
                "{offset} was delivered and is to be skipped"
            );
            if finished {
                self.changes += 1;
                return Delivery::Finished;
            }
        }
        let sequence = self.deliveries;
        self.window.push_back(Entry { sequence, offset, times });
        self.deliveries += 1;
        self.open += 1;
        #[cfg(feature = "shuttle")]
        self.check();
        Delivery::New(sequence)
    }

    /// Notes that a delivered record is finished. Each sequence number once.
    pub fn finish(&mut self, sequence: u64) {
        let before = self.watermark();
        let index = self.place(sequence).expect("a record is finished once, and only if it was delivered");
        let index = if planted(Bug::FinishMovesTheFirst) { 0 } else { index };
        let entry = &mut self.window[index];
        assert!(
            entry.sequence == sequence,
            "record {sequence} is finished, and {} was found",
            entry.sequence
        );
        assert!(entry.offset >= 0, "offset {} is finished twice", !entry.offset);
        entry.offset = !entry.offset;
        self.open -= 1;
        self.changes += 1;
        while self.window.front().is_some_and(|first| first.offset < 0) {
            self.window.pop_front();
        }
        let watermark = self.watermark();
        assert!(watermark >= before, "the watermark went back: {before} to {watermark}");
        if self.window.len() > SHORT + 4 * self.open {
            self.window.retain(|entry| entry.offset >= 0);
            self.dense_from = self.deliveries;
            assert!(
                self.window.len() == self.open,
                "{} of {} open records are left",
                self.window.len(),
                self.open
            );
        }
        #[cfg(feature = "shuttle")]
        self.check();
    }

    /// Where in the window the record is: counted from the end, where none is missing, or searched.
    fn place(&self, sequence: u64) -> Option<usize> {
        if sequence >= self.dense_from {
            let behind = usize::try_from(self.deliveries.checked_sub(sequence)?).ok()?;
            return self.window.len().checked_sub(behind);
        }
        self.window.binary_search_by_key(&sequence, |entry| entry.sequence).ok()
    }

    /// The next offset to store: the first record that is open; every delivered one below it is finished.
    pub fn watermark(&self) -> i64 {
        self.window
            .front()
            .map_or(self.next, |entry| entry.offset + i64::from(planted(Bug::WatermarkPassesOpen)))
    }

    /// What the watermark will be when all that was delivered before `sequence` is finished, and nothing else is.
    ///
    /// **Before:** only records before `sequence` are finished.
    pub fn watermark_before(&self, sequence: u64) -> i64 {
        let index = self.before(sequence);
        let watermark = self.window.get(index).map_or(self.next, |entry| entry.offset);
        assert!(watermark >= self.watermark(), "the watermark would go back to {watermark}, or pass a gap");
        watermark
    }

    /// How many entries of the window were delivered before `sequence`.
    fn before(&self, sequence: u64) -> usize {
        assert!(
            sequence <= self.deliveries,
            "only {} records were delivered, not {sequence}",
            self.deliveries
        );
        self.window.partition_point(|entry| entry.sequence < sequence)
    }

    /// What is finished beyond that watermark then: by an earlier assignment.
    pub fn finished_after(&self, sequence: u64) -> OffsetMap {
        let index = self.before(sequence);
        self.finished_but(self.window.range(index..).map(|entry| entry.offset))
    }

    /// What is finished at or above the watermark, earlier assignments included.
    pub fn finished(&self) -> OffsetMap {
        self.finished_but(self.window.iter().filter(|entry| entry.offset >= 0).map(|entry| entry.offset))
    }

    /// What would be finished if these records, ascending and all of them delivered, were the open ones.
    pub fn finished_but(&self, open: impl IntoIterator<Item = i64>) -> OffsetMap {
        let mut map = OffsetMap::default();
        let mut open = open.into_iter();
        let mut from = open.next().map_or(self.next, |offset| offset + 1);
        for offset in open {
            assert!(offset >= from, "{offset} comes after {from}: open records ascend");
            map.push(from..offset + i64::from(planted(Bug::MapNamesOpen)));
            assert!(map.end().is_none_or(|end| end <= offset), "{offset} is open, and the map names it");
            from = offset + 1;
        }
        assert!(from <= self.next, "{from} was not delivered: {} comes next", self.next);
        map.push(from..self.next);
        assert!(
            self.finished_before.first().is_none_or(|first| first.start >= self.next),
            "both tell of one record"
        );
        self.finished_before.ranges().iter().for_each(|range| map.push(range.clone()));
        map
    }

    /// There is no record before `end` that was not delivered: who read on from [`Tracker::next`] has come there without one.
    ///
    /// **Before:** nothing is open.
    pub fn pass(&mut self, end: i64) {
        assert_eq!(self.open, 0, "what is passed over stands behind everything that was delivered");
        assert!(
            self.window.is_empty(),
            "nothing is open, and the window remembers {} records",
            self.window.len()
        );
        self.next = self.next.max(end);
        self.finished_before.forget_below(self.next);
        self.changes += 1;
    }

    /// Grows with everything that a commit could tell.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The offset after the last delivered one.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// How many records were delivered to be worked on: the sequence number of the next one.
    pub fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// The first record that is not finished: its offset and its times.
    pub fn oldest(&self) -> Option<(i64, Times)> {
        self.window.front().map(|entry| (entry.offset, entry.times))
    }

    /// All that must be true of the window, whatever it costs to see.
    #[cfg(any(test, feature = "shuttle"))]
    fn check(&self) {
        let offset = |entry: &Entry| if entry.offset < 0 { !entry.offset } else { entry.offset };
        let open = self.window.iter().filter(|entry| entry.offset >= 0).count();
        assert_eq!(open, self.open, "open records are counted");
        assert!(self.watermark() <= self.next, "the watermark is beyond what was delivered");
        assert!(self.window.front().is_none_or(|first| first.offset >= 0), "the first of the window is open");
        assert!(
            self.window.back().is_none_or(|last| offset(last) < self.next),
            "all of the window is below the end"
        );
        for (one, other) in self.window.iter().zip(self.window.iter().skip(1)) {
            assert!(one.sequence < other.sequence && offset(one) < offset(other), "the window ascends");
        }
        let dense = self.window.iter().filter(|entry| entry.sequence >= self.dense_from);
        let sequences = dense.rev().map(|entry| entry.sequence);
        assert!(
            sequences.zip((0..self.deliveries).rev()).all(|(one, other)| one == other),
            "none is missing at the end"
        );
    }

    /// What the window remembers: entries, and open records.
    #[cfg(test)]
    fn remembered(&self) -> (usize, usize) {
        (self.window.len(), self.open)
    }
}

#[cfg(test)]
mod tests;
