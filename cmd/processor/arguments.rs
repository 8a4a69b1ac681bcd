//! The command line. Every setting is a flag of every command that reads settings, made from the table of settings;
//! help shows variable and default, never a value that is set.

use std::ffi::OsString;

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use processor::config::{SETTINGS, Setting};

use crate::exit;

const QUICK_START: &str = "\
Turns one Kafka topic into another: every record through a worker pool, in order per key, none lost.

Quick start:
  export KAFKA_SERVERS=localhost:9092 KAFKA_GROUP_ID=my-group
  export KAFKA_CONSUMER_TOPICS=orders            # input topics
  export KAFKA_OUTPUT_TOPIC=orders.valid         # KAFKA_CONSUMER_TOPIC is its historic name
  export KAFKA_OFFSET_RESET=earliest             # where a new group begins
  processor check && processor run";

/// What needs no Kafka, where it is built in.
const SEE_IT_RUN: &str = if cfg!(feature = "embedded-broker") {
    "\n\nSee it run, with nothing installed:\n  processor demo"
} else {
    ""
};

fn version() -> String {
    format!("{} (librdkafka {})", env!("CARGO_PKG_VERSION"), processor::app::librdkafka_version())
}

/// The whole command line.
pub fn command() -> Command {
    let command = Command::new("processor")
        .version(version())
        .about("Turns one Kafka topic into another")
        .before_help([QUICK_START, SEE_IT_RUN].concat())
        .help_template("{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}")
        .after_help(format!("Settings, as variables and flags: processor run --help\n\n{}", exit::TABLE))
        .arg_required_else_help(true)
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(with_settings(Command::new("run").about("Runs until it is told to stop")))
        .subcommand(check())
        .subcommand(config())
        .subcommand(health());
    #[cfg(feature = "embedded-broker")]
    let command = command.subcommand(crate::demo::arguments()).subcommand(crate::broker::arguments());
    command
}

fn check() -> Command {
    let command =
        Command::new("check").about("Says all that is wrong with the settings, and then with the cluster");
    with_settings(command)
        .arg(switch("offline", "looks at the settings alone"))
        .arg(switch("strict", "warnings are faults too"))
        .arg(switch("json", "writes JSON"))
}

fn config() -> Command {
    let command = Command::new("config").about("Shows the settings in effect and where each comes from");
    with_settings(command)
        .arg(switch("changed", "shows only what is not a default"))
        .arg(switch("json", "writes JSON"))
}

fn health() -> Command {
    let command =
        Command::new("health").about("Asks a running instance whether it is ready: exit code 0 or 1");
    let url =
        Arg::new("url").long("url").value_name("URL").help("where it listens [default: PROCESSOR_HTTP_ADDR]");
    with_settings(command).arg(url)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn with_settings(command: Command) -> Command {
    command.args_override_self(true).args(SETTINGS.iter().map(flag))
}

fn flag(setting: &'static Setting) -> Arg {
    let id = variable(setting);
    Arg::new(&id)
        .long(id.to_ascii_lowercase().replace('_', "-"))
        .value_name(if setting.is_secret() { "FILE" } else { setting.kind.placeholder() })
        .value_parser(OsStringValueParser::new())
        .allow_hyphen_values(true)
        .help_heading(setting.group)
        .help(setting.help())
}

/// The variable that the flag of a setting stands for: of a secret its file, as a command line can be read by everybody.
fn variable(setting: &Setting) -> String {
    if setting.is_secret() { format!("{}_FILE", setting.name) } else { setting.name.to_owned() }
}

/// The flags that were given, under the names of their variables.
pub fn flags(arguments: &ArgMatches) -> Vec<(String, OsString)> {
    let value = |name: String| Some((arguments.get_one::<OsString>(&name)?.clone(), name));
    SETTINGS
        .iter()
        .filter_map(|setting| value(variable(setting)))
        .map(|(value, name)| (name, value))
        .collect()
}
