//! `processor check`: all that is wrong, before anything runs.

use std::ffi::OsString;

use crate::app::Level;
use crate::config::{self, ConfigError, Loaded};
use clap::{ArgMatches, Command};
use serde_json::json;

use crate::app::Exit;
use crate::cli::{flags, output, settings};

/// The arguments.
pub(super) fn arguments() -> Command {
    let command = Command::new("check").about("Validates the configuration, then the cluster");
    flags::with_settings(command)
        .arg(flags::switch("offline", "validates the configuration alone"))
        .arg(flags::switch("strict", "warnings are errors"))
        .arg(flags::switch("json", "writes JSON"))
}

/// Checks the settings, and unless `--offline` the cluster.
pub(super) fn command(arguments: &ArgMatches) -> Exit {
    match (load(arguments), arguments.get_flag("json")) {
        (Err(faults), true) => {
            output::data(json!({ "faults": faults.faults, "warnings": faults.warnings }));
            Exit::Config
        }
        (Err(faults), false) => {
            settings::say_faults(&faults);
            Exit::Config
        }
        (Ok(loaded), json) if arguments.get_flag("offline") => {
            say_good(&loaded, json);
            Exit::Clean
        }
        (Ok(loaded), json) => online(&loaded, json, arguments.get_flag("strict")),
    }
}

/// `--strict` is the setting of that name.
fn load(arguments: &ArgMatches) -> Result<Loaded, ConfigError> {
    let mut flags = flags::flags(arguments);
    if arguments.get_flag("strict") {
        flags.retain(|(name, _)| name != "PROCESSOR_STRICT_CONFIG");
        flags.push(("PROCESSOR_STRICT_CONFIG".to_owned(), OsString::from("true")));
    }
    config::load(std::env::vars_os(), flags)
}

fn say_good(loaded: &Loaded, json: bool) {
    if json {
        output::data(json!({ "faults": [], "warnings": loaded.warnings }));
        return;
    }
    settings::say_warnings(loaded);
    let set = loaded.settings.changed().rows.len();
    output::data(format_args!("settings: good ({} in all, {set} set)", loaded.settings.rows.len()));
    let config = &loaded.config;
    output::data(format_args!("from {} to {}", config.input_topics.join(", "), config.output_topic));
}

/// Asks the cluster too: never joins the group, never writes.
fn online(loaded: &Loaded, json: bool, strict: bool) -> Exit {
    let (findings, exit) = crate::app::check(&loaded.config);
    let warned = findings.iter().any(|finding| finding.level == Level::Warning);
    let exit = if strict && warned && exit == Exit::Clean { Exit::Config } else { exit };
    if json {
        let rows: Vec<_> = findings
            .iter()
            .map(|finding| {
                json!({
                    "what": finding.what,
                    "ok": finding.level != Level::Fault,
                    "warning": finding.level == Level::Warning,
                    "text": finding.text,
                })
            })
            .collect();
        output::data(json!({ "faults": [], "warnings": loaded.warnings, "cluster": rows }));
        return exit;
    }
    say_good(loaded, false);
    for finding in &findings {
        let level = match finding.level {
            Level::Good => "ok  ",
            Level::Warning => "WARN",
            Level::Fault => "FAIL",
        };
        output::data(format_args!("{level} {:<12} {}", finding.what, finding.text));
    }
    if exit == Exit::Clean {
        output::data("ready: processor run");
    }
    exit
}
