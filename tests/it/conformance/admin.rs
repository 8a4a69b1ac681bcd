//! Settings of topics and of the broker; records deleted by an operator; groups listed, described, deleted.

use super::member::{Member, alone, together};
use super::wire::{Batch, Commit, Described, Me, MemberDescription, READ_UNCOMMITTED, Wire, subscription};
use super::{topic, topic_with};
use crate::support::admin;
use crate::support::kafka::Kafka;
use crate::support::setup::unique_name;
use crate::support::{eventually, seconds};

fn value<'a>(settings: &'a [Described], name: &str) -> &'a str {
    let found = settings.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("{name} is described"));
    found.value.as_deref().unwrap_or_else(|| panic!("{name} has a value"))
}

#[test]
fn a_topics_settings_are_those_it_was_made_with() {
    let kafka = Kafka::for_test();
    let made = [
        ("max.message.bytes", "2000"),
        ("cleanup.policy", "compact"),
        ("retention.bytes", "1000000"),
        ("retention.ms", "3600000"),
        ("min.insync.replicas", "1"),
        ("message.timestamp.type", "LogAppendTime"),
    ];
    let (mut wire, name) = topic_with(&kafka, 1, &made);
    let (code, settings) = wire.topic_settings(&name, None);
    assert_eq!(code, 0);
    for (key, expected) in made {
        assert_eq!(value(&settings, key), expected, "{key}");
        let source = settings.iter().find(|s| s.name == key).map(|s| s.source);
        assert_eq!(source, Some(1), "{key} is the topic's own");
    }
}

#[test]
fn a_topic_without_settings_has_the_defaults() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let (code, settings) = wire.topic_settings(&name, None);
    assert_eq!(code, 0);
    assert_eq!(value(&settings, "max.message.bytes"), "1048588");
    assert_eq!(value(&settings, "cleanup.policy"), "delete");
    assert_eq!(value(&settings, "message.timestamp.type"), "CreateTime");
    assert_eq!(value(&settings, "min.insync.replicas"), "1");
    for number in ["retention.bytes", "retention.ms"] {
        assert!(value(&settings, number).parse::<i64>().is_ok(), "{number}");
    }
    assert!(settings.iter().all(|s| s.source != 1), "none is the topic's own");
}

#[test]
fn settings_can_be_asked_for_by_name() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let (code, settings) = wire.topic_settings(&name, Some(&["retention.ms", "no.such.setting"]));
    let names: Vec<_> = settings.iter().map(|s| s.name.as_str()).collect();
    assert_eq!((code, names), (0, vec!["retention.ms"]));
}

#[test]
fn settings_of_what_does_not_exist_are_refused() {
    let kafka = Kafka::for_test();
    let mut wire = Wire::to(&kafka);
    assert_eq!(wire.topic_settings(&unique_name(), None).0, 3);
    assert_eq!(wire.change_setting(&unique_name(), "retention.ms", Some("1")), 3);
}

#[test]
fn the_broker_tells_its_limits() {
    let kafka = Kafka::for_test();
    let mut wire = Wire::to(&kafka);
    let node = wire.metadata_by(4, None).0[0];
    let (code, settings) = wire.broker_settings(node);
    assert_eq!(code, 0);
    let number = |name| value(&settings, name).parse::<i64>().expect("a number");
    assert_eq!(number("message.max.bytes"), 1_048_588);
    assert_eq!(number("transaction.max.timeout.ms"), 900_000);
    assert_eq!(number("group.max.session.timeout.ms"), 1_800_000);
    assert!((1..=6_000).contains(&number("group.min.session.timeout.ms")));
    assert_eq!(number("offset.metadata.max.bytes"), 4_096);
}

#[test]
fn a_changed_setting_takes_effect() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let batch = Batch::of(&["x".repeat(3_000)]);
    assert_eq!(wire.produce(&name, 0, &batch).code, 0);
    assert_eq!(wire.change_setting(&name, "max.message.bytes", Some("2000")), 0);
    eventually(seconds(30), "too large", || wire.produce(&name, 0, &batch).code == 10);
    assert_eq!(value(&wire.topic_settings(&name, None).1, "max.message.bytes"), "2000");
    assert_eq!(wire.change_setting(&name, "max.message.bytes", None), 0);
    eventually(seconds(30), "the default again", || wire.produce(&name, 0, &batch).code == 0);
}

#[test]
fn replacing_settings_takes_the_others_back() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic_with(&kafka, 1, &[("retention.ms", "3600000")]);
    assert_eq!(wire.replace_settings(&name, "max.message.bytes", "2000"), 0);
    eventually(seconds(30), "the new setting", || {
        value(&wire.topic_settings(&name, None).1, "max.message.bytes") == "2000"
    });
    assert_ne!(value(&wire.topic_settings(&name, None).1, "retention.ms"), "3600000");
}

#[test]
fn a_change_that_does_not_fit_is_refused() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    assert_eq!(wire.change_setting(&name, "max.message.bytes", Some("many")), 40);
    assert_eq!(wire.change_setting(&name, "no.such.setting", Some("1")), 40);
    assert_eq!(value(&wire.topic_settings(&name, None).1, "max.message.bytes"), "1048588");
}

