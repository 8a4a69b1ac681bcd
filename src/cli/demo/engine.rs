//! The processor itself, as `processor run` runs it, on a thread of this process; or, to be killed, in processes of its own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::app::{App, Ended, Stopper};
use crate::config::{self, Config};
use crate::ops::Http;
use crate::ops::logging;

use super::options::Options;
use super::screen::Screen;
use super::topics::{GROUP, INPUT, OUTPUT, RECONNECT_MS, SOURCE_HEADER};
use crate::app::Exit;
use crate::cli::run;
use crate::cli::{output, settings};

/// The broker's retention is loud, but here it bites by plan, and takes what the judge has read.
const LOG_FILTER: &str = "warn,embedded_kafka=error";
/// What of the environment is read.
const LOG_SETTINGS: [&str; 2] = ["RUST_LOG", "PROCESSOR_LOG_FORMAT"];

/// The processor, ready to start.
pub(super) struct Ready {
    /// Its settings.
    pub config: Config,
    body: Body,
    /// Where it answers probes and shows metrics.
    pub address: Option<SocketAddr>,
}

enum Body {
    /// On a thread of this process.
    Here(Box<App>),
    /// In processes of its own, with these variables.
    Apart(Vec<(String, String)>),
}

/// The running processor.
pub(super) enum Engine {
    /// On a thread of this process.
    Here(Stopper, JoinHandle<Ended>),
    /// In processes of its own, and whether they were told to stop.
    Apart(Arc<Processes>, AtomicBool),
}

/// Settles on a configuration, and begins the log.
///
/// # Errors
/// When the settings of the log are wrong; it was said.
pub(super) fn prepare(options: &Options, servers: &str, screen: &Arc<Screen>) -> Result<Ready, Exit> {
    let config = configuration(options, servers)?;
    let log = screen.clone();
    if let Err(error) =
        logging::init_to(&config.log_filter, config.log_format, screen.is_live(), move || log.log())
    {
        output::say(format_args!("error: {error}"));
        return Err(Exit::Config);
    }
    if options.exactly_once && options.chaos {
        let mut variables: Vec<_> = ours(options, servers)
            .into_iter()
            .filter(|(name, _)| *name != "PROCESSOR_HTTP_ADDR")
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        variables.extend(
            [("PROCESSOR_HTTP_ADDR", "off"), ("RUST_LOG", "off")].map(|(n, v)| (n.to_owned(), v.to_owned())),
        );
        return Ok(Ready { config, body: Body::Apart(variables), address: None });
    }
    let mut app = App::new(config.clone()).without_signals();
    let address = match app.bind() {
        Ok(address) => address,
        // The demo goes on without metrics.
        Err(_) => {
            app = App::new(Config { http: Http::Off, ..config.clone() }).without_signals();
            None
        }
    };
    Ok(Ready { config, body: Body::Here(Box::new(app)), address })
}

