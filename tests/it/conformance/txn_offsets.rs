//! Offsets that are committed by a transaction: when they count, who waits for them, and whose are refused.

use super::member::{Member, alone, together};
use super::topic;
use super::wire::{Commit, Me, TxnCommit, Wire};
use super::writer::Writer;
use crate::support::kafka::Kafka;
use crate::support::setup::unique_name;
use crate::support::{eventually, seconds};

/// A topic, a group, a connection to its coordinator, and a producer that has added the group's offsets.
fn begun(kafka: &Kafka) -> (String, String, Wire, Writer) {
    let ((_, name), group) = (topic(kafka, 1), unique_name());
    let wire = Wire::to_group(kafka, &group);
    let mut writer = Writer::of(kafka, &unique_name());
    assert_eq!(writer.wire.add_offsets(&writer.id, writer.who, &group), 0);
    (name, group, wire, writer)
}

fn at(topic: &str, offset: i64) -> TxnCommit<'_> {
    TxnCommit { topic, partition: 0, offset }
}

fn offset(wire: &mut Wire, group: &str, topic: &str) -> i64 {
    wire.committed(group, Some(&[(topic, 0)]))[0].offset
}

#[test]
fn offsets_count_when_the_transaction_commits() {
    let kafka = Kafka::for_test();
    let (name, group, mut wire, mut writer) = begun(&kafka);
    assert_eq!(wire.commit_in(&writer.id, writer.who, &group, &at(&name, 5)), 0);
    assert_eq!(offset(&mut wire, &group, &name), -1, "not yet");
    assert_eq!(writer.end(true), 0);
    eventually(seconds(30), "they count", || offset(&mut wire, &group, &name) == 5);
}

#[test]
fn offsets_of_an_aborted_transaction_never_count() {
    let kafka = Kafka::for_test();
    let (name, group, mut wire, mut writer) = begun(&kafka);
    let outsider = Me { group: &group, ..Me::default() };
    assert_eq!(
        wire.commit(&outsider, &[Commit { topic: &name, partition: 0, offset: 2, metadata: "" }]),
        [0]
    );
    assert_eq!(wire.commit_in(&writer.id, writer.who, &group, &at(&name, 5)), 0);
    assert_eq!(writer.end(false), 0);
    eventually(seconds(30), "it is over", || wire.committed_stable(&group, &name, 0).code == 0);
    assert_eq!(offset(&mut wire, &group, &name), 2);
}

#[test]
fn who_wants_stable_offsets_waits_while_some_are_pending() {
    let kafka = Kafka::for_test();
    let (name, group, mut wire, mut writer) = begun(&kafka);
    assert_eq!(wire.committed_stable(&group, &name, 0).code, 0, "nothing is pending");
    assert_eq!(wire.commit_in(&writer.id, writer.who, &group, &at(&name, 5)), 0);
    let pending = wire.committed_stable(&group, &name, 0);
    assert_eq!((pending.code, pending.offset), (88, -1));
    assert_eq!(wire.committed(&group, Some(&[(&name, 0)]))[0].code, 0, "who does not ask is not told");
    assert_eq!(writer.end(true), 0);
    eventually(seconds(30), "they are stable", || wire.committed_stable(&group, &name, 0).code == 0);
    assert_eq!(wire.committed_stable(&group, &name, 0).offset, 5);
}

#[test]
fn the_next_of_an_id_takes_back_its_pending_offsets() {
    let kafka = Kafka::for_test();
    let (name, group, mut wire, writer) = begun(&kafka);
    assert_eq!(wire.commit_in(&writer.id, writer.who, &group, &at(&name, 5)), 0);
    let _next = Writer::of(&kafka, &writer.id);
    eventually(seconds(30), "nothing is pending", || wire.committed_stable(&group, &name, 0).code == 0);
    assert_eq!(offset(&mut wire, &group, &name), -1);
    assert_eq!(wire.commit_in(&writer.id, writer.who, &group, &at(&name, 6)), 47, "it is fenced");
}

#[test]
fn a_member_commits_its_own_generation_only() {
    let kafka = Kafka::for_test();
    let (name, group, _, mut writer) = begun(&kafka);
    let mut member = alone(&kafka, &group);
    let mut as_member = |generation, id: &str| {
        let me = Me { group: &group, generation, member: id, instance: None };
        member.wire.commit_as(&writer.id, writer.who, &me, &at(&name, 5))
    };
    let (id, now) = (member.who.id.clone(), member.who.generation);
    assert_eq!(as_member(now - 1, &id), 22);
    assert_eq!(as_member(now + 1, &id), 22);
    assert_eq!(as_member(now, "nobody"), 25);
    assert_eq!(as_member(now, &id), 0);
    assert_eq!(writer.end(true), 0);
    eventually(seconds(30), "it counts", || offset(&mut member.wire, &group, &name) == 5);
}

#[test]
fn a_member_that_missed_a_rebalance_is_refused() {
    let kafka = Kafka::for_test();
    let (name, group, _, mut writer) = begun(&kafka);
    let (mut member, mut newcomer) = (alone(&kafka, &group), Member::of(&kafka, &group));
    let before = member.who.clone();
    together(&mut member, &mut newcomer);
    let late = member.wire.commit_as(&writer.id, writer.who, &before.me(), &at(&name, 9));
    assert_eq!(late, 22, "its partitions may be another's");
    let now = member.who.clone();
    assert_eq!(member.wire.commit_as(&writer.id, writer.who, &now.me(), &at(&name, 4)), 0);
    assert_eq!(writer.end(true), 0);
    eventually(seconds(30), "it counts", || offset(&mut member.wire, &group, &name) == 4);
}

#[test]
fn a_static_member_that_was_replaced_is_fenced() {
    let kafka = Kafka::for_test();
    let (name, group, _, writer) = begun(&kafka);
    let mut old = super::member::settled(Member::named(&kafka, &group, "a"));
    let mut back = Member::named(&kafka, &group, "a");
    assert_eq!(back.join().code, 0);
    let late = old.wire.commit_as(&writer.id, writer.who, &old.who.me(), &at(&name, 9));
    assert_eq!(late, 82);
}

#[test]
fn without_a_generation_anyone_commits() {
    let kafka = Kafka::for_test();
    let (name, group, _, mut writer) = begun(&kafka);
    let mut member = alone(&kafka, &group);
    // As librdkafka and old clients do: no member, or version 2 of the request.
    let outsider = Me { group: &group, ..Me::default() };
    assert_eq!(member.wire.commit_as(&writer.id, writer.who, &outsider, &at(&name, 3)), 0);
    assert_eq!(member.wire.commit_in(&writer.id, writer.who, &group, &at(&name, 4)), 0);
    assert_eq!(writer.end(true), 0);
    eventually(seconds(30), "the last one counts", || offset(&mut member.wire, &group, &name) == 4);
}

#[test]
fn offsets_of_a_group_that_was_not_added_are_refused() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 1), unique_name());
    let mut wire = Wire::to_group(&kafka, &group);
    let writer = Writer::of(&kafka, &unique_name());
    assert_eq!(wire.commit_in(&writer.id, writer.who, &group, &at(&name, 5)), 48);
    assert_eq!(wire.committed_stable(&group, &name, 0).code, 0, "nothing is pending");
}
