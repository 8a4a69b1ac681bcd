//! The binary: arguments and exit code, nothing else. Each command has a file beside this one.

mod arguments;
#[cfg(feature = "embedded-broker")]
mod broker;
mod check;
mod config;
#[cfg(feature = "embedded-broker")]
mod demo;
mod exit;
mod generate;
mod health;
mod instance;
mod kafka;
mod memory;
mod offsets;
mod output;
mod pace;
mod pen;
mod run;
mod settings;
#[cfg(feature = "embedded-broker")]
mod signals;
mod topics;
mod verify;

use std::process::ExitCode;

use exit::Exit;

fn main() -> ExitCode {
    #[cfg(feature = "planted-bugs")]
    processor::planted::announce();
    let exit = match arguments::command().try_get_matches() {
        Ok(matches) => match matches.subcommand() {
            Some(("run", arguments)) => run::command(arguments),
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
