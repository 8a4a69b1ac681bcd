//! The program inside of another one: [`Processor`] with settings by name and a transform.

use std::ffi::OsString;
use std::sync::Arc;

use crate::app::{App, Ended, Stopper};
use crate::config::{self, ConfigError};
use crate::transform::builtin::Validate;
use crate::transform::{Handler, IntoHandler};

/// A processor that is ready to run, inside of another program.
///
/// ```no_run
/// use processor::{Context, Outcome, Processor, Record, Transform};
///
/// struct Upper;
///
/// impl Transform for Upper {
///     fn apply(&self, record: &Record, _: &Context) -> Outcome {
///         Outcome::value(record.value().unwrap_or_default().to_ascii_uppercase())
///     }
/// }
///
/// let builder = Processor::builder().servers("localhost:9092").group("upper").input("in").output("out");
/// let processor = builder.set("KAFKA_OFFSET_RESET", "earliest").transform(Upper).build()?;
/// let stopper = processor.stopper();
/// let running = std::thread::spawn(|| processor.run());
/// // … and when it is to end:
/// stopper.stop();
/// println!("{:?}", running.join());
/// # Ok::<(), processor::ConfigError>(())
/// ```
pub struct Processor {
    app: App,
}

impl Processor {
    /// Begins with no settings: the environment is not read.
    pub fn builder() -> Builder {
        Builder { settings: Vec::new(), transform: Arc::new(Validate).into() }
    }

    /// What stops it from another thread.
    pub fn stopper(&self) -> Stopper {
        self.app.stopper()
    }

    /// Runs until it is stopped, or cannot go on. Blocks. Signals and the panic hook are left to the caller, and log lines go to the
    /// caller's `tracing` subscriber.
    ///
    /// After [`Stopper::stop`] it returns with [`Exit::Clean`](crate::Exit::Clean) if all records that were begun are finished and
    /// committed.
    pub fn run(self) -> Ended {
        self.app.run()
    }
}

/// Collects the settings of a [`Processor`]. Every setting of the program can be given with [`Builder::set`]; the other functions are
/// short forms. HTTP is off unless `PROCESSOR_HTTP_ADDR` is set.
#[must_use]
pub struct Builder {
    settings: Vec<(OsString, OsString)>,
    transform: Handler,
}

impl Builder {
    /// Bootstrap servers, `host:port` separated by commas: `KAFKA_SERVERS`.
    pub fn servers(self, servers: &str) -> Self {
        self.set("KAFKA_SERVERS", servers)
    }

    /// Input topic, or several separated by commas: `KAFKA_INPUT_TOPICS`.
    pub fn input(self, topics: &str) -> Self {
        self.set("KAFKA_INPUT_TOPICS", topics)
    }

    /// Output topic: `KAFKA_OUTPUT_TOPIC`.
    pub fn output(self, topic: &str) -> Self {
        self.set("KAFKA_OUTPUT_TOPIC", topic)
    }

    /// Consumer group: `KAFKA_GROUP_ID`.
    pub fn group(self, group: &str) -> Self {
        self.set("KAFKA_GROUP_ID", group)
    }

    /// Any setting by the name of its environment variable. A later value replaces an earlier one.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.into(), value.into()));
        self
    }

    /// What is run on each record: a [`Transform`](crate::Transform) or an [`AsyncTransform`](crate::AsyncTransform). Without it the
    /// built-in one is.
    pub fn transform<Kind: ?Sized>(mut self, transform: impl IntoHandler<Kind>) -> Self {
        self.transform = transform.into_handler();
        self
    }

    /// Checks the settings; asks no broker.
    ///
    /// # Errors
    /// All that is wrong with them, at once. An unknown name is wrong, too.
    pub fn build(self) -> Result<Processor, ConfigError> {
        let defaults = [("PROCESSOR_HTTP_ADDR", "off"), ("PROCESSOR_STRICT_CONFIG", "true")];
        let given = |name: &str| self.settings.iter().any(|(known, _)| known == name);
        let missing = defaults.iter().filter(|(name, _)| !given(name)).map(|(n, v)| (n.into(), v.into()));
        let all: Vec<(OsString, OsString)> = missing.chain(self.settings.iter().cloned()).collect();
        let loaded = config::load(all, Vec::new())?;
        let app = App::new(loaded.config).with_transform(self.transform).without_signals();
        Ok(Processor { app })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let builder = Processor::builder().servers("localhost").input("in").set("WORKER_POOL", "0");
        let Err(error) = builder.set("PROCESOR_ORDER", "key").build() else { panic!("it is wrong") };
        let text = error.to_string();
        for name in ["KAFKA_GROUP_ID", "KAFKA_OUTPUT_TOPIC", "WORKER_POOL", "PROCESOR_ORDER"] {
            assert!(text.contains(name), "{name} in {text}");
        }
    }

    #[test]
    fn a_later_value_replaces_an_earlier_one() {
        let builder = Processor::builder().servers("localhost").group("g").input("in").output("wrong name!");
        assert!(builder.output("out").build().is_ok());
    }
}
