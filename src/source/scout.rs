//! Looks whether anything is left of a partition. Behind the last record there may be markers of transactions, and records of
//! aborted ones: no consumer is shown them, so the committed offset stays before them, and whoever counts the lag counts them.
//!
//! The proof that there is no record is a read of its own, with a client that is no member of the group: it begins where the
//! watermark is, and comes to the end of what is committed without having been shown one. (A member's own client could say where it
//! came to an end, but then moves its position past a record that is not there: librdkafka #4844.)
//!
//! Where it comes to the end at once, and a broker says that there is more, the transaction of a producer is open there.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::kafka::admin;
use crate::kafka::context::{Context, Member};
use crate::kafka::ffi::RecordQueue;
use crate::kafka::ffi::bootstrap::Bootstrap;
use crate::record::TopicPartition;

/// How long one look may take.
const PATIENCE: Duration = Duration::from_millis(500);
const WAIT: Duration = Duration::from_millis(50);
/// Events of the client, log lines among them, served at once.
const EVENTS: usize = 16;

/// See the module.
pub struct Scout {
    queue: RecordQueue,
    consumer: Arc<BaseConsumer<Member>>,
    bootstrap: Bootstrap,
}

impl Scout {
    /// A client with the properties of the members.
    ///
    /// # Errors
    /// When librdkafka does not accept them.
    pub fn new(mut properties: ClientConfig, context: Context) -> KafkaResult<Self> {
        properties.remove("group.instance.id");
        properties.set("enable.partition.eof", "true").set("isolation.level", "read_committed");
        // Where there is nothing the broker is to say so, and not to wait for something.
        properties.set("fetch.wait.max.ms", "10");
        let (properties, context) = context.of_a_new_client(&properties);
        let consumer: BaseConsumer<Member> = properties.create_with_context(Member::new(context))?;
        let consumer = Arc::new(consumer);
        let (queue, bootstrap) = (RecordQueue::new(&consumer, 1), Bootstrap::new(&properties));
        Ok(Self { queue, consumer, bootstrap })
    }

    /// To be called now and then: logs in with the password of now, and names the brokers again to a client that has lost them.
    pub fn tend(&mut self) {
        self.consumer.context().renew(self.consumer.client());
        self.serve();
        self.bootstrap.maybe_name(self.consumer.client(), Instant::now());
    }

    fn serve(&mut self) {
        for _ in 0..EVENTS {
            let error = self.consumer.poll(Duration::ZERO).and_then(Result::err);
            if error.is_some_and(|error| error.rdkafka_error_code() == Some(Code::AllBrokersDown)) {
                self.bootstrap.all_down(Instant::now());
            }
        }
    }

    /// The partitions of a topic that no broker leads; `None` if that could not be found out now. Blocks for half a second at most.
    pub fn leaderless(&self, topic: &str) -> Option<HashSet<i32>> {
        let found = admin::leaderless(self.consumer.client(), topic, PATIENCE);
        found.inspect_err(|error| tracing::debug!("the leaders of {topic} are not known: {error}")).ok()
    }

    /// Where what is committed of the partition ends, if there is no record from `from` on to there, which may be `from` itself; `None`
    /// where there is one, or if that could not be found out now. Blocks for half a second at most.
    pub fn end_without_records(&mut self, partition: &TopicPartition, from: i64) -> Option<i64> {
        let (topic, number) = partition;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, *number, Offset::Offset(from)).ok()?;
        self.queue.attach(topic, *number);
        let found = match self.consumer.assign(&list) {
            Ok(()) => self.look(*number, from),
            Err(error) => {
                tracing::debug!("{topic}/{number} cannot be looked at: {error}");
                None
            }
        };
        if let Err(error) = self.consumer.unassign() {
            tracing::debug!("{topic}/{number}: {error}");
        }
        // What of an earlier look is still there must not be taken for an answer to the next.
        while self.queue.take(Duration::ZERO, |_| {}) > 0 {}
        self.queue.forget(topic, *number);
        found
    }

    fn look(&mut self, number: i32, from: i64) -> Option<i64> {
        let until = Instant::now() + PATIENCE;
        let (mut end, mut other) = (None, false);
        while end.is_none() && !other && Instant::now() < until {
            self.serve();
            self.queue.take(WAIT, |message| match message.error() {
                Some((Code::PartitionEOF, _)) if message.partition() == number => {
                    end = Some(message.offset())
                }
                // A record, or a batch that cannot be read: librdkafka comes to the end past it.
                Some(_) | None => other = true,
            });
        }
        if end.is_some() || other {
            self.bootstrap.answered();
        }
        end.filter(|end| !other && *end >= from)
    }
}
