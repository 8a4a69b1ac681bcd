//! One round of joining: when it begins, when it ends, who shares out, by which protocol.

use std::time::{Duration, Instant};

use super::{Group, Joined, Member, Phase};

impl Group {
    /// All members are to join again.
    pub(super) fn prepare(&mut self, now: Instant) {
        if self.phase == Phase::Preparing {
            return;
        }
        self.phase = Phase::Preparing;
        self.deadline = Some(now + self.patience());
    }

    /// How long the slowest member may take.
    fn patience(&self) -> Duration {
        self.members.values().map(|m| m.rebalance_timeout).max().unwrap_or_default()
    }

    /// Ends the joining if everybody is there or the time is up.
    pub(super) fn complete_join(&mut self, now: Instant) {
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
        self.deadline = Some(now + self.patience());
        let ids: Vec<_> = self.members.keys().cloned().collect();
        for id in ids {
            let told = self.tell(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.seen = now;
                member.synced = false;
                member.assignment.clear();
                member.joined = member.joining.map(|_| told);
            }
        }
    }

    /// Who has joined, and not asked for its share when the time for that is up, is out.
    pub(super) fn remove_the_silent(&mut self, now: Instant) {
        let sharing = matches!(self.phase, Phase::Completing | Phase::Stable);
        if !sharing || self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        self.deadline = None;
        let silent: Vec<_> =
            self.members.iter().filter(|(_, m)| !m.synced).map(|(id, _)| id.clone()).collect();
        for id in silent {
            self.remove(&id, now);
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
    pub(super) fn chosen_protocol(&self) -> String {
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

    pub(super) fn tell(&self, id: &str) -> Joined {
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
}
