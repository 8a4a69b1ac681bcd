//! A transactional producer that does only what a test tells it to, and takes each refusal as an answer.

use std::collections::HashMap;

use super::wire::{Batch, Identity, Produced, Wire};
use crate::support::kafka::Kafka;

/// A producer with a transactional id.
pub(super) struct Writer {
    /// To the coordinator.
    pub wire: Wire,
    broker: Wire,
    pub id: String,
    pub who: Identity,
    sequences: HashMap<(String, i32), i32>,
}

impl Writer {
    /// The next of this id.
    pub(super) fn of(kafka: &Kafka, id: &str) -> Self {
        Self::with_timeout(kafka, id, 60_000)
    }

    pub(super) fn with_timeout(kafka: &Kafka, id: &str, timeout_ms: i32) -> Self {
        let mut wire = Wire::to_transactions(kafka, id);
        let (code, who) = wire.init_producer(Some(id), timeout_ms);
        assert_eq!(code, 0, "{id} can begin");
        Self { wire, broker: Wire::to(kafka), id: id.to_owned(), who, sequences: HashMap::new() }
    }

    /// Adds the partition to the transaction.
    pub(super) fn add(&mut self, topic: &str, partition: i32) -> i16 {
        self.wire.add_partitions(&self.id, self.who, topic, &[partition])[0]
    }

    /// Writes to a partition, added or not.
    pub(super) fn put(&mut self, topic: &str, partition: i32, values: &[&str]) -> Produced {
        let sequence = self.sequences.entry((topic.to_owned(), partition)).or_default();
        let batch = Batch::of(values).by(self.who.producer, self.who.epoch, *sequence);
        let done = self.broker.produce_in(&self.id, topic, partition, &batch.transactional());
        if done.code == 0 {
            *sequence += i32::try_from(values.len()).expect("few");
        }
        done
    }

    /// Adds the partition and writes to it; gives the first offset.
    pub(super) fn write(&mut self, topic: &str, partition: i32, values: &[&str]) -> i64 {
        assert_eq!(self.add(topic, partition), 0, "{topic}/{partition} is added");
        let done = self.put(topic, partition, values);
        assert_eq!(done.code, 0, "{topic}/{partition} is written");
        done.base
    }

    pub(super) fn end(&mut self, commit: bool) -> i16 {
        self.wire.end_transaction(&self.id, self.who, commit)
    }

    /// Becomes the next of its id, knowing which one it was.
    pub(super) fn renew(&mut self) -> i16 {
        let (code, who) = self.wire.renew_producer(&self.id, self.who);
        if code == 0 {
            self.who = who;
            self.sequences.clear();
        }
        code
    }
}
