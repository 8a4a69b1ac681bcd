//! One partition: batches in a row, who has a transaction open in them, and what was aborted.

mod batch;
mod checksum;
mod producers;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub(super) use batch::Batch;
use producers::{Producers, Verdict};

use crate::codes;

#[derive(Debug)]
struct Stored {
    first: i64,
    last: i64,
    batch: Batch,
}

/// A transaction that was aborted: what its producer wrote from `first` to its marker does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Aborted {
    producer: i64,
    first: i64,
    marker: i64,
}

/// A partition's records.
///
/// Invariant: offsets of the batches are without a hole, from `start` (which may lie within the first batch) to `end`.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The first offset there is.
    start: i64,
    /// The offset that the next record gets.
    end: i64,
    batches: VecDeque<Stored>,
    /// Bytes of all batches.
    size: u64,
    /// First offset of each open transaction, by producer.
    open: BTreeMap<i64, i64>,
    aborted: Vec<Aborted>,
    producers: Producers,
}

/// What a fetch of one partition finds.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub batches: Vec<Arc<[u8]>>,
    /// Producer and first offset of each aborted transaction that the batches may belong to.
    pub aborted: Vec<(i64, i64)>,
}

impl Read {
    /// Bytes of all batches.
    pub(super) fn size(&self) -> usize {
        self.batches.iter().map(|bytes| bytes.len()).sum()
    }
}

impl Log {
    pub(super) fn start(&self) -> i64 {
        self.start
    }

