//! Plain clients of the tests' own: a producer that knows where each record came to stand, and a reader.

use std::sync::Mutex;
use std::time::Instant;

use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use super::kafka::Kafka;
use super::record::{Headers, Input, Seen, Sent};
use super::{admin, eventually, seconds};

/// Where the cluster says each record stands.
#[derive(Default)]
struct Reports(Mutex<Vec<(usize, Report)>>);

/// Partition and offset, or why not.
type Report = Result<(i32, i64), String>;

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, index: Box<usize>) {
        let place = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.to_string()),
        };
        self.0.lock().expect("no report panics").push((*index, place));
    }
}

/// An independent producer; in order, without repeats, by the Java client's partitioner.
pub(crate) struct Sender(ThreadedProducer<Reports>);

impl Sender {
    /// A producer as most applications have it.
    pub(crate) fn new(kafka: &Kafka) -> Self {
        Self::with(kafka, &[])
    }

    /// A producer that writes transactions; see [`Sender::send_transaction`].
    pub(crate) fn transactional(kafka: &Kafka, id: &str) -> Self {
        let sender = Self::with(kafka, &[("transactional.id", id)]);
        sender.0.init_transactions(seconds(30)).expect("transactions can be begun");
        sender
    }

    /// A producer with settings of its own.
    pub(crate) fn with(kafka: &Kafka, more: &[(&str, &str)]) -> Self {
        let mut config = admin::settings(kafka);
        config.set("partitioner", "murmur2_random").set("enable.idempotence", "true").set("linger.ms", "2");
        for (key, value) in more {
            config.set(*key, *value);
        }
        Self(config.create_with_context(Reports::default()).expect("a producer"))
    }

    /// Sends records and returns once the cluster has all of them.
    pub(crate) fn send(&self, topic: &str, inputs: Vec<Input>) -> Vec<Sent> {
        for (index, input) in inputs.iter().enumerate() {
            self.enqueue(topic, index, input);
        }
        self.0.flush(seconds(60)).expect("the cluster takes what the test sends");
        let mut reports = std::mem::take(&mut *self.0.context().0.lock().expect("no report panics"));
        reports.sort_unstable_by_key(|(index, _)| *index);
        assert_eq!(reports.len(), inputs.len(), "one report for each record sent to {topic}");
        let placed = |(input, (_, place)): (Input, (usize, Report))| {
            let (partition, offset) = place.unwrap_or_else(|e| panic!("{} was not taken: {e}", input.id));
            Sent { input, topic: topic.to_owned(), partition, offset }
        };
        inputs.into_iter().zip(reports).map(placed).collect()
    }

    /// Sends records in one transaction and commits it, or aborts it: then nothing was sent.
    pub(crate) fn send_transaction(&self, topic: &str, inputs: Vec<Input>, commit: bool) -> Vec<Sent> {
        self.begin();
        let sent = self.send(topic, inputs);
        if commit {
            self.commit();
            return sent;
        }
        self.abort();
        Vec::new()
    }

    /// What is sent from here on is in a transaction.
    pub(crate) fn begin(&self) {
        self.0.begin_transaction().expect("a transaction can be begun");
    }

    /// Begins a transaction with an offset of `group` for a partition of `topic` in it, and leaves it at that.
    pub(crate) fn leave_open(&self, kafka: &Kafka, group: &str, topic: &str) {
        let anybody: BaseConsumer =
            admin::settings(kafka).set("group.id", group).create().expect("a consumer");
        let member = anybody.group_metadata().expect("nobody's member");
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, 0, Offset::Offset(0)).expect("a valid offset");
        self.begin();
        self.0.send_offsets_to_transaction(&offsets, &member, seconds(30)).expect("offsets");
    }

    /// Aborts it.
    pub(crate) fn abort(&self) {
        self.0.abort_transaction(seconds(30)).expect("a transaction can be aborted");
    }

    /// Commits it.
    pub(crate) fn commit(&self) {
        self.0.commit_transaction(seconds(30)).expect("a transaction can be committed");
    }

    fn enqueue(&self, topic: &str, index: usize, input: &Input) {
        let mut record: BaseRecord<'_, [u8], [u8], _> =
            BaseRecord::with_opaque_to(topic, Box::new(index)).timestamp(input.timestamp);
        record.key = input.key.as_deref();
        record.payload = input.value.as_deref();
        record.partition = input.partition;
        record.headers = (!input.headers.is_empty()).then(|| owned(&input.headers));
        while let Err((error, refused)) = self.0.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full, "sending {} to {topic}", input.id);
            self.0.flush(seconds(60)).expect("the cluster takes what the test sends");
            record = refused;
        }
    }
}

fn owned(headers: &Headers) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |all, (key, value)| {
        all.insert(Header { key, value: value.as_ref() })
    })
}

/// Reads a topic from its beginning to its present end, committed transactions only. What a process that was killed left open
/// hides what is behind it until the broker ends it: that is waited for.
pub(crate) fn read_topic(kafka: &Kafka, topic: &str, partitions: i32) -> Vec<Seen> {
    let mut config = admin::settings(kafka);
    config.set("group.id", "reader-of-the-tests").set("enable.auto.commit", "false");
    config.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
    config.set("auto.offset.reset", "earliest").set("fetch.wait.max.ms", "50");
    let reader: BaseConsumer = config.create().expect("a reader");
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning).expect("a valid offset");
    }
    eventually(seconds(30), &format!("no transaction is open in {topic}"), || {
        let ends = admin::ends(kafka, topic, partitions);
        ends.is_some() && admin::ends_seen_by(reader.client(), topic, partitions) == ends
    });
    reader.assign(&list).expect("partitions can be assigned");
    let (mut seen, mut open, deadline) = (Vec::new(), partitions, Instant::now() + seconds(60));
    while open > 0 {
        assert!(
            Instant::now() < deadline,
            "{topic} cannot be read to its end: {} records so far",
            seen.len()
        );
        match reader.poll(seconds(1)) {
            Some(Ok(message)) => seen.push(copy(&message)),
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(_)) | None => {}
        }
    }
    seen
}

fn copy(message: &BorrowedMessage<'_>) -> Seen {
    let headers = message
        .headers()
        .map(|all| all.iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect());
    Seen {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
        timestamp: message.timestamp().to_millis(),
    }
}
