//! The librdkafka properties of our clients: which there are, what each client gets, which values are refused, and whether librdkafka
//! takes them. What the user sets arrives as [`UserProperty`]; what is wrong with it leaves as [`Refusal`], which knows nothing of
//! variables or flags.

mod clients;
mod guard;
mod property;
mod secret;
mod security;
mod servers;
mod trial;
mod trust;

use std::fmt;
use std::ops::Deref;
use std::path::Path;

pub use self::clients::{ClientProperties, Needs, client_properties};
pub use self::guard::{check_consumer, instead_of_java};
pub use self::property::{Check, Property, Role, all, list, named, of_variable, switch};
pub use self::secret::{secret, without_newline};
pub use self::servers::bootstrap;
pub use self::trial::{is_built, is_taken};
pub use self::trust::MachineTrust;

/// A property that the user sets. Its text may be a secret, hence no `Debug`.
pub struct UserProperty<'a> {
    /// For which clients.
    pub role: Role,
    /// Which one.
    pub property: &'static Property,
    /// The value, as it was written.
    pub text: &'a str,
    /// The file that it came from, if it came from one.
    pub file: Option<&'a str>,
}

/// Why a property, or what is made of several, is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// As in the list of the settings' problems.
    pub code: &'static str,
    /// The property it is about; `None` where librdkafka does not say which.
    pub about: Option<(Role, &'static str)>,
    /// What is wrong.
    pub rule: String,
    /// What to do.
    pub fix: String,
    /// The program runs all the same.
    pub warning: bool,
}

impl UserProperty<'_> {
    /// A refusal of this value.
    fn refused(&self, code: &'static str, rule: impl Into<String>, fix: impl Into<String>) -> Refusal {
        let about = Some((self.role, self.property.canonical));
        Refusal { code, about, rule: rule.into(), fix: fix.into(), warning: false }
    }

    /// Something doubtful about this value.
    fn doubtful(&self, code: &'static str, rule: impl Into<String>, fix: impl Into<String>) -> Refusal {
        Refusal { warning: true, ..self.refused(code, rule, fix) }
    }
}

/// The librdkafka properties of one client. They can be read and not changed: what the guarantees need is among them. Secrets are
/// too, so `Debug` shows only values known to be none.
///
/// ```no_run
/// let loaded = processor::config::load(std::env::vars_os(), vec![]).unwrap();
/// assert_eq!(loaded.config.consumer_properties.get("enable.auto.commit"), Some("false"));
/// ```
///
/// ```compile_fail
/// let mut loaded = processor::config::load(std::env::vars_os(), vec![]).unwrap();
/// loaded.config.consumer_properties.set("enable.auto.commit", "true");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties {
    all: Vec<(String, String)>,
    /// Which of them came from a file, and from which.
    from_files: Vec<(&'static Property, String)>,
}

impl Properties {
    /// The value of this property, under the name it was set by.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The same without these.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        let mut new = self.clone();
        new.all.retain(|(name, _)| !names.contains(&name.as_str()));
        new.from_files.retain(|(property, _)| !names.contains(&property.name));
        new
    }

    /// The same for these bootstrap servers.
    #[must_use]
    pub fn at(&self, servers: &str) -> Self {
        let mut new = self.clone();
        new.set("bootstrap.servers", servers);
        new
    }

    /// The file that a property came from, if it came from one.
    pub fn file_of(&self, name: &str) -> Option<&Path> {
        self.from_files.iter().find(|(property, _)| property.name == name).map(|(_, path)| Path::new(path))
    }

    /// What came from files, by the files that it came from.
    pub fn secrets(&self) -> impl Iterator<Item = (&Path, Option<&str>)> {
        self.from_files.iter().map(|(property, path)| (Path::new(path), self.get(property.name)))
    }

    /// The same with what those files have now; `None` where one of them has nothing that it could be.
    pub fn read_again(&self) -> Option<Self> {
        let mut new = self.clone();
        for (property, path) in &self.from_files {
            let text = property.check.accept(&secret(path).ok()?).ok()?;
            new.all
                .iter_mut()
                .filter(|(name, _)| name == property.name)
                .for_each(|(_, value)| value.clone_from(&text));
        }
        Some(new)
    }

    /// The files and folders that librdkafka reads when a client is made.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let is_path = |name: &str| named(name).is_some_and(|property| property.path);
        self.all.iter().filter(move |(name, _)| is_path(name)).map(|(_, path)| Path::new(path))
    }

    /// Sets a property; another name of the same property goes, as librdkafka would otherwise take either.
    fn set(&mut self, name: &str, value: impl Into<String>) {
        let canonical = canonical(name);
        self.all.retain(|(key, _)| self::canonical(key) != canonical);
        self.from_files.retain(|(property, _)| property.canonical != canonical);
        self.all.push((name.to_owned(), value.into()));
    }
}

impl Deref for Properties {
    type Target = [(String, String)];

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

fn canonical(name: &str) -> &str {
    named(name).map_or(name, |property| property.canonical)
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = |name: &str| named(name).is_some_and(|property| property.public);
        f.debug_map()
            .entries(self.all.iter().map(|(key, value)| (key, if public(key) { value } else { "***" })))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_name_of_a_property_replaces_it() {
        let mut properties = Properties::default();
        properties.set("linger.ms", "5");
        properties.set("queue.buffering.max.ms", "7");
        assert_eq!(properties.len(), 1);
        assert_eq!(properties.get("queue.buffering.max.ms"), Some("7"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut properties = Properties::default();
        properties.set("sasl.password", "hunter2");
        properties.set("linger.ms", "5");
        let text = format!("{properties:?}");
        assert!(!text.contains("hunter2") && text.contains("linger.ms"), "{text}");
    }
}
