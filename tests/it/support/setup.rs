//! How a test's world is laid out before it exists: mode, partitions, topic settings, variables. Names are unique, so
//! that all tests share one cluster at the same time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::admin;
use super::kafka::Kafka;
use super::process;
use super::record::now_ms;
use super::scenario::{Scenario, World};

/// `PROCESSOR_ORDER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Key,
    Partition,
    Unordered,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Partition => "partition",
            Self::Unordered => "unordered",
        }
    }
}

/// Makes of a function of a [`Mode`] one test for each mode.
macro_rules! in_every_mode {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::support::setup::Mode;

            #[test]
            fn key() {
                super::$name(Mode::Key);
            }

            #[test]
            fn partition() {
                super::$name(Mode::Partition);
            }

            #[test]
            fn unordered() {
                super::$name(Mode::Unordered);
            }
        }
    )+};
}
pub(crate) use in_every_mode;

/// Partitions and topic settings, before the topics exist.
pub(crate) struct Setup {
    program: PathBuf,
    mode: Mode,
    input: (i32, Vec<(&'static str, &'static str)>),
    output: (i32, Vec<(&'static str, &'static str)>),
    dead_letters: (i32, Vec<(&'static str, &'static str)>),
    variables: Vec<(&'static str, String)>,
}

/// Four input, three output and two dead-letter partitions: counts that differ, so that mixing them up shows.
pub(crate) fn setup() -> Setup {
    Setup {
        program: process::processor(),
        mode: Mode::Key,
        input: (4, vec![]),
        output: (3, vec![]),
        dead_letters: (2, vec![]),
        variables: vec![],
    }
}

impl Setup {
    /// What stays in order (default: key).
    pub(crate) fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// With the older kind of rebalance: everybody gives up everything, every time.
    pub(crate) fn eager(self) -> Self {
        self.set("KAFKA_CONSUMER_PARTITION_ASSIGNMENT_STRATEGY", "range")
    }

    /// With this example in place of the program.
    pub(crate) fn example(mut self, name: &str) -> Self {
        self.program = process::example(name);
        self
    }

    /// With the transform that does what the records ask for, instead of the built-in one: see [`super::probe`].
    pub(crate) fn probe(self) -> Self {
        self.example("probe")
    }

    /// With the probe as an asynchronous transform.
    pub(crate) fn async_probe(self) -> Self {
        self.probe().set("PROBE_ASYNC", "yes")
    }

    /// Where nobody dies, nobody need be thought dead: a machine on which a process stands still for six seconds would make repeats
    /// of it. It is no longer than a test can wait for a member whose leaving was not heard.
    pub(crate) fn patient(self) -> Self {
        self.set("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", 20_000)
    }

    /// Results, dead letters and offsets in one transaction.
    pub(crate) fn exactly_once(self) -> Self {
        self.set("PROCESSOR_DELIVERY", "exactly-once").set("PROCESSOR_COMMIT_INTERVAL", "100ms")
    }

    /// Another number of input partitions.
    pub(crate) fn input_partitions(mut self, count: i32) -> Self {
        self.input.0 = count;
        self
    }

    /// A setting of the input topic.
    pub(crate) fn input(mut self, key: &'static str, value: &'static str) -> Self {
        self.input.1.push((key, value));
        self
    }

    /// A setting of the output topic.
    pub(crate) fn output(mut self, key: &'static str, value: &'static str) -> Self {
        self.output.1.push((key, value));
        self
    }

    /// A setting of the dead-letter topic.
    pub(crate) fn dead_letters(mut self, key: &'static str, value: &'static str) -> Self {
        self.dead_letters.1.push((key, value));
        self
    }

    /// A variable of the program.
    pub(crate) fn set(mut self, name: &'static str, value: impl ToString) -> Self {
        self.variables.push((name, value.to_string()));
        self
    }

    /// Creates the topics.
    pub(crate) fn on(self, kafka: &Kafka) -> Scenario {
        let name = unique_name();
        let [input, output, dead_letters] = ["in", "out", "dlq"].map(|kind| format!("{name}.{kind}"));
        for (topic, (count, config)) in
            [(&input, &self.input), (&output, &self.output), (&dead_letters, &self.dead_letters)]
        {
            admin::create_topic(kafka, topic, *count, config);
        }
        let mut variables = defaults(kafka, self.mode);
        variables.extend([
            ("KAFKA_GROUP_ID".to_owned(), name.clone()),
            ("KAFKA_CONSUMER_TOPICS".to_owned(), input.clone()),
            ("KAFKA_OUTPUT_TOPIC".to_owned(), output.clone()),
            ("KAFKA_DLQ_TOPIC".to_owned(), dead_letters.clone()),
        ]);
        variables.extend(self.variables.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Scenario::new(World {
            kafka: kafka.clone(),
            program: self.program,
            mode: self.mode,
            partitions: [self.input.0, self.output.0, self.dead_letters.0],
            group: name,
            input,
            output,
            dead_letters,
            variables,
        })
    }
}

/// Quick to commit and to notice a dead member; all else as it ships.
fn defaults(kafka: &Kafka, mode: Mode) -> BTreeMap<String, String> {
    let values = [
        ("KAFKA_SERVERS", kafka.servers.as_str()),
        ("KAFKA_OFFSET_RESET", "earliest"),
        // More than it ships with: threads that could be in each other's way, and a group even of one instance.
        ("CONSUMERS_COUNT", "2"),
        ("PRODUCERS_COUNT", "2"),
        ("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", "6000"),
        ("KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS", "500"),
        ("PROCESSOR_ORDER", mode.name()),
        ("PROCESSOR_COMMIT_INTERVAL", "200ms"),
        ("PROCESSOR_HTTP_ADDR", "off"),
        ("RUST_BACKTRACE", "1"),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// From the test's own name, so that a broker's log can be read.
pub(crate) fn unique_name() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let test = std::thread::current().name().unwrap_or("test").replace("::", ".");
    let short: String = test.chars().rev().take(80).collect::<Vec<_>>().into_iter().rev().collect();
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{short}-{:x}-{:x}-{n}", std::process::id(), now_ms())
}
