//! What a dead letter looks like: the original bytes, key and headers, and headers that say why, where from, how often.
//!
//! The names of KIP-1191 come first, as they are Kafka's own; `processor.dlq.*` says the rest. All of ours together stay
//! under [`LIMIT`] bytes, are written anew each time (a record that fails again after a replay does not grow), and cannot
//! be forged: what arrives under our names is dropped.

use crate::record::{Headers, Record};
use crate::transform::{Failure, Field, Output};

/// Bytes of all headers that are added.
pub const LIMIT: usize = 2048;
const MESSAGE_LIMIT: usize = 1024;
const VALUE_LIMIT: usize = 96;
/// Bytes of a key that a [`bare`] letter keeps.
const KEY_LIMIT: usize = 1024;

/// Where in the pipeline a record failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// In the transform.
    Transform,
    /// When its result was written.
    Produce,
}

impl Stage {
    /// As in the header and the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Produce => "produce",
        }
    }
}

/// What all dead letters of this process have in common.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The consumer group.
    pub group: String,
    /// The transform's name.
    pub transform: String,
    /// This process, such as `host-4711`.
    pub instance: String,
}

/// How a record failed.
#[derive(Clone, Debug)]
pub struct Death<'a> {
    /// Why.
    pub failure: &'a Failure,
    /// Where.
    pub stage: Stage,
    /// Whether trying again could have helped.
    pub retryable: bool,
    /// Tries made.
    pub attempts: u32,
    /// Milliseconds since 1970 of the last and of the first failure.
    pub failed_at_ms: i64,
    /// See `failed_at_ms`.
    pub first_failed_at_ms: i64,
}

/// The dead letter of `record`: its own key and value, its headers, and ours.
pub fn dead_letter(record: &Record, sender: &Sender, death: &Death<'_>) -> Output {
    let mut headers = Headers::new();
    for (name, value) in record.headers().iter().filter(|(name, _)| !is_ours(name)) {
        headers.push(name, value);
    }
    let mut budget = LIMIT;
    let mut put = |name: &str, value: &str, limit: usize| {
        let value = cut(value, limit.min(budget.saturating_sub(name.len())));
        budget = budget.saturating_sub(name.len() + value.len());
        headers.push(name.as_bytes(), Some(value.as_bytes()));
    };
    let failure = death.failure;
    put("__dlq.errors.topic", record.topic(), 249);
    put("__dlq.errors.partition", &record.partition().to_string(), VALUE_LIMIT);
    put("__dlq.errors.offset", &record.offset().to_string(), VALUE_LIMIT);
    put("__dlq.errors.group", &sender.group, 255);
    put("__dlq.errors.delivery.count", &death.attempts.to_string(), VALUE_LIMIT);
    put("processor.dlq.reason", &failure.code, VALUE_LIMIT);
    put("processor.dlq.stage", death.stage.name(), VALUE_LIMIT);
    put("processor.dlq.retryable", if death.retryable { "true" } else { "false" }, VALUE_LIMIT);
    if let Some(path) = &failure.path {
        put("processor.dlq.path", path, VALUE_LIMIT);
    }
    put("processor.dlq.transform", &sender.transform, VALUE_LIMIT);
    if let Some(timestamp) = record.timestamp() {
        put("processor.dlq.timestamp", &timestamp.to_string(), VALUE_LIMIT);
    }
    put("processor.dlq.failed-at", &rfc3339(death.failed_at_ms), VALUE_LIMIT);
    put("processor.dlq.first-failed-at", &rfc3339(death.first_failed_at_ms), VALUE_LIMIT);
    put("processor.dlq.instance", &sender.instance, VALUE_LIMIT);
    put("processor.dlq.version", env!("CARGO_PKG_VERSION"), VALUE_LIMIT);
    // Last, because it is what may be cut to fit.
    put("__dlq.errors.message", &failure.message, MESSAGE_LIMIT);
    Output { key: Field::Same, value: Field::Same, headers: Field::New(headers) }
}

/// The same dead letter without the value, for a topic that refuses it as too large: its size and hash remain, and the
/// position tells where the original is.
pub fn without_value(mut letter: Output, value: Option<&[u8]>) -> Output {
    if let Field::New(headers) = &mut letter.headers {
        let value = value.unwrap_or_default();
        headers.push(b"processor.dlq.value.truncated", Some(b"true"));
        headers.push(b"processor.dlq.value.size", Some(value.len().to_string().as_bytes()));
        let hash = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(value));
        headers.push(b"processor.dlq.value.xxh3", Some(hash.as_bytes()));
    }
    letter.value = Field::New(Some(Vec::new()));
    letter
}

