//! How a member comes in, comes back, or comes in the place of its former self.

use std::time::{Duration, Instant};

use super::{Application, Group, Join, Joined, Member, Phase, Waiting};
use crate::codes;

/// Session timeouts that are allowed, as Kafka's defaults have them.
const SESSION: std::ops::RangeInclusive<Duration> = Duration::from_secs(6)..=Duration::from_secs(1800);

impl Group {
    /// A member wants to join, or to join again. `fresh` is an id nobody has.
    pub(crate) fn join(&mut self, who: &Application, fresh: String, gather: Duration, now: Instant) -> Join {
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

    /// What a request to join that waits is to answer by now.
    pub(crate) fn joined(&mut self, id: &str, request: u64) -> Waiting<Joined> {
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
}
