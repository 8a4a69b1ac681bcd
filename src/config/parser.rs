//! How the text of a setting becomes a value: a parser knows its rule in words, and says what is wrong in words that end a sentence.

use std::time::Duration;

use super::problem::Wrong;
use crate::kafka::properties::{self, Check, Property};
use crate::kafka::topic_name::{topic_name, topic_names};
use crate::ops::Http;
use crate::ops::log_filter::log_filter;

type Parse<T> = Box<dyn Fn(&str) -> Result<T, Wrong> + Send + Sync>;

/// From text to a `T`.
pub(super) struct Parser<T> {
    /// What stands for the value in help.
    pub placeholder: &'static str,
    /// What is allowed, as the end of "Expected …".
    pub rule: String,
    /// Whether help shows the rule: it is a list of words.
    pub is_choice: bool,
    /// What does it.
    pub parse: Parse<T>,
}

impl<T: 'static> Parser<T> {
    fn new(
        placeholder: &'static str,
        rule: impl Into<String>,
        parse: impl Fn(&str) -> Result<T, Wrong> + Send + Sync + 'static,
    ) -> Self {
        Self { placeholder, rule: rule.into(), is_choice: false, parse: Box::new(parse) }
    }

    /// A value that need not be there.
    pub(super) fn optional(self) -> Parser<Option<T>> {
        let parse = self.parse;
        Parser::new(self.placeholder, self.rule, move |text| parse(text).map(Some))
    }

    /// Or this word, which stands for none.
    pub(super) fn or(self, word: &'static str) -> Parser<Option<T>> {
        let parse = self.parse;
        Parser::new(self.placeholder, format!("{}, or {word}", self.rule), move |text| {
            if text.eq_ignore_ascii_case(word) { Ok(None) } else { parse(text).map(Some) }
        })
    }
}

/// Any text.
pub(super) fn text(rule: &str) -> Parser<String> {
    Parser::new("TEXT", rule, |text| Ok(text.to_owned()))
}

/// The name of a process.
pub(super) fn name() -> Parser<String> {
    Parser::new("TEXT", "letters, digits and ._- , such as orders-enricher-3", |text| {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        let good = text.len() <= 200 && text.chars().all(allowed);
        if good { Ok(text.to_owned()) } else { Err("not a name".into()) }
    })
}

/// Bootstrap servers.
pub(super) fn servers() -> Parser<String> {
    let rule = "host:port, separated by commas, such as kafka-1:9092,kafka-2:9092";
    Parser::new("HOSTS", rule, |text| properties::bootstrap(text).map_err(|rule| Wrong::new("PC006", rule)))
}

/// Names of topics, each once.
pub(super) fn topics() -> Parser<Vec<String>> {
    let rule = "topic names, separated by commas";
    Parser::new("TOPICS", rule, |text| topic_names(text).map_err(|rule| Wrong::new("PC019", rule)))
}

/// The name of a topic.
pub(super) fn topic() -> Parser<String> {
    Parser::new("TOPIC", "a topic name", |text| topic_name(text).map_err(|rule| Wrong::new("PC019", rule)))
}

/// A whole number within these bounds, which a `T` can hold.
pub(super) fn count<T: TryFrom<u64> + 'static>(min: u64, max: u64) -> Parser<T> {
    Parser::new("N", format!("{min}–{max}"), move |text| Ok(within(number(text)?, min, max)?))
}

/// A duration with its unit, within bounds that are written as a user would.
pub(super) fn duration(min: &'static str, max: &'static str) -> Parser<Duration> {
    let rule = format!("{min}–{max}, such as 250ms, 30s or 1h30m");
    Parser::new("DURATION", rule, move |text| {
        let time = time(text).map_err(|rule| Wrong::new("PC005", rule))?;
        if time < self::time(min)? || time > self::time(max)? { Err("out of range".into()) } else { Ok(time) }
    })
}

/// A number of bytes, within bounds that are written as a user would.
pub(super) fn size(min: &'static str, max: &'static str) -> Parser<usize> {
    let rule = format!("{min}–{max}, such as 64MiB or 65536");
    Parser::new("SIZE", rule, move |text| {
        let size = bytes(text).map_err(|rule| Wrong::new("PC005", rule))?;
        Ok(within(size, bytes(min)?, bytes(max)?)?)
    })
}

/// True or false.
pub(super) fn switch() -> Parser<bool> {
    Parser::new("BOOL", "true or false", |text| Ok(properties::switch(text)?))
}

/// A switch that may only be off: why, and what to do.
pub(super) fn switched_off(why: &'static str, fix: &'static str) -> Parser<()> {
    Parser::new("BOOL", "true or false", move |text| match properties::switch(text)? {
        false => Ok(()),
        true => Err(Wrong { fix: Some(fix.to_owned()), ..Wrong::new("PC020", why) }),
    })
}

/// One of these words.
pub(super) fn choice<T: Copy + Send + Sync + 'static>(words: &'static [(&'static str, T)]) -> Parser<T> {
    choice_and_old(words, &[])
}

/// One of these words, or one that they were called before: those are taken and not shown.
pub(super) fn choice_and_old<T: Copy + Send + Sync + 'static>(
    words: &'static [(&'static str, T)],
    old: &'static [(&'static str, T)],
) -> Parser<T> {
    let rule = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    let parse = move |text: &str| {
        let found = words.iter().chain(old).find(|(word, _)| word.eq_ignore_ascii_case(text));
        found.map(|(_, value)| *value).ok_or_else(|| "not one of its words".into())
    };
    Parser { is_choice: true, ..Parser::new("WORD", rule, parse) }
}

/// The address of the HTTP listener.
pub(super) fn address() -> Parser<Http> {
    Parser::new("ADDR", "host:port, such as 127.0.0.1:8890, or off", |text| Ok(Http::parse(text)?))
}

/// A log filter as `RUST_LOG` has it.
pub(super) fn filter() -> Parser<String> {
    let rule = "a level or target=level, such as info,processor=debug";
    Parser::new("TEXT", rule, |text| match log_filter(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(reason) => Err(format!("not a log filter: {reason}").into()),
    })
}

/// What librdkafka's own list says of a property; it is looked at with the others.
pub(super) fn of_librdkafka(property: &Property) -> Parser<()> {
    let is_choice = matches!(property.check, Check::OneOf(_));
    Parser { is_choice, ..Parser::new("TEXT", property.check.rule(), |_| Ok(())) }
}

fn within<T: TryFrom<u64>>(number: u64, min: u64, max: u64) -> Result<T, &'static str> {
    let number = if (min..=max).contains(&number) { T::try_from(number).ok() } else { None };
    number.ok_or("out of range")
}

/// A whole number; `_` and `,` are not part of one.
fn number(text: &str) -> Result<u64, &'static str> {
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
pub fn time(text: &str) -> Result<Duration, &'static str> {
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
fn bytes(text: &str) -> Result<u64, &'static str> {
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
            assert_eq!(time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(time("30"), Err("a number without its unit"));
        for bad in
            ["", "s", "1", "1x", "1s2", "-1s", "1.5s", "1 s", "99999999999999999999s", "9999999999999999d"]
        {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        let good = [("64MiB", 64 << 20), ("64MB", 64_000_000), ("65536", 65_536), ("1 kib", 1024), ("5B", 5)];
        for (text, expected) in good {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for bad in ["", "MiB", "64M", "-1", "1.5MiB", "99999999999999999999", "99999999999TiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
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
