//! What is finished beyond the watermark, as text for the commit's metadata: a restart or a rebalance does not repeat it.
//!
//! # Format
//! Text in the alphabet of Z85, at most [`LIMIT`] characters (the broker's `offset.metadata.max.bytes`). Its bytes are:
//!
//! | bytes | |
//! | --- | --- |
//! | 1 | version (high half) and method (low half) |
//! | 4 | checksum over the rest, the version, and whose it is: group, topic, partition, watermark |
//! | rest | finished ranges above the watermark: a bitset, or run lengths with an adaptive code |
//!
//! The smallest of the methods is taken; where none can hold everything, the one that reaches furthest. What does not fit is
//! left out and repeated after a restart: fewer skips, never a stop.
//!
//! Offsets that were never delivered (transaction markers, compaction) count as finished when a finished one follows: nobody
//! will ever see them.

mod coder;
mod runs;
mod text;

use std::ops::Range;

use xxhash_rust::xxh3::Xxh3;

use crate::planted::{Bug, planted};
use runs::Method;

/// Characters that a map takes at most.
pub const LIMIT: usize = 4096;
const VERSION: u8 = 1;
const HEADER: usize = 5;

/// Whose map it is: one that belongs to another group, topic, partition or watermark is not believed.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// The consumer group.
    pub group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The committed offset: the first record that is not finished.
    pub watermark: i64,
}

/// Why a map is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Somebody else's text.
    #[error("it is not an offset map")]
    NotAMap,
    /// Of a version of this program that is not this one.
    #[error("it is of format {0}, and this version reads format {VERSION}")]
    Version(u8),
    /// Changed on its way, or written for another group, topic, partition or offset.
    #[error("its checksum does not match: damaged, or made for another group, topic, partition or offset")]
    Checksum,
    /// It says that records are finished which do not exist yet.
    #[error("it names offset {0} as finished, and the partition ends before it")]
    BeyondTheEnd(i64),
}

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
        }
    }

    /// The first finished range, if it is there.
    pub(super) fn first(&self) -> Option<Range<i64>> {
        self.ranges.first().cloned()
    }

    /// As metadata: as much as fits into [`LIMIT`] characters, from the lowest on. Empty if nothing is finished.
    pub fn encode(&self, stamp: &Stamp<'_>) -> String {
        self.encode_within(stamp, LIMIT)
    }

    /// The same for a broker that takes fewer `characters`.
    pub fn encode_within(&self, stamp: &Stamp<'_>, characters: usize) -> String {
        let Some((method, payload, _)) = self.write(stamp.watermark, characters) else {
            return String::new();
        };
        let head = VERSION << 4 | method.number();
        let mut bytes = vec![head];
        bytes.extend(checksum(stamp, head, &payload));
        bytes.extend(payload);
        text::encode(&bytes)
    }

    /// Whether it fits into metadata of a watermark with room to spare: workers may finish a little more before it is sent.
    pub fn fits(&self, watermark: i64) -> bool {
        let reached = self.write(watermark, LIMIT / 2).map(|(_, _, covered)| covered);
        self.is_empty() || reached == self.end()
    }

    /// The best method, its bytes and where they end; `None` if there is nothing to say.
    fn write(&self, watermark: i64, characters: usize) -> Option<(Method, Vec<u8>, i64)> {
        if self.is_empty() {
            return None;
        }
        let limit = text::capacity(characters).saturating_sub(HEADER);
        let written = Method::ALL.into_iter().map(|method| {
            let (payload, covered) = method.write(watermark, &self.ranges, limit);
            (method, payload, covered)
        });
        let best = written.min_by_key(|(_, payload, covered)| (std::cmp::Reverse(*covered), payload.len()));
        best.filter(|(_, _, covered)| *covered > watermark)
    }

    /// Reads metadata; empty metadata is an empty map.
    ///
    /// # Errors
    /// When it is not a map of this stamp: it is ignored then, which costs repeats and nothing else.
    pub fn decode(metadata: &[u8], stamp: &Stamp<'_>) -> Result<Self, Unusable> {
        if metadata.is_empty() {
            return Ok(Self::default());
        }
        if metadata.len() > LIMIT {
            return Err(Unusable::NotAMap);
        }
        Self::decode_any(metadata, stamp)
    }

    fn decode_any(metadata: &[u8], stamp: &Stamp<'_>) -> Result<Self, Unusable> {
        let bytes = text::decode(metadata).ok_or(Unusable::NotAMap)?;
        let (head, rest) = bytes.split_first().ok_or(Unusable::NotAMap)?;
        let (sum, payload) = rest.split_at_checked(HEADER - 1).ok_or(Unusable::NotAMap)?;
        if sum != checksum(stamp, *head, payload) && !planted(Bug::MapOfAnybody) {
            return Err(Unusable::Checksum);
        }
        if head >> 4 != VERSION {
            return Err(Unusable::Version(head >> 4));
        }
        let method = Method::of(head & 15).ok_or(Unusable::Version(VERSION))?;
        let ranges = method.read(stamp.watermark, payload).ok_or(Unusable::NotAMap)?;
        Ok(Self { ranges })
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

fn checksum(stamp: &Stamp<'_>, head: u8, payload: &[u8]) -> [u8; HEADER - 1] {
    let mut hash = Xxh3::new();
    for name in [stamp.group, stamp.topic] {
        hash.update(&(name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
    }
    hash.update(&stamp.partition.to_le_bytes());
    hash.update(&stamp.watermark.to_le_bytes());
    hash.update(&[head]);
    hash.update(payload);
    let [a, b, c, d, ..] = hash.digest().to_le_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests;
