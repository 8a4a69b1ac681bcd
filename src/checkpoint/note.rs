//! What a commit says beside its offset, as text for its metadata: of which topic it is, and what is finished beyond it.
//!
//! # Format
//! Text in the alphabet of Z85, at most [`LIMIT`] characters (the broker's `offset.metadata.max.bytes`). Its bytes are:
//!
//! | bytes | |
//! | --- | --- |
//! | 1 | version (high half: 2) |
//! | 4 | checksum over the rest, the version, and whose it is: group, topic, partition, watermark |
//! | rest | fields, each with its tag, the length of what follows, and that; tag and length are varints |
//!
//! | tag | |
//! | --- | --- |
//! | 1 | the topic's id: 16 bytes |
//! | 2 | the offset map: its method (1 byte), then what that method writes |
//!
//! A tag that is not known is skipped: versions to come may say more. All share the one limit, the topic's id comes first, and the
//! map gets what is left. What of it does not fit is left out and repeated after a restart: fewer skips, never a stop.
//!
//! Version 1 is read too: in place of the fields it has the map alone, whose method is in the low half of the first byte.

mod text;

use xxhash_rust::xxh3::Xxh3;

use super::map::OffsetMap;
use crate::planted::{Bug, planted};
use crate::topic_id::TopicId;

/// Characters that a note takes at most.
pub const LIMIT: usize = 4096;
/// Characters that hold a topic's id, and hardly anything beside. Where a broker takes less, it gets nothing.
pub const SMALLEST: usize = 64;
const VERSION: u8 = 2;
/// Of the version that had nothing but a map.
const MAP_ONLY: u8 = 1;
const HEADER: usize = 5;
const TOPIC_ID: u64 = 1;
const FINISHED: u64 = 2;
/// Tag and length of a map, at most.
const FIELD: usize = 3;
/// Bytes for a map in half of a note.
pub(super) const HALF: usize = text::capacity(LIMIT / 2) - HEADER - 2 - TopicId::SIZE - FIELD;

/// Whose note it is: one that belongs to another group, topic, partition or watermark is not believed.
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

/// Why a note is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Somebody else's text.
    #[error("it is not an offset map")]
    NotAMap,
    /// Of a version of this program that is not this one.
    #[error("it is of format {0}, and this version reads format {VERSION} and older ones")]
    Version(u8),
    /// Changed on its way, or written for another group, topic, partition or offset.
    #[error("its checksum does not match: damaged, or made for another group, topic, partition or offset")]
    Checksum,
    /// It says that records are finished which do not exist yet.
    #[error("it names offset {0} as finished, and the partition ends before it")]
    BeyondTheEnd(i64),
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// The topic that the offset is of; `None` where that is not known.
    pub topic_id: Option<TopicId>,
    /// What is finished beyond the offset.
    pub finished: OffsetMap,
}

impl From<OffsetMap> for Note {
    fn from(finished: OffsetMap) -> Self {
        Self { topic_id: None, finished }
    }
}

impl Note {
    /// As metadata: as much of the map as fits into [`LIMIT`] characters. Empty if there is nothing to say.
    pub fn encode(&self, stamp: &Stamp<'_>) -> String {
        self.encode_within(stamp, LIMIT)
    }

    /// The same for a broker that takes fewer `characters`.
    pub fn encode_within(&self, stamp: &Stamp<'_>, characters: usize) -> String {
        let room = text::capacity(characters).saturating_sub(HEADER);
        let mut fields = Vec::new();
        if let Some(id) = &self.topic_id {
            put(&mut fields, TOPIC_ID, id.bytes());
            // Half of an id is none.
            fields.truncate(if fields.len() <= room { fields.len() } else { 0 });
        }
        let left = room.saturating_sub(fields.len() + FIELD);
        if let Some((map, _)) = self.finished.write(stamp.watermark, left) {
            put(&mut fields, FINISHED, &map);
        }
        assert!(fields.len() <= room, "{} bytes of fields, and {room} are free", fields.len());
        if fields.is_empty() {
            return String::new();
        }
        let head = VERSION << 4;
        let mut bytes = vec![head];
        bytes.extend(checksum(stamp, head, &fields));
        bytes.extend(fields);
        let text = text::encode(&bytes);
        assert!(text.len() <= characters, "{} characters, and the broker takes {characters}", text.len());
        text
    }

    /// Reads metadata; empty metadata says nothing.
    ///
    /// # Errors
    /// When it is no note of this stamp: it is ignored then, which costs repeats and nothing else.
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
        let (sum, rest) = rest.split_at_checked(HEADER - 1).ok_or(Unusable::NotAMap)?;
        if sum != checksum(stamp, *head, rest) && !planted(Bug::MapOfAnybody) {
            return Err(Unusable::Checksum);
        }
        let read = match head >> 4 {
            MAP_ONLY => OffsetMap::read(stamp.watermark, head & 15, rest)
                .map(|finished| Self { topic_id: None, finished }),
            VERSION => Self::read_fields(stamp.watermark, rest),
            newer => return Err(Unusable::Version(newer)),
        };
        read.ok_or(Unusable::NotAMap)
    }

    /// `None` if these bytes are no fields, or those that are known are not what is written.
    fn read_fields(watermark: i64, mut rest: &[u8]) -> Option<Self> {
        let mut note = Self::default();
        while !rest.is_empty() {
            let (tag, length) = (varint(&mut rest)?, varint(&mut rest)?);
            let (field, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            rest = behind;
            match tag {
                TOPIC_ID => note.topic_id = TopicId::new(field.try_into().ok()?),
                FINISHED => {
                    let (method, map) = field.split_first()?;
                    note.finished = OffsetMap::read(watermark, *method, map)?;
                }
                _ => {}
            }
        }
        Some(note)
    }
}

fn put(fields: &mut Vec<u8>, tag: u64, field: &[u8]) {
    for mut number in [tag, field.len() as u64] {
        while number >= 0x80 {
            fields.push(number as u8 | 0x80);
            number >>= 7;
        }
        fields.push(number as u8);
    }
    fields.extend(field);
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn checksum(stamp: &Stamp<'_>, head: u8, rest: &[u8]) -> [u8; HEADER - 1] {
    let mut hash = Xxh3::new();
    for name in [stamp.group, stamp.topic] {
        hash.update(&(name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
    }
    hash.update(&stamp.partition.to_le_bytes());
    hash.update(&stamp.watermark.to_le_bytes());
    hash.update(&[head]);
    hash.update(rest);
    let [a, b, c, d, ..] = hash.digest().to_le_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests;
