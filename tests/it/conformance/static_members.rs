//! Members with a name for life (`group.instance.id`): a restart is no rebalance, and there is only one of a name.

use super::member::{Member, alone, settled, together};
use super::topic;
use super::wire::{Wire, subscription};
use crate::support::kafka::Kafka;
use crate::support::setup::unique_name;

/// A leader without a name and a static member `b`, settled.
fn pair(kafka: &Kafka, group: &str) -> (Member, Member) {
    let (mut leader, mut named) = (alone(kafka, group), Member::named(kafka, group, "b"));
    together(&mut leader, &mut named);
    (leader, named)
}

#[test]
fn a_static_member_needs_no_id_first() {
    let kafka = Kafka::for_test();
    let mut member = Member::named(&kafka, &unique_name(), "a");
    let joined = member.join();
    assert_eq!((joined.code, joined.generation), (0, 1));
    assert_eq!(joined.members, [(joined.member.clone(), Some("a".to_owned()), subscription("m"))]);
}

#[test]
fn a_static_member_that_comes_back_has_its_assignment_and_disturbs_nobody() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let (mut leader, old) = pair(&kafka, &group);
    let mut back = Member::named(&kafka, &group, "b");
    let joined = back.join();
    assert_eq!((joined.code, joined.generation), (0, 2), "the generation stays");
    assert_ne!(joined.member, old.id(), "its id is new");
    assert_eq!(joined.leader, leader.id());
    assert_eq!(back.sync(&[]), (0, b"second".to_vec()));
    assert_eq!((leader.heartbeat(), back.heartbeat()), (0, 0));
}

#[test]
fn a_static_leader_that_comes_back_has_its_assignment() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let mut leader = settled(Member::named(&kafka, &group, "a"));
    let mut other = Member::of(&kafka, &group);
    together(&mut leader, &mut other);
    let mut back = Member::named(&kafka, &group, "a");
    let joined = back.join();
    assert_eq!((joined.code, joined.generation), (0, 2), "the generation stays");
    assert_eq!(back.sync(&[]), (0, b"first".to_vec()));
    assert_eq!((other.heartbeat(), back.heartbeat()), (0, 0));
}

#[test]
fn the_one_before_is_fenced() {
    let kafka = Kafka::for_test();
    let ((_, name), group) = (topic(&kafka, 1), unique_name());
    let (_leader, mut old) = pair(&kafka, &group);
    assert_eq!(old.commit(&name, 1), 0);
    let mut back = Member::named(&kafka, &group, "b");
    assert_eq!(back.join().code, 0);
    assert_eq!(old.heartbeat(), 82);
    assert_eq!(old.commit(&name, 2), 82);
    assert_eq!(old.sync(&[]).0, 82);
    assert_eq!(old.join().code, 82);
    assert_eq!(old.wire.leave(&group, &[(&old.id(), Some("b"))]), [82]);
    assert_eq!(back.commit(&name, 3), 0, "the new one is not touched");
    assert_eq!(back.wire.committed(&group, Some(&[(&name, 0)]))[0].offset, 3);
}

#[test]
fn another_subscription_of_one_that_comes_back_counts_from_the_next_rebalance_on() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let (mut leader, _old) = pair(&kafka, &group);
    let mut back = Member::named(&kafka, &group, "b");
    back.protocols = vec![("range", subscription("more topics"))];
    assert_eq!(back.join().generation, 2, "to come back is no rebalance, whatever it subscribes to");
    assert_eq!(back.sync(&[]), (0, b"second".to_vec()));
    leader.ask_to_join();
    back.until_rebalance();
    assert_eq!(back.join().generation, 3);
    let mut said: Vec<_> = leader.joined().members.into_iter().map(|m| m.2).collect();
    said.sort_unstable_by_key(Vec::len);
    assert_eq!(said, [subscription("m"), subscription("more topics")]);
}

#[test]
fn a_static_member_that_subscribes_to_more_makes_the_others_join_again() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let (mut leader, mut named) = pair(&kafka, &group);
    named.protocols = vec![("range", subscription("more topics"))];
    named.ask_to_join();
    leader.until_rebalance();
    let led = leader.join();
    assert_eq!((led.generation, named.joined().generation), (3, 3));
    assert_eq!(led.members.len(), 2);
}

#[test]
fn a_static_member_is_let_go_by_its_name() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let (mut leader, mut named) = pair(&kafka, &group);
    let mut operator = Wire::to_group(&kafka, &group);
    assert_eq!(
        operator.leave(&group, &[("", Some("b")), ("", Some("unknown")), ("nobody", None)]),
        [0, 25, 25]
    );
    leader.until_rebalance();
    assert_eq!(leader.join().members.len(), 1);
    assert_ne!(named.heartbeat(), 0);
}

#[test]
fn two_names_are_two_members() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let mut first = settled(Member::named(&kafka, &group, "a"));
    let mut second = Member::named(&kafka, &group, "b");
    together(&mut first, &mut second);
    assert_eq!((first.heartbeat(), second.heartbeat()), (0, 0));
}

#[test]
fn a_silent_static_member_is_removed_after_its_session() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let (mut leader, silent) = pair(&kafka, &group);
    drop(silent);
    leader.until_rebalance();
    assert_eq!(leader.join().members.len(), 1);
}
