//! Reads the outermost object of a record in one pass, copying it while it looks for the known fields.
//!
//! Everything but the copy borrows from the record: one allocation a record, and no tree of values.

use std::borrow::Cow;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// Room for `,"status":"invalid"`, so that the copy never grows.
const STATUS_ROOM: usize = 20;

/// The known fields as they were written, and the object without its status.
pub(super) struct Fields<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) timestamp: Option<&'a str>,
    pub(super) data: Option<&'a str>,
    /// The first known field that stands there twice.
    pub(super) duplicate: Option<&'static str>,
    /// The object so far; its status, if it has one, is left out ...
    copy: Vec<u8>,
    /// ... and goes here.
    status_at: Option<usize>,
}

impl<'a> Fields<'a> {
    /// Fails with [`serde_json::Error`] unless `text` is one JSON object.
    pub(super) fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        let copy = Vec::with_capacity(text.len() + STATUS_ROOM);
        let empty = Self { id: None, timestamp: None, data: None, duplicate: None, copy, status_at: None };
        let mut json = serde_json::Deserializer::from_str(text);
        let fields = json.deserialize_map(empty)?;
        json.end()?;
        Ok(fields)
    }

    /// The object with this JSON value as its status: in its old place, or behind all others.
    pub(super) fn with_status(mut self, status: &str) -> Vec<u8> {
        let at = self.status_at.unwrap_or_else(|| self.start("\"status\""));
        self.copy.splice(at..at, status.bytes());
        self.copy.push(b'}');
        self.copy
    }

    /// Begins a field, and says where its value goes.
    fn start(&mut self, key: &str) -> usize {
        self.copy.push(if self.copy.is_empty() { b'{' } else { b',' });
        self.copy.extend_from_slice(key.as_bytes());
        self.copy.push(b':');
        self.copy.len()
    }

    fn take(&mut self, key: &'a str, value: &'a str) {
        let at = self.start(key);
        let (name, twice) = match name(key).as_ref() {
            "id" => ("id", self.id.replace(value).is_some()),
            "timestamp" => ("timestamp", self.timestamp.replace(value).is_some()),
            "data" => ("data", self.data.replace(value).is_some()),
            "status" => ("status", self.status_at.replace(at).is_some()),
            _ => ("", false),
        };
        if twice {
            self.duplicate.get_or_insert(name);
        }
        if name != "status" {
            self.copy.extend_from_slice(value.as_bytes());
        }
    }
}

impl<'a> Visitor<'a> for Fields<'a> {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            self.take(key.get(), value.get());
        }
        Ok(self)
    }
}

/// A field's name, given as it was written: `"\u0069d"` is `id` too. What is no text keeps its quotes and so is none
/// of the known names.
fn name(raw: &str) -> Cow<'_, str> {
    super::string(raw).unwrap_or(Cow::Borrowed(raw))
}
