//! What a member of the consumer group asks of its Kafka client: the seam between what it decides and what librdkafka does.
//!
//! [`super::librdkafka`] is the client of the program. A simulation brings another one: of librdkafka the source needs
//! nothing but these calls and the names of the errors.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};

pub use crate::kafka::context::RebalanceEvent;
use crate::kafka::membership::Membership;
pub use crate::kafka::offsets::Committed;
use crate::record::Record;
use crate::record::TopicPartition;
use crate::topic_id::Ids;

/// A client that is a member of the group. One thread owns it, and calls [`Client::serve`] and [`Client::take`] all the
/// time: to stay in the group, a member has to be heard of.
pub trait Client: Send + 'static {
    /// Joins the group, for these topics.
    ///
    /// # Errors
    /// When the client does not accept the topics.
    fn subscribe(&mut self, topics: &[String]) -> KafkaResult<()>;

    /// What the client has to say, in the order in which it was told. If there is nothing, waits up to `wait` for the
    /// answer to a commit.
    fn serve(&mut self, wait: Duration) -> Vec<Event>;

    /// What the group has committed, where it has something.
    ///
    /// # Errors
    /// When the cluster does not answer: ask again.
    fn committed(&mut self, partitions: &[TopicPartition])
    -> KafkaResult<HashMap<TopicPartition, Committed>>;

    /// The first offset of a partition, and the one that is written next.
    ///
    /// # Errors
    /// When the cluster does not answer: ask again.
    fn bounds(&mut self, partition: &TopicPartition) -> KafkaResult<(i64, i64)>;

    /// Asks which topics these names mean. Its answer comes as [`Event::TopicIds`]; one question at a time.
    fn ask_topic_ids(&mut self, topics: &[String]);

    /// Sends a commit; one at a time. Its answer comes as [`Event::Committed`].
    ///
    /// # Errors
    /// When it cannot be sent now.
    fn commit(&mut self, offsets: &[(TopicPartition, Committed)]) -> Result<(), Code>;

    /// Takes the records that are there, or waits up to `wait` for one if there is none.
    fn take(&mut self, wait: Duration) -> Batch;

    /// How many there are to be taken: who has taken so many has taken all that are there now.
    fn queued(&self) -> usize;

    /// Makes a partition's records come with [`Client::take`]. Before it is accepted, so that none takes another way; again
    /// after [`Client::detach`], when what was fetched meanwhile follows in order.
    fn attach(&mut self, partition: &TopicPartition);

    /// Keeps a partition's further records in a queue of their own, which is bounded. Records on their way still come.
    fn detach(&mut self, partition: &TopicPartition);

    /// Fetches nothing more of a partition until [`Client::unpark`], and drops what was fetched and not taken; then it is read
    /// from `offset` on, attached. `false` where the client cannot: then all is as before.
    fn park(&mut self, partition: &TopicPartition, offset: i64) -> bool;

    /// Gives a partition a position of which nothing is fetched, where [`Client::park`] cannot because the client has given it up: its
    /// offset was not there. A little later it can be parked. What is read of other partitions may come again, from where the group
    /// has committed. Not while the group waits for an answer.
    fn restart_paused(&mut self, partition: &TopicPartition, offset: i64);

    /// See [`Client::park`].
    fn unpark(&mut self, partition: &TopicPartition);

    /// Reads a partition anew, whatever became of its position, attached. `places` are where each partition goes on that is read.
    ///
    /// # Errors
    /// When the client refuses.
    fn restart(&mut self, partition: &TopicPartition, places: &[(TopicPartition, i64)]) -> KafkaResult<()>;

    /// A partition is given up for good.
    fn forget(&mut self, partition: &TopicPartition);

    /// Asks the brokers where these end, of open transactions too, and does not wait: see [`Client::ends`].
    fn ask_ends(&mut self, partitions: &[TopicPartition]);

    /// The answer to [`Client::ask_ends`], once it has come, which is within a few seconds. What no broker answers for is not in it.
    fn ends(&mut self) -> Option<Ends>;

    /// Answers [`RebalanceEvent::Assigned`]: these are read from these offsets on. With the cooperative protocol they come to what is
    /// owned already, else they are all.
    ///
    /// # Errors
    /// When the client refuses, which is our bug or the end of the client.
    fn accept(&mut self, starts: &[(TopicPartition, i64)]) -> KafkaResult<()>;

    /// Answers [`RebalanceEvent::Revoked`]: nothing is read of these any more. Without the cooperative protocol they are all.
    ///
    /// # Errors
    /// As [`Client::accept`].
    fn give_up(&mut self, partitions: &[TopicPartition]) -> KafkaResult<()>;

    /// As whom it is in the group now; `None` where it is not.
    fn membership(&mut self) -> Option<Membership>;

    /// Whether what is being revoked belongs to somebody else already.
    fn is_lost(&mut self) -> bool;

    /// Leaves the group, within `patience`, and ends. `unanswered`: the group waits for an answer from before.
    fn leave(self, unanswered: bool, patience: Duration);

    /// Ends without telling the group, which notices after the session timeout.
    fn abandon(self);
}

/// Partitions, and the offset of the next record to be written to each.
pub type Ends = Vec<(TopicPartition, i64)>;

/// What a client has to say.
#[derive(Debug)]
pub enum Event {
    /// By the group.
    RebalanceEvent(RebalanceEvent),
    /// The answer to a commit: as a whole, or the first partition's error.
    Committed(Result<(), Code>),
    /// The answer to [`Client::ask_topic_ids`].
    TopicIds(Result<Ids, Code>),
    /// An error of the client, in librdkafka's words.
    Error(Code, String),
    /// A record (topic/partition/offset) that did not come with [`Client::take`], and is lost.
    Astray(String),
}

/// What was taken at once: runs of records of one partition, and errors.
#[derive(Debug, Default)]
pub struct Batch {
    /// In the order in which they came.
    pub runs: Vec<(TopicPartition, Vec<Record>)>,
    /// What came in place of records.
    pub errors: Vec<Misread>,
}

/// What came in place of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misread {
    /// Of which partition, where it is known.
    pub partition: Option<TopicPartition>,
    /// Where it is: of a batch that cannot be read its first offset, which may be below the one that reading began with.
    pub offset: i64,
    /// Which error.
    pub code: Code,
    /// In librdkafka's words.
    pub text: String,
}
