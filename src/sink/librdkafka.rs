//! The sink's client, as librdkafka does it: a [`Writer`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};

use super::Parcel;
use super::client::{Client, Connect, Outgoing, Report};
use super::transactor::client::{Committed, Committer, Failed, Transactional};
use crate::kafka::context::{Context, Member, TopicPartition};
use crate::kafka::ffi::Writer;
use crate::kafka::membership::Membership;
use crate::kafka::offsets;

/// What it takes to make a producer.
#[derive(Clone)]
pub struct Connection {
    /// The client's properties.
    pub properties: ClientConfig,
    /// Whom the client tells about the cluster.
    pub context: Context,
}

impl<P: Parcel> Connect<P> for Connection {
    type Client = Writer<P, Context>;

    fn connect(&self, topics: &[&str]) -> KafkaResult<Self::Client> {
        Writer::new(&self.properties, self.context.clone(), topics)
    }
}

impl<P: Parcel, C: ClientContext + 'static> Client<P> for Writer<P, C> {
    fn write<V>(&self, parcel: Arc<P>, view: V) -> Result<(), (Arc<P>, Code)>
    where
        V: for<'a> FnOnce(&'a P) -> Outgoing<'a>,
    {
        Writer::write(self, parcel, view)
    }

    fn poll(&self, wait: Duration, see: &mut dyn FnMut(Report<P>)) -> bool {
        Writer::poll(self, wait, see)
    }

    fn purge_queue(&self) {
        Writer::purge(self, false);
    }

    fn purge(&self) {
        Writer::purge(self, true);
    }
}

impl<P: Parcel, C: ClientContext + 'static> Transactional<P> for Writer<P, C> {
    fn init(&self, wait: Duration) -> Result<(), Failed> {
        self.init_transactions(wait)
    }

    fn begin(&self) -> Result<(), Failed> {
        self.begin_transaction()
    }

    fn send_offsets(
        &self,
        offsets: &[(TopicPartition, Committed)],
        member: &Membership,
        wait: Duration,
    ) -> Result<(), Failed> {
        Writer::send_offsets(self, &offsets::list(offsets), member, wait)
    }

    fn commit(&self, wait: Duration) -> Result<(), Failed> {
        self.commit_transaction(wait)
    }

    fn abort(&self, wait: Duration) -> Result<(), Failed> {
        self.abort_transaction(wait)
    }
}

/// What it takes to make a producer with transactions: its `transactional.id` is among the properties.
#[derive(Clone)]
pub struct TransactionalConnection {
    /// The producer.
    pub producer: Connection,
    /// A consumer's properties, to ask what the group has.
    pub consumer: ClientConfig,
}

impl<P: Parcel> Connect<P> for TransactionalConnection {
    type Client = Writer<P, Context>;

    fn connect(&self, topics: &[&str]) -> KafkaResult<Self::Client> {
        self.producer.connect(topics)
    }
}

impl<P: Parcel> Committer<P> for TransactionalConnection {
    /// By a client of its own, which never joins: this happens once in a while.
    fn committed(&self, partitions: &[TopicPartition]) -> KafkaResult<HashMap<TopicPartition, Committed>> {
        let context = Member::new(self.producer.context.clone());
        let consumer: BaseConsumer<Member> = self.consumer.create_with_context(context)?;
        offsets::committed(&consumer, partitions)
    }
}
