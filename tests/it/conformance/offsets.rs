//! Committed offsets: who may commit, what is read back, and how long it stays.

use super::member::{Member, alone};
use super::topic;
use super::wire::{Commit, Me, Wire};
use crate::support::kafka::Kafka;
use crate::support::setup::unique_name;
use crate::support::{admin, eventually, seconds};

fn outsider(group: &str) -> Me<'_> {
    Me { group, ..Me::default() }
}

fn offset(wire: &mut Wire, group: &str, topic: &str, partition: i32) -> i64 {
    wire.committed(group, Some(&[(topic, partition)]))[0].offset
}

#[test]
fn what_is_committed_is_read_back_with_its_metadata() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 3), unique_name());
    let mut wire = Wire::to_group(&kafka, &group);
    let commits = [(0, 5, "five"), (2, 0, "")];
    let commits =
        commits.map(|(partition, offset, metadata)| Commit { topic: &name, partition, offset, metadata });
    assert_eq!(wire.commit(&outsider(&group), &commits), [0, 0]);
    let got = wire.committed(&group, Some(&[(&name, 0), (&name, 1), (&name, 2)]));
    let got: Vec<_> = got.iter().map(|c| (c.partition, c.offset, c.metadata.as_str(), c.code)).collect();
    assert_eq!(got, [(0, 5, "five", 0), (1, -1, "", 0), (2, 0, "", 0)]);
}

#[test]
fn the_last_commit_counts_even_backwards() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 1), unique_name());
    let mut wire = Wire::to_group(&kafka, &group);
    for (n, metadata) in [(9, "first"), (4, "second")] {
        let commit = Commit { topic: &name, partition: 0, offset: n, metadata };
        assert_eq!(wire.commit(&outsider(&group), &[commit]), [0]);
    }
    let got = wire.committed(&group, Some(&[(&name, 0)])).remove(0);
    assert_eq!((got.offset, got.metadata.as_str()), (4, "second"));
}

#[test]
fn a_group_shows_all_its_offsets_when_asked_for_none() {
    let kafka = Kafka::for_test();
    let ((_, one), (_, other), group) = (topic(&kafka, 2), topic(&kafka, 1), unique_name());
    let mut wire = Wire::to_group(&kafka, &group);
    assert!(wire.committed(&group, None).is_empty());
    let commits = [(&one, 1, 10), (&other, 0, 20)];
    let commits = commits.map(|(topic, partition, offset)| Commit { topic, partition, offset, metadata: "" });
    assert_eq!(wire.commit(&outsider(&group), &commits), [0, 0]);
    let mut got: Vec<_> =
        wire.committed(&group, None).into_iter().map(|c| (c.topic, c.partition, c.offset)).collect();
    got.sort();
    let mut expected = [(one.clone(), 1, 10), (other.clone(), 0, 20)];
    expected.sort();
    assert_eq!(got, expected);
    assert!(wire.committed(&unique_name(), None).is_empty(), "another group has none");
}

#[test]
fn metadata_has_a_limit() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 2), unique_name());
    let mut wire = Wire::to_group(&kafka, &group);
    let (fits, long) = ("m".repeat(4_096), "m".repeat(4_097));
    let commit = |partition, metadata| Commit { topic: &name, partition, offset: 1, metadata };
    assert_eq!(wire.commit(&outsider(&group), &[commit(0, &fits), commit(1, &long)]), [0, 12]);
    assert_eq!((offset(&mut wire, &group, &name, 0), offset(&mut wire, &group, &name, 1)), (1, -1));
}

#[test]
fn offsets_of_what_does_not_exist_are_refused() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 1), unique_name());
    let mut wire = Wire::to_group(&kafka, &group);
    let missing = unique_name();
    let commit = |topic, partition| Commit { topic, partition, offset: 1, metadata: "" };
    let codes = wire.commit(&outsider(&group), &[commit(&missing, 0), commit(&name, 0), commit(&name, 1)]);
    assert_eq!(codes, [3, 0, 3]);
}

