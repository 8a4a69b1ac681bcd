//! What a Kafka broker does, as far as this program and the usual clients rely on it: one suite for two brokers.
//!
//! It runs unchanged against Apache Kafka 4.3 and against the embedded broker. Each assertion was written by what Apache
//! Kafka answers; where the two differed, the embedded broker was mended, or the difference is listed here. Two clients
//! ask: librdkafka, as users do, and `wire`, a tiny one of our own that sees every error code and field. Nothing is
//! assumed about time but that a minute is enough; sessions have six seconds, the shortest that both allow. The cluster
//! has one node, or else requests would have to be sent to each partition's leader.
//!
//! Where the embedded broker differs from Apache Kafka:
//!
//! | subject | Apache Kafka | embedded broker |
//! | --- | --- | --- |
//! | durability | a log on disk | memory: with its process all is gone |
//! | replication | yes | one node: every partition has one copy, leader epochs are always 0 |
//! | TLS, SASL, ACLs, quotas | yes | one plaintext listener on the loopback address; all is allowed |
//! | groups | classic, KIP-848 (`group.protocol=consumer`), share, streams | classic only |
//! | kinds of request | 75 | 27, in the versions of `SPOKEN` in `versions.rs`; others hang up |
//! | compressed batches | unpacked, checked record by record | opaque: header and checksum are checked |
//! | look-up by timestamp in a compressed batch | the record | the first record of its batch |
//! | `cleanup.policy=compact` | compacts | can be set and is described; nothing is compacted |
//! | retention | by time and bytes, a closed segment at a time, later | by bytes, a batch at a time, at once; `retention.ms` is described only |
//! | a topic's settings | 33 | 16; a name beyond them is refused as unknown (40) |
//! | the broker's settings | 340, some can be changed | 8; none can be changed |
//! | end of a transaction | markers are written later: until then `CONCURRENT_TRANSACTIONS` (51) | at once |
//! | offsets and transactional ids that nobody uses | forgotten after 7 days | kept |
//! | leader epoch of a committed offset | kept | not kept: read back as -1 |
//! | fetch sessions (KIP-227) | kept | never given: each fetch says all it wants |
//! | a member of type `consumer` whose subscription cannot be read | its join is never answered | joins |

mod admin;
mod balance;
mod exactly_once;
mod fencing;
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
pub(crate) mod wire;
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
