//! Transactions as librdkafka's producer makes them: read, process, write, commit, and all of it or nothing.

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::topic;
use crate::support::client::{Sender, read_topic};
use crate::support::kafka::Kafka;
use crate::support::record::Input;
use crate::support::setup::unique_name;
use crate::support::{admin, eventually, seconds};

fn producer(kafka: &Kafka, id: &str) -> BaseProducer {
    let producer: BaseProducer =
        admin::settings(kafka).set("transactional.id", id).create().expect("a producer");
    producer.init_transactions(seconds(30)).expect("transactions can be begun");
    producer
}

fn write(producer: &BaseProducer, topic: &str, value: &str) {
    producer.send(BaseRecord::<(), str>::to(topic).partition(0).payload(value)).expect("the queue has room");
    producer.flush(seconds(30)).expect("the record is taken");
}

/// What a reader of committed records sees.
fn values(kafka: &Kafka, topic: &str) -> Vec<String> {
    let text = |value: Option<Vec<u8>>| String::from_utf8(value.expect("a value")).expect("text");
    read_topic(kafka, topic, 1).into_iter().map(|seen| text(seen.value)).collect()
}

fn committed(kafka: &Kafka, group: &str, topic: &str) -> Option<i64> {
    let offsets = admin::Committed::of(kafka, group).read(topic, 1)?;
    offsets.get(&(topic.to_owned(), 0)).copied()
}

/// A member of `group` that has read something of `topic`.
fn reader(kafka: &Kafka, group: &str, topic: &str) -> BaseConsumer {
    let mut config = admin::settings(kafka);
    config.set("group.id", group).set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    let reader: BaseConsumer = config.create().expect("a consumer");
    reader.subscribe(&[topic]).expect("a subscription");
    eventually(seconds(60), "a record comes", || matches!(reader.poll(seconds(1)), Some(Ok(_))));
    reader
}

fn up_to(topic: &str, offset: i64) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(offset)).expect("a valid offset");
    list
}

#[test]
fn records_and_offsets_are_committed_together_or_not_at_all() {
    let kafka = Kafka::for_test();
    let ((_, input), (_, output), group) = (topic(&kafka, 1), topic(&kafka, 1), unique_name());
    Sender::new(&kafka).send(&input, (0..10).map(|n| Input::valid(&n.to_string())).collect());
    let (reader, producer) = (reader(&kafka, &group, &input), producer(&kafka, &unique_name()));
    let step = |value, offset, commit| {
        producer.begin_transaction().expect("a transaction can be begun");
        write(&producer, &output, value);
        let member = reader.group_metadata().expect("a member");
        producer.send_offsets_to_transaction(&up_to(&input, offset), &member, seconds(30)).expect("offsets");
        if commit {
            producer.commit_transaction(seconds(30)).expect("it commits");
        } else {
            producer.abort_transaction(seconds(30)).expect("it aborts");
        }
    };
    step("one", 5, true);
    eventually(seconds(30), "the offset counts", || committed(&kafka, &group, &input) == Some(5));
    step("two", 9, false);
    eventually(seconds(30), "only the first is seen", || values(&kafka, &output) == ["one"]);
    assert_eq!(committed(&kafka, &group, &input), Some(5));
    step("three", 7, true);
    eventually(seconds(30), "first and third are seen", || values(&kafka, &output) == ["one", "three"]);
    eventually(seconds(30), "the offset counts", || committed(&kafka, &group, &input) == Some(7));
}

#[test]
fn a_reader_of_committed_records_skips_what_was_aborted() {
    let kafka = Kafka::for_test();
    let (_, name) = topic(&kafka, 1);
    let sender = Sender::transactional(&kafka, &unique_name());
    let batch =
        |from: usize| (from..from + 20).map(|n| Input::valid(&n.to_string()).to(0)).collect::<Vec<_>>();
    let mut sent = Vec::new();
    for (n, commit) in [true, false, true, false, false, true].into_iter().enumerate() {
        sent.extend(sender.send_transaction(&name, batch(n * 20), commit));
    }
    let expected: Vec<_> = sent.iter().map(|s| (s.offset, s.input.value.clone())).collect();
    eventually(seconds(30), "committed records only, at the offsets they were sent to", || {
        read_topic(&kafka, &name, 1).into_iter().map(|s| (s.offset, s.value)).eq(expected.iter().cloned())
    });
}

#[test]
fn a_zombie_is_told_that_it_is_fenced() {
    let kafka = Kafka::for_test();
    let ((_, name), id) = (topic(&kafka, 1), unique_name());
    let zombie = producer(&kafka, &id);
    zombie.begin_transaction().expect("a transaction can be begun");
    write(&zombie, &name, "of the zombie");
    let next = producer(&kafka, &id);
    next.begin_transaction().expect("a transaction can be begun");
    write(&next, &name, "of the next");
    next.commit_transaction(seconds(30)).expect("the next one commits");
    let Err(KafkaError::Transaction(error)) = zombie.commit_transaction(seconds(30)) else {
        panic!("the zombie commits");
    };
    assert!(error.is_fatal(), "{error}");
    let fatal = zombie.client().fatal_error().map(|(code, _)| code);
    assert!(matches!(fatal, Some(RDKafkaErrorCode::Fenced)), "{fatal:?}");
    eventually(seconds(30), "only the next one's record", || values(&kafka, &name) == ["of the next"]);
}

#[test]
fn a_member_that_lost_its_partitions_cannot_commit_in_a_transaction() {
    let kafka = Kafka::for_test();
    let ((_, input), group) = (topic(&kafka, 1), unique_name());
    Sender::new(&kafka).send(&input, vec![Input::valid("one")]);
    let first = reader(&kafka, &group, &input);
    let stale = first.group_metadata().expect("a member");
    drop(first);
    let _second = reader(&kafka, &group, &input);
    let producer = producer(&kafka, &unique_name());
    producer.begin_transaction().expect("a transaction can be begun");
    let Err(KafkaError::Transaction(error)) =
        producer.send_offsets_to_transaction(&up_to(&input, 1), &stale, seconds(30))
    else {
        panic!("a stale member's offsets are taken");
    };
    assert!(error.txn_requires_abort(), "{error}");
    producer.abort_transaction(seconds(30)).expect("it aborts");
    assert_eq!(committed(&kafka, &group, &input), None);
}