#[test]
fn only_members_of_the_present_generation_commit_while_there_are_members() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 1), unique_name());
    let mut member = alone(&kafka, &group);
    assert_eq!(member.commit(&name, 1), 0);
    let commit = Commit { topic: &name, partition: 0, offset: 9, metadata: "" };
    let by = |wire: &mut Wire, generation, member| {
        wire.commit(&Me { group: &group, generation, member, instance: None }, &[commit])[0]
    };
    let (mut wire, id, now) = (Wire::to_group(&kafka, &group), member.id(), member.who.generation);
    assert_eq!(by(&mut wire, now - 1, &id), 22, "an old generation");
    assert_eq!(by(&mut wire, now + 1, &id), 22, "a future one");
    assert_eq!(by(&mut wire, now, "nobody"), 25, "no member");
    assert_eq!(by(&mut wire, -1, ""), 25, "an outsider");
    assert_eq!(offset(&mut wire, &group, &name, 0), 1, "nothing has changed");
}

#[test]
fn to_a_group_without_members_only_outsiders_commit() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 1), unique_name());
    let mut wire = Wire::to_group(&kafka, &group);
    let commit = Commit { topic: &name, partition: 0, offset: 9, metadata: "" };
    let late = Me { group: &group, generation: 3, member: "late", instance: None };
    assert_eq!(wire.commit(&late, &[commit]), [22], "the group was never there");
    assert_eq!(wire.commit(&outsider(&group), &[commit]), [0]);
    assert_eq!(wire.commit(&late, &[commit]), [25], "it has no such member");
}

#[test]
fn a_member_may_commit_until_it_has_joined_again() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 1), unique_name());
    let (mut member, mut newcomer) = (alone(&kafka, &group), Member::of(&kafka, &group));
    newcomer.ask_to_join();
    member.until_rebalance();
    assert_eq!(member.commit(&name, 7), 0, "what it finishes while partitions are taken away counts");
    member.join();
    newcomer.joined();
    assert_eq!(member.commit(&name, 8), 27, "the new generation has no assignment yet");
    assert_eq!(offset(&mut member.wire, &group, &name, 0), 7);
}

#[test]
fn offsets_stay_when_the_members_leave() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 1), unique_name());
    let mut member = alone(&kafka, &group);
    assert_eq!(member.commit(&name, 6), 0);
    assert_eq!(member.leave(), 0);
    let mut wire = Wire::to_group(&kafka, &group);
    assert_eq!(offset(&mut wire, &group, &name, 0), 6);
    assert_eq!(offset(&mut alone(&kafka, &group).wire, &group, &name, 0), 6, "the next member finds them");
}

#[test]
fn offsets_go_with_their_topic() {
    let kafka = Kafka::for_test();
    let ((_, name), (_, other), group) = (topic(&kafka, 1), topic(&kafka, 1), unique_name());
    let mut wire = Wire::to_group(&kafka, &group);
    for topic in [&name, &other] {
        let commit = Commit { topic, partition: 0, offset: 3, metadata: "" };
        assert_eq!(wire.commit(&outsider(&group), &[commit]), [0]);
    }
    admin::delete_topic(&kafka, &name);
    eventually(seconds(60), "the offset is gone", || offset(&mut wire, &group, &name, 0) == -1);
    assert_eq!(offset(&mut wire, &group, &other, 0), 3, "the other topic's stays");
}

#[test]
fn librdkafka_commits_and_reads_without_being_a_member() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 2), unique_name());
    let offsets = [((name.clone(), 1), 12)].into_iter().collect();
    eventually(seconds(30), "the group's coordinator is found", || {
        admin::Committed::of(&kafka, &group).read(&name, 2).is_some_and(|o| o.is_empty())
    });
    admin::reset_offsets(&kafka, &group, &offsets);
    assert_eq!(admin::Committed::of(&kafka, &group).read(&name, 2), Some(offsets));
}

#[test]
fn a_group_or_topic_that_was_never_there_has_no_offsets() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let mut wire = Wire::to_group(&kafka, &group);
    let got = wire.committed(&group, Some(&[(&unique_name(), 3)])).remove(0);
    assert_eq!((got.offset, got.metadata.as_str(), got.code), (-1, "", 0));
}
