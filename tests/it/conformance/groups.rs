//! The life of a group, seen by its members' own requests. What librdkafka makes of it is in `balance`.

use super::member::{Member, alone, protocols, settled, together};
use super::wire::{Me, Wire, subscription};
use crate::support::kafka::Kafka;
use crate::support::setup::unique_name;
use crate::support::{eventually, seconds};

#[test]
fn a_member_without_an_id_is_given_one_and_joins_with_it() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let mut wire = Wire::to_group(&kafka, &group);
    let me = Me { group: &group, ..Me::default() };
    wire.ask_to_join(4, &me, (6_000, 6_000), "consumer", &protocols());
    let named = wire.joined(4);
    assert_eq!((named.code, named.generation, named.members.len()), (79, -1, 0));
    assert!(!named.member.is_empty());
    wire.ask_to_join(4, &Me { member: &named.member, ..me }, (6_000, 6_000), "consumer", &protocols());
    let joined = wire.joined(4);
    assert_eq!((joined.code, joined.generation), (0, 1));
    assert_eq!((&joined.member, &joined.leader), (&named.member, &named.member));
}

#[test]
fn who_is_no_member_is_told_so() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let mut member = alone(&kafka, &group);
    let mut stranger = Member::of(&kafka, &group);
    (stranger.who.id, stranger.who.generation) = ("nobody".to_owned(), member.who.generation);
    assert_eq!(stranger.join().code, 25);
    assert_eq!(stranger.heartbeat(), 25);
    assert_eq!(stranger.sync(&[]).0, 25);
    assert_eq!(stranger.leave(), 25);
    assert_eq!(member.heartbeat(), 0, "the member is not disturbed");
}

#[test]
fn another_generation_is_told_so() {
    let kafka = Kafka::for_test();
    let mut member = alone(&kafka, &unique_name());
    assert_eq!((member.heartbeat(), member.sync(&[])), (0, (0, b"all".to_vec())), "its own may ask again");
    for generation in [member.who.generation - 1, member.who.generation + 1, 0] {
        let mut other = member.who.clone();
        other.generation = generation;
        assert_eq!(member.wire.heartbeat(&other.me()), 22, "generation {generation}");
        member.wire.ask_to_sync(3, &other.me(), &[]);
        assert_eq!(member.wire.synced(3).0, 22, "generation {generation}");
    }
}

#[test]
fn the_leader_learns_the_others_metadata_and_gives_each_its_part() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let mut leader = alone(&kafka, &group);
    let mut other = Member::of(&kafka, &group);
    leader.protocols = vec![("range", subscription("of the leader"))];
    other.protocols = vec![("range", subscription("of the other"))];
    other.ask_to_join();
    leader.until_rebalance();
    let (led, followed) = (leader.join(), other.joined());
    assert_eq!((&led.leader, &followed.leader), (&leader.id(), &leader.id()), "the first one leads on");
    assert_eq!((led.generation, followed.generation), (2, 2));
    let mut members = led.members;
    members.sort();
    let mut expected = [
        (leader.id(), None, subscription("of the leader")),
        (other.id(), None, subscription("of the other")),
    ];
    expected.sort();
    assert_eq!(members, expected);
    assert!(followed.members.is_empty(), "the others learn nothing");
    other.ask_to_sync(&[]);
    let (first, second) = (leader.id(), other.id());
    assert_eq!(leader.sync(&[(&second, b"two"), (&first, b"one")]), (0, b"one".to_vec()));
    assert_eq!(other.wire.synced(3), (0, b"two".to_vec()));
    assert_eq!(other.sync(&[]), (0, b"two".to_vec()), "whoever asks again gets the same");
}

#[test]
fn a_member_that_was_given_nothing_gets_nothing() {
    let kafka = Kafka::for_test();
    let mut member = Member::of(&kafka, &unique_name());
    member.join();
    assert_eq!(member.sync(&[]), (0, Vec::new()));
}

#[test]
fn a_newcomer_makes_the_others_join_again() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let (mut first, mut second) = (alone(&kafka, &group), Member::of(&kafka, &group));
    assert_eq!(first.heartbeat(), 0);
    together(&mut first, &mut second);
    assert_eq!((first.heartbeat(), second.heartbeat()), (0, 0));
    assert_eq!(first.who.generation, 2);
}

#[test]
fn a_member_that_leaves_makes_the_others_join_again() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let (mut first, mut second) = (alone(&kafka, &group), Member::of(&kafka, &group));
    together(&mut first, &mut second);
    assert_eq!(first.leave(), 0);
    second.until_rebalance();
    let joined = second.join();
    assert_eq!((joined.code, joined.generation, joined.members.len()), (0, 3, 1));
    assert_eq!(joined.leader, joined.member, "the last one leads");
    assert_eq!(first.heartbeat(), 25);
}

#[test]
fn a_member_that_is_silent_is_removed() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let (mut first, mut silent) = (alone(&kafka, &group), Member::of(&kafka, &group));
    together(&mut first, &mut silent);
    first.until_rebalance();
    let joined = first.join();
    assert_eq!((joined.code, joined.members.len()), (0, 1), "it is alone");
    assert_eq!(silent.heartbeat(), 25);
}

#[test]
fn a_member_that_does_not_join_again_in_time_is_removed() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let mut slow = Member::of(&kafka, &group);
    // It may be silent for long, but not take long to join.
    slow.timeouts_ms = (60_000, 2_000);
    let mut slow = settled(slow);
    let mut newcomer = Member::of(&kafka, &group);
    newcomer.timeouts_ms = (60_000, 2_000);
    let joined = newcomer.join();
    assert_eq!((joined.code, joined.members.len()), (0, 1));
    assert_eq!(joined.leader, joined.member);
    assert_eq!(slow.heartbeat(), 25);
}

