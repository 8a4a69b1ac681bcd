//! The program as its users have it: a process with an environment, an output, signals and an exit code.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{eventually, holds_within, seconds};

/// The program itself.
pub(crate) fn processor() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_processor"))
}

/// An example, which stands beside this test program: `<profile>/deps/it-…` and `<profile>/examples/…`. `cargo test` builds
/// it too, unless it is told which test to build.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a process knows its program");
    let profile = test.parent().and_then(Path::parent).expect("a test program is two folders deep");
    let program = profile.join("examples").join(name);
    assert!(program.exists(), "{} is missing: run cargo build --example {name}", program.display());
    program
}

/// A bug that `scripts/mutants` has planted here is planted in the program too.
fn planted_bug() -> Option<(&'static str, String)> {
    let name = cfg!(feature = "planted-bugs").then(|| std::env::var("PLANTED_BUG").ok())??;
    Some(("PLANTED_BUG", name))
}

/// A running instance. Killed when dropped; what it printed is shown when the test fails.
pub(crate) struct Instance {
    child: Child,
    log: Arc<Mutex<String>>,
    collectors: Vec<JoinHandle<()>>,
}

impl Instance {
    /// `PROGRAM ARGUMENTS` with these variables and no others.
    pub(crate) fn spawn(program: &Path, arguments: &[&str], variables: &BTreeMap<String, String>) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(variables)
            .envs(planted_bug())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be started");
        let log = Arc::new(Mutex::new(String::new()));
        let collectors = vec![
            collect(child.stdout.take().expect("stdout is piped"), &log),
            collect(child.stderr.take().expect("stderr is piped"), &log),
        ];
        Self { child, log, collectors }
    }

    /// All it printed so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no collector panics").clone()
    }

    /// Waits until it printed `text`.
    pub(crate) fn wait_for_log(&self, text: &str, deadline: Duration) {
        eventually(deadline, &format!("the log says {text:?}"), || self.log().contains(text));
    }

    /// Whether the process is there.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_none()
    }

    /// Bytes, as Linux counts them: `VmRSS` now, `VmHWM` at the most.
    pub(crate) fn memory(&self, what: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with(what)).expect("Linux tells");
        let kib = line.split_whitespace().nth(1).and_then(|number| number.parse::<usize>().ok());
        kib.expect("a number") * 1024
    }

    /// Sends a signal by name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let done = Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill can be run");
        assert!(done.success(), "SIG{name} to process {pid}");
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// SIGKILL: it has no last word.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child ends");
    }

    /// Waits for its end; the code, or `None` when a signal ended it.
    pub(crate) fn wait_exit(&mut self, deadline: Duration) -> Option<i32> {
        let mut status: Option<ExitStatus> = None;
        let ended = holds_within(deadline, || {
            status = self.child.try_wait().expect("a child can be asked");
            status.is_some()
        });
        assert!(ended, "the process does not end within {deadline:?}");
        // Whoever asks for the log now wants all of it.
        self.join_collectors();
        status.and_then(|s| s.code())
    }

    fn join_collectors(&mut self) {
        self.collectors.drain(..).for_each(|collector| drop(collector.join()));
    }

    /// SIGTERM, and a clean end within the drain time.
    pub(crate) fn stop_cleanly(&mut self) {
        // Before its first word a process may not handle signals yet: the kernel would end it.
        eventually(seconds(30), "the process says something", || !self.log().is_empty());
        self.terminate();
        assert_eq!(self.wait_exit(seconds(35)), Some(0), "exit code after SIGTERM");
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // A stopped process takes SIGKILL too; one that is gone gives an error that changes nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // Its last words, too.
            self.join_collectors();
            let log = self.log();
            let from = log.char_indices().rev().nth(6_000).map_or(0, |(at, _)| at);
            eprintln!("---- end of what process {} printed ----\n{}", self.child.id(), &log[from..]);
        }
    }
}

fn collect(stream: impl Read + Send + 'static, log: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            log.lock().expect("no reader panics").push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

/// Whether whoever runs the tests ignores SIGHUP, as `nohup` does: the program, whose parent they are, then ignores it as well.
pub(crate) fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored =
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1);
    if ignored {
        super::kafka::skip("SIGHUP is ignored here: not under nohup it is tested");
    }
    ignored
}
