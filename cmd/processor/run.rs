//! `processor run`: the service.

use clap::ArgMatches;

use crate::exit::Exit;
use crate::settings;

/// Runs until it is told to stop.
pub fn command(arguments: &ArgMatches) -> Exit {
    match settings::load_or_say(arguments) {
        Ok(_) => {
            eprintln!("error: run is not built yet");
            Exit::Failure
        }
        Err(exit) => exit,
    }
}
