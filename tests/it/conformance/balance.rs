//! Groups as librdkafka's consumers make them: who gets which partitions when members come, leave and die.

use std::collections::BTreeSet;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::member::{Member, SESSION_MS};
use super::topic;
use super::wire::Body;
use crate::support::client::Sender;
use crate::support::kafka::Kafka;
use crate::support::record::Input;
use crate::support::setup::unique_name;
use crate::support::{admin, eventually, seconds};

/// A consumer of `topic` in `group`, with these settings on top.
fn consumer(kafka: &Kafka, group: &str, topic: &str, more: &[(&str, &str)]) -> BaseConsumer {
    let mut config = admin::settings(kafka);
    config.set("group.id", group).set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    config.set("session.timeout.ms", SESSION_MS.to_string()).set("heartbeat.interval.ms", "200");
    for (key, value) in more {
        config.set(*key, *value);
    }
    let consumer: BaseConsumer = config.create().expect("a consumer");
    consumer.subscribe(&[topic]).expect("a subscription");
    consumer
}

fn assigned(consumer: &BaseConsumer) -> BTreeSet<i32> {
    let list = consumer.assignment().expect("an assignment");
    list.elements().iter().map(rdkafka::topic_partition_list::TopicPartitionListElem::partition).collect()
}

/// Polls all of them until each has so many partitions, and no partition is two members'.
fn until_balanced(consumers: &[&BaseConsumer], counts: &[usize]) -> Vec<BTreeSet<i32>> {
    let mut seen = Vec::new();
    eventually(seconds(60), &format!("the split is {counts:?}"), || {
        for consumer in consumers {
            consumer.poll(seconds(0));
        }
        seen = consumers.iter().map(|c| assigned(c)).collect();
        let mut sizes: Vec<_> = seen.iter().map(BTreeSet::len).collect();
        sizes.sort_unstable();
        let all: BTreeSet<i32> = seen.iter().flatten().copied().collect();
        sizes == counts && all.len() == counts.iter().sum::<usize>()
    });
    seen
}

fn members_come_and_go(strategy: &str) {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 6), unique_name());
    let join = || consumer(&kafka, &group, &name, &[("partition.assignment.strategy", strategy)]);
    let first = join();
    until_balanced(&[&first], &[6]);
    let second = join();
    until_balanced(&[&first, &second], &[3, 3]);
    let third = join();
    until_balanced(&[&first, &second, &third], &[2, 2, 2]);
    drop(second);
    until_balanced(&[&first, &third], &[3, 3]);
    drop(third);
    until_balanced(&[&first], &[6]);
}

#[test]
fn members_come_and_go_by_range() {
    members_come_and_go("range");
}

#[test]
fn members_come_and_go_by_cooperative_sticky() {
    members_come_and_go("cooperative-sticky");
}

#[test]
fn a_consumer_goes_on_where_the_last_one_committed() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 1), unique_name());
    Sender::new(&kafka).send(&name, (0..10).map(|n| Input::valid(&n.to_string())).collect());
    let read = |consumer: &BaseConsumer| {
        let mut offset = -1;
        eventually(seconds(60), "a record comes", || {
            let record = consumer.poll(seconds(1)).and_then(Result::ok);
            offset = record.map_or(-1, |r| r.offset());
            offset >= 0
        });
        offset
    };
    let first = consumer(&kafka, &group, &name, &[]);
    assert_eq!(read(&first), 0);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&name, 0, Offset::Offset(4)).expect("a valid offset");
    first.commit(&list, CommitMode::Sync).expect("a member can commit");
    drop(first);
    assert_eq!(read(&consumer(&kafka, &group, &name, &[])), 4);
}

#[test]
fn a_vanished_members_partitions_are_taken_over() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 4), unique_name());
    let first = consumer(&kafka, &group, &name, &[]);
    until_balanced(&[&first], &[4]);
    let mut silent = Member::of(&kafka, &group);
    // What a consumer of this one topic says of itself.
    let subscription = Body::new().i16(0).count(1).text(&name).i32(-1).done();
    silent.protocols = vec![("range", subscription)];
    silent.ask_to_join();
    eventually(seconds(60), "half of the partitions are given away", || {
        first.poll(seconds(0));
        assigned(&first).len() == 2
    });
    assert_eq!(silent.joined().code, 0);
    drop(silent);
    until_balanced(&[&first], &[4]);
}

#[test]
fn a_new_partition_is_assigned() {
    let kafka = Kafka::for_test();
    let ((mut wire, name), group) = (topic(&kafka, 2), unique_name());
    let first = consumer(&kafka, &group, &name, &[("topic.metadata.refresh.interval.ms", "500")]);
    until_balanced(&[&first], &[2]);
    assert_eq!(wire.create_partitions(&name, 5), 0);
    until_balanced(&[&first], &[5]);
}

#[test]
fn a_static_member_that_restarts_keeps_its_partitions() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 4), unique_name());
    let start = |instance| {
        let more = [("group.instance.id", instance), ("session.timeout.ms", "30000")];
        consumer(&kafka, &group, &name, &more)
    };
    let (first, second) = (start("a"), start("b"));
    let before = until_balanced(&[&first, &second], &[2, 2]);
    // A static member does not leave when it is closed.
    drop(second);
    let second = start("b");
    eventually(seconds(20), "it has its partitions again", || {
        first.poll(seconds(0));
        second.poll(seconds(0));
        assert_eq!(assigned(&first), before[0], "the other one is never disturbed");
        assigned(&second) == before[1]
    });
}
