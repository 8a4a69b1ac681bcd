//! A member's client, as librdkafka does it: the consumer for the group, a [`RecordQueue`] for records, [`Commits`] for
//! commits with answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{Batch, Client, Committed, Ends, Event, Misread};
use crate::kafka::context::{Context, Member};
use crate::kafka::ffi::bootstrap::Bootstrap;
use crate::kafka::ffi::ends::EndsAsked;
use crate::kafka::ffi::topic_ids::Questions;
use crate::kafka::ffi::transactions::membership;
use crate::kafka::ffi::{Commits, Message, RecordQueue, destroy_without_leaving};
use crate::kafka::membership::Membership;
use crate::kafka::offsets;
use crate::kafka::properties::check_consumer;
use crate::record::Record;
use crate::record::TopicPartition;

/// Records taken at once.
const BATCH: usize = 512;
/// Events of the group, log lines among them, served at once: a rebalance must not wait behind a chatty log.
const EVENTS: usize = 16;
/// How long one question to the cluster may take. It is asked on the polling thread, so it must stay far below
/// `max.poll.interval.ms`; a question without an answer is asked again.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the brokers may take to say where partitions end. Nobody waits for it.
const ENDS_PATIENCE: Duration = Duration::from_secs(3);
/// How long after a partition was given up librdkafka may still come to that, and detach it.
const DETACHING: Duration = Duration::from_secs(5);
/// How long a wait for the group's word on leaving lasts before the time is looked at.
const TICK: Duration = Duration::from_millis(2);

/// See the module.
pub struct GroupMember {
    queue: RecordQueue,
    commits: Commits,
    ends: EndsAsked,
    questions: Questions,
    consumer: Arc<BaseConsumer<Member>>,
    bootstrap: Bootstrap,
    names: Names,
    /// What librdkafka may still detach, and until when: see [`Client::restart`].
    detaching: HashMap<TopicPartition, Instant>,
    /// Where partitions were restarted that are not under way yet.
    restarted: HashMap<TopicPartition, i64>,
    /// Assigned anew with them, and to be attached when that is done.
    loose: Vec<TopicPartition>,
}

impl GroupMember {
    /// One that has not joined yet.
    ///
    /// # Errors
    /// When librdkafka does not accept the properties.
    pub fn new(properties: &ClientConfig, context: Context) -> KafkaResult<Self> {
        let (properties, context) = context.of_a_new_client(properties);
        check_consumer(&properties)?;
        let consumer: BaseConsumer<Member> = properties.create_with_context(Member::new(context))?;
        let consumer = Arc::new(consumer);
        let (queue, commits) = (RecordQueue::new(&consumer, BATCH), Commits::new(&consumer));
        let (ends, bootstrap) = (EndsAsked::new(&consumer), Bootstrap::new(&properties));
        let (questions, names) = (Questions::new(&consumer), Names::default());
        let (detaching, restarted, loose) = (HashMap::new(), HashMap::new(), Vec::new());
        Ok(Self { queue, commits, ends, questions, consumer, bootstrap, names, detaching, restarted, loose })
    }

    /// Whatever librdkafka does later: what gathered meanwhile follows in order.
    fn attach_again(&mut self) {
        let now = Instant::now();
        self.detaching.retain(|_, until| now < *until);
        for (topic, partition) in self.detaching.keys() {
            self.queue.attach(topic, *partition);
        }
    }

    fn is_cooperative(&self) -> bool {
        matches!(self.consumer.rebalance_protocol(), RebalanceProtocol::Cooperative)
    }

    fn error(&mut self, error: &KafkaError) -> Event {
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        if code == Code::AllBrokersDown {
            self.bootstrap.all_down(Instant::now());
        }
        let text = self.consumer.client().fatal_error().map_or_else(|| error.to_string(), |(_, text)| text);
        Event::Error(code, text)
    }
}

impl Client for GroupMember {
    fn subscribe(&mut self, topics: &[String]) -> KafkaResult<()> {
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        self.consumer.subscribe(&topics)
    }

    fn serve(&mut self, wait: Duration) -> Vec<Event> {
        self.consumer.context().renew(self.consumer.client());
        self.attach_again();
        let mut events = Vec::new();
        // One call serves one event, and does not tell whether there was one.
        for _ in 0..EVENTS {
            match self.consumer.poll(Duration::ZERO) {
                None => {}
                Some(Ok(message)) => {
                    let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
                    events.push(Event::Astray(format!("{topic}/{partition}/{offset}")));
                }
                Some(Err(error)) => events.push(self.error(&error)),
            }
        }
        self.bootstrap.maybe_name(self.consumer.client(), Instant::now());
        events.extend(self.consumer.context().take().into_iter().map(Event::RebalanceEvent));
        events.extend(self.questions.answer(Duration::ZERO).map(Event::TopicIds));
        let wait = if events.is_empty() { wait } else { Duration::ZERO };
        let committed = self.commits.answer(wait);
        if let Some(Ok(())) = committed {
            self.bootstrap.answered();
        }
        events.extend(committed.map(Event::Committed));
        events
    }

    fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> KafkaResult<HashMap<TopicPartition, Committed>> {
        offsets::committed(&self.consumer, partitions)
    }

    fn bounds(&mut self, (topic, partition): &TopicPartition) -> KafkaResult<(i64, i64)> {
        self.consumer.fetch_watermarks(topic, *partition, PATIENCE)
    }

    fn ask_topic_ids(&mut self, topics: &[String]) {
        self.questions.ask(topics, PATIENCE);
    }

    fn commit(&mut self, offsets: &[(TopicPartition, Committed)]) -> Result<(), Code> {
        self.commits.send(&offsets::list(offsets))
    }

    fn take(&mut self, wait: Duration) -> Batch {
        let mut taking = Taking::default();
        let names = &mut self.names;
        self.queue.take(wait, |message| taking.see(&message, names));
        if !taking.batch.runs.is_empty() {
            self.bootstrap.answered();
        }
        taking.batch
    }

    fn queued(&self) -> usize {
        self.queue.queued()
    }

    fn attach(&mut self, (topic, partition): &TopicPartition) {
        self.queue.attach(topic, *partition);
    }

    fn detach(&mut self, (topic, partition): &TopicPartition) {
        self.detaching.remove(&(topic.clone(), *partition));
        self.queue.detach(topic, *partition);
    }

    fn park(&mut self, partition: &TopicPartition, offset: i64) -> bool {
        let (topic, number) = partition;
        // In this order: a seek first would be forgotten by the pause.
        let parked = self
            .consumer
            .pause(&without_offsets(std::slice::from_ref(partition)))
            .and_then(|()| self.consumer.seek(topic, *number, Offset::Offset(offset), PATIENCE));
        if let Err(error) = parked {
            tracing::debug!("parking {topic}/{number}: {error}");
            self.unpark(partition);
            return false;
        }
        self.queue.attach(topic, *number);
        self.restarted.remove(partition);
        // What was assigned anew with it is under way, too.
        for (topic, number) in std::mem::take(&mut self.loose) {
            self.queue.attach(&topic, number);
        }
        true
    }

    /// The client sets no position where it has given the partition up: that has to be assigned anew.
    fn restart_paused(&mut self, partition: &TopicPartition, offset: i64) {
        let restarted = self
            .consumer
            .pause(&without_offsets(std::slice::from_ref(partition)))
            .and_then(|()| self.assign_anew(partition, offset));
        if let Err(error) = restarted {
            tracing::debug!("{}/{} cannot be read anew: {error}", partition.0, partition.1);
        }
    }

    fn unpark(&mut self, partition: &TopicPartition) {
        if let Err(error) = self.consumer.resume(&without_offsets(std::slice::from_ref(partition))) {
            tracing::error!("cannot read on: {error}");
        }
    }

    fn restart(&mut self, partition: &TopicPartition, places: &[(TopicPartition, i64)]) -> KafkaResult<()> {
        let cooperative = self.is_cooperative();
        let concerned: Vec<_> =
            places.iter().filter(|(one, _)| !cooperative || one == partition).cloned().collect();
        if cooperative && let Err(error) = self.give_up(std::slice::from_ref(partition)) {
            tracing::debug!("{}/{} is not read: {error}", partition.0, partition.1);
        }
        self.accept(&concerned)?;
        self.unpark(partition);
        let until = Instant::now() + DETACHING;
        self.detaching = concerned.into_iter().map(|(one, _)| (one, until)).collect();
        self.attach_again();
        Ok(())
    }

    fn forget(&mut self, (topic, partition): &TopicPartition) {
        self.detaching.remove(&(topic.clone(), *partition));
        self.restarted.remove(&(topic.clone(), *partition));
        self.queue.forget(topic, *partition);
    }

    fn ask_ends(&mut self, partitions: &[TopicPartition]) {
        self.ends.ask(&list(partitions.iter().map(|partition| (partition, Offset::End))), ENDS_PATIENCE);
    }

    fn ends(&mut self) -> Option<Ends> {
        self.ends.answer()
    }

    fn accept(&mut self, starts: &[(TopicPartition, i64)]) -> KafkaResult<()> {
        let list = list(starts.iter().map(|(partition, offset)| (partition, Offset::Offset(*offset))));
        if self.is_cooperative() {
            self.consumer.incremental_assign(&list)
        } else {
            self.consumer.assign(&list)
        }
    }

