//! Where a test's Kafka comes from: an embedded broker of the test's own, or the cluster that `KAFKA_TEST_SERVERS` names.

use std::fmt;
use std::sync::Arc;

use processor::embedded::{Broker, Faults, Options};

use super::say;

/// A running cluster. An embedded one runs for as long as somebody has this.
#[derive(Clone)]
pub(crate) struct Kafka {
    /// What a client takes as `bootstrap.servers`.
    pub servers: String,
    embedded: Option<Arc<Broker>>,
}

impl Kafka {
    /// The cluster of `KAFKA_TEST_SERVERS`, which all tests share; an embedded broker of this test's own when there is none.
    pub(crate) fn for_test() -> Self {
        named().map_or_else(Self::embedded, Self::at)
    }

    /// For what only Apache Kafka can do: the cluster of `KAFKA_TEST_SERVERS`; `None`, said loudly, when there is none.
    pub(crate) fn real(why: &str) -> Option<Self> {
        let servers = named();
        if servers.is_none() {
            skip(&format!("needs Apache Kafka: {why}"));
        }
        servers.map(Self::at)
    }

    /// An embedded broker, whatever `KAFKA_TEST_SERVERS` says.
    pub(crate) fn embedded() -> Self {
        Self::embedded_with(Options::default())
    }

    /// The same, with Kafka's default for topics that a client asks for: they are made.
    pub(crate) fn embedded_that_makes_topics() -> Self {
        Self::embedded_with(Options { auto_create: Some(1), ..Options::default() })
    }

    fn embedded_with(options: Options) -> Self {
        let broker = Broker::start(options).expect("a port of loopback is free");
        Self { servers: broker.servers(), embedded: Some(Arc::new(broker)) }
    }

    /// A cluster that somebody else started.
    pub(crate) fn at(servers: String) -> Self {
        Self { servers, embedded: None }
    }

    /// Whether this is a cluster that somebody else started.
    pub(crate) fn is_real(&self) -> bool {
        self.embedded.is_none()
    }

    /// The embedded broker itself.
    pub(crate) fn broker(&self) -> &Broker {
        self.embedded.as_deref().expect("the test asked for an embedded broker")
    }

    /// What is to go wrong at the embedded broker.
    pub(crate) fn faults(&self) -> &Faults {
        self.broker().faults()
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.servers)
    }
}

/// What `KAFKA_TEST_SERVERS` names.
pub(crate) fn named() -> Option<String> {
    std::env::var("KAFKA_TEST_SERVERS").ok().filter(|servers| !servers.trim().is_empty())
}

/// One loud line that `scripts/test` counts.
pub(crate) fn skip(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    say(&format!("SKIPPED {test}: {reason}"));
}
