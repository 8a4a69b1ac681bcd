//! What all commands do first: read the settings, and say on standard error what is wrong or doubtful about them.

use std::ffi::OsString;

use crate::config::{self, ConfigError, Loaded, SETTINGS, Warnings};
use clap::ArgMatches;

use crate::app::Exit;
use crate::cli::{flags, output};

/// The settings from the environment and the flags of this call.
pub(super) fn load(arguments: &ArgMatches) -> Result<Loaded, ConfigError> {
    config::load(std::env::vars_os(), flags::flags(arguments))
}

/// The settings for a command that needs them to be right; what is wrong with them is said.
pub(super) fn load_or_say(arguments: &ArgMatches) -> Result<Loaded, Exit> {
    load_with(arguments, &[]).map(|(loaded, _)| loaded)
}

/// The settings for a command that needs only some of those that are required: `stand_ins` stand for what was not given.
/// Also says for which of them they do.
pub(super) fn load_with(
    arguments: &ArgMatches,
    stand_ins: &[(&'static str, &str)],
) -> Result<(Loaded, Vec<&'static str>), Exit> {
    let mut flags = flags::flags(arguments);
    let missing = stand_ins.iter().filter(|(name, _)| !is_given(name, &flags)).copied().collect::<Vec<_>>();
    flags.extend(missing.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))));
    match config::load(std::env::vars_os(), flags) {
        Ok(loaded) => {
            say_warnings(&loaded);
            Ok((loaded, missing.into_iter().map(|(name, _)| name).collect()))
        }
        Err(faults) => {
            say_faults(&faults);
            Err(Exit::Config)
        }
    }
}

fn is_given(name: &str, flags: &[(String, OsString)]) -> bool {
    let setting = SETTINGS.iter().find(|setting| setting.name == name);
    let aliases = setting.map(|setting| setting.aliases).unwrap_or_default();
    let in_environment = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    flags.iter().any(|(flag, _)| flag == name)
        || in_environment(name)
        || aliases.iter().any(|alias| in_environment(alias))
}

/// Warnings, if there are any.
pub(super) fn say_warnings(loaded: &Loaded) {
    if !loaded.warnings.is_empty() {
        output::say(Warnings(&loaded.warnings).to_string().trim_end());
    }
}

/// All faults, and where to read on.
pub(super) fn say_faults(faults: &ConfigError) {
    output::say(format_args!("{faults}see: processor run --help"));
}