#[test]
fn a_member_that_joins_and_never_asks_for_its_share_is_removed() {
    let kafka = Kafka::for_test();
    let mut idle = Member::of(&kafka, &unique_name());
    idle.timeouts_ms = (60_000, 2_000);
    assert_eq!(idle.join().code, 0);
    eventually(seconds(30), "it is no member any more, alive as it is", || idle.heartbeat() == 25);
}

#[test]
fn heartbeats_keep_a_member_for_longer_than_its_session() {
    let kafka = Kafka::for_test();
    let mut member = alone(&kafka, &unique_name());
    let end = std::time::Instant::now() + seconds(8);
    eventually(seconds(30), "the session's time has passed", || {
        assert_eq!(member.heartbeat(), 0);
        std::time::Instant::now() > end
    });
}

#[test]
fn a_follower_that_joins_again_unchanged_disturbs_nobody() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let (mut first, mut second) = (alone(&kafka, &group), Member::of(&kafka, &group));
    together(&mut first, &mut second);
    // As a client does whose answer was lost on the way.
    let joined = second.join();
    assert_eq!((joined.code, joined.generation), (0, 2));
    assert_eq!(second.sync(&[]), (0, b"second".to_vec()));
    assert_eq!(first.heartbeat(), 0);
}

#[test]
fn a_follower_that_joins_with_another_subscription_does() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let (mut first, mut second) = (alone(&kafka, &group), Member::of(&kafka, &group));
    together(&mut first, &mut second);
    second.protocols = vec![("range", subscription("more topics"))];
    second.ask_to_join();
    first.until_rebalance();
    let led = first.join();
    assert_eq!((led.generation, second.joined().generation), (3, 3));
    assert!(led.members.iter().any(|m| m.2 == subscription("more topics")));
}

#[test]
fn a_leader_that_joins_again_means_it() {
    let kafka = Kafka::for_test();
    let mut leader = alone(&kafka, &unique_name());
    assert_eq!(leader.join().generation, 2);
}

#[test]
fn the_protocol_is_one_that_all_speak() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let mut first = Member::of(&kafka, &group);
    first.protocols = vec![("only mine", subscription("1")), ("ours", subscription("2"))];
    assert_eq!(first.join().protocol, "only mine", "alone it is the first");
    first.sync(&[]);
    let mut second = Member::of(&kafka, &group);
    second.protocols = vec![("only yours", subscription("3")), ("ours", subscription("4"))];
    second.ask_to_join();
    first.until_rebalance();
    let (led, followed) = (first.join(), second.joined());
    assert_eq!((led.protocol.as_str(), followed.protocol.as_str()), ("ours", "ours"));
    let mut metadata: Vec<_> = led.members.into_iter().map(|m| m.2).collect();
    metadata.sort();
    assert_eq!(
        metadata,
        [subscription("2"), subscription("4")],
        "the metadata is that of the protocol chosen"
    );
}

#[test]
fn who_speaks_none_of_the_groups_protocols_stays_outside() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let mut member = alone(&kafka, &group);
    let mut wire = Wire::to_group(&kafka, &group);
    let me = Me { group: &group, ..Me::default() };
    let timeouts = (6_000, 6_000);
    let others =
        [("consumer", vec![("sticky", subscription("m"))]), ("connect", protocols()), ("consumer", vec![])];
    for (kind, protocols) in others {
        wire.ask_to_join(3, &me, timeouts, kind, &protocols);
        assert_eq!(wire.joined(3).code, 23, "{kind} {protocols:?}");
    }
    assert_eq!(member.heartbeat(), 0, "the member is not disturbed");
}

#[test]
fn a_session_beyond_the_brokers_limits_is_refused() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let mut member = Member::of(&kafka, &group);
    for session in [10, 100_000_000] {
        // By version 3, where no id has to be asked for first.
        let me = member.who.me();
        member.wire.ask_to_join(3, &me, (session, 6_000), "consumer", &member.protocols);
        assert_eq!(member.wire.joined(3).code, 26, "{session} ms");
    }
}

#[test]
fn a_group_without_a_name_is_refused() {
    let kafka = Kafka::for_test();
    let mut wire = Wire::to_group(&kafka, &unique_name());
    wire.ask_to_join(3, &Me::default(), (6_000, 6_000), "consumer", &protocols());
    assert_eq!(wire.joined(3).code, 24);
}

#[test]
fn a_rebalance_waits_for_the_leaders_word() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let (mut leader, mut other) = (alone(&kafka, &group), Member::of(&kafka, &group));
    other.ask_to_join();
    leader.until_rebalance();
    leader.join();
    other.joined();
    other.ask_to_sync(&[]);
    // The leader goes without a word: the other has to join again.
    assert_eq!(leader.leave(), 0);
    assert_eq!(other.wire.synced(3).0, 27);
    let joined = other.join();
    assert_eq!((joined.code, joined.leader), (0, other.id()));
}

#[test]
fn a_heartbeat_before_the_leaders_word_is_all_right() {
    let kafka = Kafka::for_test();
    let mut member = Member::of(&kafka, &unique_name());
    assert_eq!(member.join().code, 0);
    assert_eq!(member.heartbeat(), 0);
    assert_eq!(member.sync(&[]).0, 0);
}

#[test]
fn generations_go_on_when_a_group_was_empty() {
    let kafka = Kafka::for_test();
    let group = unique_name();
    let mut first = alone(&kafka, &group);
    assert_eq!(first.leave(), 0);
    let next = alone(&kafka, &group);
    assert!(next.who.generation > first.who.generation, "{}", next.who.generation);
    let late = first.who.clone();
    assert_eq!(first.wire.heartbeat(&late.me()), 25);
}
