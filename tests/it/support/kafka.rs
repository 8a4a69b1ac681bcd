//! Where a test's Kafka comes from: the one that `scripts/test` started, or a broker of the test's own to torment.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::admin;

/// The names of a running cluster's brokers.
#[derive(Clone, Debug)]
pub struct Kafka {
    /// What a client takes as `bootstrap.servers`.
    pub servers: String,
}

impl Kafka {
    /// The cluster that all tests share, from `KAFKA_TEST_SERVERS`; `None`, said loudly, when there is none.
    pub fn shared() -> Option<Self> {
        let servers = std::env::var("KAFKA_TEST_SERVERS").unwrap_or_default();
        if servers.trim().is_empty() {
            skip("needs a Kafka: run ./scripts/test, or name a cluster in KAFKA_TEST_SERVERS");
            return None;
        }
        Some(Self { servers })
    }
}

/// One loud line that `scripts/test` counts. Written past the test harness, which hides what a passing test prints.
fn skip(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("SKIPPED {test}: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("stderr is open");
}

/// One broker that tests may kill, pause and restart. There is one for all of them, lent to one test at a time: a
/// broker costs half a gigabyte and ten seconds.
pub struct OwnBroker {
    folder: PathBuf,
    /// How clients reach it.
    pub kafka: Kafka,
}

static OWN: OnceLock<Option<Mutex<OwnBroker>>> = OnceLock::new();

impl OwnBroker {
    /// Waits for its turn and returns the broker, running; `None`, said loudly, where none can be started.
    pub fn borrow() -> Option<MutexGuard<'static, Self>> {
        let Some(own) = OWN.get_or_init(Self::start) else {
            skip("needs a broker of its own: Java and Maven, or a container engine");
            return None;
        };
        let broker = own.lock().unwrap_or_else(PoisonError::into_inner);
        broker.resume();
        broker.script("launch");
        broker.script("wait");
        admin::wait_until_served(&broker.kafka);
        Some(broker)
    }

    fn start() -> Option<Mutex<Self>> {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("kafka-{}", std::process::id()));
        let broker = Self { folder, kafka: Kafka { servers: String::new() } };
        broker.command("available").status().is_ok_and(|s| s.success()).then_some(())?;
        let servers = broker.script("start");
        Some(Mutex::new(Self { kafka: Kafka { servers }, ..broker }))
    }

    /// As a power cut would: SIGKILL.
    pub fn kill(&self) {
        self.script("kill");
    }

    /// Stops answering without closing its connections: SIGSTOP.
    pub fn pause(&self) {
        self.script("pause");
    }

    /// Ends [`OwnBroker::pause`].
    pub fn resume(&self) {
        self.script("resume");
    }

    /// Starts it again after [`OwnBroker::kill`] and waits until it serves.
    pub fn launch(&self) {
        self.script("launch");
        self.script("wait");
    }

    fn command(&self, action: &str) -> Command {
        let script = std::env::var("KAFKA_TEST_SCRIPT")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka").to_owned());
        let mut command = Command::new(script);
        // The owner is this process: whatever ends it, the broker goes too.
        command.arg(action).env("KAFKA_DIR", &self.folder).env("KAFKA_OWNER", std::process::id().to_string());
        command.env("KAFKA_HEAP", "384m").env_remove("KAFKA_PORT").env_remove("KAFKA_EXTRA");
        command
    }

    fn script(&self, action: &str) -> String {
        let done = self.command(action).output().expect("scripts/kafka can be run");
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "scripts/kafka {action}: {errors}");
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }
}
