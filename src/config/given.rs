//! What the user gave: environment and flags brought together under the names of the table, one value each. Flags win,
//! aliases are folded, files are read, empty is unset.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::names::{self, Key, Known, Subject};
use super::problem::{Problems, SettingProblem};
use crate::kafka::properties::{self, MachineTrust, Property, Refusal, Role, UserProperty};

/// A value that somebody gave. It may be a secret, hence no `Debug`.
#[derive(Clone)]
pub(super) struct GivenValue {
    pub subject: Subject,
    /// The variable or flag as the user typed it.
    pub typed: String,
    pub text: String,
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Environment,
    Flag,
    /// The `_FILE` twin named this path.
    File(String),
}

/// The values that won, and the names that were there with nothing in them.
#[derive(Default)]
pub(super) struct GivenSettings {
    values: BTreeMap<Key, GivenValue>,
    empty: BTreeMap<Key, String>,
    /// Where the machine says that its trusted authorities are.
    pub trust: MachineTrust,
}

impl GivenValue {
    /// A problem of this value, which is masked if it has to be.
    pub(super) fn wrong(
        &self,
        code: &'static str,
        rule: impl Into<String>,
        fix: impl Into<String>,
    ) -> SettingProblem {
        SettingProblem {
            value: Some(self.subject.shown(&self.text)),
            origin: Some(self.origin.words().to_owned()),
            ..SettingProblem::new(code, &self.typed, rule, fix)
        }
    }
}

impl Origin {
    /// As the end of "from …".
    fn words(&self) -> &'static str {
        match self {
            Self::Environment => "the environment",
            Self::Flag => "a flag",
            Self::File(_) => "a file",
        }
    }

    fn file(&self) -> Option<&str> {
        match self {
            Self::File(path) => Some(path),
            Self::Environment | Self::Flag => None,
        }
    }
}

impl GivenSettings {
    /// The properties that were given, those for both clients first.
    pub(super) fn properties(&self) -> impl Iterator<Item = (Role, &'static Property, &GivenValue)> {
        self.values.values().filter_map(|value| match value.subject {
            Subject::Property(role, property) => Some((role, property, value)),
            Subject::Setting(_) => None,
        })
    }

    /// The same, as the clients' properties are made of them.
    pub(super) fn user_properties(&self) -> Vec<UserProperty<'_>> {
        self.properties()
            .map(|(role, property, value)| UserProperty {
                role,
                property,
                text: &value.text,
                file: value.origin.file(),
            })
            .collect()
    }

    /// A refusal under the name that the user typed.
    pub(super) fn problem(&self, refusal: Refusal) -> SettingProblem {
        let Refusal { code, about, rule, fix, .. } = refusal;
        let Some((role, name)) = about else { return SettingProblem::new(code, "librdkafka", rule, fix) };
        match (self.get((role, name)), properties::named(name)) {
            (Some(value), _) => value.wrong(code, rule, fix),
            (None, Some(property)) => SettingProblem::new(code, property.variable(role), rule, fix),
            (None, None) => SettingProblem::new(code, name, rule, fix),
        }
    }

    /// The value under this key.
    pub(super) fn get(&self, key: Key) -> Option<&GivenValue> {
        self.values.get(&key)
    }

    /// The text of a setting of the table.
    pub(super) fn text(&self, name: &'static str) -> Option<&str> {
        self.get((Role::Both, name)).map(|value| value.text.as_str())
    }

    /// The name under which this key was given with nothing in it.
    pub(super) fn empty(&self, key: Key) -> Option<&str> {
        self.empty.get(&key).map(String::as_str)
    }
}

/// Somebody's word on one subject, before it is known which word counts.
struct Offer {
    value: GivenValue,
    /// The text is the path of a file with the value.
    file: bool,
}

