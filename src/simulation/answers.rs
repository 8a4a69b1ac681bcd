//! What the application answers: partitions accepted, partitions given up, and what it is told next.

use std::collections::BTreeSet;
use std::time::Duration;

use super::group::{Fetch, Waits};
use super::world::{Due, World};
use crate::record::TopicPartition;
use crate::sync::model;

impl World {
    /// The application has answered an assignment.
    pub(super) fn accepted(&mut self, id: usize, starts: &[(TopicPartition, i64)]) {
        self.note(|| format!("member {id} accepts {starts:?}"));
        let member = self.member(id);
        let expected = std::mem::take(&mut member.given);
        let got: BTreeSet<i32> = starts.iter().map(|((_, partition), _)| *partition).collect();
        let waited = std::mem::replace(&mut member.waits, Waits::Nothing);
        for ((_, partition), start) in starts {
            let fetch = Fetch {
                start: *start,
                position: *start,
                attached: member.attached.contains(partition),
                parked: false,
                went_back: false,
                delivered: BTreeSet::new(),
                doomed: false,
                last_commit: None,
            };
            member.reads.insert(*partition, fetch);
        }
        if waited != Waits::Accept || expected != got {
            self.oracle.wrong(
                "group",
                format!("member {id} accepts {got:?} when asked for {expected:?} ({waited:?})"),
            );
        }
        if !self.group.joined.contains(&id) {
            // Thrown out meanwhile, whether it has heard of it or not: what it does from here on is in vain, and when it gives
            // up it does not wait for it.
            self.doom_all(id);
        }
        self.answered(id);
    }

    /// The application has given partitions up.
    pub(super) fn given_up(&mut self, id: usize, partitions: &[TopicPartition]) {
        self.note(|| format!("member {id} gives up {partitions:?}"));
        let (eager, revoke) = (!self.plan.cooperative, self.plan.revoke);
        let small = self.plan.metadata_limit < 4096;
        let member = self.member(id);
        let waited = std::mem::replace(&mut member.waits, Waits::Nothing);
        let late = member.told_revoke_at.is_some_and(|told| model::now() >= told + revoke);
        // Who is told to stop without waiting in the middle of giving up does not wait for its commit either.
        let instance = member.instance;
        if waited != Waits::GiveUp {
            self.oracle.wrong("group", format!("member {id} gives {partitions:?} up, and was not asked to"));
        }
        let aborted = self.aborted.contains(&instance);
        let gone: Vec<i32> = partitions.iter().map(|(_, partition)| *partition).collect();
        for partition in &gone {
            if late || small || aborted {
                self.doom(id, *partition);
            }
            self.member(id).reads.remove(partition);
        }
        let member = self.member(id);
        if eager && !member.reads.is_empty() {
            let rest: Vec<i32> = member.reads.keys().copied().collect();
            self.oracle
                .wrong("group", format!("member {id} did not give up {rest:?}, and the protocol is eager"));
        }
        self.answered(id);
    }

    pub(super) fn answered(&mut self, id: usize) {
        let is_member = self.group.joined.contains(&id);
        let member = self.member(id);
        if member.closed {
            return;
        }
        if member.lost {
            member.add.clear();
            if member.reads.is_empty() {
                member.lost = false;
                self.after(Duration::ZERO, Due::Join(id));
            } else {
                self.tell_revoked(id);
            }
        } else if !is_member {
            // It has not heard of it yet.
        } else if !member.add.is_empty() {
            let add = std::mem::take(&mut member.add);
            member.must_join = true;
            self.assign_all(id, add);
        } else if member.told_revoke_at.take().is_some() || member.must_join {
            self.join_or_revoke(id);
        } else {
            self.notice(id);
        }
    }

    fn join_or_revoke(&mut self, id: usize) {
        let eager = !self.plan.cooperative;
        let member = self.member(id);
        member.must_join = false;
        if eager && !member.reads.is_empty() { self.tell_revoked(id) } else { self.join(id) }
    }
}
