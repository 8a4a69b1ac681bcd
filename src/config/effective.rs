//! The settings as they are in effect, and where each comes from: what `processor config` shows. Secrets are masked.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::given::{GivenSettings, GivenValue, Origin};
use super::names::Subject;
use super::table::{Fallback, SETTINGS, Setting};
use crate::kafka::properties::Role;

/// Every setting, in the table's order, and then the properties that are handed to librdkafka.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct EffectiveSettings {
    /// One a line.
    pub rows: Vec<EffectiveSetting>,
}

/// One setting in effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EffectiveSetting {
    /// The variable, under its proper name.
    pub name: String,
    /// The value in effect, `***` for what may be secret; `None` where nothing is set.
    pub value: Option<String>,
    /// Where it comes from, in words.
    pub source: String,
    /// Whether the user said so.
    pub changed: bool,
}

impl EffectiveSettings {
    /// `effective` has the values that differ from what was typed, by name.
    pub(super) fn new(given: &GivenSettings, effective: &BTreeMap<&'static str, String>) -> Self {
        let shown = SETTINGS.iter().filter(|s| s.is_shown || given.get((Role::Both, s.name)).is_some());
        let table = shown.map(|setting| row(setting, given, effective));
        let rest = given.properties().filter(|(role, property, _)| !in_table(*role, property.canonical));
        let properties = rest.map(|(role, property, value)| from_user(property.variable(role), value, None));
        Self { rows: table.chain(properties).collect() }
    }

    /// Only what the user said.
    pub fn changed(&self) -> Self {
        Self { rows: self.rows.iter().filter(|row| row.changed).cloned().collect() }
    }
}

fn canonical_of(setting: &Setting) -> Option<&'static str> {
    setting.property().map(|property| property.canonical)
}

fn in_table(role: Role, canonical: &str) -> bool {
    role == Role::Both && SETTINGS.iter().any(|setting| canonical_of(setting) == Some(canonical))
}

fn row(
    setting: &'static Setting,
    given: &GivenSettings,
    effective: &BTreeMap<&'static str, String>,
) -> EffectiveSetting {
    let key = (Role::Both, canonical_of(setting).unwrap_or(setting.name));
    let shown = effective.get(setting.name).cloned();
    if let Some(value) = given.get(key) {
        return from_user(setting.name.to_owned(), value, shown);
    }
    let source = match given.empty(key) {
        Some(name) if name.starts_with("--") => format!("flag {name} (empty, default used)"),
        Some(name) if name == setting.name => "environment (empty, default used)".to_owned(),
        Some(name) => format!("environment {name} (empty, default used)"),
        None if matches!(setting.default, Fallback::Required(_)) => "missing".to_owned(),
        None => "default".to_owned(),
    };
    let fallback = match setting.default {
        Fallback::Text(text) | Fallback::Derived(text) => Some(text.to_owned()),
        Fallback::Required(_) | Fallback::Unset => None,
    };
    EffectiveSetting { name: setting.name.to_owned(), value: shown.or(fallback), source, changed: false }
}

/// A value in effect is shown instead of the typed one only where the typed one may be shown at all.
fn from_user(name: String, value: &GivenValue, effective: Option<String>) -> EffectiveSetting {
    let typed = value.subject.shown(&value.text);
    let shown = effective.filter(|_| typed != "***").unwrap_or(typed);
    let source = match &value.origin {
        Origin::Flag => format!("flag {}", value.typed),
        Origin::File(path) => format!("file {path}"),
        Origin::Environment if value.typed == name => "environment".to_owned(),
        Origin::Environment => format!("environment {}", value.typed),
    };
    debug_assert!(!matches!(value.subject, Subject::Property(_, p) if p.secret) || shown == "***");
    EffectiveSetting { name, value: Some(shown), source, changed: true }
}

impl fmt::Display for EffectiveSettings {
    /// NAME, VALUE and SOURCE in columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells: Vec<[String; 3]> = std::iter::once(["NAME", "VALUE", "SOURCE"].map(str::to_owned))
            .chain(self.rows.iter().map(cells))
            .collect();
        let width =
            |column: usize| cells.iter().map(|c| c[column].chars().count().min(60)).max().unwrap_or(0);
        let (name_width, value_width) = (width(0), width(1));
        for [name, value, source] in &cells {
            writeln!(f, "{name:name_width$}  {value:value_width$}  {source}")?;
        }
        Ok(())
    }
}

fn cells(row: &EffectiveSetting) -> [String; 3] {
    let value = row.value.as_deref().unwrap_or("-").escape_debug().to_string();
    [row.name.clone(), value, row.source.escape_debug().to_string()]
}
