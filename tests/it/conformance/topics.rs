//! Topics: made, grown, deleted, and how metadata shows them.

use super::wire::{READ_UNCOMMITTED, TopicRequest, Wire};
use super::{topic, until_served};
use crate::support::admin;
use crate::support::kafka::Kafka;
use crate::support::setup::unique_name;
use crate::support::{eventually, seconds};

#[test]
fn a_topic_has_the_partitions_it_was_made_with() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 5);
    let topic = wire.metadata(Some(&[&name])).remove(0);
    assert_eq!((topic.code, &topic.name), (0, &name));
    let mut partitions = topic.partitions;
    partitions.sort_unstable_by_key(|p| p.number);
    for (number, partition) in partitions.iter().enumerate() {
        assert_eq!((partition.code, usize::try_from(partition.number)), (0, Ok(number)));
        assert!(partition.copies.contains(&partition.leader), "{partition:?}");
        assert!(partition.in_sync.contains(&partition.leader), "{partition:?}");
    }
    assert_eq!(partitions.len(), 5);
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    assert_eq!(wire.create_topic(&TopicRequest::of(&name, 1)), 36);
    assert_eq!(wire.create_topic(&TopicRequest { only_check: true, ..TopicRequest::of(&name, 1) }), 36);
}

#[test]
fn a_topic_needs_a_partition_and_a_possible_number_of_copies() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = (Wire::to(&kafka), unique_name());
    assert_eq!(wire.create_topic(&TopicRequest::of(&name, 0)), 37);
    assert_eq!(wire.create_topic(&TopicRequest { copies: 0, ..TopicRequest::of(&name, 1) }), 38);
    assert_eq!(wire.create_topic(&TopicRequest { copies: 99, ..TopicRequest::of(&name, 1) }), 38);
    assert_eq!(wire.metadata(Some(&[&name]))[0].code, 3, "none of them was made");
}

#[test]
fn minus_one_is_the_brokers_default_of_partitions_and_copies() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = (Wire::to(&kafka), unique_name());
    assert_eq!(wire.create_topic(&TopicRequest { copies: -1, ..TopicRequest::of(&name, -1) }), 0);
    eventually(seconds(30), "the topic has partitions", || {
        !wire.metadata(Some(&[&name]))[0].partitions.is_empty()
    });
}

#[test]
fn a_name_that_no_topic_can_have_is_refused() {
    let kafka = Kafka::for_test();
    let mut wire = Wire::to(&kafka);
    for name in ["", ".", "..", "a/b", "a b", "ü", &"x".repeat(250)] {
        assert_eq!(wire.create_topic(&TopicRequest::of(name, 1)), 17, "{name:?}");
    }
}

#[test]
fn a_setting_that_does_not_exist_or_fit_is_refused() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = (Wire::to(&kafka), unique_name());
    for setting in [("no.such.setting", "1"), ("max.message.bytes", "many"), ("cleanup.policy", "maybe")] {
        let topic = TopicRequest { settings: &[setting], ..TopicRequest::of(&name, 1) };
        assert_eq!(wire.create_topic(&topic), 40, "{setting:?}");
    }
    assert_eq!(wire.metadata(Some(&[&name]))[0].code, 3, "none of them was made");
}

#[test]
fn a_check_makes_nothing() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = (Wire::to(&kafka), unique_name());
    assert_eq!(wire.create_topic(&TopicRequest { only_check: true, ..TopicRequest::of(&name, 3) }), 0);
    assert_eq!(wire.metadata(Some(&[&name]))[0].code, 3);
    assert_eq!(wire.create_topic(&TopicRequest::of(&name, 3)), 0, "the name is still free");
}

#[test]
fn a_deleted_topic_is_gone() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 2);
    assert_eq!(wire.delete_topic(&name), 0);
    eventually(seconds(30), "the topic is unknown", || wire.metadata(Some(&[&name]))[0].code == 3);
    eventually(seconds(30), "its partitions are unknown", || {
        wire.list_offset(&name, 1, -1, READ_UNCOMMITTED).code == 3
    });
    assert_eq!(wire.delete_topic(&name), 3, "it cannot be deleted twice");
}

