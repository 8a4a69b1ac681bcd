//! The values that travel through the stages: a record as it was read, its headers, and where it stood.
//!
//! A [`Record`] owns its bytes. Borrowing them from the Kafka client would pin whole fetch buffers for as long as one
//! record of them is in flight, and the memory bound would no longer be exact.

use std::fmt;
use std::sync::Arc;

/// Headers in their order, duplicates included. Names and values are bytes: Kafka promises no more than that.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// Most records have none, and travel the lighter for it.
    written: Option<Box<Written>>,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Written {
    bytes: Vec<u8>,
    /// Lengths of the name and of the value; a value of `None` is Kafka's null header.
    entries: Vec<(u32, Option<u32>)>,
}

impl Headers {
    /// No headers; allocates nothing.
    pub const fn new() -> Self {
        Self { written: None }
    }

    /// Appends one header after those that are there.
    pub fn push(&mut self, name: &[u8], value: Option<&[u8]>) {
        let written = self.written.get_or_insert_default();
        written.bytes.extend_from_slice(name);
        written.bytes.extend_from_slice(value.unwrap_or_default());
        written.entries.push((length(name), value.map(length)));
    }

    /// The headers in order, as name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let (entries, mut rest) = self
            .written
            .as_ref()
            .map_or((&[][..], &[][..]), |written| (&written.entries[..], &written.bytes[..]));
        entries.iter().map(move |&(name, value)| {
            let (name, after) = rest.split_at(name as usize);
            let (body, after) = after.split_at(value.unwrap_or(0) as usize);
            rest = after;
            (name, value.map(|_| body))
        })
    }

    /// The value of the last header with this name: the last one wins, as in Kafka's own clients.
    pub fn last(&self, name: &str) -> Option<&[u8]> {
        self.iter().filter(|(n, _)| *n == name.as_bytes()).last().and_then(|(_, value)| value)
    }

    /// How many headers there are.
    pub fn len(&self) -> usize {
        self.written.as_ref().map_or(0, |written| written.entries.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.written.is_none()
    }

    /// Bytes of all names and values.
    pub fn size(&self) -> usize {
        self.written.as_ref().map_or(0, |written| written.bytes.len())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(n, v)| (String::from_utf8_lossy(n), v.map(String::from_utf8_lossy))))
            .finish()
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a header is smaller than 4 GiB: Kafka's own limit is below that")
}

/// A topic's partition.
pub type TopicPartition = (Arc<str>, i32);

/// One record as it was read from an input topic. Immutable: a transform says what to write, it does not edit.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    topic: Arc<str>,
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    /// Key and value behind each other: one allocation a record.
    bytes: Box<[u8]>,
    key: Option<u32>,
    tombstone: bool,
    headers: Headers,
}

/// What a record consists of, borrowed; [`Record::new`] copies it.
#[derive(Clone, Debug, Default)]
pub struct Parts<'a> {
    /// The key, `None` when the record has none (an empty key is `Some(b"")`).
    pub key: Option<&'a [u8]>,
    /// The value, `None` for a tombstone (an empty value is `Some(b"")`).
    pub value: Option<&'a [u8]>,
    /// Milliseconds since 1970, `None` when the record carries no timestamp.
    pub timestamp: Option<i64>,
    /// Headers in order.
    pub headers: Headers,
}

impl Record {
    /// A record that stood at `offset` of `partition` of `topic`.
    pub fn new(topic: Arc<str>, partition: i32, offset: i64, parts: Parts<'_>) -> Self {
        let (key, value) = (parts.key.unwrap_or_default(), parts.value.unwrap_or_default());
        let mut bytes = Vec::with_capacity(key.len() + value.len());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
        Self {
            topic,
            partition,
            offset,
            timestamp: parts.timestamp,
            bytes: bytes.into_boxed_slice(),
            key: parts.key.map(length),
            tombstone: parts.value.is_none(),
            headers: parts.headers,
        }
    }

    /// The topic it was read from.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The partition it was read from.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// Its offset in the partition.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Milliseconds since 1970, if it carries a timestamp.
    pub fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }

    /// The key, if it has one.
    pub fn key(&self) -> Option<&[u8]> {
        self.key.map(|length| &self.bytes[..length as usize])
    }

    /// The value; `None` is a tombstone.
    pub fn value(&self) -> Option<&[u8]> {
        (!self.tombstone).then(|| &self.bytes[self.key.unwrap_or(0) as usize..])
    }

    /// The headers in order.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Bytes of key, value and headers.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.headers.size()
    }
}

impl fmt::Debug for Record {
    /// Says where the record stood and how large it is; never its contents, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{} ({} B)", self.topic, self.partition, self.offset, self.size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_order_duplicates_nulls_and_bytes_that_are_not_utf8() {
        let mut headers = Headers::new();
        let all: [(&[u8], Option<&[u8]>); 4] =
            [(b"a", Some(b"1")), (b"\xff", Some(b"\xfe\x00")), (b"a", None), (b"a", Some(b""))];
        for (name, value) in all {
            headers.push(name, value);
        }
        assert_eq!(headers.iter().collect::<Vec<_>>(), all);
        assert_eq!(headers.last("a"), Some(&b""[..]));
    }

    #[test]
    fn a_record_tells_null_from_empty() {
        let make = |key, value| {
            Record::new("t".into(), 0, 7, Parts { key, value, timestamp: None, headers: Headers::new() })
        };
        assert_eq!(make(None, None).key(), None);
        assert_eq!(make(None, None).value(), None);
        assert_eq!(make(Some(b""), Some(b"")).key(), Some(&b""[..]));
        assert_eq!(make(Some(b""), Some(b"")).value(), Some(&b""[..]));
        assert_eq!(make(Some(b"k"), Some(b"v")).value(), Some(&b"v"[..]));
        assert_eq!(make(Some(b"k"), None).value(), None);
    }
}
