//! What a Kafka broker does, as far as this program and the usual clients rely on it: one suite for two brokers.
//!
//! It runs unchanged against Apache Kafka 4.3 and against the embedded broker. Each assertion was written by what Apache
//! Kafka does; the embedded broker follows. Two clients ask: librdkafka, as users do, and `wire`, a tiny one of our
//! own that sees every error code and field. Nothing is assumed about time but that a minute is enough.
//!
//! Where the embedded broker differs from Apache Kafka:
//!
//! | subject | Apache Kafka | embedded broker |
//! | --- | --- | --- |
//! | compressed batches | unpacked and checked, record by record | opaque: only headers and checksum are looked at |
//! | look-up by timestamp in a compressed batch | the record's offset | the offset of the batch's first record |
//! | `cleanup.policy=compact` | compacts | can be set and described, nothing is compacted |
//! | KIP-848 groups (`group.protocol=consumer`), share groups, streams groups | yes | no: classic groups only |
//! | replication | yes | one node: every partition has one copy |
//! | TLS, SASL, ACLs, quotas | yes | one plaintext listener on the loopback address, all is allowed |
//! | end of a transaction | markers are written later: `CONCURRENT_TRANSACTIONS` until then | at once |
//! | durability | a log on disk | memory: a restart is empty |

mod admin;
mod balance;
mod exactly_once;
mod fetch;
mod groups;
mod idempotence;
mod malformed;
mod member;
mod offsets;
mod produce;
mod static_members;
mod topics;
mod transactions;
mod txn_offsets;
mod versions;
mod wire;
mod writer;

use crate::support::kafka::Kafka;
use crate::support::setup::unique_name;
use crate::support::{eventually, seconds};
use wire::{READ_UNCOMMITTED, TopicRequest, Wire};

/// A topic of the test's own with so many partitions that all can be written to, and a connection to its broker.
fn topic(kafka: &Kafka, partitions: i32) -> (Wire, String) {
    topic_with(kafka, partitions, &[])
}

/// The same, with these settings.
fn topic_with(kafka: &Kafka, partitions: i32, settings: &[(&str, &str)]) -> (Wire, String) {
    let (mut wire, name) = (Wire::to(kafka), unique_name());
    let made = wire.create_topic(&TopicRequest { settings, ..TopicRequest::of(&name, partitions) });
    assert_eq!(made, 0, "topic {name} is made");
    until_served(&mut wire, &name, partitions);
    (wire, name)
}

/// Waits until each partition of a topic has a leader that answers.
fn until_served(wire: &mut Wire, topic: &str, partitions: i32) {
    eventually(seconds(30), &format!("topic {topic} is served"), || {
        (0..partitions).all(|p| wire.list_offset(topic, p, -1, READ_UNCOMMITTED).code == 0)
    });
}
