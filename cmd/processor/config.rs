//! `processor config`: the settings in effect and where each comes from, secrets masked. It shows them even if some are
//! wrong, because that is when one wants to see them.

use clap::ArgMatches;
use processor::config::{Faults, Settings};
use serde_json::json;

use crate::exit::Exit;
use crate::{output, settings};

/// Shows the settings.
pub fn command(arguments: &ArgMatches) -> Exit {
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

fn show(settings: &Settings, faults: Option<&Faults>, json: bool) {
    if json {
        let faults = faults.map(|faults| faults.faults.as_slice()).unwrap_or_default();
        output::data(format_args!("{:#}", json!({ "settings": settings, "faults": faults })));
    } else {
        output::data(settings.to_string().trim_end());
    }
}
