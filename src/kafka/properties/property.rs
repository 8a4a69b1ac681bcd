//! The properties of librdkafka: which there are, for which client, and what each may be. The list is data (`properties.txt`), so
//! that a new version of librdkafka is a new list.

use std::collections::HashMap;
use std::sync::LazyLock;

/// One property of librdkafka.
#[derive(Debug, PartialEq, Eq)]
pub struct Property {
    /// Its name, such as `linger.ms`.
    pub name: &'static str,
    /// The name it is another name of, or its own.
    pub canonical: &'static str,
    /// Whether a consumer has it.
    pub consumer: bool,
    /// Whether a producer has it.
    pub producer: bool,
    /// What it may be.
    pub check: Check,
    /// Whether its value is known to be no secret. Only such values are ever shown.
    pub public: bool,
    /// Whether it is a secret, and so has a `_FILE` twin.
    pub secret: bool,
    /// Whether it names a file that must be readable.
    pub path: bool,
    /// Whether nothing but librdkafka's log lines depends on it.
    pub log: bool,
}

/// What a property may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Any text; librdkafka looks at it.
    Text,
    /// true or false.
    Switch,
    /// A whole number within these bounds.
    Between(i64, i64),
    /// One of these words. One that begins with [`RARE`] is not offered: only some builds of librdkafka have it.
    OneOf(Vec<&'static str>),
    /// Some of these words, separated by commas.
    SomeOf(Vec<&'static str>),
    /// Nothing: a function or a pointer that only a program can set.
    Api,
}

/// Which clients a value is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Whichever knows the property.
    Both,
    /// The consumers.
    Consumer,
    /// The producer.
    Producer,
}

static PROPERTIES: LazyLock<Vec<Property>> =
    LazyLock::new(|| include_str!("properties.txt").lines().filter_map(Property::from_line).collect());

static BY_VARIABLE: LazyLock<HashMap<String, &'static Property>> =
    LazyLock::new(|| all().map(|p| (p.variable(Role::Both), p)).collect());

/// All of them, in librdkafka's order.
pub fn all() -> impl Iterator<Item = &'static Property> {
    PROPERTIES.iter()
}

/// The property of this name.
pub fn named(name: &str) -> Option<&'static Property> {
    all().find(|p| p.name == name)
}

/// The property that a variable names, and for whom: `KAFKA_CONSUMER_…` and `KAFKA_PRODUCER_…` for one side.
pub fn of_variable(variable: &str) -> Option<(Role, &'static Property)> {
    for (prefix, role) in [("KAFKA_CONSUMER_", Role::Consumer), ("KAFKA_PRODUCER_", Role::Producer)] {
        let plain = variable.strip_prefix(prefix).map(|rest| format!("KAFKA_{rest}"));
        if let Some(property) = plain.and_then(|plain| BY_VARIABLE.get(&plain)) {
            return Some((role, property));
        }
    }
    BY_VARIABLE.get(variable).map(|property| (Role::Both, *property))
}

impl Property {
    /// The variable that sets it for `role`.
    pub fn variable(&self, role: Role) -> String {
        let prefix = match role {
            Role::Both => "KAFKA",
            Role::Consumer => "KAFKA_CONSUMER",
            Role::Producer => "KAFKA_PRODUCER",
        };
        format!("{prefix}_{}", self.name.to_ascii_uppercase().replace('.', "_"))
    }

    /// Whether a client of `role` has it; for [`Role::Both`], whether any has.
    pub fn is_for(&self, role: Role) -> bool {
        match role {
            Role::Both => true,
            Role::Consumer => self.consumer,
            Role::Producer => self.producer,
        }
    }

    fn from_line(line: &'static str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let name = words.next().filter(|name| !name.starts_with('#'))?;
        let scope = words.next()?;
        let check = Check::from_word(words.next()?)?;
        let marks: Vec<&str> = words.collect();
        let shown = !matches!(check, Check::Text | Check::Api);
        Some(Self {
            name,
            canonical: marks.iter().find_map(|mark| mark.strip_prefix('=')).unwrap_or(name),
            consumer: scope != "P",
            producer: scope != "C",
            check,
            public: shown || marks.contains(&"public"),
            secret: marks.contains(&"secret"),
            path: marks.contains(&"path"),
            log: marks.contains(&"log"),
        })
    }
}