    pub(super) fn end(&self) -> i64 {
        self.end
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The last stable offset: where the earliest open transaction begins.
    pub(super) fn last_stable(&self) -> i64 {
        self.open.values().copied().min().unwrap_or(self.end)
    }

    /// The end as a reader sees it who reads only what is committed, or anything.
    pub(super) fn end_for(&self, committed_only: bool) -> i64 {
        if committed_only { self.last_stable() } else { self.end }
    }

    /// Whether a fetch may begin there.
    pub(super) fn contains(&self, offset: i64) -> bool {
        (self.start..=self.end).contains(&offset)
    }

    /// Appends a client's batch, unless it is here already. Returns its first offset.
    ///
    /// # Errors
    /// The error code, when its producer's epoch or sequence is wrong, or it is not part of its open transaction.
    pub(super) fn append(&mut self, mut batch: Batch, append_time: Option<i64>) -> Result<i64, i16> {
        if let Some(stamp) = batch.stamp {
            match self.producers.judge(stamp, batch.count) {
                Verdict::Append => {}
                Verdict::Duplicate(offset) => return Ok(offset),
                Verdict::Refuse(code) => return Err(code),
            }
            if !batch.is_transactional() && self.open.contains_key(&stamp.producer) {
                return Err(codes::INVALID_TXN_STATE);
            }
            self.producers.note(stamp, batch.count, self.end);
            if batch.is_transactional() {
                self.open.entry(stamp.producer).or_insert(self.end);
            }
        }
        if let Some(now_ms) = append_time {
            batch.set_append_time(now_ms);
        }
        Ok(self.store(batch))
    }

    /// Ends a producer's transaction here. From now on its earlier epochs are refused.
    pub(super) fn end_transaction(&mut self, producer: i64, epoch: i16, commit: bool, now_ms: i64) {
        let marker = self.store(Batch::marker(producer, epoch, commit, now_ms));
        self.producers.fence(producer, epoch);
        if let Some(first) = self.open.remove(&producer)
            && !commit
        {
            self.aborted.push(Aborted { producer, first, marker });
        }
    }

    fn store(&mut self, mut batch: Batch) -> i64 {
        let first = self.end;
        batch.set_first_offset(first);
        self.end += i64::from(batch.count);
        self.size += batch.bytes.len() as u64;
        self.batches.push_back(Stored { first, last: self.end - 1, batch });
        first
    }

    /// The batches from the one that holds `from` on, `max_bytes` of them, but one at least if `one`.
    pub(super) fn read(&self, from: i64, max_bytes: usize, one: bool, committed_only: bool) -> Read {
        let mut read = Read::default();
        let (mut size, mut last) = (0, from);
        for stored in self.visible(from, committed_only) {
            size += stored.batch.bytes.len();
            if size > max_bytes && !(one && read.batches.is_empty()) {
                break;
            }
            read.batches.push(stored.batch.bytes.clone());
            last = stored.last;
        }
        if committed_only && !read.batches.is_empty() {
            let concerned = self.aborted.iter().filter(|a| a.marker >= from && a.first <= last);
            read.aborted = concerned.map(|a| (a.producer, a.first)).collect();
        }
        read
    }

    /// Bytes that a fetch from there would find, up to `enough`.
    pub(super) fn available(&self, from: i64, enough: usize, committed_only: bool) -> usize {
        let mut size = 0;
        for stored in self.visible(from, committed_only) {
            size += stored.batch.bytes.len();
            if size >= enough {
                break;
            }
        }
        size
    }

    /// The batches from the one that holds `from` to the end that this reader sees.
    fn visible(&self, from: i64, committed_only: bool) -> impl Iterator<Item = &Stored> {
        let first = self.batches.partition_point(|stored| stored.last < from);
        let end = self.end_for(committed_only);
        self.batches.range(first..).take_while(move |stored| stored.last < end)
    }

    /// Shows `change` one batch after the other until it has changed one, and nothing else: its checksum stays. Whether there was one.
    pub(super) fn rot(&mut self, change: &mut dyn FnMut(&mut [u8]) -> bool) -> bool {
        self.batches.iter_mut().any(|stored| change(Arc::make_mut(&mut stored.batch.bytes)))
    }

    /// Timestamp and offset of the first record that is not older, if there is one.
    pub(super) fn first_since(&self, timestamp: i64) -> Option<(i64, i64)> {
        let records = self.batches.iter().filter(|stored| !stored.batch.is_control());
        let candidates = records.filter(|stored| stored.batch.max_timestamp >= timestamp);
        // Of the first batch some records may be deleted, even all that are not older.
        let mut found = candidates.filter_map(|stored| {
            let (time, delta) = stored.batch.first_since(timestamp, self.start - stored.first)?;
            Some((time, stored.first + delta))
        });
        found.next()
    }

    /// Removes the oldest batches until no more than `limit` bytes are left, but never the last one. Returns how many
    /// records went.
    pub(super) fn trim(&mut self, limit: u64) -> i64 {
        let before = self.start;
        while self.size > limit && self.batches.len() > 1 {
            self.drop_oldest();
        }
        self.start - before
    }

    /// Deletes what stands before `offset`.
    pub(super) fn delete_before(&mut self, offset: i64) {
        while self.batches.front().is_some_and(|stored| stored.last < offset) {
            self.drop_oldest();
        }
        self.start = self.start.max(offset);
    }

    fn drop_oldest(&mut self) {
        if let Some(stored) = self.batches.pop_front() {
            self.size -= stored.batch.bytes.len() as u64;
            self.start = self.start.max(stored.last + 1);
            let start = self.start;
            self.aborted.retain(|aborted| aborted.marker >= start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some batches of one record, all of one size.
    fn log(batches: usize) -> (Log, u64) {
        let mut log = Log::default();
        for _ in 0..batches {
            log.append(Batch::marker(1, 0, true, 5), None).expect("nothing is wrong with it");
        }
        let size = log.size() / batches as u64;
        (log, size)
    }

    #[test]
    fn the_oldest_batches_go_when_there_are_too_many_bytes() {
        let (mut log, size) = log(10);
        assert_eq!(log.trim(10 * size), 0);
        assert_eq!(log.trim(4 * size + 1), 6, "as many as have to, no more");
        assert_eq!((log.start(), log.end(), log.size()), (6, 10, 4 * size));
        assert!(!log.contains(5) && log.contains(6), "what is gone is out of range, not passed over");
        assert_eq!(log.read(6, usize::MAX, true, false).batches.len(), 4);
    }

    #[test]
    fn the_last_batch_stays_however_large_it_is() {
        let (mut log, _) = log(3);
        assert_eq!(log.trim(1), 2);
        assert_eq!((log.start(), log.end()), (2, 3));
    }
}
