//! `processor run`: the service.

use clap::ArgMatches;
use processor::app::App;
use processor::telemetry::logging::{self, Stream};

use crate::exit::Exit;
use crate::{output, settings};

/// Runs until it is told to stop. The log goes to standard output, the reason of a bad end to standard error too.
pub fn command(arguments: &ArgMatches) -> Exit {
    let loaded = match settings::load_or_say(arguments) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    if let Err(error) = logging::init(&loaded.config.log_filter, loaded.config.log_format, Stream::Stdout) {
        output::say(format_args!("error: {error}"));
        return Exit::Config;
    }
    let ended = App::new(loaded.config).run();
    if !ended.message.is_empty() {
        output::say(format_args!("error: {}", ended.message));
    }
    ended.exit
}
