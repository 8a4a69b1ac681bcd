//! The group alone, with a clock of the test's own. What clients see of it is in the conformance suite.

use std::time::{Duration, Instant};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

struct Rig {
    group: Group,
    now: Instant,
    ids: u32,
}

fn rig() -> Rig {
    Rig { group: Group::default(), now: Instant::now(), ids: 0 }
}

fn member(id: &str, protocols: &[&str]) -> Application {
    Application {
        member_id: id.to_owned(),
        instance_id: None,
        client_id: "c".to_owned(),
        client_host: "/h".to_owned(),
        session_timeout: 10 * SECOND,
        rebalance_timeout: 60 * SECOND,
        protocol_type: "consumer".to_owned(),
        protocols: protocols.iter().map(|name| ((*name).to_owned(), name.as_bytes().to_vec())).collect(),
        asks_twice: false,
    }
}

fn instance(name: &str) -> Application {
    Application { instance_id: Some(name.to_owned()), ..member("", &["range"]) }
}

impl Rig {
    fn join(&mut self, who: &Application) -> Join {
        self.ids += 1;
        let fresh = format!("m{}", self.ids);
        self.group.join(who, fresh, Duration::ZERO, self.now)
    }

    /// Joins and must wait; gives id and number.
    fn wait(&mut self, who: &Application) -> (String, u64) {
        match self.join(who) {
            Join::Wait(id, request) => (id, request),
            other => panic!("it should wait: {other:?}"),
        }
    }

    fn joined(&mut self, (id, request): &(String, u64)) -> Joined {
        match self.group.joined(id, *request) {
            Waiting::Done(joined) => joined,
            other => panic!("{id} should have joined: {other:?}"),
        }
    }

    /// A group of one, stable.
    fn alone(&mut self, who: &Application) -> Joined {
        let waiting = self.wait(who);
        let joined = self.joined(&waiting);
        let mut shares = vec![(joined.member_id.clone(), b"all".to_vec())];
        let instance = who.instance_id.as_deref();
        let done = self.group.sync(&joined.member_id, instance, joined.generation, &mut shares, self.now);
        assert_eq!(done, Waiting::Done(b"all".to_vec()));
        joined
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.group.tick(self.now);
    }
}

#[test]
fn a_second_member_waits_until_the_first_has_joined_again() {
    let mut rig = rig();
    let first = rig.alone(&member("", &["range"]));
    let second = rig.wait(&member("", &["range"]));
    assert_eq!(rig.group.joined(&second.0, second.1), Waiting::NotYet);
    let code = rig.group.heartbeat(&first.member_id, None, first.generation, rig.now);
    assert_eq!(code, codes::REBALANCE_IN_PROGRESS);
    let again = rig.wait(&member(&first.member_id, &["range"]));
    let (leader, follower) = (rig.joined(&again), rig.joined(&second));
    assert_eq!((leader.generation, follower.generation), (2, 2));
    assert_eq!((leader.members.len(), follower.members.len()), (2, 0), "the leader alone shares out");
    assert_eq!(leader.leader, follower.leader);
}