fn ours(options: &Options, servers: &str) -> [(&'static str, String); 11] {
    let delivery = if options.exactly_once { "exactly-once" } else { "at-least-once" };
    [
        ("KAFKA_SERVERS", servers),
        ("KAFKA_GROUP_ID", GROUP),
        ("KAFKA_INPUT_TOPICS", INPUT),
        ("KAFKA_OUTPUT_TOPIC", OUTPUT),
        ("KAFKA_OFFSET_RESET", "earliest"),
        ("WORKER_POOL", &options.workers.to_string()),
        ("PROCESSOR_DELIVERY", delivery),
        ("PROCESSOR_HTTP_ADDR", "127.0.0.1:0"),
        // By which the judge knows whose result a record is.
        (SOURCE_HEADER.0, SOURCE_HEADER.1),
        // An instance that joined and was killed is not waited for as long as elsewhere.
        ("KAFKA_SESSION_TIMEOUT_MS", "10000"),
        ("KAFKA_RECONNECT_BACKOFF_MAX_MS", RECONNECT_MS),
    ]
    .map(|(name, value)| (name, value.to_owned()))
}

fn configuration(options: &Options, servers: &str) -> Result<Config, Exit> {
    let ours = ours(options, servers).map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let mut log = LOG_SETTINGS.map(|name| (OsString::from(name), std::env::var_os(name).unwrap_or_default()));
    if log[0].1.is_empty() {
        log[0].1 = OsString::from(LOG_FILTER);
    }
    let loaded = config::load(ours.into_iter().chain(log), Vec::new());
    loaded.map(|loaded| loaded.config).map_err(|faults| {
        settings::say_faults(&faults);
        Exit::Config
    })
}

impl Ready {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no thread left.
    pub(super) fn start(self) -> Result<Engine, String> {
        match self.body {
            Body::Apart(variables) => {
                Ok(Engine::Apart(Arc::new(Processes::start(variables)?), AtomicBool::new(false)))
            }
            Body::Here(app) => {
                let stopper = app.stopper();
                let thread =
                    std::thread::Builder::new().name("processor".to_owned()).spawn(move || app.run());
                let thread = thread.map_err(|error| format!("no thread for the processor: {error}"))?;
                Ok(Engine::Here(stopper, thread))
            }
        }
    }
}

impl Engine {
    /// Its processes, if it has some of its own.
    pub(super) fn processes(&self) -> Option<Arc<Processes>> {
        match self {
            Self::Here(..) => None,
            Self::Apart(processes, _) => Some(processes.clone()),
        }
    }

    /// Tells it to drain and to stop.
    pub(super) fn stop(&self) {
        match self {
            Self::Here(stopper, _) => stopper.stop(),
            Self::Apart(processes, told) => {
                told.store(true, Ordering::Relaxed);
                processes.stop();
            }
        }
    }

    /// Whether it has ended, told or not.
    pub(super) fn has_ended(&self) -> bool {
        match self {
            Self::Here(_, thread) => thread.is_finished(),
            Self::Apart(processes, told) => processes.has_ended(told.load(Ordering::Relaxed)),
        }
    }

    /// How it ended, if it did not end well. Waits for nothing.
    pub(super) fn end(self) -> Result<(), String> {
        if !self.has_ended() {
            return Err("the processor did not end in time".to_owned());
        }
        let thread = match self {
            Self::Here(_, thread) => thread,
            Self::Apart(processes, _) => return processes.end(),
        };
        match thread.join() {
            Ok(ended) if ended.exit == Exit::Clean => Ok(()),
            Ok(ended) => {
                let message =
                    if ended.message.is_empty() { String::new() } else { format!(": {}", ended.message) };
                Err(format!("the processor ended with exit code {}{message}", ended.exit as i32))
            }
            Err(_) => Err("the processor's thread panicked".to_owned()),
        }
    }
}

/// How many processes.
const PROCESSES: usize = 2;

/// Instances as processes of their own, which can be killed: `processor run` as a user would start it. Ended by [`Processes::stop`], or killed when this is dropped.
pub(super) struct Processes {
    variables: Vec<(String, String)>,
    all: Mutex<Vec<Child>>,
}

impl Processes {
    /// Starts them, with these variables and no others.
    ///
    /// # Errors
    /// When there can be no process.
    pub(super) fn start(variables: Vec<(String, String)>) -> Result<Self, String> {
        let children = Self { variables, all: Mutex::default() };
        for number in 0..PROCESSES {
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
    pub(super) fn kill(&self, chance: usize) {
        let mut all = self.all.lock();
        let number = chance % PROCESSES;
        kill(&mut all[number]);
        match self.spawn(number) {
            Ok(child) => all[number] = child,
            // Its place stays empty, and the demo ends of it.
            Err(error) => tracing::error!("{error}"),
        }
    }

    /// Tells them to drain and to stop.
    pub(super) fn stop(&self) {
        for child in self.all.lock().iter() {
            let told = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
            if let Err(error) = told {
                tracing::error!("an instance cannot be told to stop: {error}");
            }
        }
    }

    /// Whether one has ended that was not to be killed, or all, when they were told to.
    pub(super) fn has_ended(&self, told: bool) -> bool {
        let has_ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        let mut all = self.all.lock();
        if told { all.iter_mut().all(has_ended) } else { all.iter_mut().any(has_ended) }
    }

    /// How they ended, if not well. Waits for nothing.
    pub(super) fn end(&self) -> Result<(), String> {
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

impl Drop for Processes {
    fn drop(&mut self) {
        self.all.lock().iter_mut().for_each(kill);
    }
}

fn kill(child: &mut Child) {
    // One that has ended already needs no kill.
    let _ = child.kill();
    let _ = child.wait();
}
