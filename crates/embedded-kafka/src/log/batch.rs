//! A record batch (format 2) as it lies in the log: its bytes stay as they came, but for the offset and the leader epoch,
//! which the checksum does not cover. Records are not decompressed.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::checksum::crc32c;
use crate::codes;
use crate::wire::{Malformed, Reader, Writer};

/// Bytes of a batch before its records.
const HEADER: usize = 61;
/// What a record bears that has no timestamp; no topic refuses it.
const NO_TIMESTAMP: i64 = -1;
/// Bytes before what the length field counts.
const PREFIX: usize = 12;
/// Where the part begins that the checksum covers.
const CHECKED: usize = 21;

const COMPRESSION: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

/// Who wrote a batch, and as what part of its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub producer: i64,
    pub epoch: i16,
    /// Of its first record.
    pub sequence: i32,
}

/// A batch that is whole. It has no place in a log yet: its first offset is 0.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// All of it, header included.
    pub bytes: Arc<[u8]>,
    pub attributes: i16,
    /// Records in it; 1 at least.
    pub count: i32,
    /// The first record's timestamp, milliseconds.
    base_timestamp: i64,
    /// The latest timestamp of its records, milliseconds.
    pub max_timestamp: i64,
    /// `None` when the producer is not idempotent.
    pub stamp: Option<Stamp>,
}

impl Batch {
    /// Takes the only batch of a partition's part of a produce request.
    ///
    /// # Errors
    /// The error code for the client.
    pub(crate) fn from_client(records: &[u8]) -> Result<Self, i16> {
        let batch = Self::parse(records).map_err(|Malformed(_)| codes::INVALID_RECORD)??;
        if batch.attributes & CONTROL != 0 { Err(codes::INVALID_RECORD) } else { Ok(batch) }
    }

    fn parse(bytes: &[u8]) -> Result<Result<Self, i16>, Malformed> {
        let mut r = Reader::new(bytes);
        r.i64()?; // first offset: ours to say
        let length = r.i32()?;
        r.i32()?; // leader epoch: ours to say
        let magic = r.i8()?;
        let checksum = r.i32()? as u32;
        let attributes = r.i16()?;
        let last_delta = r.i32()?;
        let (base_timestamp, max_timestamp) = (r.i64()?, r.i64()?);
        let (producer, epoch, sequence) = (r.i64()?, r.i16()?, r.i32()?);
        let count = r.i32()?;
        if magic != 2 || usize::try_from(length) != Ok(bytes.len() - PREFIX) {
            return Ok(Err(codes::INVALID_RECORD));
        }
        if crc32c(&bytes[CHECKED..]) != checksum {
            return Ok(Err(codes::CORRUPT_MESSAGE));
        }
        if count < 1 || last_delta != count - 1 {
            return Ok(Err(codes::INVALID_RECORD));
        }
        let stamp = (producer >= 0).then_some(Stamp { producer, epoch, sequence });
        Ok(Ok(Self { bytes: Arc::from(bytes), attributes, count, base_timestamp, max_timestamp, stamp }))
    }

    /// The marker that ends a producer's transaction in a partition: a batch that clients do not show.
    pub(crate) fn marker(producer: i64, epoch: i16, commit: bool, now_ms: i64) -> Self {
        let mut record = Writer::default();
        // No attributes, no deltas; a key of 4 bytes (version, what it says), a value of 6 (version, coordinator epoch).
        record.i8(0).i8(0).i8(0).i8(4 << 1).i16(0).i16(i16::from(commit));
        record.i8(6 << 1).i16(0).i32(0).i8(0);
        let record = record.into_bytes();
        let attributes = TRANSACTIONAL | CONTROL;
        let mut checked = Writer::default();
        checked.i16(attributes).i32(0).i64(now_ms).i64(now_ms).i64(producer).i16(epoch).i32(-1).i32(1);
        checked.i8((record.len() as i8) << 1).raw(&record);
        let checked = checked.into_bytes();
        let mut batch = Writer::default();
        batch.i64(0).i32((checked.len() + CHECKED - PREFIX) as i32).i32(0).i8(2).i32(crc32c(&checked) as i32);
        batch.raw(&checked);
        Self {
            bytes: Arc::from(batch.into_bytes()),
            attributes,
            count: 1,
            base_timestamp: now_ms,
            max_timestamp: now_ms,
            stamp: None,
        }
    }

    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub(super) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Puts it at its place in a log.
    pub(super) fn set_first_offset(&mut self, offset: i64) {
        let bytes = Arc::make_mut(&mut self.bytes);
        bytes[..8].copy_from_slice(&offset.to_be_bytes());
        bytes[PREFIX..PREFIX + 4].copy_from_slice(&0i32.to_be_bytes());
    }

