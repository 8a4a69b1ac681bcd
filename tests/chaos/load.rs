//! Records that keep coming for as long as a run needs them: a fault must have work to hit however long it lasts, and however fast
//! the machine is.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::trial::Plan;
use crate::wait::{seconds, until};

/// How many seconds' records one call of the generator writes: the load ends so soon after it was told to.
const SLICE: u64 = 2;

/// How often it is looked whether a call has ended.
const LOOK: Duration = Duration::from_millis(20);

/// A thread that calls `processor generate`, at the brokers' own door, again and again. Its calls are killed when it is dropped.
pub(crate) struct Load {
    state: Arc<State>,
    thread: Option<JoinHandle<Result<u64, String>>>,
}

#[derive(Default)]
struct State {
    /// The faults are over: no more than the least number of records is needed.
    enough: AtomicBool,
    /// Nobody wants it any more.
    abandoned: AtomicBool,
}

/// What one call after the other writes.
struct Work {
    state: Arc<State>,
    program: PathBuf,
    fixed: Vec<String>,
    log: PathBuf,
    least: u64,
    slice: u64,
    rng: fastrand::Rng,
}

impl Load {
    /// Begins: `plan.records` at least.
    pub(crate) fn start(plan: &Plan, servers: &str, topic: &str, log: PathBuf, rng: fastrand::Rng) -> Self {
        let numbers = [("--rate", plan.rate), ("--keys", plan.keys), ("--bad", plan.bad)];
        let numbers = numbers.into_iter().flat_map(|(name, number)| [name.to_owned(), number.to_string()]);
        let words =
            ["generate", "--servers", servers, "--input", topic, "--timeout", "180s"].map(str::to_owned);
        let state = Arc::<State>::default();
        let work = Work {
            state: state.clone(),
            program: plan.program.clone(),
            fixed: words.into_iter().chain(numbers).collect(),
            log,
            least: plan.records,
            slice: plan.rate * SLICE,
            rng,
        };
        Self { state, thread: Some(std::thread::spawn(move || work.go_on())) }
    }

    /// Ends it when it has written the least; how many there are.
    pub(crate) fn finish(&mut self) -> Result<u64, String> {
        self.state.enough.store(true, Ordering::Relaxed);
        let thread = self.thread.take().ok_or("the load has ended already")?;
        until(seconds(240), "all records are written", || thread.is_finished())?;
        thread.join().map_err(|_| "the load's thread panicked")?
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.state.abandoned.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Whatever it says, nobody asks.
            let _ = thread.join();
        }
    }
}

impl Work {
    fn go_on(mut self) -> Result<u64, String> {
        let mut written = 0;
        while written < self.least || !self.state.enough.load(Ordering::Relaxed) {
            let records =
                if written < self.least { self.slice.min(self.least - written) } else { self.slice };
            let status = self.call(written, records)?;
            if !status.success() {
                let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                return Err(format!("the generator ended with {status}: {}", said.trim()));
            }
            written += records;
        }
        Ok(written)
    }

    /// Writes these records and waits until they are.
    fn call(&mut self, first: u64, records: u64) -> Result<ExitStatus, String> {
        let fault = |e: std::io::Error| format!("the generator cannot be started: {e}");
        let file = File::create(&self.log).map_err(fault)?;
        let numbers = [("--first", first), ("--records", records), ("--seed", self.rng.u64(..))];
        let child = Command::new(&self.program)
            .args(&self.fixed)
            .args(numbers.into_iter().flat_map(|(name, number)| [name.to_owned(), number.to_string()]))
            .env_clear()
            .stdin(Stdio::null())
            .stderr(file.try_clone().map_err(fault)?)
            .stdout(file)
            .spawn();
        self.wait(child.map_err(fault)?)
    }

    fn wait(&self, mut child: Child) -> Result<ExitStatus, String> {
        loop {
            if self.state.abandoned.load(Ordering::Relaxed) {
                // It may just have ended, which is as well.
                let _ = child.kill();
            }
            if let Some(status) =
                child.try_wait().map_err(|e| format!("the generator cannot be asked: {e}"))?
            {
                return Ok(status);
            }
            std::thread::park_timeout(LOOK);
        }
    }
}