/// Brings environment and flags together. Flags are named as their variables are.
pub(super) fn collect(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    flags: Vec<(String, OsString)>,
    problems: &mut Problems,
) -> GivenSettings {
    let mut given = GivenSettings::default();
    let mut offers: BTreeMap<Key, Vec<Offer>> = BTreeMap::new();
    for (name, text) in flags {
        let typed = format!("--{}", name.to_ascii_lowercase().replace('_', "-"));
        match names::resolve(&name) {
            Some(known) => sort_in(known, typed, &text, Origin::Flag, &mut offers, &mut given, problems),
            None => {
                problems.fault(SettingProblem::new("PC007", typed, "unknown", "See processor run --help."))
            }
        }
    }
    // Sorted, so that the same environment is always problemsed in the same order.
    let environment: BTreeMap<OsString, OsString> = environment.into_iter().collect();
    for (name, text) in environment {
        read_variable(&name, &text, &mut offers, &mut given, problems);
    }
    for (key, offers) in offers {
        if let Some(value) = choose(offers, problems) {
            given.empty.remove(&key);
            given.values.insert(key, value);
        }
    }
    given
}

fn read_variable(
    name: &OsStr,
    text: &OsStr,
    offers: &mut BTreeMap<Key, Vec<Offer>>,
    given: &mut GivenSettings,
    problems: &mut Problems,
) {
    let Some(typed) = name.to_str() else {
        let lossy = name.to_string_lossy();
        if names::looks_ours(&lossy) {
            problems.warn(SettingProblem::new(
                "PC008",
                lossy,
                "a name that is not UTF-8, and has no effect",
                "Remove it.",
            ));
        }
        return;
    };
    given.trust.note(typed, &text.to_string_lossy());
    if let Some(known) = names::resolve(typed) {
        return sort_in(known, typed.to_owned(), text, Origin::Environment, offers, given, problems);
    }
    names::judge(typed, &text.to_string_lossy()).into_iter().for_each(|problem| problems.warn(problem));
}

fn sort_in(
    known: Known,
    typed: String,
    text: &OsStr,
    origin: Origin,
    offers: &mut BTreeMap<Key, Vec<Offer>>,
    given: &mut GivenSettings,
    problems: &mut Problems,
) {
    let Some(text) = text.to_str() else {
        return problems.fault(SettingProblem::new("PC008", typed, "not UTF-8", "Write it again as UTF-8."));
    };
    // A blank may belong to a password; the newline at the end of it hardly does.
    let secret = known.subject.is_secret() && !known.file;
    let text = if secret { properties::without_newline(text) } else { text.trim() };
    let key = known.subject.key();
    if text.trim().is_empty() {
        given.empty.insert(key, typed);
        return;
    }
    let value = GivenValue { subject: known.subject, typed, text: text.to_owned(), origin };
    offers.entry(key).or_default().push(Offer { value, file: known.file });
}

/// The word that counts among those on one subject: a flag's before a variable's; among equals they must agree.
fn choose(mut offers: Vec<Offer>, problems: &mut Problems) -> Option<GivenValue> {
    if offers.iter().any(|offer| offer.value.origin == Origin::Flag) {
        offers.retain(|offer| offer.value.origin == Origin::Flag);
    }
    let mut offers = offers.into_iter();
    let first = offers.next()?;
    for other in offers {
        let (one, two) = (&first.value, &other.value);
        if first.file != other.file {
            let rule = format!("given beside {}", one.typed);
            problems.fault(SettingProblem::new("PC004", &two.typed, rule, "Set one of them."));
        } else if one.text != two.text {
            problems.fault(two.wrong("PC004", format!("differs from {}", one.typed), "Set one of them."));
        }
    }
    if first.file { read_file(first.value, problems) } else { Some(first.value) }
}

/// Replaces the path by what the file has. The path is not repeated in a fault: it may be the secret itself, given to the
/// wrong variable.
fn read_file(value: GivenValue, problems: &mut Problems) -> Option<GivenValue> {
    match properties::secret(&value.text) {
        Ok(text) => Some(GivenValue { origin: Origin::File(value.text), text, ..value }),
        Err(why) => {
            problems.fault(SettingProblem {
                value: Some("***".into()),
                ..SettingProblem::new("PC011", &value.typed, why, FILE_FIX)
            });
            None
        }
    }
}

const FILE_FIX: &str = "Name a file that this user may read and that has the secret in it.";
