//! Exit codes, as sysexits.h has them, so that a script or an orchestrator can tell what to do next.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or drained with nothing left.
    Done = 0,
    /// Failed while running.
    Failure = 1,
    /// Called in a way that does not exist.
    Usage = 2,
    /// Something outside is missing: no broker is reached, a topic does not exist.
    Unavailable = 69,
    /// Our bug.
    Internal = 70,
    /// Drained with records left, or fenced: try again.
    TryAgain = 75,
    /// Authentication or permission.
    NoPermission = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<processor::app::Exit> for Exit {
    fn from(exit: processor::app::Exit) -> Self {
        use processor::app::Exit as Ended;
        match exit {
            Ended::Clean => Self::Done,
            Ended::Failure => Self::Failure,
            Ended::Missing => Self::Unavailable,
            Ended::Bug => Self::Internal,
            Ended::LeftOver => Self::TryAgain,
            Ended::Denied => Self::NoPermission,
            Ended::Config => Self::Config,
        }
    }
}

/// The table at the end of the help.
pub const TABLE: &str = "Exit codes:
  0 done  1 failed while running  2 usage  69 broker or topic missing  70 a bug of ours
  75 drained with records left, or fenced  77 authentication or permission  78 configuration";
