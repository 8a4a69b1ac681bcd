//! What the transactor asks of its Kafka client, beside writing: the seam between what it decides and what librdkafka does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaResult;

pub use crate::kafka::ffi::transactions::{Failed, Remedy};
use crate::kafka::membership::Membership;
pub use crate::kafka::offsets::Committed;
use crate::record::TopicPartition;
use crate::sink::client::{Client, Connect};

/// A producer client with transactions, used by one thread. No call but [`Transactional::begin`] may be left: what failed with
/// [`Remedy::Again`] is called again.
pub trait Transactional<P>: Client<P> {
    /// Ends what an earlier client of the same name left open, and shuts that client out. `topic` is one that it writes to.
    ///
    /// # Errors
    /// When it is not done within some times `wait`, or never will be.
    fn init(&self, topic: &str, wait: Duration) -> Result<(), Failed>;

    /// What is written from here on belongs to one transaction.
    ///
    /// # Errors
    /// When the client is broken.
    fn begin(&self) -> Result<(), Failed>;

    /// These offsets belong to it too.
    ///
    /// # Errors
    /// When they are not taken, among others because the member is none of its group any more.
    fn send_offsets(
        self: &Arc<Self>,
        offsets: &[(TopicPartition, Committed)],
        member: &Membership,
        wait: Duration,
    ) -> Result<(), Failed>;

    /// Commits. Every record must have been reported.
    ///
    /// # Errors
    /// With [`Remedy::Rebuild`] nobody knows whether it is committed.
    fn commit(&self, wait: Duration) -> Result<(), Failed>;

    /// Aborts. Every record must have been reported.
    ///
    /// # Errors
    /// When it is not done within `wait`, or never will be.
    fn abort(&self, wait: Duration) -> Result<(), Failed>;
}

/// Makes such clients, all of one name, and knows what the group has.
pub trait Committer<P>: Connect<P, Client: Transactional<P>> {
    /// What the group has committed, once no transaction that could change it is open.
    ///
    /// # Errors
    /// When the cluster does not answer: ask again.
    fn committed(&self, partitions: &[TopicPartition]) -> KafkaResult<HashMap<TopicPartition, Committed>>;
}
