//! What the sink asks of its Kafka client: the seam between what it decides and what librdkafka does.
//!
//! [`super::librdkafka`] is the client of the program. A simulation brings another one: of librdkafka the sink needs
//! nothing but these calls and the names of the errors. Generic, not `dyn`: [`Client::write`] is called for every record.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};

use super::batches::Batches;
pub use crate::kafka::ffi::{Outgoing, Report, Undelivered};

/// A producer client: takes records from several threads, answers to one.
pub trait Client<P>: Send + Sync + 'static {
    /// Hands a record over, without waiting; `parcel` comes back with its [`Report::Delivery`], or at once with an error.
    /// `view` shows the record, which lives in the parcel.
    fn write<V>(&self, parcel: Arc<P>, view: V) -> Result<(), (Arc<P>, Code)>
    where
        V: for<'a> FnOnce(&'a P) -> Outgoing<'a>;

    /// Waits up to `wait` for reports and shows each to `see`; returns whether there was one.
    fn poll(&self, wait: Duration, see: &mut dyn FnMut(Report<P>)) -> bool;

    /// Gives up what is not sent yet; the reports still come, and those of what was sent too, if the broker answers.
    fn purge_queue(&self) {
        self.purge();
    }

    /// Gives up everything that is not acknowledged; the reports still come.
    fn purge(&self);

    /// What it has given up so far, by topic and partition, for messages.
    fn given_up(&self) -> Vec<(String, usize)> {
        Vec::new()
    }

    /// Whether a broker answers this client within `wait`, and each partition of `topic` has a leader.
    fn is_served(&self, topic: &str, wait: Duration) -> bool;

    /// How many partitions a topic has; `None` where it is not there, or nobody says so within `wait`.
    fn partitions(&self, topic: &str, wait: Duration) -> Option<i32>;
}

/// Makes a client: the first one, and another when that is broken.
pub trait Connect<P>: Send + Sync + 'static {
    /// What it makes.
    type Client: Client<P>;

    /// A client that writes to `topics` in such batches; [`Outgoing::topic`] is an index into them.
    ///
    /// # Errors
    /// When the client cannot be made, which is not a matter of the cluster: nobody is asked yet.
    fn connect(&self, topics: &[&str], batches: Batches) -> KafkaResult<Self::Client>;

    /// Bytes of the largest batch that all of `topics` take, as the cluster says now; `None` where we may not ask, or it does not
    /// answer.
    fn largest_batch(&self, topics: &[&str]) -> Option<usize>;
}
