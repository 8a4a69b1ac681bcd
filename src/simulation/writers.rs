//! A producer's client: what the sink asks of it, on the simulated Kafka.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};

use super::calls::{Ask, failed};
use super::consuming;
use super::producing::{Message, Producer};
use super::world::{Bell, Sim};
use crate::engine::Job;
use crate::kafka::membership::Membership;
use crate::record::TopicPartition;
use crate::sink::batches::Batches;
use crate::sink::client::{Client, Connect, Outgoing, Report};
use crate::sink::transaction::client::{Committed, Committer, Failed, Remedy, Transactional};
use crate::sync::model;

/// Makes clients for one instance.
pub(super) struct SimConnect {
    pub sim: Arc<Sim>,
    pub instance: usize,
    /// `transactional.id`, of clients with transactions.
    pub name: Option<String>,
}

/// See the module.
pub(super) struct SimProducer {
    sim: Arc<Sim>,
    id: usize,
    bell: Arc<Bell>,
}

impl Connect<Job> for SimConnect {
    type Client = SimProducer;

    fn connect(&self, _: &[&str], batches: Batches) -> KafkaResult<SimProducer> {
        let (id, bell) = self.sim.with(|world| {
            let dead = world.dead.contains(&self.instance);
            let producer = Producer { instance: self.instance, dead, batches, ..Producer::default() };
            let bell = producer.bell.clone();
            world.producing.producers.push(producer);
            let id = world.producing.producers.len() - 1;
            if let Some(name) = &self.name {
                world.producing.producers[id].transacting = Some(world.named(id, name));
            }
            (id, bell)
        });
        Ok(SimProducer { sim: self.sim.clone(), id, bell })
    }

    fn largest_batch(&self, _: &[&str]) -> Option<usize> {
        None
    }
}

impl Client<Job> for SimProducer {
    fn write<V>(&self, parcel: Arc<Job>, view: V) -> Result<(), (Arc<Job>, Code)>
    where
        V: for<'a> FnOnce(&'a Job) -> Outgoing<'a>,
    {
        let outgoing = view(&parcel);
        let (topic, whole) = (outgoing.topic, outgoing.value.is_some_and(|value| !value.is_empty()));
        let (place, what) = super::transform::read(&outgoing);
        let count = self.sim.with(|world| world.plan.outputs);
        let hash = outgoing.key.map_or(0, |key| i32::from(key.first().copied().unwrap_or(0)));
        let partition = outgoing.partition.unwrap_or(hash % count);
        let message = Message { parcel, place, what, whole };
        self.sim.with(|world| world.written(self.id, (topic, partition), message))
    }

    fn poll(&self, wait: Duration, see: &mut dyn FnMut(Report<Job>)) -> bool {
        let next = || self.sim.with(|world| world.producing.producers[self.id].next_report());
        let mut report = next();
        if report.is_none() && !wait.is_zero() {
            self.bell.wait(wait);
            report = next();
        }
        let some = report.is_some();
        report.into_iter().for_each(see);
        some
    }

    fn purge_queue(&self) {
        self.sim.with(|world| world.give_up_queued(self.id));
    }

    fn purge(&self) {
        self.sim.with(|world| world.purge(self.id));
    }

    fn is_served(&self, _: &str, _: Duration) -> bool {
        self.sim.with(|world| !world.is_silent())
    }

    fn partitions(&self, _: &str, _: Duration) -> Option<i32> {
        Some(self.sim.with(|world| world.plan.outputs))
    }
}

impl SimProducer {
    /// Asks, or waits on for the answer to what it has asked before.
    fn call(&self, ask: Ask, wait: Duration) -> Result<(), Failed> {
        let until = model::now() + wait;
        self.sim.with(|world| world.ask(self.id, ask));
        loop {
            if let Some(outcome) = self.sim.with(|world| world.outcome(self.id)) {
                return outcome;
            }
            let left = until.saturating_duration_since(model::now());
            if left.is_zero() {
                return Err(failed(Code::OperationTimedOut, Remedy::Again));
            }
            self.bell.wait(left);
        }
    }
}

impl Transactional<Job> for SimProducer {
    fn init(&self, _: &str, wait: Duration) -> Result<(), Failed> {
        self.call(Ask::Init, wait)
    }

    fn begin(&self) -> Result<(), Failed> {
        self.sim.with(|world| world.begin(self.id))
    }

    fn send_offsets(
        self: &Arc<Self>,
        offsets: &[(TopicPartition, Committed)],
        member: &Membership,
        wait: Duration,
    ) -> Result<(), Failed> {
        let offset = |((_, partition), committed): &(TopicPartition, Committed)| {
            (*partition, committed.offset, committed.metadata.clone())
        };
        self.call(Ask::Offsets(offsets.iter().map(offset).collect(), member.clone()), wait)
    }

    fn commit(&self, wait: Duration) -> Result<(), Failed> {
        self.call(Ask::End { commit: true }, wait)
    }

    fn abort(&self, wait: Duration) -> Result<(), Failed> {
        self.call(Ask::End { commit: false }, wait)
    }
}

impl Committer<Job> for SimConnect {
    fn committed(&self, partitions: &[TopicPartition]) -> KafkaResult<HashMap<TopicPartition, Committed>> {
        let dead = self.sim.with(|world| world.dead.contains(&self.instance));
        consuming::stable(&self.sim, dead, partitions)
    }
}
