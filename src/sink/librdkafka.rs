//! The sink's client, as librdkafka does it: a [`Writer`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::metadata::MetadataTopic;

use super::Parcel;
use super::batches::Batches;
use super::client::{Client, Connect, Outgoing, Report};
use super::transaction::client::{Committed, Committer, Failed, Remedy, Transactional};
use crate::kafka::admin::{self, Topic};
use crate::kafka::context::{Context, Member};
use crate::kafka::ffi::Writer;
use crate::kafka::membership::Membership;
use crate::kafka::offsets;
use crate::record::TopicPartition;

/// How long a call may take beyond its time before it is given up.
const OVERDUE: Duration = Duration::from_secs(5);

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

    fn connect(&self, topics: &[&str], batches: Batches) -> KafkaResult<Self::Client> {
        let (mut properties, context) = self.context.of_a_new_client(&self.properties);
        if let Some(size) = batches.size {
            properties.set("batch.size", size.to_string());
        }
        if batches.alone {
            properties.set("batch.num.messages", "1");
        }
        Writer::new(&properties, context, topics)
    }

    /// By a client of its own: it happens once in a while.
    fn largest_batch(&self, topics: &[&str]) -> Option<usize> {
        let (mut properties, context) = self.context.of_a_new_client(&self.properties);
        properties.remove("transactional.id");
        let admin = properties.create_with_context(context).ok()?;
        let runtime = admin::runtime().ok()?;
        let settings = admin::settings(&admin, topics, &runtime);
        let limits = settings.into_iter().map(|settings| settings?.max_message_bytes);
        limits.collect::<Option<Vec<usize>>>()?.into_iter().min()
    }
}

impl<P: Parcel> Client<P> for Writer<P, Context> {
    fn write<V>(&self, parcel: Arc<P>, view: V) -> Result<(), (Arc<P>, Code)>
    where
        V: for<'a> FnOnce(&'a P) -> Outgoing<'a>,
    {
        Writer::write(self, parcel, view)
    }

    fn poll(&self, wait: Duration, see: &mut dyn FnMut(Report<P>)) -> bool {
        self.client().context().renew(self.client());
        Writer::poll(self, wait, see)
    }

    fn purge_queue(&self) {
        Writer::purge(self, false);
    }

    fn purge(&self) {
        Writer::purge(self, true);
    }

    fn given_up(&self) -> Vec<(String, usize)> {
        Writer::given_up(self)
    }

    fn is_served(&self, topic: &str, wait: Duration) -> bool {
        let Ok(metadata) = self.client().fetch_metadata(Some(topic), wait) else { return false };
        let mut partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
        partitions.all(|partition| partition.leader() >= 0)
    }

    fn partitions(&self, topic: &str, wait: Duration) -> Option<i32> {
        match admin::topic(self.client(), topic, wait) {
            Ok(Topic::Exists(count)) => Some(count),
            Ok(Topic::Missing | Topic::Denied) | Err(_) => None,
        }
    }
}

impl<P: Parcel> Transactional<P> for Writer<P, Context> {
    /// librdkafka looks for its coordinator at once, and again after half a second where it has no connection yet. So it gets one:
    /// an answer says that it is there, and the first may be that of a broker known by its address alone, which goes then.
    fn init(&self, topic: &str, wait: Duration) -> Result<(), Failed> {
        let answers = || self.client().fetch_metadata(Some(topic), wait).is_ok();
        // Where nobody answers the call itself says so.
        let _ = answers() && answers();
        self.init_transactions(wait)
    }

    fn begin(&self) -> Result<(), Failed> {
        self.begin_transaction()
    }

    /// On a thread of its own: librdkafka may not return before the connection to the group's coordinator changes, whatever
    /// `wait` says (its #5456). The client lives until it does.
    fn send_offsets(
        self: &Arc<Self>,
        offsets: &[(TopicPartition, Committed)],
        member: &Membership,
        wait: Duration,
    ) -> Result<(), Failed> {
        let (client, offsets, member) = (self.clone(), offsets::list(offsets), member.clone());
        let (answer, answered) = crossbeam_channel::bounded(1);
        let call = move || {
            // Nobody asks any more if it took too long.
            let _ = answer.send(Writer::send_offsets(&client, &offsets, &member, wait));
        };
        let fault = |code, text| Failed { code, text, remedy: Remedy::Rebuild };
        std::thread::Builder::new()
            .name("offsets".to_owned())
            .spawn(call)
            .map_err(|e| fault(Code::Fail, format!("no thread: {e}")))?;
        answered.recv_timeout(wait + OVERDUE).unwrap_or_else(|_| {
            Err(fault(
                Code::OperationTimedOut,
                "the client does not return from sending the offsets".to_owned(),
            ))
        })
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

    fn connect(&self, topics: &[&str], batches: Batches) -> KafkaResult<Self::Client> {
        self.producer.connect(topics, batches)
    }

    fn largest_batch(&self, topics: &[&str]) -> Option<usize> {
        Connect::<P>::largest_batch(&self.producer, topics)
    }
}

impl<P: Parcel> Committer<P> for TransactionalConnection {
    /// By a client of its own, which never joins: this happens once in a while.
    fn committed(&self, partitions: &[TopicPartition]) -> KafkaResult<HashMap<TopicPartition, Committed>> {
        let (properties, context) = self.producer.context.of_a_new_client(&self.consumer);
        let consumer: BaseConsumer<Member> = properties.create_with_context(Member::new(context))?;
        offsets::committed(&consumer, partitions)
    }
}
