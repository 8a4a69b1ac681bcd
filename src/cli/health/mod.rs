//! `processor health`: asks a running instance whether it is ready, or alive. For container health checks.

pub(crate) mod ask;
mod instance;

use std::time::Duration;

use crate::app::Exit;
use crate::cli::{flags, output, settings};
use ask::{Question, ask};
use clap::{Arg, ArgMatches, Command};
use instance::Place;

const PATIENCE: Duration = Duration::from_secs(3);

/// The arguments.
pub(crate) fn arguments() -> Command {
    let command = Command::new("health")
        .about("Asks a running instance whether it is ready, or alive: exit code 0 or 1");
    let url = Arg::new("url")
        .long("url")
        .value_name("URL")
        .help("where it listens [default: as the instance on this machine was started]");
    flags::with_settings(command)
        .arg(url)
        .arg(flags::switch("live", "asks whether it is alive, for a container's health check"))
}

/// Asks the instance at `--url`, or the one on this machine.
pub(crate) fn command(arguments: &ArgMatches) -> Exit {
    let question = if arguments.get_flag("live") { Question::Live } else { Question::Ready };
    let place = arguments.get_one::<String>("url").cloned().map(Place::At);
    match place.map_or_else(|| instance::find(arguments), Ok) {
        Ok(Place::At(address)) => report(&address, question),
        Ok(Place::Nowhere) if question == Question::Live => {
            output::data("an instance runs; more is not known, as PROCESSOR_HTTP_ADDR is off");
            Exit::Clean
        }
        Ok(Place::Nowhere) => fail("whether it is ready cannot be asked: PROCESSOR_HTTP_ADDR is off"),
        Ok(Place::Absent) => fail("no instance of this program runs here, and PROCESSOR_HTTP_ADDR is off"),
        Ok(Place::Several(addresses)) => {
            fail(&format!("several instances run here: pass --url with one of {}", addresses.join(" ")))
        }
        Err(faults) => {
            settings::say_faults(&faults);
            Exit::Failure
        }
    }
}

fn report(address: &str, question: Question) -> Exit {
    match ask(address, question, PATIENCE) {
        Ok(answer) => {
            output::data(answer.body.trim_end());
            if answer.yes { Exit::Clean } else { Exit::Failure }
        }
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(text: &str) -> Exit {
    output::say(format_args!("error: {text}"));
    Exit::Failure
}
