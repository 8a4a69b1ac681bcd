//! How the process ended, for its exit code and its last words.

use std::process::ExitCode;
use std::time::Duration;

use super::Event;
use crate::source::kafka::{ShutdownReport, Trouble};

/// The exit codes, after sysexits, so that a script or an orchestrator can tell what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// Everything that was begun is finished and committed.
    Clean = 0,
    /// It failed while running.
    Failure = 1,
    /// Called in a way that does not exist: the command line's own.
    Usage = 2,
    /// The data do not say enough to be judged: `processor verify`.
    Unjudged = 65,
    /// Something outside is missing: a topic, or every broker.
    Missing = 69,
    /// Our own bug.
    Bug = 70,
    /// Records were left when the drain time was over, or another process took this one's place.
    LeftOver = 75,
    /// Not allowed.
    Denied = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// For the shell.
    pub exit: Exit,
    /// For people; empty where all has been said.
    pub message: String,
}

impl Ended {
    /// With an exit code and a reason.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    pub(super) fn bug(text: &str) -> Self {
        Self::new(Exit::Bug, format!("internal error, stopped without committing: {text}"))
    }
}

/// What an event says to people.
pub(super) fn reason(cause: &Event) -> String {
    match cause {
        Event::Signal => "stopped by a signal".to_owned(),
        Event::Trouble(
            Trouble::Undecided(text) | Trouble::Denied(text) | Trouble::Fenced(text) | Trouble::Failed(text),
        )
        | Event::Failed(text)
        | Event::Bug(text) => text.clone(),
        Event::Left(_) => "a consumer has left".to_owned(),
        Event::Rotated(_) => "passwords or certificates have changed".to_owned(),
    }
}

/// The end after draining: `members` consumers should have said farewell.
pub(super) fn after_drain(
    cause: &Event,
    farewells: &[ShutdownReport],
    members: usize,
    drained: u64,
    time: Duration,
) -> Ended {
    let left: usize = farewells.iter().map(|farewell| farewell.left).sum();
    let uncommitted: usize = farewells.iter().map(|farewell| farewell.uncommitted).sum();
    let silent = members - farewells.len();
    let unfinished: u64 = farewells.iter().map(|farewell| farewell.unfinished).sum();
    let mut line = format!("drained {drained} records, {left} left, {unfinished} will be redelivered");
    if uncommitted > 0 {
        line += &format!(", the last offsets of {uncommitted} partitions are not committed");
    }
    if silent > 0 {
        line += &format!(", {silent} consumers did not stop in time");
    }
    tracing::info!("{line}, in {:.1} s", time.as_secs_f64());
    let exit = match cause {
        Event::Trouble(Trouble::Undecided(_)) => Exit::Config,
        Event::Trouble(Trouble::Denied(_)) => Exit::Denied,
        Event::Trouble(Trouble::Fenced(_)) => Exit::LeftOver,
        Event::Trouble(Trouble::Failed(_)) | Event::Failed(_) => Exit::Failure,
        _ if left + uncommitted + silent > 0 => Exit::LeftOver,
        _ => Exit::Clean,
    };
    let message = if matches!(cause, Event::Signal) { String::new() } else { reason(cause) };
    Ended { exit, message }
}