impl Check {
    fn from_word(word: &'static str) -> Option<Self> {
        Some(match word {
            "text" => Self::Text,
            "bool" => Self::Switch,
            "api" => Self::Api,
            _ => match (word.strip_prefix("csv:"), word.split_once("..")) {
                (Some(words), _) => Self::SomeOf(words.split('|').collect()),
                (None, Some((min, max))) => Self::Between(min.parse().ok()?, max.parse().ok()?),
                (None, None) => Self::OneOf(word.split('|').collect()),
            },
        })
    }

    /// The value as librdkafka wants it, or what is wrong with it.
    pub fn accept(&self, text: &str) -> Result<String, &'static str> {
        match self {
            Self::Text => Ok(text.to_owned()),
            Self::Api => Err("can only be set by a program"),
            Self::Switch => switch(text).map(|on| on.to_string()),
            Self::Between(min, max) => match text.parse::<i64>() {
                Ok(number) if (*min..=*max).contains(&number) => Ok(number.to_string()),
                Ok(_) => Err("out of range"),
                Err(_) => Err("not a number"),
            },
            Self::OneOf(words) => word_of(words, text).ok_or("not one of its words"),
            Self::SomeOf(words) => {
                let each: Option<Vec<String>> = list(text).map(|word| word_of(words, word)).collect();
                each.map(|each| each.join(",")).ok_or("not some of its words")
            }
        }
    }

    /// What is allowed, as the end of "Expected …".
    pub fn rule(&self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Switch => "true or false".into(),
            Self::Between(min, max) => format!("{min}–{max}"),
            Self::OneOf(words) => offered(words).collect::<Vec<_>>().join(", "),
            Self::SomeOf(words) => words.join(", "),
            Self::Api => String::new(),
        }
    }
}

/// True or false, as people write it.
pub fn switch(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("neither true nor false"),
    }
}

/// The entries of a list, separated by commas or blanks.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty())
}

/// Stands before a word that only some builds of librdkafka have.
const RARE: char = '?';

fn offered<'a>(words: &'a [&'static str]) -> impl Iterator<Item = &'static str> + 'a {
    words.iter().copied().filter(|word| !word.starts_with(RARE))
}

/// librdkafka does not look at the case of a word; we hand it on as the list spells it.
fn word_of(words: &[&str], text: &str) -> Option<String> {
    let words = words.iter().map(|word| word.trim_start_matches(RARE));
    words.into_iter().find(|word| word.eq_ignore_ascii_case(text)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_understood() {
        let lines = include_str!("properties.txt").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(
            (PROPERTIES.len(), BY_VARIABLE.len()),
            (lines, lines),
            "no line lost, no two variables alike"
        );
        for property in all() {
            assert!(named(property.canonical).is_some(), "{} is another name of nothing", property.name);
            assert!(!(property.secret && property.public), "{}", property.name);
        }
    }

    #[test]
    fn switches_and_lists() {
        for (text, value) in [("YES", true), ("1", true), ("On", true), ("off", false), ("0", false)] {
            assert_eq!(switch(text), Ok(value));
        }
        assert!(switch("maybe").is_err());
        assert_eq!(list(" a, b\tc,,d ").collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_variable_names_a_property_and_a_role() {
        let (role, property) = of_variable("KAFKA_PRODUCER_LINGER_MS").unwrap();
        assert_eq!((role, property.name), (Role::Producer, "linger.ms"));
        assert_eq!(property.canonical, "queue.buffering.max.ms");
        assert!(!property.is_for(Role::Consumer));
        assert_eq!(of_variable("KAFKA_LOG_LEVEL").unwrap().1.name, "log_level");
        assert!(of_variable("KAFKA_HOME").is_none());
    }

    #[test]
    fn values_are_checked_and_spelled_as_librdkafka_does() {
        let accept = |name: &str, text| named(name).unwrap().check.accept(text);
        assert_eq!(accept("security.protocol", "SASL_SSL").as_deref(), Ok("sasl_ssl"));
        assert_eq!(accept("socket.keepalive.enable", "no").as_deref(), Ok("false"));
        assert_eq!(accept("debug", "cgrp, FETCH").as_deref(), Ok("cgrp,fetch"));
        assert_eq!(accept("linger.ms", "900001"), Err("out of range"));
        assert_eq!(accept("linger.ms", "5ms"), Err("not a number"));
        assert!(accept("error_cb", "1").is_err());
    }
}
