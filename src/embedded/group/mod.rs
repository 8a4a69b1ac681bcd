//! One consumer group, by Kafka's classic protocol: who is in it, and what each may do when. It knows no connection and no
//! clock; whoever waits asks again when something has changed.
//!
//! ```text
//! Empty ──first join──▶ Preparing ──all have joined, or time is up──▶ Completing ──the leader's sync──▶ Stable
//!   ▲                      ▲ └──────────── nobody is left ──────▶ Empty      │                           │
//!   │                      └── join, leave, a member lost ──────────────────┴───────────────────────────┘
//! ```

mod member;
mod offsets;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

pub(super) use member::{Application, Joined, Member};
pub(super) use offsets::{Committed, Offsets, Place};

use super::codes;

/// Session timeouts that are allowed, as Kafka's defaults have them.
const SESSION: std::ops::RangeInclusive<Duration> = Duration::from_secs(6)..=Duration::from_secs(1800);

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
    /// When the joining ends, whoever is missing.
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
    /// A member wants to join, or to join again. `fresh` is an id nobody has.
    pub(super) fn join(&mut self, who: &Application, fresh: String, gather: Duration, now: Instant) -> Join {
        if !SESSION.contains(&who.session_timeout) {
            return Join::Refused(codes::INVALID_SESSION_TIMEOUT, who.member_id.clone());
        }
        if !self.is_compatible(who) {
            return Join::Refused(codes::INCONSISTENT_GROUP_PROTOCOL, who.member_id.clone());
        }
        match (&who.instance_id, who.member_id.is_empty()) {
            (Some(instance), true) => match self.instances.get(instance).cloned() {
                Some(old) => self.replace(&old, fresh, who, now),
                None => self.admit(fresh, who, gather, now),
            },
            (None, true) if who.asks_twice => {
                self.promised.insert(fresh.clone(), now + who.session_timeout);
                Join::Refused(codes::MEMBER_ID_REQUIRED, fresh)
            }
            (None, true) => self.admit(fresh, who, gather, now),
            (_, false) => {
                let id = who.member_id.clone();
                if self.promised.remove(&id).is_some() {
                    return self.admit(id, who, gather, now);
                }
                match self.check_member(&id, who.instance_id.as_deref()) {
                    Err(code) => Join::Refused(code, id),
                    Ok(()) => self.rejoin(id, who, now),
                }
            }
        }
    }

    fn is_compatible(&self, who: &Application) -> bool {
        if who.protocols.is_empty() || who.protocol_type.is_empty() {
            return false;
        }
        let others = || {
            self.members.iter().filter(|(id, m)| {
                **id != who.member_id && (who.instance_id.is_none() || m.instance_id != who.instance_id)
            })
        };
        others().next().is_none()
            || (who.protocol_type == self.protocol_type
                && who.protocols.iter().any(|(name, _)| others().all(|(_, m)| m.supports(name))))
    }

    /// A member that was not in the group.
    fn admit(&mut self, id: String, who: &Application, gather: Duration, now: Instant) -> Join {
        self.protocol_type.clone_from(&who.protocol_type);
        if let Some(instance) = &who.instance_id {
            self.instances.insert(instance.clone(), id.clone());
        }
        self.members.insert(id.clone(), Member::new(who, now));
        if self.phase == Phase::Empty {
            self.gathering = Some(now + gather);
        } else if let Some(until) = &mut self.gathering {
            *until = now + gather;
        }
        self.wait_for_all(id, now)
    }

    /// A static member is back under a new id: its old one is fenced.
    fn replace(&mut self, old: &str, id: String, who: &Application, now: Instant) -> Join {
        let Some(mut member) = self.members.remove(old) else {
            return Join::Refused(codes::UNKNOWN_MEMBER_ID, id);
        };
        member.update(who, now);
        (member.joining, member.joined) = (None, None);
        self.members.insert(id.clone(), member);
        if let Some(instance) = &who.instance_id {
            self.instances.insert(instance.clone(), id.clone());
        }
        // It must not think it has to share out: it is told the leader's id of before.
        let leader = self.leader.clone();
        if self.leader == old {
            self.leader.clone_from(&id);
        }
        if self.phase == Phase::Stable && self.chosen_protocol() == self.protocol {
            let (generation, protocol) = (self.generation, self.protocol.clone());
            return Join::Done(Joined { generation, protocol, leader, member_id: id, members: Vec::new() });
        }
        self.wait_for_all(id, now)
    }

    fn rejoin(&mut self, id: String, who: &Application, now: Instant) -> Join {
        let is_leader = self.leader == id;
        let Some(member) = self.members.get_mut(&id) else {
            return Join::Refused(codes::UNKNOWN_MEMBER_ID, id);
        };
        let same = member.protocols == who.protocols;
        member.update(who, now);
        let lost_the_answer = match self.phase {
            Phase::Completing => same,
            Phase::Stable => same && !is_leader,
            Phase::Empty | Phase::Preparing => false,
        };
        if lost_the_answer {
            return Join::Done(self.tell(&id));
        }
        self.wait_for_all(id, now)
    }

    fn wait_for_all(&mut self, id: String, now: Instant) -> Join {
        self.prepare(now);
        self.requests += 1;
        let request = self.requests;
        if let Some(member) = self.members.get_mut(&id) {
            member.joining = Some(request);
            member.joined = None;
        }
        self.complete_join(now);
        Join::Wait(id, request)
    }

    /// All members are to join again.
    fn prepare(&mut self, now: Instant) {
        if self.phase == Phase::Preparing {
            return;
        }
        let patience = self.members.values().map(|m| m.rebalance_timeout).max().unwrap_or_default();
        self.phase = Phase::Preparing;
        self.deadline = Some(now + patience);
    }

    /// Ends the joining if everybody is there or the time is up.
    fn complete_join(&mut self, now: Instant) {
        if self.phase != Phase::Preparing || self.gathering.is_some_and(|until| now < until) {
            return;
        }
        let all = self.promised.is_empty() && self.members.values().all(|m| m.joining.is_some());
        if !all && self.deadline.is_some_and(|deadline| now < deadline) {
            return;
        }
        let missing: Vec<_> = self.members.iter().filter(|(_, m)| m.joining.is_none()).collect();
        let gone: Vec<_> =
            missing.iter().filter(|(_, m)| m.instance_id.is_none()).map(|(id, _)| (*id).clone()).collect();
        for id in gone {
            self.members.remove(&id);
        }
        (self.gathering, self.deadline) = (None, None);
        self.generation += 1;
        if self.members.is_empty() {
            self.empty();
            return;
        }
        self.promised.clear();
        self.protocol = self.chosen_protocol();
        self.phase = Phase::Completing;
        self.elect();
        let ids: Vec<_> = self.members.keys().cloned().collect();
        for id in ids {
            let told = self.tell(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.seen = now;
                member.assignment.clear();
                member.joined = member.joining.map(|_| told);
            }
        }
    }

    fn empty(&mut self) {
        self.phase = Phase::Empty;
        self.protocol.clear();
        self.leader.clear();
        self.instances.clear();
        self.gathering = None;
    }

    /// The leader stays; if it is gone or silent, the one who joined first takes its place.
    fn elect(&mut self) {
        let here = self.members.get(&self.leader).is_some_and(|m| m.joining.is_some());
        if !here {
            let first = self.members.iter().filter_map(|(id, m)| Some((m.joining?, id))).min();
            self.leader = first.map(|(_, id)| id.clone()).unwrap_or_default();
        }
    }

    /// The protocol that all support and most like best.
    fn chosen_protocol(&self) -> String {
        let Some(any) = self.members.values().next() else { return String::new() };
        let shared = |name: &str| self.members.values().all(|m| m.supports(name));
        let votes = |name: &str| {
            let best = |m: &&Member| {
                m.protocols.iter().map(|(p, _)| p).find(|p| shared(p)).is_some_and(|p| p == name)
            };
            self.members.values().filter(best).count()
        };
        let candidates = any.protocols.iter().map(|(name, _)| name).filter(|name| shared(name));
        // The first of equals: `max_by_key` would take the last.
        candidates.rev().max_by_key(|name| votes(name)).cloned().unwrap_or_default()
    }

    fn tell(&self, id: &str) -> Joined {
        let member = |(id, m): (&String, &Member)| {
            (id.clone(), m.instance_id.clone(), m.metadata(&self.protocol).to_vec())
        };
        let members = if self.leader == id { self.members.iter().map(member).collect() } else { Vec::new() };
        Joined {
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            member_id: id.to_owned(),
            members,
        }
    }

    /// What a request to join that waits is to answer by now.
    pub(super) fn joined(&mut self, id: &str, request: u64) -> Waiting<Joined> {
        let Some(member) = self.members.get_mut(id) else {
            return Waiting::Refused(codes::UNKNOWN_MEMBER_ID);
        };
        if member.joining != Some(request) {
            // It was asked again on another connection: this one is of no interest any more.
            return Waiting::Refused(codes::REBALANCE_IN_PROGRESS);
        }
        let Some(joined) = member.joined.take() else { return Waiting::NotYet };
        member.joining = None;
        Waiting::Done(joined)
    }

    /// The leader's shares are taken; whoever else asks waits for them.
    pub(super) fn sync(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
        shares: &mut Vec<(String, Vec<u8>)>,
        now: Instant,
    ) -> Waiting<Vec<u8>> {
        if let Err(code) = self.check(id, instance, generation) {
            return Waiting::Refused(code);
        }
        if let Some(member) = self.members.get_mut(id) {
            member.seen = now;
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
        if let Err(code) = self.check(id, instance, generation) {
            return code;
        }
        if let Some(member) = self.members.get_mut(id) {
            member.seen = now;
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
        if let Err(code) = self.check(id, instance, generation) {
            return code;
        }
        if let Some(member) = self.members.get_mut(id) {
            member.seen = now;
        }
        if self.phase == Phase::Completing { codes::REBALANCE_IN_PROGRESS } else { codes::NONE }
    }

    /// What time alone brings: sessions end, joinings end. `true` when something changed.
    pub(super) fn tick(&mut self, now: Instant) -> bool {
        let before = (self.phase, self.generation, self.members.len());
        self.promised.retain(|_, until| now < *until);
        let overdue: Vec<_> =
            self.members.iter().filter(|(_, m)| m.is_overdue(now)).map(|(id, _)| id.clone()).collect();
        for id in overdue {
            tracing::debug!("member {id} is gone: nothing was heard of it for its session timeout");
            self.remove(&id, now);
        }
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