#[test]
fn librdkafkas_admin_changes_settings() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    admin::configure_topic(&kafka, &name, "max.message.bytes", "4321");
    eventually(seconds(30), "the new setting", || {
        value(&wire.topic_settings(&name, None).1, "max.message.bytes") == "4321"
    });
}

#[test]
fn deleting_records_moves_the_beginning() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    for _ in 0..3 {
        wire.produce(&name, 0, &Batch::sized(10));
    }
    assert_eq!(wire.delete_records(&name, 0, 15), (0, 15), "in the middle of a batch");
    assert_eq!(wire.list_offset(&name, 0, -2, READ_UNCOMMITTED).offset, 15);
    assert_eq!(wire.list_offset(&name, 0, -1, READ_UNCOMMITTED).offset, 30);
    assert_eq!(wire.fetch(&name, 0, 14).code, 1, "what is deleted is out of range");
    let rest = wire.fetch(&name, 0, 15);
    assert_eq!((rest.code, rest.log_start), (0, 15));
    let last = rest.batches.last().and_then(|b| b.records.last()).map(|r| r.offset);
    assert_eq!(last, Some(29));
}

#[test]
fn records_can_be_deleted_up_to_the_end_and_not_further() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    wire.produce(&name, 0, &Batch::sized(10));
    assert_eq!(wire.delete_records(&name, 0, 11).0, 1, "there is no such offset");
    assert_eq!(wire.delete_records(&name, 0, -1), (0, 10), "-1 is the end");
    assert_eq!(wire.fetch(&name, 0, 10).code, 0);
    assert_eq!(wire.delete_records(&name, 0, 5), (0, 10), "what is gone can be deleted again");
    assert_eq!(wire.produce(&name, 0, &Batch::sized(1)).base, 10, "offsets are not used again");
    assert_eq!(wire.delete_records(&name, 7, 0).0, 3, "there is no such partition");
}

#[test]
fn librdkafkas_admin_deletes_records() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    wire.produce(&name, 0, &Batch::sized(10));
    admin::delete_records(&kafka, &name, 0, 4);
    assert_eq!(wire.list_offset(&name, 0, -2, READ_UNCOMMITTED).offset, 4);
}

#[test]
fn a_group_is_described_with_its_members() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let mut first = alone(&kafka, &group);
    let mut second = Member::named(&kafka, &group, "by name");
    together(&mut first, &mut second);
    let mut seen = first.wire.describe_group(&group);
    seen.members.sort_by_key(|m| m.assignment.clone());
    assert_eq!((seen.code, seen.state.as_str()), (0, "Stable"));
    assert_eq!((seen.kind.as_str(), seen.protocol.as_str()), ("consumer", "range"));
    let member = |m: &Member, assignment: &[u8]| MemberDescription {
        member: m.id(),
        instance: m.who.instance.clone(),
        metadata: subscription("m"),
        assignment: assignment.to_vec(),
    };
    assert_eq!(seen.members, [member(&first, b"first"), member(&second, b"second")]);
    let listed = first.wire.list_groups(2);
    assert!(listed.contains(&(group.clone(), "consumer".to_owned())), "{group} in {listed:?}");
    assert_eq!(admin::members(&kafka, &group), Some(2), "librdkafka sees them too");
}

#[test]
fn an_unknown_group_is_dead_and_in_no_list() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let mut wire = Wire::to_group(&kafka, &group);
    let seen = wire.describe_group(&group);
    assert_eq!((seen.code, seen.state.as_str(), seen.members.len()), (0, "Dead", 0));
    assert!(wire.list_groups(2).iter().all(|(name, _)| name != &group));
    assert_eq!(wire.delete_group(&group), 69);
}

#[test]
fn a_group_is_deleted_only_when_it_is_empty() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 1), unique_name());
    let mut member = alone(&kafka, &group);
    assert_eq!(member.commit(&name, 5), 0);
    assert_eq!(member.wire.delete_group(&group), 68, "it has a member");
    assert_eq!(member.leave(), 0);
    assert_eq!(member.wire.describe_group(&group).state, "Empty");
    assert_eq!(member.wire.delete_group(&group), 0);
    assert_eq!(member.wire.committed(&group, Some(&[(&name, 0)]))[0].offset, -1, "its offsets went with it");
    assert_eq!(member.wire.delete_group(&group), 69);
}

#[test]
fn a_group_of_offsets_alone_is_empty_and_can_be_deleted() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 1), unique_name());
    let mut wire = Wire::to_group(&kafka, &group);
    let commit = Commit { topic: &name, partition: 0, offset: 7, metadata: "" };
    assert_eq!(wire.commit(&Me { group: &group, ..Me::default() }, &[commit]), [0]);
    assert_eq!(wire.describe_group(&group).state, "Empty");
    assert!(wire.list_groups(2).iter().any(|(name, _)| name == &group));
    assert_eq!(wire.delete_group(&group), 0);
}
