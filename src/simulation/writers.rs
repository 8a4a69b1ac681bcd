//! A producer's client: what the sink asks of it, on the simulated Kafka.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};

use super::producing::{Message, Producer};
use super::world::{Bell, Sim};
use crate::pipeline::Job;
use crate::sink::client::{Client, Connect, Outgoing, Report};

/// Makes clients for one instance.
pub struct SimConnect {
    pub sim: Arc<Sim>,
    pub instance: usize,
}

/// See the module.
pub struct SimProducer {
    sim: Arc<Sim>,
    id: usize,
    bell: Arc<Bell>,
}

impl Connect<Job> for SimConnect {
    type Client = SimProducer;

    fn connect(&self, _: &[&str]) -> KafkaResult<SimProducer> {
        let (id, bell) = self.sim.with(|world| {
            let dead = world.dead.contains(&self.instance);
            let producer = Producer { instance: self.instance, dead, ..Producer::default() };
            let bell = producer.bell.clone();
            world.producing.producers.push(producer);
            (world.producing.producers.len() - 1, bell)
        });
        Ok(SimProducer { sim: self.sim.clone(), id, bell })
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

    fn purge(&self) {
        self.sim.with(|world| world.purge(self.id));
    }
}
