//! The transform that comes with the program: checks `{id, timestamp, data, status}` and sets `status`.
//!
//! One pass over the text: each field of the outermost object is copied as it was written, so number spelling, escapes
//! and nested values come out byte for byte; only blanks between the outermost fields go. The skipping is serde_json's,
//! which keeps no stack frame per level: no depth of nesting overflows the stack, and none is refused.

mod fields;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde::de::IgnoredAny;

use self::fields::Fields;
use super::{Context, Failure, Outcome, Transform, rfc3339};
use crate::record::Record;

const MILLI: i128 = 1_000_000;
/// How old a timestamp may be, bound included.
const OLDEST: i128 = 24 * 60 * 60 * 1000 * MILLI;
/// How far in the future it may be, bound included: the clocks of those who write are not ours.
const NEWEST: i128 = 5 * 60 * 1000 * MILLI;
/// `data` needs more characters (Unicode scalar values) than this to be valid.
const SHORT: usize = 10;

/// `builtin:validate`: every record comes out with `status` set to `valid` or `invalid`, or is rejected with a code.
///
/// | code | why |
/// | --- | --- |
/// | `tombstone` | no value |
/// | `invalid_json`, `not_an_object` | the value as a whole |
/// | `duplicate_field` | `id`, `timestamp`, `data` or `status` twice: readers differ in which one they take |
/// | `id_missing`, `id_invalid`, `id_empty` | not there; not a string; `""` |
/// | `timestamp_missing`, `timestamp_invalid` | not there; not a string with a date and time of RFC 3339 |
/// | `too_old`, `in_future` | more than 24 hours before, more than 5 minutes behind `Context::now_ms` |
/// | `data_missing`, `data_invalid` | not there; not a string |
///
/// A string with half a surrogate pair in it (`"\ud800"`) is no text: invalid in a field that is looked at, kept in
/// any other. Unknown fields are kept even if they stand twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Validate;

impl Transform for Validate {
    fn apply(&self, record: &Record, context: &Context) -> Outcome {
        match validate(record.value(), context.now_ms) {
            Ok(value) => Outcome::value(value),
            Err(failure) => Outcome::Reject(Box::new(failure)),
        }
    }

    fn name(&self) -> &str {
        "builtin:validate"
    }

    fn is_quick(&self) -> bool {
        true
    }
}

fn validate(value: Option<&[u8]>, now_ms: i64) -> Result<Vec<u8>, Failure> {
    let value = value.ok_or_else(|| Failure::new("tombstone", "the record has no value"))?;
    let text = std::str::from_utf8(value).map_err(|error| not_utf8(&error))?;
    let fields = Fields::read(text).map_err(|error| not_json(text, &error))?;
    if let Some(name) = fields.duplicate {
        let message = format!("the field {name} stands there more than once");
        return Err(Failure::new("duplicate_field", message).at(format!("/{name}")));
    }
    check_id(fields.id)?;
    check_timestamp(fields.timestamp, now_ms)?;
    let status = if has_enough(fields.data)? { "\"valid\"" } else { "\"invalid\"" };
    Ok(fields.with_status(status))
}

fn check_id(raw: Option<&str>) -> Result<(), Failure> {
    let failure = |code, message| Err(Failure::new(code, message).at("/id"));
    match raw.map(string) {
        None => failure("id_missing", "the field id is missing"),
        Some(None) => failure("id_invalid", "the field id is not a string"),
        Some(Some(id)) if id.is_empty() => failure("id_empty", "the field id is empty"),
        Some(Some(_)) => Ok(()),
    }
}

fn check_timestamp(raw: Option<&str>, now_ms: i64) -> Result<(), Failure> {
    let failure = |code, message| Err(Failure::new(code, message).at("/timestamp"));
    let Some(raw) = raw else { return failure("timestamp_missing", "the field timestamp is missing") };
    let Some(text) = string(raw) else {
        return failure("timestamp_invalid", "the field timestamp is not a string");
    };
    let Some(time) = rfc3339::parse(&text) else {
        return failure("timestamp_invalid", "the field timestamp is not a date and time of RFC 3339");
    };
    match i128::from(now_ms) * MILLI - time {
        age if age > OLDEST => failure("too_old", "the timestamp is more than 24 hours old"),
        age if age < -NEWEST => failure("in_future", "the timestamp is more than 5 minutes in the future"),
        _ => Ok(()),
    }
}

fn has_enough(raw: Option<&str>) -> Result<bool, Failure> {
    let failure = |code, message| Failure::new(code, message).at("/data");
    let raw = raw.ok_or_else(|| failure("data_missing", "the field data is missing"))?;
    let data = string(raw).ok_or_else(|| failure("data_invalid", "the field data is not a string"))?;
    Ok(data.chars().nth(SHORT).is_some())
}

/// The text of a JSON string, given as it was written; `None` if it is something else, or no text.
fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

fn not_utf8(error: &std::str::Utf8Error) -> Failure {
    Failure::new("invalid_json", format!("the value is not UTF-8 behind byte {}", error.valid_up_to()))
}

/// The outermost value is no object, or the text is no JSON. The first of these says nothing about the rest of the
/// text, and serde_json's words for it repeat the value: hence the second look and our own words.
fn not_json(text: &str, error: &serde_json::Error) -> Failure {
    let invalid =
        |error: &dyn fmt::Display| Failure::new("invalid_json", format!("the value is not JSON: {error}"));
    if !error.is_data() {
        return invalid(error);
    }
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Failure::new("not_an_object", "the value is JSON, but not an object"),
        Err(error) => invalid(&error),
    }
}