/// The same dead letter with nothing of its record that has no bound of its own: for a topic that refuses it without its value
/// too. What is left is below [`LIMIT`] and [`KEY_LIMIT`] and a few hundred bytes: every topic takes that, unless somebody
/// made it to take nothing.
pub fn bare(letter: Output, key: Option<&[u8]>) -> Output {
    let mut headers = Headers::new();
    if let Field::New(all) = &letter.headers {
        all.iter().filter(|(name, _)| is_ours(name)).for_each(|(name, value)| headers.push(name, value));
    }
    headers.push(b"processor.dlq.headers.truncated", Some(b"true"));
    let key = if key.is_some_and(|key| key.len() > KEY_LIMIT) {
        headers.push(b"processor.dlq.key.truncated", Some(b"true"));
        Field::New(None)
    } else {
        letter.key
    };
    Output { key, headers: Field::New(headers), ..letter }
}

/// Whether a header belongs to us: a dead letter takes none of these over from its record.
pub fn is_ours(name: &[u8]) -> bool {
    name.starts_with(b"__dlq.")
        || (name.starts_with(b"processor.") && !name.starts_with(b"processor.replay."))
}

/// At most `limit` bytes, cut at a character, with a sign that it was cut.
fn cut(text: &str, limit: usize) -> std::borrow::Cow<'_, str> {
    const SIGN: &str = "…";
    if text.len() <= limit {
        return text.into();
    }
    let mut end = limit.saturating_sub(SIGN.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{SIGN}", &text[..end]).into()
}

fn rfc3339(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or_else(|_| unix_ms.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Parts;

    fn letter(record: &Record, failure: &Failure) -> Headers {
        let sender = Sender { group: "g".repeat(300), transform: "t".repeat(300), instance: "i".repeat(300) };
        let death = Death {
            failure,
            stage: Stage::Transform,
            retryable: false,
            attempts: 3,
            failed_at_ms: 1_700_000_000_000,
            first_failed_at_ms: 1_700_000_000_000,
        };
        match dead_letter(record, &sender, &death).headers {
            Field::New(headers) => headers,
            Field::Same => panic!("a dead letter has headers of its own"),
        }
    }

    fn record(headers: Headers) -> Record {
        let parts = Parts { key: Some(b"k"), value: Some(b"v"), timestamp: Some(5), headers };
        Record::new("t".repeat(249).into(), i32::MAX, i64::MAX, parts)
    }

    #[test]
    fn what_we_add_stays_below_two_kib_however_long_the_message() {
        let mut failure = Failure::new("c".repeat(500), "ä".repeat(10_000)).at("/p".repeat(500));
        for _ in 0..2 {
            let headers = letter(&record(Headers::new()), &failure);
            assert!(headers.size() <= LIMIT, "{} B", headers.size());
            assert!(std::str::from_utf8(headers.last("__dlq.errors.message").expect("there")).is_ok());
            failure.message = "short".into();
        }
    }

    #[test]
    fn a_bare_letter_has_a_bound_whatever_its_record_was() {
        let mut original = Headers::new();
        original.push(b"large", Some(&[b'x'; 100_000]));
        let (record, failure) = (record(original), Failure::new("c", "m".repeat(5_000)));
        let letter = || Output { headers: Field::New(letter(&record, &failure)), ..Output::default() };
        for (key, kept) in [(vec![b'k'; 1024], true), (vec![b'k'; 1025], false)] {
            let bare = bare(without_value(letter(), record.value()), Some(&key));
            let Field::New(headers) = &bare.headers else { panic!("a dead letter has headers of its own") };
            assert!(headers.size() <= LIMIT + 300, "{} B", headers.size());
            assert_eq!(headers.last("__dlq.errors.offset"), Some(i64::MAX.to_string().as_bytes()));
            assert_eq!(matches!(bare.key, Field::Same), kept);
            assert_eq!(headers.last("processor.dlq.key.truncated").is_none(), kept);
        }
    }

    #[test]
    fn original_headers_stay_in_order_and_forged_ones_go() {
        let mut original = Headers::new();
        original.push(b"a", Some(b"1"));
        original.push(b"__dlq.errors.topic", Some(b"forged"));
        original.push(b"processor.dlq.reason", Some(b"forged"));
        original.push(b"a", None);
        original.push(b"processor.replay.count", Some(b"2"));
        let headers = letter(&record(original), &Failure::new("too_old", "older than a day"));
        let kept: Vec<_> = headers.iter().take(3).collect();
        assert_eq!(
            kept,
            [(&b"a"[..], Some(&b"1"[..])), (b"a", None), (b"processor.replay.count", Some(b"2"))]
        );
        assert_eq!(headers.iter().filter(|(name, _)| *name == b"processor.dlq.reason").count(), 1);
        assert_eq!(headers.last("processor.dlq.reason"), Some(&b"too_old"[..]));
        assert_eq!(headers.last("__dlq.errors.delivery.count"), Some(&b"3"[..]));
        assert_eq!(headers.last("processor.dlq.failed-at"), Some(&b"2023-11-14T22:13:20Z"[..]));
    }
}
