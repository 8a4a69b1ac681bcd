//! From text to numbers, durations and sizes. Each function says what is wrong in words that end a sentence about it.

use std::time::Duration;

/// A whole number; `_` and `,` are not part of one.
pub fn number(text: &str) -> Result<u64, &'static str> {
    if text.starts_with('+') {
        return Err("not a number");
    }
    text.parse().map_err(|_| match text.strip_prefix('-') {
        Some(rest) if is_digits(rest) => "below the least that is allowed",
        _ if is_digits(text) => "too large",
        _ => "not a number",
    })
}

/// A duration such as `250ms`, `30s` or `1h30m`.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    if is_digits(text) {
        return Err("a number without its unit");
    }
    let mut millis = 0u64;
    let mut rest = text;
    while !rest.is_empty() {
        let (digits, tail) = rest.split_at(digits_end(rest));
        let (unit, tail) = tail.split_at(tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len()));
        let scale = unit_millis(unit).ok_or("not a duration")?;
        let amount: u64 = digits.parse().map_err(|_| "not a duration")?;
        millis = amount.checked_mul(scale).and_then(|m| millis.checked_add(m)).ok_or("too large")?;
        rest = tail;
    }
    if text.is_empty() { Err("not a duration") } else { Ok(Duration::from_millis(millis)) }
}

fn unit_millis(unit: &str) -> Option<u64> {
    Some(match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    })
}

/// A number of bytes: `65536`, `64KiB`, `64MiB` (binary) or `64MB` (decimal).
pub fn size(text: &str) -> Result<u64, &'static str> {
    let (digits, unit) = text.split_at(digits_end(text));
    let scale = unit_bytes(unit.trim()).ok_or("not a size")?;
    let amount: u64 = match digits.parse() {
        Ok(amount) => amount,
        Err(_) if digits.is_empty() => return Err("not a size"),
        Err(_) => return Err("too large"),
    };
    amount.checked_mul(scale).ok_or("too large")
}

fn unit_bytes(unit: &str) -> Option<u64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn digits_end(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let good = [("250ms", 250), ("30s", 30_000), ("1h30m", 5_400_000), ("0s", 0), ("1d", 86_400_000)];
        for (text, millis) in good {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(duration("30"), Err("a number without its unit"));
        for bad in
            ["", "s", "1", "1x", "1s2", "-1s", "1.5s", "1 s", "99999999999999999999s", "9999999999999999d"]
        {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        let good = [("64MiB", 64 << 20), ("64MB", 64_000_000), ("65536", 65_536), ("1 kib", 1024), ("5B", 5)];
        for (text, bytes) in good {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "MiB", "64M", "-1", "1.5MiB", "99999999999999999999", "99999999999TiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(number("6"), Ok(6));
        assert_eq!(number("six"), Err("not a number"));
        assert_eq!(number("-6"), Err("below the least that is allowed"));
        assert_eq!(number("99999999999999999999"), Err("too large"));
        assert!(number("+6").is_err() && number("").is_err() && number("1_000").is_err());
    }
}
