//! The table of settings in words: the rule of each kind, the line in help, and the reference's table.

use super::table::{Kind, SETTINGS, Setting};
use crate::kafka::properties;

impl Kind {
    /// What is allowed, as the end of "Expected …".
    pub fn rule(&self) -> String {
        match self {
            Self::Servers => "host:port, separated by comma or blank, such as kafka-1:9092,kafka-2".into(),
            Self::Group => "any text, such as orders-enricher".into(),
            Self::Name => "letters, digits and ._- , such as orders-enricher-3".into(),
            Self::Topics => "topic names, separated by comma or blank".into(),
            Self::Topic { off: false } => "a topic name".into(),
            Self::Topic { off: true } => "a topic name, or off".into(),
            Self::Count { min, max, auto: false } => format!("{min}–{max}"),
            Self::Count { min, max, auto: true } => format!("{min}–{max}, or auto"),
            Self::Duration { min, max } => format!("{min}–{max}, such as 250ms, 30s or 1h30m"),
            Self::Size { min, max } => format!("{min}–{max}, such as 64MiB or 65536"),
            Self::Switch => "true or false".into(),
            Self::Choice(words) => words.join(", "),
            Self::Address => "host:port, such as 127.0.0.1:8890, or off".into(),
            Self::Filter => "a level or target=level, such as info,processor=debug".into(),
            Self::Property(name) => properties::named(name).map(|p| p.check.rule()).unwrap_or_default(),
        }
    }

    /// What stands for the value in help.
    pub fn placeholder(&self) -> &'static str {
        match self {
            Self::Servers => "HOSTS",
            Self::Topics => "TOPICS",
            Self::Topic { .. } => "TOPIC",
            Self::Count { .. } => "N",
            Self::Duration { .. } => "DURATION",
            Self::Size { .. } => "SIZE",
            Self::Switch => "BOOL",
            Self::Choice(_) => "WORD",
            Self::Address => "ADDR",
            Self::Group | Self::Name | Self::Filter | Self::Property(_) => "TEXT",
        }
    }
}

impl Setting {
    /// Whether its value must never be shown; such a setting has a `_FILE` twin, and only that as a flag.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Property(name) if properties::named(name).is_some_and(|p| p.secret))
    }

    /// The line in help: meaning, variable, default. Never the value that is set.
    pub fn help(&self) -> String {
        let name = if self.is_secret() { format!("{}_FILE", self.name) } else { self.name.to_owned() };
        let meaning = if self.is_secret() {
            format!("file with the {}", self.meaning)
        } else {
            self.meaning.to_owned()
        };
        let words = match self.kind {
            Kind::Choice(_) | Kind::Property("security.protocol" | "sasl.mechanism") => {
                format!(": {}", self.kind.rule())
            }
            _ => String::new(),
        };
        format!("{meaning}{words} [env: {name}] [{}]", self.default_words())
    }

    fn default_words(&self) -> String {
        match self.default_text() {
            word @ ("required" | "unset") => word.to_owned(),
            text => format!("default: {text}"),
        }
    }
}

/// The table of settings in the reference.
pub fn markdown() -> String {
    let mut text = String::from("| variable | default | allowed | meaning |\n| --- | --- | --- | --- |\n");
    for setting in SETTINGS {
        let names: Vec<String> = names(setting).map(|name| format!("`{name}`")).collect();
        let default = match setting.default_text() {
            word @ ("required" | "unset") => word.to_owned(),
            value => format!("`{value}`"),
        };
        let [allowed, meaning] =
            [&setting.kind.rule(), setting.meaning].map(|words| words.replace('<', "&lt;"));
        text.push_str(&format!("| {} | {default} | {allowed} | {meaning} |\n", names.join(", ")));
    }
    text
}

fn names(setting: &'static Setting) -> impl Iterator<Item = String> {
    let twin = setting.is_secret().then(|| format!("{}_FILE", setting.name));
    std::iter::once(setting.name).chain(setting.aliases.iter().copied()).map(str::to_owned).chain(twin)
}

#[cfg(test)]
mod tests {
    #[test]
    fn help_names_variable_and_default() {
        let help = super::super::table::setting("WORKER_POOL").help();
        assert_eq!(help, "transforms that run at a time [env: WORKER_POOL] [default: 6]");
    }
}
