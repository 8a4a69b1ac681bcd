//! One consumer group, by Kafka's classic protocol: who is in it, and what each may do when. It knows no connection and no
//! clock; whoever waits asks again when something has changed.
//!
//! ```text
//! Empty ──first join──▶ Preparing ──all have joined, or time is up──▶ Completing ──the leader's sync──▶ Stable
//!   ▲                      ▲ └──────────── nobody is left ──────▶ Empty      │                           │
//!   │                      └── join, leave, a member lost ──────────────────┴───────────────────────────┘
//! ```

mod join;
mod member;
mod offsets;
mod round;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

pub(super) use member::{Application, Joined, Member};
pub(super) use offsets::{Committed, Offsets, Place};

use crate::codes;

/// Where a group stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody is in it.
    #[default]
    Empty,
    /// Members are to join again.
    Preparing,
    /// All have joined; the leader shares out.
    Completing,
    /// Everybody knows what is whose.
    Stable,
}

impl Phase {
    /// As Kafka's tools show it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A group.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub phase: Phase,
    pub generation: i32,
    pub protocol_type: String,
    pub protocol: String,
    pub members: BTreeMap<String, Member>,
    pub offsets: Offsets,
    leader: String,
    /// Ids that were handed out and not come back with, and until when they may.
    promised: HashMap<String, Instant>,
    /// Member id by instance id.
    instances: HashMap<String, String>,
    /// When the joining ends, whoever is missing; and after it, when everybody has to have asked for its share.
    deadline: Option<Instant>,
    /// The first members of an empty group: whoever comes before this may come along.
    gathering: Option<Instant>,
    requests: u64,
}

/// What becomes of a request to join.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// Ask [`Group::joined`] with this member id and number until it says something else than to wait.
    Wait(String, u64),
    /// At once.
    Done(Joined),
    /// The error code, and the member id that goes with it.
    Refused(i16, String),
}

/// What a waiting request hears.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Waiting<T> {
    NotYet,
    Done(T),
    Refused(i16),
}

impl Group {
    /// The leader's shares are taken; whoever else asks waits for them.
    pub(super) fn sync(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
        shares: &mut Vec<(String, Vec<u8>)>,
        now: Instant,
    ) -> Waiting<Vec<u8>> {
        match self.hear(id, instance, generation, now) {
            Ok(member) => member.synced = true,
            Err(code) => return Waiting::Refused(code),
        }
        if self.phase == Phase::Completing && self.leader == id {
            for (id, share) in shares.drain(..) {
                if let Some(member) = self.members.get_mut(&id) {
                    member.assignment = share;
                }
            }
            self.phase = Phase::Stable;
        }
        match (self.phase, self.members.get(id)) {
            (Phase::Completing, _) => Waiting::NotYet,
            (Phase::Stable, Some(member)) => Waiting::Done(member.assignment.clone()),
            _ => Waiting::Refused(codes::REBALANCE_IN_PROGRESS),
        }
    }

    /// A member lives. The error code tells it what it has missed.
    pub(super) fn heartbeat(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> i16 {
        if let Err(code) = self.hear(id, instance, generation, now) {
            return code;
        }
        if self.phase == Phase::Preparing { codes::REBALANCE_IN_PROGRESS } else { codes::NONE }
    }

    /// A member leaves; a static one by its instance alone if it likes.
    pub(super) fn leave(&mut self, id: &str, instance: Option<&str>, now: Instant) -> i16 {
        if self.promised.remove(id).is_some() {
            self.complete_join(now);
            return codes::NONE;
        }
        let by_instance = instance.filter(|_| id.is_empty()).map(|instance| self.instances.get(instance));
        let id = match by_instance {
            Some(None) => return codes::UNKNOWN_MEMBER_ID,
            Some(Some(known)) => known.clone(),
            None => id.to_owned(),
        };
        if let Err(code) = self.check_member(&id, instance) {
            return code;
        }
        self.remove(&id, now);
        codes::NONE
    }

    fn remove(&mut self, id: &str, now: Instant) {
        if let Some(instance) = self.members.remove(id).and_then(|member| member.instance_id) {
            self.instances.remove(&instance);
        }
        if self.phase != Phase::Empty {
            self.prepare(now);
            // Nobody has to be waited for who could still come along.
            if self.members.is_empty() {
                (self.gathering, self.deadline) = (None, None);
            }
            self.complete_join(now);
        }
    }

    /// Whether this is who it says.
    fn check_member(&self, id: &str, instance: Option<&str>) -> Result<(), i16> {
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(codes::UNKNOWN_MEMBER_ID),
                Some(known) if known != id => return Err(codes::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        if self.members.contains_key(id) { Ok(()) } else { Err(codes::UNKNOWN_MEMBER_ID) }
    }

    /// As [`Group::check_member`], and whether it knows of the last rebalance.
    pub(super) fn check(&self, id: &str, instance: Option<&str>, generation: i32) -> Result<(), i16> {
        self.check_member(id, instance)?;
        if generation == self.generation { Ok(()) } else { Err(codes::ILLEGAL_GENERATION) }
    }

    /// As [`Group::check`]; and it was heard of now.
    fn hear(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> Result<&mut Member, i16> {
        self.check(id, instance, generation)?;
        let member = self.members.get_mut(id).ok_or(codes::UNKNOWN_MEMBER_ID)?;
        member.seen = now;
        Ok(member)
    }

    /// Whether offsets may be committed by this member; one without an id may if the group is empty.
    pub(super) fn may_commit(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> i16 {
        if generation < 0 && self.phase == Phase::Empty {
            return codes::NONE;
        }
        if let Err(code) = self.hear(id, instance, generation, now) {
            return code;
        }
        if self.phase == Phase::Completing { codes::REBALANCE_IN_PROGRESS } else { codes::NONE }
    }

    /// What time alone brings: sessions end, joinings end. `true` when something changed.
    pub(super) fn tick(&mut self, now: Instant) -> bool {
        let before = (self.phase, self.generation, self.members.len());
        self.promised.retain(|_, until| now < *until);
        let sharing = self.phase == Phase::Completing;
        let overdue = self.members.iter().filter(|(_, m)| m.is_overdue(sharing, now));
        let overdue: Vec<_> = overdue.map(|(id, _)| id.clone()).collect();
        for id in overdue {
            tracing::debug!("member {id} is gone: nothing was heard of it for its session timeout");
            self.remove(&id, now);
        }
        self.remove_the_silent(now);
        self.complete_join(now);
        before != (self.phase, self.generation, self.members.len())
    }

    /// The broker is back: sessions begin anew, and nobody waits any more.
    pub(super) fn wake(&mut self, now: Instant) {
        for member in self.members.values_mut() {
            member.seen = now;
            (member.joining, member.joined) = (None, None);
        }
        if self.phase == Phase::Preparing {
            self.phase = Phase::Stable;
            self.prepare(now);
        }
    }
}
