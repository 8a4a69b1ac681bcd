//! `processor config`: the settings in effect and where each comes from, secrets masked. It shows them even if some are
//! wrong, because that is when one wants to see them.

use crate::config::{ConfigError, EffectiveSettings};
use clap::{ArgMatches, Command};
use serde_json::json;

use crate::app::Exit;
use crate::cli::{flags, output, settings};

/// The arguments.
pub(super) fn arguments() -> Command {
    let command = Command::new("config").about("Shows the settings in effect, and the source of each");
    flags::with_settings(command)
        .arg(flags::switch("changed", "shows only what is not a default"))
        .arg(flags::switch("json", "writes JSON"))
}

/// Shows the settings.
pub(super) fn command(arguments: &ArgMatches) -> Exit {
    let (mut settings, faults) = match settings::load(arguments) {
        Ok(loaded) => {
            settings::say_warnings(&loaded);
            (loaded.settings, None)
        }
        Err(faults) => (faults.settings.clone(), Some(faults)),
    };
    if arguments.get_flag("changed") {
        settings = settings.changed();
    }
    show(&settings, faults.as_ref(), arguments.get_flag("json"));
    match faults {
        Some(faults) => {
            settings::say_faults(&faults);
            Exit::Config
        }
        None => Exit::Clean,
    }
}

fn show(settings: &EffectiveSettings, faults: Option<&ConfigError>, json: bool) {
    if json {
        let faults = faults.map(|faults| faults.faults.as_slice()).unwrap_or_default();
        output::data(format_args!("{:#}", json!({ "settings": settings, "faults": faults })));
    } else {
        output::data(settings.to_string().trim_end());
    }
}
