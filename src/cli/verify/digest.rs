//! What the judge remembers of a record's contents: short hashes. Two different contents look the same once in four
//! billion times.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::cli::stamp;
use crate::record::{Headers, Parts};
use crate::sink::dead_letter::is_ours;

/// What is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    /// Of the key, in full: it also stands for the key where order is concerned. No key is [`NO_KEY`].
    pub key: u64,
    /// Of the headers that are not ours.
    pub headers: u32,
    /// Of the value.
    pub value: u32,
    /// Of the value without the field that the built-in transform sets, where the generator stamped it.
    pub stamped: Option<u32>,
}

/// What stands for no key at all.
pub(super) const NO_KEY: u64 = 0;

impl Digest {
    pub(super) fn of(parts: &Parts<'_>) -> Self {
        Self {
            key: key(parts.key),
            headers: headers(&parts.headers),
            value: value(parts.value),
            stamped: parts.value.and_then(stamp::untouched).map(|part| value(Some(part))),
        }
    }
}

/// An empty key is a key.
fn key(key: Option<&[u8]>) -> u64 {
    key.map_or(NO_KEY, |key| xxh3_64(key).max(NO_KEY + 1))
}

/// The lower half of what a dead letter without its value says of the value.
pub(super) fn value(value: Option<&[u8]>) -> u32 {
    value.map_or(u32::MAX, |value| xxh3_64(value) as u32)
}

fn headers(headers: &Headers) -> u32 {
    let mut others = headers.iter().filter(|(name, _)| !is_ours(name)).peekable();
    if others.peek().is_none() {
        return 0;
    }
    let mut hash = Xxh3::new();
    for (name, value) in others {
        for bytes in [Some(name), value] {
            hash.update(&bytes.map_or(u64::MAX, |bytes| bytes.len() as u64).to_le_bytes());
            hash.update(bytes.unwrap_or_default());
        }
    }
    hash.digest() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: &[(&str, Option<&str>)]) -> u32 {
        let mut list = Headers::new();
        all.iter().for_each(|(name, value)| list.push(name.as_bytes(), value.map(str::as_bytes)));
        headers(&list)
    }

    #[test]
    fn headers_differ_by_order_null_and_borders_but_not_by_ours() {
        let all = [
            &[("a", Some("1")), ("b", Some("2"))][..],
            &[("b", Some("2")), ("a", Some("1"))],
            &[("a", None)],
        ];
        let more = [&[("a", Some(""))][..], &[("ab", Some("c"))], &[("a", Some("bc"))]];
        let hashes: std::collections::HashSet<_> = all.iter().chain(&more).map(|list| of(list)).collect();
        assert_eq!(hashes.len(), 6);
        assert_eq!(of(&[("a", Some("1"))]), of(&[("processor.source", Some("t/0/1")), ("a", Some("1"))]));
        assert_eq!(of(&[("__dlq.errors.topic", Some("t"))]), of(&[]));
    }

    #[test]
    fn nothing_is_not_empty() {
        let parts = |bytes| Digest::of(&Parts { key: bytes, value: bytes, ..Parts::default() });
        let (none, empty) = (parts(None), parts(Some(b"")));
        assert!(none.key != empty.key && none.value != empty.value);
    }
}
