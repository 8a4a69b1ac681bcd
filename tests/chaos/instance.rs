//! One instance of the program: a process with settings, a log file, signals and an exit code.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait::until;

/// What a process is given to run with.
pub(crate) type Settings = Vec<(String, String)>;

/// A running instance. Killed when dropped.
pub(crate) struct Instance {
    child: Child,
    log: PathBuf,
}

impl Instance {
    /// `PROGRAM run` with these variables and no others; all it prints goes to `log`.
    pub(crate) fn spawn(program: &Path, settings: &Settings, log: PathBuf) -> Result<Self, String> {
        let fault = |e: std::io::Error| format!("{} cannot be started: {e}", program.display());
        let file = File::create(&log).map_err(fault)?;
        let child = Command::new(program)
            .arg("run")
            .env_clear()
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(file.try_clone().map_err(fault)?)
            .stderr(file)
            .spawn()
            .map_err(fault)?;
        Ok(Self { child, log })
    }

    /// All it printed so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// Sends a signal by its name, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) -> Result<(), String> {
        let pid = self.child.id().to_string();
        let done = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        if done.is_ok_and(|status| status.success()) {
            Ok(())
        } else {
            Err(format!("no SIG{name} for {pid}"))
        }
    }

    /// SIGKILL: it has no last word.
    pub(crate) fn kill(mut self) -> Result<(), String> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(|e| format!("kill -9: {e}"))
    }

    /// SIGTERM, and the end that it has to come to: in time, with exit code 0.
    pub(crate) fn stop(&mut self, limit: Duration) -> Result<Duration, String> {
        let name = self.log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // Before its first word a process may not handle signals yet: the kernel would end it.
        until(limit, &format!("{name} says something"), || !self.log().is_empty())?;
        if let Some(ended) = self.ended() {
            return Err(format!("{name} was gone before it was stopped: {ended}"));
        }
        self.signal("TERM")?;
        let mut status = None;
        let time = until(limit, &format!("{name} ends after SIGTERM"), || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        })?;
        match status.and_then(|status| status.code()) {
            Some(0) => Ok(time),
            _ => Err(format!("{name} ended with {status:?} after SIGTERM")),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // One that has ended already gives an error that changes nothing. A stopped process takes SIGKILL too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
