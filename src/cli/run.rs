//! `processor run`: the service.

use crate::app::{App, Exit};
use crate::cli::{flags, output, settings};
use crate::ops::logging::{self, Stream};
use crate::transform::builtin::Validate;
use crate::transform::{Handler, IntoHandler};
use clap::{Arg, ArgAction, ArgMatches, Command};

/// The built-in transform, whichever the program has. The demo starts its processes with it.
pub(super) const BUILT_IN: &str = "built-in-transform";

/// The arguments.
pub(super) fn arguments() -> Command {
    let built_in = Arg::new(BUILT_IN).long(BUILT_IN).action(ArgAction::SetTrue).hide(true);
    flags::with_settings(Command::new("run").about("Runs until it is told to stop")).arg(built_in)
}

/// Runs until it is told to stop. The log goes to standard output, the reason of a bad end to standard error too.
pub(super) fn command(arguments: &ArgMatches, transform: Handler) -> Exit {
    let loaded = match settings::load_or_say(arguments) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    if let Err(error) = logging::init(&loaded.config.log_filter, loaded.config.log_format, Stream::Stdout) {
        output::say(format_args!("error: {error}"));
        return Exit::Config;
    }
    let transform = if arguments.get_flag(BUILT_IN) { Validate.into_handler() } else { transform };
    let ended = App::new(loaded.config).with_transform(transform).run();
    if !ended.message.is_empty() {
        output::say(format_args!("error: {}", ended.message));
    }
    ended.exit
}
