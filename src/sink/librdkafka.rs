//! The sink's client, as librdkafka does it: a [`Writer`].

use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};

use super::Parcel;
use super::client::{Client, Connect, Outgoing, Report};
use crate::kafka::context::Context;
use crate::kafka::ffi::Writer;

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