    fn give_up(&mut self, partitions: &[TopicPartition]) -> KafkaResult<()> {
        if self.is_cooperative() {
            self.consumer.incremental_unassign(&without_offsets(partitions))
        } else {
            self.consumer.unassign()
        }
    }

    fn membership(&mut self) -> Option<Membership> {
        membership(&self.consumer)
    }

    fn is_lost(&mut self) -> bool {
        self.consumer.assignment_lost()
    }

    fn leave(self, unanswered: bool, patience: Duration) {
        let cooperative = self.is_cooperative();
        let Some(consumer) = self.alone() else { return };
        consumer.context().close();
        // Closing a cooperative member that has no partitions tells the group nothing: it would wait for it until its session is
        // over. Unsubscribing does.
        if cooperative && !unanswered && consumer.assignment().is_ok_and(|all| all.count() == 0) {
            consumer.unsubscribe();
        }
        let until = Instant::now() + patience;
        match consumer.close_queue() {
            Ok(()) => {
                if unanswered {
                    consumer.context().give_up_everything(&consumer);
                }
                while !consumer.closed() && Instant::now() < until {
                    consumer.poll(TICK);
                }
            }
            Err(error) => tracing::debug!("leaving the group: {error}"),
        }
        destroy_without_leaving(consumer);
    }

    fn abandon(self) {
        if let Some(consumer) = self.alone() {
            destroy_without_leaving(consumer);
        }
    }
}

impl GroupMember {
    /// When the client gets to it, it forgets which queue the records go to: until then they wait in those of the partitions.
    fn assign_anew(&mut self, partition: &TopicPartition, offset: i64) -> KafkaResult<()> {
        let here = (partition, Offset::Offset(offset));
        self.restarted.insert(partition.clone(), offset);
        if self.is_cooperative() {
            self.consumer.incremental_unassign(&without_offsets(std::slice::from_ref(partition)))?;
            return self.consumer.incremental_assign(&list(std::iter::once(here)));
        }
        // All or none, in this protocol: the others go on where the group has committed.
        let assignment = self.consumer.assignment()?;
        let all = assignment.elements().into_iter().map(|one| (Arc::from(one.topic()), one.partition()));
        self.loose = all.filter(|one| one != partition).collect();
        let offset = |one| self.restarted.get(one).map_or(Offset::Invalid, |offset| Offset::Offset(*offset));
        let others = self.loose.iter().map(|one| (one, offset(one)));
        self.consumer.assign(&list(others.chain([here])))
    }

    /// The consumer, once nothing else holds it.
    fn alone(self) -> Option<BaseConsumer<Member>> {
        let Self { queue, commits, ends, questions, consumer, .. } = self;
        drop((queue, commits, ends, questions));
        Arc::into_inner(consumer)
    }
}

/// Names of topics by librdkafka's handle, to hash no name for each record.
#[derive(Default)]
struct Names(HashMap<usize, Arc<str>>);

impl Names {
    fn of(&mut self, message: &Message<'_>) -> Arc<str> {
        let name = message.topic().unwrap_or_default();
        // A handle may be used again for another topic once the first is gone: the name decides.
        if let Some(known) = self.0.get(&message.topic_id()).filter(|known| ***known == *name) {
            return known.clone();
        }
        let topic: Arc<str> = Arc::from(name);
        self.0.insert(message.topic_id(), topic.clone());
        topic
    }
}

/// A batch as it is filled.
#[derive(Default)]
struct Taking {
    batch: Batch,
    last: Option<(usize, i32)>,
}

impl Taking {
    /// Errors first: an error's offset is not a record's.
    fn see(&mut self, message: &Message<'_>, names: &mut Names) {
        if let Some((code, text)) = message.error() {
            let partition = message.topic().map(|_| (names.of(message), message.partition()));
            self.batch.errors.push(Misread { partition, offset: message.offset(), code, text });
            return;
        }
        let place = (message.topic_id(), message.partition());
        if self.last != Some(place) {
            self.batch.runs.push(((names.of(message), place.1), Vec::new()));
            self.last = Some(place);
        }
        if let Some(((topic, partition), records)) = self.batch.runs.last_mut() {
            records.push(Record::new(topic.clone(), *partition, message.offset(), message.parts()));
        }
    }
}

fn without_offsets(partitions: &[TopicPartition]) -> TopicPartitionList {
    list(partitions.iter().map(|partition| (partition, Offset::Invalid)))
}

fn list<'a>(partitions: impl Iterator<Item = (&'a TopicPartition, Offset)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in partitions {
        list.add_partition_offset(topic, *partition, offset).expect("every offset we use can be represented");
    }
    list
}
