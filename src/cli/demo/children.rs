//! Instances as processes of their own, which can be killed: `processor run` twice, as a user would start it.

use std::process::{Child, Command, Stdio};

use parking_lot::Mutex;

use crate::cli::run;

/// How many.
const COUNT: usize = 2;

/// The instances. Ended by [`Children::stop`], or killed when this is dropped.
pub struct Children {
    variables: Vec<(String, String)>,
    all: Mutex<Vec<Child>>,
}

impl Children {
    /// Starts them, with these variables and no others.
    ///
    /// # Errors
    /// When there can be no process.
    pub fn start(variables: Vec<(String, String)>) -> Result<Self, String> {
        let children = Self { variables, all: Mutex::default() };
        for number in 0..COUNT {
            let child = children.spawn(number)?;
            children.all.lock().push(child);
        }
        Ok(children)
    }

    /// With a name that stays: what the one before it left open is ended at once, and its partitions are this one's.
    fn spawn(&self, number: usize) -> Result<Child, String> {
        let failed = |error: std::io::Error| format!("no process for an instance: {error}");
        let program = std::env::current_exe().map_err(failed)?;
        let variables = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Command::new(program)
            .args(["run".to_owned(), format!("--{}", run::BUILT_IN)])
            .env_clear()
            .envs(variables)
            .env("KAFKA_GROUP_INSTANCE_ID", format!("demo-{number}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed)
    }

    /// Kills one of them, as `kill -9` does, and starts another in its place.
    pub fn kill(&self, chance: usize) {
        let mut all = self.all.lock();
        let number = chance % COUNT;
        end(&mut all[number]);
        match self.spawn(number) {
            Ok(child) => all[number] = child,
            // Its place stays empty, and the show ends of it.
            Err(error) => tracing::error!("{error}"),
        }
    }

    /// Tells them to drain and to stop.
    pub fn stop(&self) {
        for child in self.all.lock().iter() {
            let told = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
            if let Err(error) = told {
                tracing::error!("an instance cannot be told to stop: {error}");
            }
        }
    }

    /// Whether one has ended that was not to be killed, or all, when they were told to.
    pub fn has_ended(&self, told: bool) -> bool {
        let has_ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        let mut all = self.all.lock();
        if told { all.iter_mut().all(has_ended) } else { all.iter_mut().any(has_ended) }
    }

    /// How they ended, if not well. Waits for nothing.
    pub fn end(&self) -> Result<(), String> {
        for child in self.all.lock().iter_mut() {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => {}
                Ok(Some(status)) => return Err(format!("an instance ended with {status}")),
                Ok(None) => return Err("an instance did not end in time".to_owned()),
                Err(error) => return Err(format!("nobody knows how an instance ended: {error}")),
            }
        }
        Ok(())
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.all.lock().iter_mut().for_each(end);
    }
}

fn end(child: &mut Child) {
    // One that has ended already needs no kill.
    let _ = child.kill();
    let _ = child.wait();
}
