//! `processor health`: asks a running instance whether it is ready, or alive. For container health checks.

use std::time::Duration;

use clap::ArgMatches;
use processor::telemetry::health::{self, Question};

use crate::exit::Exit;
use crate::instance::{self, Place};
use crate::{output, settings};

const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the instance at `--url`, or the one on this machine.
pub fn command(arguments: &ArgMatches) -> Exit {
    let question = if arguments.get_flag("live") { Question::Live } else { Question::Ready };
    let place = arguments.get_one::<String>("url").cloned().map(Place::At);
    match place.map_or_else(|| instance::find(arguments), Ok) {
        Ok(Place::At(address)) => ask(&address, question),
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

fn ask(address: &str, question: Question) -> Exit {
    match health::ask(address, question, PATIENCE) {
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
