//! What all commands do first: read the settings, and say on standard error what is wrong or doubtful about them.

use clap::ArgMatches;
use processor::config::{self, Faults, Loaded, Warnings};

use crate::exit::Exit;
use crate::{arguments, output};

/// The settings from the environment and the flags of this call.
pub fn load(arguments: &ArgMatches) -> Result<Loaded, Faults> {
    config::load(std::env::vars_os(), arguments::flags(arguments))
}

/// The settings for a command that needs them to be right; what is wrong with them is said.
pub fn load_or_say(arguments: &ArgMatches) -> Result<Loaded, Exit> {
    match load(arguments) {
        Ok(loaded) => {
            say_warnings(&loaded);
            Ok(loaded)
        }
        Err(faults) => {
            say_faults(&faults);
            Err(Exit::Config)
        }
    }
}

/// Warnings, if there are any.
pub fn say_warnings(loaded: &Loaded) {
    if !loaded.warnings.is_empty() {
        output::say(Warnings(&loaded.warnings).to_string().trim_end());
    }
}

/// All faults, and where to read on.
pub fn say_faults(faults: &Faults) {
    output::say(format_args!("{faults}see: processor run --help"));
}