#[test]
fn a_topic_that_is_made_again_is_empty() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    assert_eq!(wire.produce(&name, 0, &super::wire::Batch::of(&["old"])).code, 0);
    admin::delete_topic(&kafka, &name);
    eventually(seconds(30), "the name is free", || wire.create_topic(&TopicRequest::of(&name, 1)) == 0);
    until_served(&mut wire, &name, 1);
    eventually(seconds(30), "the new topic is empty", || {
        wire.list_offset(&name, 0, -1, READ_UNCOMMITTED).offset == 0
    });
}

#[test]
fn a_topic_that_is_made_again_has_another_id() {
    let kafka = Kafka::for_test();
    let ((mut wire, name), (_, other)) = (topic(&kafka, 1), topic(&kafka, 1));
    let first = wire.topic_id(&name);
    assert_eq!(wire.topic_id(&name), first, "it stays the same");
    assert_eq!(wire.create_partitions(&name, 2), 0);
    until_served(&mut wire, &name, 2);
    assert_eq!(wire.topic_id(&name), first, "a topic that grows keeps it");
    admin::delete_topic(&kafka, &name);
    eventually(seconds(30), "a topic that is gone has none", || wire.topic_id(&name) == [0; 16]);
    eventually(seconds(30), "the name is free", || wire.create_topic(&TopicRequest::of(&name, 1)) == 0);
    until_served(&mut wire, &name, 1);
    let again = wire.topic_id(&name);
    let all = [[0; 16], first, again, wire.topic_id(&other)];
    assert!((0..4).all(|one| (0..one).all(|before| all[one] != all[before])), "{all:?}");
}

#[test]
fn a_topic_grows_and_never_shrinks() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 2);
    assert_eq!(wire.create_partitions(&name, 4), 0);
    until_served(&mut wire, &name, 4);
    assert_eq!(wire.create_partitions(&name, 4), 37, "the same number");
    assert_eq!(wire.create_partitions(&name, 3), 37, "fewer");
    assert_eq!(wire.create_partitions(&name, 0), 37, "none");
    assert_eq!(wire.create_partitions(&unique_name(), 4), 3, "of no topic");
    assert_eq!(wire.metadata(Some(&[&name]))[0].partitions.len(), 4);
}

#[test]
fn librdkafkas_admin_makes_grows_and_deletes() {
    let kafka = Kafka::for_test();
    let name = unique_name();
    admin::create_topic(&kafka, &name, 3, &[("max.message.bytes", "5000")]);
    admin::add_partitions(&kafka, &name, 6);
    admin::delete_topic(&kafka, &name);
}

#[test]
fn asking_for_a_missing_topic_does_not_make_it() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = (Wire::to(&kafka), unique_name());
    for _ in 0..3 {
        let topic = wire.metadata(Some(&[&name])).remove(0);
        assert_eq!((topic.code, topic.partitions.len()), (3, 0));
        assert_eq!(topic.name, name);
    }
    assert!(wire.metadata(None).iter().all(|t| t.name != name), "it is in no list either");
}

#[test]
fn metadata_shows_all_topics_some_or_none() {
    let kafka = Kafka::for_test();
    let ((mut wire, one), (_, other)) = (topic(&kafka, 1), topic(&kafka, 2));
    let all = wire.metadata(None);
    for (name, partitions) in [(&one, 1), (&other, 2)] {
        let found: Vec<_> = all.iter().filter(|t| &t.name == name).map(|t| t.partitions.len()).collect();
        assert_eq!(found, [partitions], "{name}");
    }
    let some = wire.metadata(Some(&[&one, &unique_name()]));
    assert_eq!(some.len(), 2);
    assert!(some.iter().any(|t| t.name == one && t.code == 0) && some.iter().any(|t| t.code == 3));
    assert!(wire.metadata(Some(&[])).is_empty(), "an empty list asks for none");
}

#[test]
fn metadata_of_a_name_that_no_topic_can_have_is_an_error() {
    let kafka = Kafka::for_test();
    let mut wire = Wire::to(&kafka);
    for name in ["a/b", "..", "ü"] {
        assert_eq!(wire.metadata(Some(&[name]))[0].code, 17, "{name:?}");
    }
}
