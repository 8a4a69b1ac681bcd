//! Timestamps of RFC 3339, by its grammar and nothing beside it.
//!
//! jiff's own parser takes much more (ISO 8601's basic form, a blank for the `T`, a time zone in brackets), and a
//! validator that lets these through hands them to readers that do not know them. So the shape is checked here, and
//! the calendar (which years have a 29th of February) is jiff's.

use jiff::civil::Date;

const NANOS: i128 = 1_000_000_000;
const DAY: i64 = 86_400;

/// Nanoseconds since 1970 of a `date-time` as RFC 3339 §5.6 has it, or `None`. `t` and `z` may be small; digits of the
/// second behind the ninth are checked and cut off; the leap second `:60` counts as the second after it.
pub(super) fn parse(text: &str) -> Option<i128> {
    let bytes = text.as_bytes();
    let (date, rest) = bytes.split_at_checked(10)?;
    let (time, rest) = rest.split_at_checked(9)?;
    if date[4] != b'-'
        || date[7] != b'-'
        || !matches!(time[0], b'T' | b't')
        || time[3] != b':'
        || time[6] != b':'
    {
        return None;
    }
    let (hour, minute, second) = (two(&time[1..3], 23)?, two(&time[4..6], 59)?, two(&time[7..9], 60)?);
    let (nanos, rest) = fraction(rest)?;
    let day = days(number(&date[..4])?, number(&date[5..7])?, number(&date[8..])?)?;
    let seconds = day * DAY + hour * 3600 + minute * 60 + second - offset(rest)?;
    // A leap second is the last one of a day in UTC, so the second it counts as is the first of the next.
    if second == 60 && seconds.rem_euclid(DAY) != 0 {
        return None;
    }
    Some(i128::from(seconds) * NANOS + i128::from(nanos))
}

/// Days from 1970-01-01 to a date that exists.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let date = Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()?;
    Some(date.duration_since(Date::constant(1970, 1, 1)).as_secs() / DAY)
}

/// The fraction of a second in nanoseconds, 0 without one, and what stands behind it.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else { return Some((0, text)) };
    let length = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(length);
    if digits.is_empty() {
        return None;
    }
    let nanos = (0..9).fold(0, |sum, place| sum * 10 + digits.get(place).map_or(0, |b| u32::from(b - b'0')));
    Some((nanos, rest))
}

/// Seconds that the zone is ahead of UTC: `Z`, or `+hh:mm`, or `-hh:mm` (`-00:00` is UTC of an unknown place).
fn offset(text: &[u8]) -> Option<i64> {
    match *text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), ref hour @ .., b':', m1, m2] => {
            let seconds = two(hour, 23)? * 3600 + two(&[m1, m2], 59)? * 60;
            Some(if sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

/// A number of exactly two digits, `max` at most.
fn two(digits: &[u8], max: i64) -> Option<i64> {
    number(digits).filter(|n| digits.len() == 2 && *n <= max)
}

/// A number of few digits: the callers give four at most.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    #[test]
    fn what_the_grammar_allows() {
        let all = [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:01z", NANOS),
            ("1970-01-01T00:00:00.5Z", NANOS / 2),
            ("1970-01-01T00:00:00.123456789999Z", 123_456_789),
            ("1970-01-01T01:30:00+01:30", 0),
            ("1969-12-31T20:00:00-04:00", 0),
            ("1970-01-01T00:00:00-00:00", 0),
            ("1969-12-31T23:59:59.25Z", -3 * NANOS / 4),
            ("2000-02-29T00:00:00Z", 951_782_400 * NANOS),
            ("2016-12-31T23:59:60Z", 1_483_228_800 * NANOS),
            ("2017-01-01T00:59:60+01:00", 1_483_228_800 * NANOS),
            ("0000-01-01T00:00:00Z", -62_167_219_200 * NANOS),
            ("9999-12-31T23:59:59-23:59", (253_402_300_799 + 86_340) * NANOS),
        ];
        for (text, nanos) in all {
            assert_eq!(parse(text), Some(nanos), "{text}");
        }
    }

    #[test]
    fn what_it_does_not() {
        let all = [
            "",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00Z",
            "1970-01-01 00:00:00Z",
            "1970-01-01T00:00:00 Z",
            " 1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00Z ",
            "19700101T000000Z",
            "1970-1-01T00:00:00Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00,5Z",
            "1970-01-01T00:00:00+0130",
            "1970-01-01T00:00:00+01",
            "1970-01-01T00:00:00+24:00",
            "1970-01-01T00:00:00+01:60",
            "1970-01-01T00:00:00+01:30:00",
            "1970-01-01T00:00:00+001:30",
            "1970-01-01T00:00:00Z[UTC]",
            "+1970-01-01T00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-00-01T00:00:00Z",
            "1970-02-29T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:60:00Z",
            "1970-01-01T00:00:61Z",
            "1970-01-01T12:00:60Z",
            "1970-01-01T00:00:00\u{2212}01:00",
            "1970-01-0\u{661}T00:00:00Z",
        ];
        for text in all {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_jiff_on_what_jiff_writes(second in -62_000_000_000i64..253_000_000_000, nanos in 0i32..1_000_000_000) {
            let time = Timestamp::new(second, nanos).unwrap();
            prop_assert_eq!(parse(&time.to_string()), Some(time.as_nanosecond()));
        }

        #[test]
        fn never_panics(text in "[0-9TtZz:.+\\- \u{e9}]{0,40}") {
            parse(&text);
        }
    }
}
