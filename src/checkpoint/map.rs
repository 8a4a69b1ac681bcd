//! What is finished beyond the watermark: it stands in the commit's metadata ([`super::note`]), so that a restart or a rebalance
//! does not repeat it. As bytes it is a bitset, or run lengths with an adaptive code.
//!
//! The smallest of the methods is taken; where none can hold everything, the one that reaches furthest. What does not fit is
//! left out and repeated after a restart: fewer skips, never a stop.
//!
//! Offsets that were never delivered (transaction markers, compaction) count as finished when a finished one follows: nobody
//! will ever see them.

mod coder;
mod runs;

use std::ops::Range;

use super::note::{HALF, Unusable};
use crate::planted::{Bug, planted};
use runs::Method;

/// Offsets above a watermark that are finished: ascending ranges that do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetMap {
    ranges: Vec<Range<i64>>,
}

impl OffsetMap {
    /// Appends finished offsets behind those that are there; an empty range is nothing.
    pub fn push(&mut self, range: Range<i64>) {
        if range.is_empty() {
            return;
        }
        let last = self.ranges.last();
        assert!(
            last.is_none_or(|last| last.start <= range.start),
            "{range:?} is pushed behind {last:?}: ranges ascend"
        );
        match self.ranges.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => self.ranges.push(range),
        }
    }

    /// The finished offsets.
    pub fn ranges(&self) -> &[Range<i64>] {
        &self.ranges
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many offsets are finished.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|range| range.end.abs_diff(range.start)).sum()
    }

    /// The offset behind the last finished one.
    pub fn end(&self) -> Option<i64> {
        self.ranges.last().map(|range| range.end)
    }

    /// Drops what is below `offset`.
    pub fn forget_below(&mut self, offset: i64) {
        let gone = self.ranges.partition_point(|range| range.end <= offset);
        self.ranges.drain(..gone);
        if let Some(first) = self.ranges.first_mut() {
            first.start = first.start.max(offset);
            assert!(!first.is_empty(), "{first:?} has nothing from {offset} on");
        }
    }

    /// The first finished range, if it is there.
    pub(super) fn first(&self) -> Option<Range<i64>> {
        self.ranges.first().cloned()
    }

    /// Whether it fits into metadata of a watermark with room to spare: workers may finish a little more before it is sent.
    pub fn fits(&self, watermark: i64) -> bool {
        let Some(end) = self.end() else { return true };
        // A bit for each offset: where that has room enough, no method has to be tried.
        let bits = i64::try_from((HALF - 1) * 8).unwrap_or(i64::MAX);
        end - watermark <= bits || self.write(watermark, HALF).is_some_and(|(_, covered)| covered == end)
    }

    /// By the best method, whose number is the first byte, as much as fits into `limit` bytes, from the lowest on; and where that
    /// ends. `None` if there is nothing to say.
    pub(super) fn write(&self, watermark: i64, limit: usize) -> Option<(Vec<u8>, i64)> {
        if self.is_empty() {
            return None;
        }
        let first = self.ranges[0].start;
        assert!(first >= watermark, "{first} is below the watermark, {watermark}: it is finished anyway");
        let limit = limit.saturating_sub(1);
        let written = Method::ALL.into_iter().map(|method| {
            let (payload, covered) = method.write(watermark, &self.ranges, limit);
            (method, payload, covered)
        });
        let best = written.min_by_key(|(_, payload, covered)| (std::cmp::Reverse(*covered), payload.len()));
        let (method, payload, covered) = best.filter(|(_, _, covered)| *covered > watermark)?;
        assert!(payload.len() <= limit, "{} bytes, and {limit} are free", payload.len());
        assert!(self.end().is_some_and(|end| covered <= end), "{covered} is beyond what is finished");
        Some(([&[method.number()], &payload[..]].concat(), covered))
    }

    /// What a method wrote; `None` if that is not what these bytes are.
    pub(super) fn read(watermark: i64, method: u8, bytes: &[u8]) -> Option<Self> {
        let ranges = Method::of(method)?.read(watermark, bytes)?;
        assert!(
            ranges.first().is_none_or(|first| first.start >= watermark),
            "a map tells of what is above its watermark"
        );
        assert!(ranges.iter().all(|range| !range.is_empty()), "a range that is read has records");
        assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start), "ranges that are read ascend");
        Some(Self { ranges })
    }

    /// The same map, if the partition is long enough for it: one that names records which are not there belongs to an
    /// earlier topic of the same name, and would hide new records.
    ///
    /// # Errors
    /// When it names an offset at or behind `end`.
    pub fn within(self, end: i64) -> Result<Self, Unusable> {
        match self.end() {
            Some(last) if last > end && !planted(Bug::MapBeyondTheEnd) => {
                Err(Unusable::BeyondTheEnd(last - 1))
            }
            _ => Ok(self),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
