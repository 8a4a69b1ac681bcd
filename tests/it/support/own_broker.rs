//! A broker that a test may kill, pause and start again: an embedded one, or a real one. It has Kafka's own defaults where the broker
//! that tests share has not: above all it makes every topic that somebody asks for in the wrong way.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::admin;
use super::kafka::{self, Kafka};

/// A broker to torment. While a test has it, nobody else does.
pub(crate) struct OwnBroker {
    /// How clients reach it.
    pub kafka: Kafka,
    /// The real one; without it, it is the embedded one of `kafka`.
    real: Option<MutexGuard<'static, RealBroker>>,
}

impl OwnBroker {
    /// An embedded broker at once. Where `KAFKA_TEST_SERVERS` asks for real ones: waits for its turn and returns the real one,
    /// running; `None`, said loudly, where none can be started.
    pub(crate) fn borrow() -> Option<Self> {
        if kafka::named().is_none() {
            return Some(Self { kafka: Kafka::embedded_that_makes_topics(), real: None });
        }
        let real = RealBroker::borrow()?;
        let broker = Self { kafka: Kafka::at(real.servers.clone()), real: Some(real) };
        broker.resume();
        broker.launch();
        admin::wait_until_served(&broker.kafka);
        Some(broker)
    }

    /// As a power cut would: SIGKILL.
    pub(crate) fn kill(&self) {
        match &self.real {
            Some(real) => drop(real.script("kill")),
            None => self.kafka.broker().kill(),
        }
    }

    /// Stops answering without closing its connections: SIGSTOP.
    pub(crate) fn pause(&self) {
        match &self.real {
            Some(real) => drop(real.script("pause")),
            None => self.kafka.broker().pause(),
        }
    }

    /// Ends [`OwnBroker::pause`].
    pub(crate) fn resume(&self) {
        match &self.real {
            Some(real) => drop(real.script("resume")),
            None => self.kafka.broker().resume(),
        }
    }

    /// Where the real one keeps its partitions.
    pub(super) fn data(&self) -> Option<PathBuf> {
        self.real.as_ref().map(|real| real.folder.join("data-1"))
    }

    /// Starts it again after [`OwnBroker::kill`] and waits until it serves.
    pub(crate) fn launch(&self) {
        let Some(real) = &self.real else { return self.kafka.broker().launch() };
        real.script("launch");
        real.script("wait");
    }
}

/// An Apache Kafka of this process's own. There is one for all tests, lent to one at a time: it costs half a gigabyte and ten
/// seconds.
struct RealBroker {
    folder: PathBuf,
    servers: String,
}

const DEFAULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/defaults.properties");

static REAL: OnceLock<Option<Mutex<RealBroker>>> = OnceLock::new();

impl RealBroker {
    fn borrow() -> Option<MutexGuard<'static, Self>> {
        let Some(real) = REAL.get_or_init(Self::start) else {
            kafka::skip("needs a broker of its own: Java and Maven, or a container engine");
            return None;
        };
        Some(real.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn start() -> Option<Mutex<Self>> {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("kafka-{}", std::process::id()));
        let broker = Self { folder, servers: String::new() };
        broker.command("available").status().is_ok_and(|s| s.success()).then_some(())?;
        let servers = broker.script("start");
        Some(Mutex::new(Self { servers, ..broker }))
    }

    fn command(&self, action: &str) -> Command {
        let script = std::env::var("KAFKA_TEST_SCRIPT")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka").to_owned());
        let mut command = Command::new(script);
        // The owner is this process: whatever ends it, the broker goes too.
        command.arg(action).env("KAFKA_DIR", &self.folder).env("KAFKA_OWNER", std::process::id().to_string());
        command.env("KAFKA_HEAP", "384m").env_remove("KAFKA_PORT").env("KAFKA_EXTRA", DEFAULTS);
        command
    }

    fn script(&self, action: &str) -> String {
        let done = self.command(action).output().expect("scripts/kafka can be run");
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "scripts/kafka {action}: {errors}");
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }
}
