//! An Apache Kafka broker in memory, for tests and demonstrations of programs that are Kafka clients: one node, loopback only, gone
//! with its process.
//!
//! ```text
//! client ─▶ server: a thread a connection ─▶ api: which request ─▶ handlers ─▶ cluster: one mutex
//!              │ faults: refuse, lose the answer, delay, cut           ├─ topics: logs of batches
//!              └ wire: bounds checked, never a panic                   ├─ groups: who reads what
//!                                                                      └─ transactions
//! ```
//!
//! It speaks Kafka's own protocol over TCP, so that any client can join: librdkafka, the Java client, Python, kcat.
//!
//! What it is not: durable (a restart is empty), replicated, secured, compacted, or a KIP-848 coordinator. Where it differs from
//! Apache Kafka, and how to use it, is in the README, which follows.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(unreachable_pub)]

mod api;
mod cluster;
mod codes;
mod faults;
#[cfg(test)]
mod fuzz;
mod group;
mod handlers;
mod log;
mod server;
mod topics;
mod transactions;
mod wire;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use cluster::Cluster;
use server::Server;
use topics::Settings;

pub use faults::{Fault, Faults, Mix, Request};

/// How a [`Broker`] is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Topics that a client asks for are made with so many partitions; `None`: only by request.
    pub auto_create: Option<i32>,
    /// Bytes a partition keeps; older batches go, and a line says so. A topic's `retention.bytes` wins.
    pub retention_bytes: u64,
    /// How long the first member of an empty group waits for others.
    pub rebalance_delay: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            auto_create: None,
            retention_bytes: 256 << 20,
            rebalance_delay: Duration::from_millis(50),
        }
    }
}

/// A running broker. It ends when this is dropped.
pub struct Broker {
    server: Arc<Server>,
}

impl Broker {
    /// Binds the port and serves, from threads of its own.
    ///
    /// # Errors
    /// When the port cannot be bound, or the machine has no thread left.
    pub fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", options.port))?;
        let port = listener.local_addr()?.port();
        let server = Server::new(Cluster::new(options, port));
        server.start(listener)?;
        Ok(Self { server })
    }

    /// What clients take as `bootstrap.servers`.
    pub fn servers(&self) -> String {
        format!("127.0.0.1:{}", self.server.cluster.port)
    }

    /// Makes a topic. `false` when there is one of that name already, or the name or the number of partitions is impossible.
    pub fn create_topic(&self, name: &str, partitions: i32) -> bool {
        let made = self.server.cluster.lock().topics.create(name, partitions, Settings::default()).is_ok();
        self.server.cluster.changed();
        made
    }

    /// What is to go wrong.
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// Stops answering without closing connections, as SIGSTOP would.
    pub fn pause(&self) {
        self.server.set_paused(true);
    }

    /// Ends [`Broker::pause`].
    pub fn resume(&self) {
        self.server.set_paused(false);
    }

    /// Closes every connection, and from now on each new one at once, as SIGKILL would. What was appended stays, as it
    /// does in the page cache of a machine whose broker died.
    pub fn kill(&self) {
        self.server.set_down(true);
    }

    /// Serves again after [`Broker::kill`].
    pub fn launch(&self) {
        self.server.set_down(false);
    }

    /// As if two other brokers had replicas of this topic, and were down, or back.
    pub fn set_replicas_away(&self, topic: &str, away: bool) {
        if let Some(topic) = self.server.cluster.lock().topics.by_name.get_mut(topic) {
            topic.replicas_away = away;
        }
    }

    /// As if the only broker that has this partition were away, or back.
    pub fn set_leader_away(&self, topic: &str, partition: i32, away: bool) {
        if let Some(topic) = self.server.cluster.lock().topics.by_name.get_mut(topic) {
            if away {
                topic.leaderless.insert(partition)
            } else {
                topic.leaderless.remove(&partition)
            };
        }
        self.server.cluster.changed();
    }

    /// Changes bytes of a batch of a partition where they are stored, as a disk does that rots: no checksum is made right. `change` is
    /// shown one batch after the other until it says that it has changed one; whether it has.
    pub fn rot(&self, topic: &str, partition: i32, mut change: impl FnMut(&mut [u8]) -> bool) -> bool {
        let mut state = self.server.cluster.lock();
        state.topics.log_mut(topic, partition).is_ok_and(|log| log.rot(&mut change))
    }

    /// Bytes of records that all partitions hold now.
    pub fn retained_bytes(&self) -> u64 {
        let state = self.server.cluster.lock();
        state.topics.by_name.values().flat_map(|topic| &topic.partitions).map(|log| log.size()).sum()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.server.end();
    }
}
