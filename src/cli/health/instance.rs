//! The instance that runs on this machine, and where it listens. A health check has the environment of its container, but not
//! the flags that the instance was started with: so its process is looked for, and read as it was started.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::{self, ConfigError};
use crate::ops::Http;
use clap::{ArgMatches, Command};

use super::ask::address_of;
use crate::cli::{flags, run};

const ADDRESS: &str = "PROCESSOR_HTTP_ADDR";

/// Where to ask.
pub(super) enum Place {
    /// At this address.
    At(String),
    /// An instance runs, and has no listener.
    Nowhere,
    /// There is none, and there would be no listener.
    Absent,
    /// Which of these is meant cannot be told.
    Several(Vec<String>),
}

/// The place that the flags of this call name; else that of the instance which runs here, of this program and with the same
/// `PROCESSOR_HTTP_ADDR` in its environment; else where one with this environment would listen.
///
/// # Errors
/// When the address that was given is none.
pub(super) fn find(own: &ArgMatches) -> Result<Place, ConfigError> {
    let flags = flags::flags(own);
    let flag = flags.iter().any(|(name, _)| name == ADDRESS);
    let asked = config::http(std::env::vars_os(), flags)?;
    let running = if flag { BTreeSet::new() } else { running() };
    let mut places = running.into_iter();
    Ok(match (places.next(), places.len()) {
        (None, _) => address_of(asked).map_or(Place::Absent, Place::At),
        (Some(place), 0) => place.map_or(Place::Nowhere, Place::At),
        (Some(place), _) => Place::Several(place.into_iter().chain(places.flatten()).collect()),
    })
}

/// Where the instances listen that run here. Processes that may not be looked at are left out.
fn running() -> BTreeSet<Option<String>> {
    let Ok(all) = fs::read_dir("/proc") else { return BTreeSet::new() };
    let own = file(Path::new("/proc/self"));
    let same = |process: &Path| own.is_some() && file(process) == own;
    let processes = all.flatten().map(|entry| entry.path());
    processes
        .filter(|process| same(process))
        .filter_map(|process| listener(&process))
        .map(address_of)
        .collect()
}

/// Device and inode of the program that a process runs.
fn file(process: &Path) -> Option<(u64, u64)> {
    let meta = fs::metadata(process.join("exe")).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// The listener of a process that is an instance.
fn listener(process: &Path) -> Option<Http> {
    let started = Command::new("processor")
        .subcommand(run::arguments())
        .try_get_matches_from(words(&process.join("cmdline"))?)
        .ok()?;
    let run = started.subcommand_matches("run")?;
    let environment: Vec<_> = words(&process.join("environ"))?.into_iter().filter_map(variable).collect();
    let address = environment.iter().find(|(name, _)| name == ADDRESS).map(|(_, value)| value.clone());
    if address != std::env::var_os(ADDRESS) {
        return None;
    }
    config::http(environment, flags::flags(run)).ok()
}

/// What stands in a file of `/proc`, each word behind the other with a NUL at its end.
fn words(path: &Path) -> Option<Vec<OsString>> {
    let bytes = fs::read(path).ok()?;
    let text = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    Some(text.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect())
}

fn variable(word: OsString) -> Option<(OsString, OsString)> {
    let word = word.into_vec();
    let at = word.iter().position(|byte| *byte == b'=')?;
    Some((OsString::from_vec(word[..at].to_vec()), OsString::from_vec(word[at + 1..].to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_ends_at_its_first_sign() {
        let split = |word: &str| variable(word.into());
        assert_eq!(split("A=b=c"), Some(("A".into(), "b=c".into())));
        assert_eq!(split("A="), Some(("A".into(), "".into())));
        assert_eq!(split("A"), None);
    }
}
