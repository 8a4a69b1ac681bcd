//! What the commands' arguments have in common. Every setting is a flag of every command that reads settings, made from the table of
//! settings; help shows variable and default, never a value that is set.

use std::ffi::OsString;
use std::time::Duration;

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::{self, SETTINGS, Setting};

/// A flag without a value.
pub(super) fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// With a flag for each setting.
pub(super) fn with_settings(command: Command) -> Command {
    command.args_override_self(true).args(SETTINGS.iter().map(flag))
}

fn flag(setting: &'static Setting) -> Arg {
    Arg::new(setting.variable())
        .long(setting.flag())
        .aliases(setting.other_flags())
        .hide(!setting.is_shown)
        .value_name(if setting.is_secret() { "FILE" } else { setting.placeholder })
        .value_parser(OsStringValueParser::new())
        .allow_hyphen_values(true)
        .help_heading(setting.group)
        .help(setting.help())
}

/// Short flags of the commands that look at topics, and the settings that they stand for.
const SHORT: [(&str, &str, &str); 5] = [
    ("servers", "KAFKA_SERVERS", "bootstrap servers: host:port, separated by commas"),
    ("input", "KAFKA_INPUT_TOPICS", "input topics, separated by commas"),
    ("output", "KAFKA_OUTPUT_TOPIC", "output topic"),
    ("dlq", "KAFKA_DLQ_TOPIC", "dead-letter topic, or off"),
    ("group", "KAFKA_GROUP_ID", "consumer group"),
];

/// The settings' own flags, and short ones for some of them.
pub(super) fn with_short(command: Command, names: &[&str]) -> Command {
    let short = SHORT.iter().filter(|(name, ..)| names.contains(name)).map(|(name, setting, help)| {
        let default = format!("{help} [default: {setting}]");
        let arg = Arg::new(*name).long(*name).value_parser(OsStringValueParser::new()).help(default);
        arg.value_name(name.to_ascii_uppercase()).display_order(0)
    });
    with_settings(command.args(short))
}

/// The flags that were given, under the names of their variables.
pub(super) fn flags(arguments: &ArgMatches) -> Vec<(String, OsString)> {
    let value = |id: &str| arguments.try_get_one::<OsString>(id).ok().flatten().cloned();
    let long = SETTINGS.iter().map(Setting::variable).filter_map(|name| Some((value(&name)?, name)));
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
pub(super) fn percent(text: &str) -> Result<u32, &'static str> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok((percent * 10_000.0).round() as u32),
        _ => Err("not a percentage: 0 to 100, such as 2 or 0.5%"),
    }
}

/// A duration with its unit, more than none.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
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
