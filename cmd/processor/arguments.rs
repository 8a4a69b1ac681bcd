//! The command line. Every setting is a flag of every command that reads settings, made from the table of settings;
//! help shows variable and default, never a value that is set.

use std::ffi::OsString;

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::time::Duration;

use processor::config::{self, SETTINGS, Setting};

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
        .subcommand(health())
        .subcommand(crate::offsets::arguments())
        .subcommand(crate::verify::arguments())
        .subcommand(crate::generate::arguments());
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
    let command = Command::new("health")
        .about("Asks a running instance whether it is ready, or alive: exit code 0 or 1");
    let url = Arg::new("url")
        .long("url")
        .value_name("URL")
        .help("where it listens [default: as the instance on this machine was started]");
    with_settings(command)
        .arg(url)
        .arg(switch("live", "asks whether it is alive, for a container's health check"))
}

/// A flag without a value.
pub fn switch(name: &'static str, help: &'static str) -> Arg {
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

/// Short flags of the commands that look at topics, and the settings that they stand for.
const SHORT: [(&str, &str, &str); 5] = [
    ("servers", "KAFKA_SERVERS", "brokers to begin with"),
    ("input", "KAFKA_CONSUMER_TOPICS", "input topics, separated by comma"),
    ("output", "KAFKA_CONSUMER_TOPIC", "output topic"),
    ("dlq", "KAFKA_DLQ_TOPIC", "dead-letter topic, or off"),
    ("group", "KAFKA_GROUP_ID", "consumer group"),
];

/// The settings' own flags, and short ones for some of them.
pub fn with_short(command: Command, names: &[&str]) -> Command {
    let short = SHORT.iter().filter(|(name, ..)| names.contains(name)).map(|(name, setting, help)| {
        let default = format!("{help} [default: {setting}]");
        let arg = Arg::new(*name).long(*name).value_parser(OsStringValueParser::new()).help(default);
        arg.value_name(name.to_ascii_uppercase()).display_order(0)
    });
    with_settings(command.args(short))
}

/// The flags that were given, under the names of their variables.
pub fn flags(arguments: &ArgMatches) -> Vec<(String, OsString)> {
    let value = |id: &str| arguments.try_get_one::<OsString>(id).ok().flatten().cloned();
    let long = SETTINGS.iter().map(variable).filter_map(|name| Some((value(&name)?, name)));
    let mut flags: Vec<_> = long.map(|(value, name)| (name, value)).collect();
    for (short, setting, _) in SHORT {
        if let Some(value) = value(short) {
            flags.retain(|(name, _)| name != setting);
            flags.push((setting.to_owned(), value));
        }
    }
    flags
}

/// `2`, `2%` or `0.5%`, in millionths.
pub fn percent(text: &str) -> Result<u32, &'static str> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok((percent * 10_000.0).round() as u32),
        _ => Err("not a percentage: 0 to 100, such as 2 or 0.5%"),
    }
}

/// A duration with its unit, more than none.
pub fn duration(text: &str) -> Result<Duration, String> {
    let duration = config::duration(text).map_err(|why| format!("{why}: write it such as 30s or 1h30m"))?;
    if duration.is_zero() {
        Err("no time at all: write it such as 30s or 1h30m".to_owned())
    } else {
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_written_with_or_without_its_sign() {
        for (text, millionths) in
            [("2", 20_000), ("2%", 20_000), ("0.5%", 5_000), ("0", 0), ("100 %", 1_000_000)]
        {
            assert_eq!(percent(text), Ok(millionths), "{text}");
        }
        for text in ["", "%", "-1", "101", "NaN", "inf", "two"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }
}
