//! `processor health`: asks a running instance whether it is ready. For container health checks.

use std::time::Duration;

use clap::ArgMatches;
use processor::telemetry::health;

use crate::exit::Exit;
use crate::{output, settings};

const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the instance at `--url`, or the one that these settings would start here.
pub fn command(arguments: &ArgMatches) -> Exit {
    let url = match arguments.get_one::<String>("url") {
        Some(url) => url.clone(),
        // The other settings may be wrong or missing here: only the address matters.
        None => settings::load(arguments)
            .ok()
            .and_then(|loaded| health::address_of(loaded.config.http))
            .unwrap_or_else(|| health::DEFAULT_ADDRESS.to_owned()),
    };
    match health::ask(&url, PATIENCE) {
        Ok(answer) => {
            output::data(format_args!("{}", answer.body.trim_end()));
            if answer.ready { Exit::Clean } else { Exit::Failure }
        }
        Err(error) => {
            output::say(format_args!("error: {error}"));
            Exit::Failure
        }
    }
}
