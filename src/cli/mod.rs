//! The command line: one file a command, and [`main`], which a program with a transform of its own calls too.

#[cfg(feature = "embedded-broker")]
mod broker;
mod check;
mod config;
#[cfg(feature = "embedded-broker")]
mod demo;
mod flags;
mod generate;
mod generator;
pub(crate) mod health;
mod kafka;
mod memory;
mod offsets;
mod output;
mod run;
mod settings;
#[cfg(feature = "embedded-broker")]
mod signals;
pub mod stamp;
mod topics;
mod verify;

use std::process::ExitCode;

use clap::Command;

use crate::app::Exit;
use crate::transform::IntoHandler;

const QUICK_START: &str = "\
Turns one Kafka topic into another: every record through a worker pool, in order per key, none lost.

Quick start:
  export KAFKA_SERVERS=localhost:9092 KAFKA_GROUP_ID=my-group
  export KAFKA_INPUT_TOPICS=orders KAFKA_OUTPUT_TOPIC=orders.valid
  export KAFKA_OFFSET_RESET=earliest             # where a group without committed offsets begins
  processor check && processor run";

/// What needs no Kafka, where it is built in.
const SEE_IT_RUN: &str = if cfg!(feature = "embedded-broker") {
    "\n\nSee it run, with nothing installed:\n  processor demo"
} else {
    ""
};

/// The exit codes, at the end of the help. What each of them means is [`Exit`]'s.
const EXIT_CODES: &str = "Exit codes:
  0 done  1 failed while running  2 usage  65 not to be judged  69 broker or topic missing  70 a bug of ours
  75 drained with records left, or fenced  77 authentication or permission  78 configuration";

/// The whole program around a transform: reads environment and flags, executes the command that they name (`run`, `check`, `config`,
/// `health`, `offsets`, `verify`, `generate`, and with the feature `embedded-broker` also `demo` and `broker`), and returns its exit
/// code. `run` logs, stops at SIGTERM, SIGINT and SIGHUP, and applies `transform`, which is a [`Transform`](crate::Transform) or an
/// [`AsyncTransform`](crate::AsyncTransform). `demo` always shows the built-in transform, as its records are made for that one.
///
/// The transform is made before the command is known: a health check makes one too. What takes long (a connection, a model) is
/// better made when the first record comes, in a [`LazyLock`](std::sync::LazyLock).
///
/// ```no_run
/// use processor::{Context, Outcome, Record, Transform};
///
/// struct Upper;
///
/// impl Transform for Upper {
///     fn apply(&self, record: &Record, _: &Context) -> Outcome {
///         match record.value() {
///             Some(value) => Outcome::value(value.to_ascii_uppercase()),
///             None => Outcome::reject("tombstone", "the record has no value"),
///         }
///     }
/// }
///
/// fn main() -> std::process::ExitCode {
///     processor::main(Upper)
/// }
/// ```
pub fn main<Kind: ?Sized>(transform: impl IntoHandler<Kind>) -> ExitCode {
    #[cfg(feature = "planted-bugs")]
    crate::planted::announce();
    let exit = match command().try_get_matches() {
        Ok(matches) => match matches.subcommand() {
            Some(("run", arguments)) => run::command(arguments, transform.into_handler()),
            Some(("check", arguments)) => check::command(arguments),
            Some(("config", arguments)) => config::command(arguments),
            Some(("health", arguments)) => health::command(arguments),
            Some(("verify", arguments)) => verify::command(arguments),
            Some(("offsets", arguments)) => offsets::command(arguments),
            Some(("generate", arguments)) => generate::command(arguments),
            #[cfg(feature = "embedded-broker")]
            Some(("demo", arguments)) => demo::command(arguments),
            #[cfg(feature = "embedded-broker")]
            Some(("broker", arguments)) => broker::command(arguments),
            _ => Exit::Usage,
        },
        Err(error) => {
            // Help and version are no errors; what cannot be printed cannot be reported either.
            let _ = error.print();
            if error.use_stderr() { Exit::Usage } else { Exit::Clean }
        }
    };
    exit.into()
}

/// The whole command line.
fn command() -> Command {
    let version = format!("{} (librdkafka {})", env!("CARGO_PKG_VERSION"), crate::app::librdkafka_version());
    let command = Command::new("processor")
        .version(version)
        .about("Turns one Kafka topic into another")
        .before_help([QUICK_START, SEE_IT_RUN].concat())
        .help_template("{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}")
        .after_help(format!("Settings, as variables and flags: processor run --help\n\n{EXIT_CODES}"))
        .arg_required_else_help(true)
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(run::arguments())
        .subcommand(check::arguments())
        .subcommand(config::arguments())
        .subcommand(health::arguments())
        .subcommand(offsets::arguments())
        .subcommand(verify::arguments())
        .subcommand(generate::arguments());
    #[cfg(feature = "embedded-broker")]
    let command = command.subcommand(demo::arguments()).subcommand(broker::arguments());
    command
}
