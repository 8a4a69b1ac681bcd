//! Stamped records: what `processor demo` and `processor generate` write, and how the judge knows them again.
//!
//! A record is an order in JSON whose `id` is its number, ascending from the first; of its text only a few digits change, so
//! that a record costs no allocation. And all the ways in which one can be broken: then its number is in a header.

use std::ffi::CStr;
use std::fmt::Write as _;
use std::ops::Range;

/// The header with the number of a record whose value is broken.
pub const HEADER: &CStr = c"stamp";
/// The same as text.
pub const HEADER_NAME: &str = "stamp";
/// A value's length in bytes, unless somebody wants another.
pub const SIZE: usize = 300;
/// A value is no shorter.
pub const LEAST_SIZE: usize = 160;
/// There are no more customers, and so no more keys.
pub const MOST_CUSTOMERS: u32 = 1_000_000;

/// What an order says in the field `data`, as far as there is room.
const GOODS: &str = "3 x flour 1 kg, 1 x butter 250 g, 2 x eggs (10), 1 x vanilla sugar, 4 x apples 2 kg, 1 x cinnamon, \
                     1 x baking powder, 2 x cream 200 ml; leave it with the neighbour if nobody is in";

/// How the value of an order begins that is not broken; its number follows, with as many digits.
const HEAD: &str = r#"{"id":"o-"#;
const DIGITS: usize = 12;
/// How it ends, with any word in it.
const TAIL: (&str, &str) = (r#","status":""#, r#""}"#);

/// A record's number: in the header, where it has that, and else in its value.
pub fn read(header: Option<&[u8]>, value: Option<&[u8]>) -> Option<u64> {
    match header {
        None => number(value?),
        Some(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
    }
}

/// The number of an order that is not broken, however it was transformed.
fn number(value: &[u8]) -> Option<u64> {
    let digits = value.strip_prefix(HEAD.as_bytes())?.get(..DIGITS)?;
    digits.iter().try_fold(0, |number: u64, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

/// What of a stamped value the built-in transform leaves as it was: all but the field `status` at its end.
pub fn untouched(value: &[u8]) -> Option<&[u8]> {
    number(value)?;
    let (before, after) = (TAIL.0.as_bytes(), TAIL.1.as_bytes());
    let inner = value.strip_suffix(after)?;
    let word = inner.iter().rev().take_while(|byte| byte.is_ascii_lowercase()).count();
    inner[..inner.len() - word].strip_suffix(before)
}

/// The value, made once and patched for each record.
pub struct Stamper {
    bytes: Vec<u8>,
    key: [u8; KEY],
    id: Range<usize>,
    timestamp: Range<usize>,
    customer: Range<usize>,
    cents: Range<usize>,
}

/// `c-` and six digits.
const KEY: usize = 8;

impl Stamper {
    /// For values of so many bytes, [`LEAST_SIZE`] at least. The first is without a number, of 1970.
    pub fn new(size: usize) -> Self {
        let head = r#"{"id":"o-000000000000","timestamp":"1970-01-01T00:00:00.000Z","customer":"c-000000","cents":10000,"#;
        let (data, tail) = (r#""data":""#, [r#"""#, TAIL.0, TAIL.1].concat());
        let room = size.max(LEAST_SIZE) - head.len() - data.len() - tail.len();
        let goods: String = GOODS.chars().chain(std::iter::repeat('.')).take(room).collect();
        let text = [head, data, &goods, &tail].concat();
        let digits = |before: &str, length: usize| {
            let start = text.find(before).map_or(0, |at| at + before.len());
            start..start + length
        };
        Self {
            key: *b"c-000000",
            id: HEAD.len()..HEAD.len() + DIGITS,
            timestamp: digits("\"timestamp\":\"", 24),
            customer: digits("\"customer\":\"c-", KEY - 2),
            cents: digits("\"cents\":1", 4),
            bytes: text.into_bytes(),
        }
    }

    /// From now on orders are of this time.
    pub fn set_time(&mut self, unix_ms: i64) {
        let mut text = String::with_capacity(24);
        let time = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = write!(text, "{time:.3}");
        if text.len() == self.timestamp.len() {
            self.bytes[self.timestamp.clone()].copy_from_slice(text.as_bytes());
        }
    }

    /// Key and value of the order of this number, by this customer.
    pub fn fill(&mut self, number: u64, customer: u32) -> (&[u8], &[u8]) {
        decimal(&mut self.key[2..], u64::from(customer));
        decimal(&mut self.bytes[self.id.clone()], number);
        decimal(&mut self.bytes[self.customer.clone()], u64::from(customer));
        decimal(&mut self.bytes[self.cents.clone()], number.wrapping_mul(37));
        (&self.key, &self.bytes)
    }
}

/// Writes a number with as many digits as there is room for, the lowest ones.
fn decimal(room: &mut [u8], mut number: u64) {
    for digit in room.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// How an order is broken: the code that the built-in transform gives it, and what is done to it.
pub struct Break {
    /// Named in the dead letter's header `processor.dlq.reason`.
    pub code: &'static str,
    what: What,
}

enum What {
    /// The value is left out.
    Nothing,
    /// The second half is missing.
    Half,
    /// It stands in an array.
    Wrapped,
    /// This text, which is there once, is replaced by that.
    Instead(&'static str, &'static str),
}

const fn instead(code: &'static str, from: &'static str, to: &'static str) -> Break {
    Break { code, what: What::Instead(from, to) }
}

/// All the ways.
pub const BREAKS: [Break; 13] = [
    Break { code: "tombstone", what: What::Nothing },
    Break { code: "invalid_json", what: What::Half },
    Break { code: "not_an_object", what: What::Wrapped },
    instead("duplicate_field", r#""status":"""#, r#""status":"","status":"""#),
    instead("id_missing", r#""id":"#, r#""number":"#),
    instead("id_invalid", r#""id":"#, r#""id":7,"number":"#),
    instead("id_empty", r#""id":"#, r#""id":"","number":"#),
    instead("timestamp_missing", r#""timestamp":"#, r#""time":"#),
    instead("timestamp_invalid", r#""timestamp":""#, r#""timestamp":"about "#),
    instead("too_old", r#""timestamp":"2"#, r#""timestamp":"1"#),
    instead("in_future", r#""timestamp":"2"#, r#""timestamp":"3"#),
    instead("data_missing", r#""data":"#, r#""goods":"#),
    instead("data_invalid", r#""data":"#, r#""data":null,"goods":"#),
];

impl Break {
    /// The broken value of an order; `None` is a record without one.
    pub fn apply(&self, order: &[u8]) -> Option<Vec<u8>> {
        let text = String::from_utf8_lossy(order);
        Some(match self.what {
            What::Nothing => return None,
            What::Half => order[..order.len() / 2].to_vec(),
            What::Wrapped => format!("[{text}]").into_bytes(),
            What::Instead(from, to) => text.replacen(from, to, 1).into_bytes(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Headers, Parts, Record};
    use crate::transform::builtin::Validate;
    use crate::transform::{Context, Field, Outcome, Transform};

    const NOW_MS: i64 = 1_800_000_000_123;

    fn run(value: Option<&[u8]>) -> Outcome {
        let parts = Parts { key: None, value, timestamp: None, headers: Headers::new() };
        Validate.apply(&Record::new("t".into(), 0, 0, parts), &Context { now_ms: NOW_MS, attempt: 1 })
    }

    fn order(size: usize) -> Vec<u8> {
        let mut stamper = Stamper::new(size);
        stamper.set_time(NOW_MS);
        let (key, value) = stamper.fill(42, 7);
        assert_eq!(key, b"c-000007");
        value.to_vec()
    }

    #[test]
    fn an_order_has_its_size_its_number_and_its_time_and_is_accepted() {
        for size in [LEAST_SIZE, SIZE, 10_000] {
            let bytes = order(size);
            assert_eq!(bytes.len(), size);
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(value["id"], "o-000000000042");
            assert_eq!(read(None, Some(&bytes)), Some(42));
            assert_eq!(value["customer"], "c-000007");
            assert_eq!(value["timestamp"], "2027-01-15T08:00:00.123Z");
            let Outcome::Emit(output) = run(Some(&bytes)) else { panic!("{value}") };
            let Field::New(Some(written)) = output.value else { panic!("{value}") };
            assert_eq!(read(None, Some(&written)), Some(42), "the transform leaves it where it was");
            assert!(untouched(&bytes).is_some() && untouched(&bytes) == untouched(&written));
            assert!(String::from_utf8(written).unwrap().ends_with(r#""status":"valid"}"#));
        }
    }

    #[test]
    fn what_is_not_untouched_is_seen() {
        let bytes = order(SIZE);
        let mut other = bytes.clone();
        other[200] ^= 1;
        assert_ne!(untouched(&bytes), untouched(&other));
        other.truncate(250);
        assert_eq!(untouched(&other), None);
        assert_eq!(untouched(br#"{"id":"7","status":"valid"}"#), None, "not stamped");
    }

    #[test]
    fn a_broken_order_has_its_number_in_the_header() {
        assert_eq!(read(Some(b"17"), None), Some(17));
        assert_eq!(read(Some(b"17"), Some(&order(SIZE))), Some(17), "the header counts");
        assert_eq!(read(Some(b"x"), Some(&order(SIZE))), None);
        assert_eq!(HEADER.to_str(), Ok(HEADER_NAME));
    }

    #[test]
    fn each_break_is_found_by_its_code() {
        for broken in BREAKS {
            match run(broken.apply(&order(SIZE)).as_deref()) {
                Outcome::Reject(failure) => assert_eq!(failure.code, broken.code),
                other => panic!("{} became {other:?}", broken.code),
            }
        }
    }
}