    /// Gives all its records the time of their arrival.
    pub(super) fn set_append_time(&mut self, now_ms: i64) {
        self.attributes |= LOG_APPEND_TIME;
        self.max_timestamp = now_ms;
        let bytes = Arc::make_mut(&mut self.bytes);
        bytes[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        bytes[35..43].copy_from_slice(&now_ms.to_be_bytes());
        let checksum = crc32c(&bytes[CHECKED..]);
        bytes[17..21].copy_from_slice(&checksum.to_be_bytes());
    }

    /// The first record that is not older, nor before `from`: its timestamp and its distance from the batch's first
    /// offset. Where records cannot be seen, the first of those that are left.
    pub(super) fn first_since(&self, timestamp: i64, from: i64) -> Option<(i64, i64)> {
        if self.attributes & LOG_APPEND_TIME != 0 {
            return Some((self.max_timestamp, from.max(0)));
        }
        if self.is_opaque() {
            return Some((self.base_timestamp, from.max(0)));
        }
        let found = self.records().find(|record| record.timestamp >= timestamp && record.delta >= from);
        found.map(|record| (record.timestamp, record.delta))
    }

    /// Its records without a key, by their places in it. Where records cannot be seen, none.
    pub(crate) fn keyless(&self) -> Vec<i32> {
        self.places(|record| !record.has_key)
    }

    /// Its records whose timestamps are out of this range, by their places in it, if there is any. Where records cannot be seen it
    /// names none.
    pub(crate) fn out_of(&self, range: &RangeInclusive<i64>) -> Option<Vec<i32>> {
        let is_out = |timestamp| timestamp != NO_TIMESTAMP && !range.contains(&timestamp);
        let places = self.places(|record| is_out(record.timestamp));
        let is_any = !places.is_empty()
            || self.is_opaque() && (is_out(self.base_timestamp) || is_out(self.max_timestamp));
        is_any.then_some(places)
    }

    fn is_opaque(&self) -> bool {
        self.attributes & COMPRESSION != 0
    }

    fn places(&self, matches: impl Fn(&Record) -> bool) -> Vec<i32> {
        let records = (0..).zip(self.records()).filter(|(_, record)| !self.is_opaque() && matches(record));
        records.map(|(place, _)| place).collect()
    }

    /// Its records; it ends where one makes no sense.
    fn records(&self) -> impl Iterator<Item = Record> {
        let mut r = Reader::new(&self.bytes[HEADER..]);
        let base = self.base_timestamp;
        let mut next = move || -> Result<Record, Malformed> {
            let length = usize::try_from(r.varint()?).map_err(|_| Malformed("a negative length"))?;
            let mut record = Reader::new(r.take(length)?);
            record.i8()?; // attributes
            let (time, delta) = (record.varint()?, record.varint()?);
            Ok(Record { timestamp: base.wrapping_add(time), delta, has_key: record.varint()? >= 0 })
        };
        (0..self.count).map_while(move |_| next().ok())
    }
}

/// What is looked at of a record.
struct Record {
    timestamp: i64,
    /// Its distance from the batch's first offset.
    delta: i64,
    has_key: bool,
}
