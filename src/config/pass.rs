//! How one setting is read in the pass over all of them: parse what was given; if that is wrong note a fault and go on
//! with the default.

use std::collections::BTreeMap;
use std::time::Duration;

use super::finding::{Finding, Report};
use super::given::Given;
use super::parse;
use super::table::{self, Fallback, Kind, Setting};
use crate::kafka::properties::{Role, switch};

/// What is wrong with a value: code, rule, and a fix where the kind's own rule is not enough.
pub(super) struct Wrong(pub &'static str, pub String, pub Option<String>);

impl<T: Into<String>> From<T> for Wrong {
    fn from(rule: T) -> Self {
        Self("PC003", rule.into(), None)
    }
}

/// The pass: what was given, what was found so far.
pub(super) struct Pass<'a> {
    pub given: &'a Given,
    pub report: &'a mut Report,
    /// Values in effect that differ from what was typed, by setting.
    pub effective: BTreeMap<&'static str, String>,
}

impl Pass<'_> {
    pub(super) fn switch(&mut self, name: &'static str, text: &Option<String>) -> bool {
        self.read(name, text, |text| Ok(switch(text)?)).unwrap_or_default()
    }

    pub(super) fn count(&mut self, name: &'static str, text: &Option<String>) -> u64 {
        let bounds = match table::setting(name).kind {
            Kind::Count { min, max, .. } => min..=max,
            _ => 0..=u64::MAX,
        };
        let parse = |text: &str| match parse::number(text)? {
            number if bounds.contains(&number) => Ok(number),
            _ => Err("out of range".into()),
        };
        self.read(name, text, parse).unwrap_or_default()
    }

    pub(super) fn duration(&mut self, name: &'static str, text: &Option<String>) -> Duration {
        let (min, max) = match table::setting(name).kind {
            Kind::Duration { min, max } => (parse::duration(min), parse::duration(max)),
            _ => (Ok(Duration::ZERO), Ok(Duration::MAX)),
        };
        let parse = |text: &str| match parse::duration(text) {
            Ok(time) if min.is_ok_and(|min| time >= min) && max.is_ok_and(|max| time <= max) => Ok(time),
            Ok(_) => Err("out of range".into()),
            Err(rule) => Err(Wrong("PC005", rule.into(), None)),
        };
        self.read(name, text, parse).unwrap_or_default()
    }

    pub(super) fn size(&mut self, name: &'static str, text: &Option<String>) -> u64 {
        let (min, max) = match table::setting(name).kind {
            Kind::Size { min, max } => (parse::size(min), parse::size(max)),
            _ => (Ok(0), Ok(u64::MAX)),
        };
        let parse = |text: &str| match parse::size(text) {
            Ok(bytes) if min.is_ok_and(|min| bytes >= min) && max.is_ok_and(|max| bytes <= max) => Ok(bytes),
            Ok(_) => Err("out of range".into()),
            Err(rule) => Err(Wrong("PC005", rule.into(), None)),
        };
        self.read(name, text, parse).unwrap_or_default()
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        text: &Option<String>,
        words: &[(&str, T)],
    ) -> Option<T> {
        self.read(name, text, |text| {
            let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
            found.map(|(_, value)| *value).ok_or_else(|| "not one of its words".into())
        })
    }

    pub(super) fn text<T: Default>(
        &mut self,
        name: &'static str,
        text: &Option<String>,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> T {
        self.read(name, text, parse).unwrap_or_default()
    }

    /// The value of one setting: as given; if that is wrong, a fault and the default; if there is none, the default.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        text: &Option<String>,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let setting = table::setting(name);
        match text.as_deref().map(|text| if text.contains('\0') { Err(NUL.into()) } else { parse(text) }) {
            Some(Ok(value)) => return Some(value),
            Some(Err(wrong)) => self.wrong(setting, wrong),
            None if setting.default == Fallback::Required => self.missing(setting),
            None => {}
        }
        match setting.default {
            Fallback::Text(default) => parse(default).ok(),
            _ => None,
        }
    }

    fn wrong(&mut self, setting: &'static Setting, Wrong(code, rule, fix): Wrong) {
        let fix = fix.unwrap_or_else(|| match setting.default {
            Fallback::Text(default) => format!("Expected {}; default {default}.", setting.kind.rule()),
            _ => format!("Expected {}.", setting.kind.rule()),
        });
        let finding = self.about(setting.name, code, rule, &fix);
        self.report.fault(finding);
    }

    fn missing(&mut self, setting: &'static Setting) {
        let typed = self.given.empty((Role::Both, setting.name));
        let rule = if typed.is_some() { "empty, which counts as missing" } else { "missing" };
        let fix = format!("It is the {}. e.g. {}", setting.meaning, example(setting.name));
        self.report.fault(Finding::new("PC001", typed.unwrap_or(setting.name), rule, fix));
    }

    /// A finding about a setting under the name that the user typed, if any.
    pub(super) fn about(
        &self,
        name: &'static str,
        code: &'static str,
        rule: impl Into<String>,
        fix: &str,
    ) -> Finding {
        match self.given.get((Role::Both, name)) {
            Some(value) => value.wrong(code, rule, fix),
            None => Finding::new(code, name, rule, fix),
        }
    }
}

const NUL: &str = "has a NUL character in it";

fn example(name: &str) -> &'static str {
    match name {
        "KAFKA_SERVERS" => "KAFKA_SERVERS=localhost:9092",
        "KAFKA_GROUP_ID" => "KAFKA_GROUP_ID=orders-enricher",
        "KAFKA_CONSUMER_TOPICS" => "KAFKA_CONSUMER_TOPICS=orders (without the S it would be the output)",
        _ => "KAFKA_CONSUMER_TOPIC=orders.valid (with an S it would be the inputs)",
    }
}