#[test]
fn whoever_does_not_join_again_in_time_is_out() {
    let mut rig = rig();
    let first = rig.alone(&member("", &["range"]));
    let second = rig.wait(&member("", &["range"]));
    for _ in 0..12 {
        rig.pass(5 * SECOND);
        rig.group.heartbeat(&first.member_id, None, first.generation, rig.now);
    }
    assert_eq!(rig.joined(&second).members.len(), 1);
    assert_eq!(rig.group.heartbeat(&first.member_id, None, 2, rig.now), codes::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_silent_member_is_out_after_its_session_and_the_group_is_empty() {
    let mut rig = rig();
    rig.alone(&member("", &["range"]));
    rig.pass(9 * SECOND);
    assert_eq!(rig.group.phase, Phase::Stable);
    rig.pass(SECOND);
    assert_eq!((rig.group.phase, rig.group.members.len()), (Phase::Empty, 0));
}

#[test]
fn who_joins_and_never_asks_for_its_share_is_out_and_who_waits_for_it_is_not() {
    let mut rig = rig();
    let leader = rig.wait(&member("", &["range"]));
    let leader = rig.joined(&leader);
    let follower = rig.wait(&member("", &["range"]));
    let again = rig.wait(&member(&leader.member_id, &["range"]));
    let (leader, follower) = (rig.joined(&again), rig.joined(&follower));
    let waiting = rig.group.sync(&follower.member_id, None, 2, &mut vec![], rig.now);
    assert_eq!(waiting, Waiting::NotYet);
    for _ in 0..12 {
        assert_eq!(rig.group.members.len(), 2);
        rig.pass(5 * SECOND);
        rig.group.heartbeat(&leader.member_id, None, 2, rig.now);
    }
    assert_eq!(rig.group.members.keys().collect::<Vec<_>>(), [&follower.member_id]);
}

#[test]
fn the_protocol_is_one_that_all_know_and_most_prefer() {
    let mut rig = rig();
    let first = rig.alone(&member("", &["sticky", "range", "robin"]));
    let second = rig.wait(&member("", &["range", "robin"]));
    let third = rig.wait(&member("", &["robin", "range"]));
    let again = rig.wait(&member(&first.member_id, &["sticky", "range", "robin"]));
    assert_eq!(rig.joined(&again).protocol, "range");
    assert_eq!(rig.joined(&second).protocol, "range");
    assert_eq!(rig.joined(&third).protocol, "range");
    let stranger = rig.join(&member("", &["sticky"]));
    assert!(matches!(stranger, Join::Refused(codes::INCONSISTENT_GROUP_PROTOCOL, _)));
}

#[test]
fn a_newer_client_comes_twice() {
    let mut rig = rig();
    let asking = Application { asks_twice: true, ..member("", &["range"]) };
    let Join::Refused(codes::MEMBER_ID_REQUIRED, id) = rig.join(&asking) else { panic!("it asks twice") };
    assert!(rig.group.members.is_empty());
    let waiting = rig.wait(&Application { asks_twice: true, ..member(&id, &["range"]) });
    assert_eq!(waiting.0, id);
    assert_eq!(rig.joined(&waiting).generation, 1);
}

#[test]
fn a_follower_that_lost_its_answer_gets_it_again_and_the_leader_starts_anew() {
    let mut rig = rig();
    let first = rig.alone(&member("", &["range"]));
    let second = rig.wait(&member("", &["range"]));
    let again = rig.wait(&member(&first.member_id, &["range"]));
    let (leader, follower) = (rig.joined(&again), rig.joined(&second));
    let mut shares = vec![(leader.member_id.clone(), vec![1]), (follower.member_id.clone(), vec![2])];
    rig.group.sync(&leader.member_id, None, 2, &mut shares, rig.now);
    assert_eq!(rig.join(&member(&follower.member_id, &["range"])), Join::Done(follower));
    assert_eq!(rig.group.generation, 2);
    assert!(matches!(rig.join(&member(&leader.member_id, &["range"])), Join::Wait(..)));
    assert_eq!(rig.group.phase, Phase::Preparing);
}

#[test]
fn a_static_member_comes_back_under_a_new_id_and_nothing_moves() {
    let mut rig = rig();
    let before = rig.alone(&instance("i"));
    let Join::Done(after) = rig.join(&instance("i")) else { panic!("no rebalance") };
    assert_eq!((after.generation, rig.group.phase), (before.generation, Phase::Stable));
    assert_ne!(after.member_id, before.member_id);
    assert_ne!(after.leader, after.member_id, "it must not share out");
    let old = rig.group.heartbeat(&before.member_id, Some("i"), 1, rig.now);
    assert_eq!(old, codes::FENCED_INSTANCE_ID);
    let share = rig.group.sync(&after.member_id, Some("i"), 1, &mut vec![], rig.now);
    assert_eq!(share, Waiting::Done(b"all".to_vec()));
    assert_eq!(rig.group.leave("", Some("i"), rig.now), codes::NONE);
    assert_eq!(rig.group.phase, Phase::Empty);
}

#[test]
fn offsets_are_committed_by_members_of_this_generation_or_by_anybody_while_it_is_empty() {
    let mut rig = rig();
    assert_eq!(rig.group.may_commit("", None, -1, rig.now), codes::NONE);
    let joined = rig.alone(&member("", &["range"]));
    let mut ask = |id: &str, generation| rig.group.may_commit(id, None, generation, rig.now);
    assert_eq!(ask("", -1), codes::UNKNOWN_MEMBER_ID);
    assert_eq!(ask(&joined.member_id, 7), codes::ILLEGAL_GENERATION);
    assert_eq!(ask(&joined.member_id, 1), codes::NONE);
}

#[test]
fn after_the_broker_was_down_sessions_begin_anew_and_nobody_waits() {
    let mut rig = rig();
    let first = rig.alone(&member("", &["range"]));
    let second = rig.wait(&member("", &["range"]));
    rig.now += 300 * SECOND;
    rig.group.wake(rig.now);
    rig.group.tick(rig.now);
    assert_eq!(rig.group.members.len(), 2);
    let late = rig.group.joined(&second.0, second.1);
    assert_eq!(late, Waiting::Refused(codes::REBALANCE_IN_PROGRESS));
    let again = [rig.wait(&member(&first.member_id, &["range"])), rig.wait(&member(&second.0, &["range"]))];
    assert_eq!(again.map(|waiting| rig.joined(&waiting).generation), [2, 2]);
}
