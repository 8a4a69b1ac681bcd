//! A member of a group that does only what a test tells it to: no thread, no heartbeat of its own.

use super::wire::{Commit, Joined, Me, Wire, subscription};
use crate::support::kafka::Kafka;
use crate::support::{eventually, seconds};

/// What members of the tests speak, unless they say otherwise.
pub(super) fn protocols() -> Vec<(&'static str, Vec<u8>)> {
    vec![("range", subscription("m"))]
}
/// The shortest session that every broker allows as it ships.
pub(super) const SESSION_MS: i32 = 6_000;

/// How requests name a member.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub group: String,
    pub id: String,
    pub instance: Option<String>,
    pub generation: i32,
}

impl Who {
    pub(super) fn me(&self) -> Me<'_> {
        let (group, member, instance) = (&self.group, &self.id, self.instance.as_deref());
        Me { group, generation: self.generation, member, instance }
    }
}

/// One member on a connection of its own.
pub(super) struct Member {
    pub wire: Wire,
    pub who: Who,
    /// Session and rebalance timeout.
    pub timeouts_ms: (i32, i32),
    pub protocols: Vec<(&'static str, Vec<u8>)>,
}

impl Member {
    /// Not yet joined.
    pub(super) fn of(kafka: &Kafka, group: &str) -> Self {
        Self {
            wire: Wire::to_group(kafka, group),
            who: Who { group: group.to_owned(), id: String::new(), instance: None, generation: -1 },
            timeouts_ms: (SESSION_MS, 60_000),
            protocols: protocols(),
        }
    }

    /// With a name for life, not yet joined.
    pub(super) fn named(kafka: &Kafka, group: &str, instance: &str) -> Self {
        let mut member = Self::of(kafka, group);
        member.who.instance = Some(instance.to_owned());
        member
    }

    pub(super) fn id(&self) -> String {
        self.who.id.clone()
    }

    /// Gets its id, if it has none, and asks to join; the answer comes when all members have.
    pub(super) fn ask_to_join(&mut self) {
        self.ask();
        if self.who.id.is_empty() && self.who.instance.is_none() {
            let named = self.wire.joined(5);
            assert_eq!(named.code, 79, "a member without id gets one first");
            self.who.id = named.member;
            self.ask();
        }
    }

    fn ask(&mut self) {
        self.wire.ask_to_join(5, &self.who.me(), self.timeouts_ms, "consumer", &self.protocols);
    }

    /// The answer to [`Member::ask_to_join`].
    pub(super) fn joined(&mut self) -> Joined {
        let joined = self.wire.joined(5);
        if joined.code == 0 {
            (self.who.id, self.who.generation) = (joined.member.clone(), joined.generation);
        }
        joined
    }

    /// Joins; nobody else has to.
    pub(super) fn join(&mut self) -> Joined {
        self.ask_to_join();
        self.joined()
    }

    /// Asks for its assignment, and gives these as the leader.
    pub(super) fn ask_to_sync(&mut self, assignments: &[(&str, &[u8])]) {
        self.wire.ask_to_sync(3, &self.who.me(), assignments);
    }

    /// The same, and reads the answer.
    pub(super) fn sync(&mut self, assignments: &[(&str, &[u8])]) -> (i16, Vec<u8>) {
        self.ask_to_sync(assignments);
        self.wire.synced(3)
    }

    pub(super) fn heartbeat(&mut self) -> i16 {
        self.wire.heartbeat(&self.who.me())
    }

    /// Waits for the error that tells it to join again.
    pub(super) fn until_rebalance(&mut self) {
        eventually(seconds(30), "the member hears of a rebalance", || self.heartbeat() == 27);
    }

    /// Commits one offset of partition 0 as this member.
    pub(super) fn commit(&mut self, topic: &str, offset: i64) -> i16 {
        let commit = Commit { topic, partition: 0, offset, metadata: "" };
        self.wire.commit(&self.who.me(), &[commit])[0]
    }

    /// Leaves by its id.
    pub(super) fn leave(&mut self) -> i16 {
        self.wire.leave(&self.who.group, &[(&self.who.id, None)])[0]
    }
}

/// One member alone in its group, with the assignment `all`.
pub(super) fn alone(kafka: &Kafka, group: &str) -> Member {
    settled(Member::of(kafka, group))
}

/// This member joins as the first, leads, and gets the assignment `all`.
pub(super) fn settled(mut member: Member) -> Member {
    let joined = member.join();
    assert_eq!((joined.code, &joined.leader), (0, &joined.member), "the first member leads");
    let id = member.id();
    assert_eq!(member.sync(&[(&id, b"all")]), (0, b"all".to_vec()));
    member
}

/// A newcomer joins a settled member's group: first it leads, both get their halves. Which assignment is whose shows.
pub(super) fn together(leader: &mut Member, newcomer: &mut Member) {
    newcomer.ask_to_join();
    leader.until_rebalance();
    let led = leader.join();
    let followed = newcomer.joined();
    assert_eq!((led.code, followed.code), (0, 0), "both join");
    assert_eq!(led.generation, followed.generation, "they are in one generation");
    newcomer.ask_to_sync(&[]);
    let (first, second) = (leader.id(), newcomer.id());
    assert_eq!(leader.sync(&[(&first, b"first"), (&second, b"second")]), (0, b"first".to_vec()));
    assert_eq!(newcomer.wire.synced(3), (0, b"second".to_vec()));
}
