//! The coordinator, and each member's client as far as the group concerns it: generations, rounds, assignments, eager and
//! cooperative, static members, members thrown out.
//!
//! As with librdkafka, a member is told one thing at a time and the next only after its answer; and what was sent to the
//! coordinator before a round ends is answered before the round's result, as both take the same connection.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::commits::Commit;
use super::plan::Sabotage;
use super::world::{Bell, Due, World};
use crate::record::TopicPartition;
use crate::source::client::{Event, RebalanceEvent};
use crate::sync::model;

/// What the client waits for from its application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    Nothing,
    Accept,
    GiveUp,
}

/// A partition that a member reads.
#[derive(Debug)]
pub(super) struct Fetch {
    pub start: i64,
    pub position: i64,
    pub attached: bool,
    pub parked: bool,
    pub went_back: bool,
    pub delivered: BTreeSet<i64>,
    /// What is finished from now on cannot be committed, or need not be.
    pub doomed: bool,
    pub last_commit: Option<i64>,
}

/// See the module.
pub(super) struct Member {
    pub instance: usize,
    pub fixed: Option<String>,
    pub bell: Arc<Bell>,
    pub events: VecDeque<Event>,
    pub lost: bool,
    pub closed: bool,
    pub generation: u64,
    /// How often it has joined: each time under another id.
    pub joins: u32,
    pub reads: BTreeMap<i32, Fetch>,
    pub attached: BTreeSet<i32>,
    pub waits: Waits,
    pub told_revoke_at: Option<Instant>,
    pub given: BTreeSet<i32>,
    pub add: BTreeSet<i32>,
    pub must_join: bool,
    pub commit: Option<Commit>,
}

impl Member {
    pub(super) fn new(instance: usize, fixed: Option<String>) -> Self {
        Self {
            instance,
            fixed,
            bell: Arc::default(),
            events: VecDeque::new(),
            lost: false,
            closed: false,
            generation: 0,
            joins: 0,
            reads: BTreeMap::new(),
            attached: BTreeSet::new(),
            waits: Waits::Nothing,
            told_revoke_at: None,
            given: BTreeSet::new(),
            add: BTreeSet::new(),
            must_join: false,
            commit: None,
        }
    }

    /// The id that the coordinator gave it.
    pub(super) fn name(&self, id: usize) -> String {
        format!("member-{id}-{}", self.joins)
    }

    /// Partitions that nobody else may have yet.
    fn holds(&self) -> BTreeSet<i32> {
        let coming = if self.waits == Waits::Accept { &self.given } else { &self.add };
        self.reads.keys().chain(coming).copied().collect()
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Group {
    pub members: BTreeMap<usize, Member>,
    /// Who belongs to the group.
    pub joined: BTreeSet<usize>,
    pub generation: u64,
    /// A round that is going on: who has joined it.
    round: Option<BTreeSet<usize>>,
    rounds: u64,
    pub committed: BTreeMap<i32, (i64, String)>,
}

pub(super) fn place(partition: i32) -> TopicPartition {
    ("in".into(), partition)
}

fn places(partitions: impl IntoIterator<Item = i32>) -> Vec<TopicPartition> {
    partitions.into_iter().map(place).collect()
}

impl World {
    pub(super) fn member(&mut self, id: usize) -> &mut Member {
        self.group.members.get_mut(&id).expect("members stay, also when they have left")
    }

    pub(super) fn tell(&mut self, id: usize, event: Event) {
        self.note(|| format!("member {id} is told {event:?}"));
        let member = self.member(id);
        member.events.push_back(event);
        let bell = member.bell.clone();
        self.ring(bell);
    }

    /// A round begins, if none is going on: everybody has to join it.
    pub(super) fn begin_round(&mut self) {
        if self.group.round.is_some() {
            return;
        }
        self.group.rounds += 1;
        self.group.round = Some(BTreeSet::new());
        let round = self.group.rounds;
        self.note(|| format!("round {round} begins"));
        self.after(self.plan.rebalance, Due::RebalanceDeadline(round));
        for id in self.group.joined.clone() {
            let heartbeat = self.latency();
            self.after(heartbeat, Due::Notice(id));
        }
    }

    /// A member hears that a round is going on.
    pub(super) fn notice(&mut self, id: usize) {
        let cooperative = self.plan.cooperative;
        let going_on = self.group.round.as_ref().is_some_and(|joined| !joined.contains(&id));
        let is_member = self.group.joined.contains(&id);
        let member = self.member(id);
        if member.closed || !going_on || !is_member {
            return;
        }
        if member.waits != Waits::Nothing {
            member.must_join = true;
        } else if !cooperative && !member.reads.is_empty() {
            self.tell_revoked(id);
        } else {
            self.join(id);
        }
    }

    /// All that it reads is to be given up.
    pub(super) fn tell_revoked(&mut self, id: usize) {
        let member = self.member(id);
        let partitions: Vec<i32> = member.reads.keys().copied().collect();
        self.revoke(id, partitions);
    }

    pub(super) fn revoke(&mut self, id: usize, partitions: Vec<i32>) {
        let member = self.member(id);
        member.waits = Waits::GiveUp;
        member.told_revoke_at = Some(model::now());
        self.tell(id, Event::RebalanceEvent(RebalanceEvent::Revoked(places(partitions))));
    }

    pub(super) fn join(&mut self, id: usize) {
        let member = self.member(id);
        if member.closed {
            return;
        }
        member.must_join = false;
        let fixed = member.fixed.clone();
        if !self.group.joined.contains(&id) {
            // A member that was stopped or killed, under the same name: this one takes its place.
            let before = self
                .group
                .joined
                .iter()
                .copied()
                .find(|other| fixed.is_some() && self.group.members[other].fixed == fixed);
            if let Some(before) = before {
                self.group.joined.remove(&before);
                self.doom_all(before);
            }
            self.group.joined.insert(id);
            self.member(id).joins += 1;
        }
        self.begin_round();
        self.note(|| format!("member {id} joins"));
        if let Some(joined) = &mut self.group.round {
            joined.insert(id);
        }
        self.maybe_complete();
    }

    fn maybe_complete(&mut self) {
        let joined = &self.group.joined;
        if self.group.round.as_ref().is_some_and(|round| !joined.is_empty() && joined.is_subset(round)) {
            let round = self.group.rounds;
            let time = self.latency();
            self.after(time, Due::Complete(round));
        }
    }

    pub(super) fn rebalance_deadline(&mut self, round: u64) {
        let Some(joined) = self.group.round.clone().filter(|_| round == self.group.rounds) else { return };
        let late: Vec<usize> = self.group.joined.difference(&joined).copied().collect();
        for id in late {
            self.evict(id);
        }
    }

    /// Everybody has joined: assigns.
    pub(super) fn complete(&mut self, round: u64) {
        let members: Vec<usize> = self.group.joined.iter().copied().collect();
        let all = self.group.round.as_ref().is_some_and(|joined| self.group.joined.is_subset(joined));
        if round != self.group.rounds || !all || members.is_empty() {
            return;
        }
        members.iter().for_each(|id| self.flush_commit(*id));
        self.group.round = None;
        self.group.generation += 1;
        let generation = self.group.generation;
        self.note(|| format!("generation {generation}"));
        let turn = self.random.usize(..members.len());
        let mut targets: BTreeMap<usize, BTreeSet<i32>> = BTreeMap::new();
        for partition in 0..self.plan.partitions {
            let id = members[(partition as usize + turn) % members.len()];
            targets.entry(id).or_default().insert(partition);
            if self.sabotages(Sabotage::GivesSecondMemberTheSame) {
                members.iter().for_each(|id| _ = targets.entry(*id).or_default().insert(partition));
            }
        }
        for id in members {
            let target = targets.remove(&id).unwrap_or_default();
            self.member(id).generation = generation;
            if self.plan.cooperative { self.assign_change(id, &target) } else { self.assign_all(id, target) }
        }
    }

    pub(super) fn assign_all(&mut self, id: usize, target: BTreeSet<i32>) {
        let member = self.member(id);
        member.waits = Waits::Accept;
        member.given = target.clone();
        self.tell(id, Event::RebalanceEvent(RebalanceEvent::Assigned(places(target))));
    }

    fn assign_change(&mut self, id: usize, target: &BTreeSet<i32>) {
        let others = self.group.joined.iter().filter(|other| **other != id);
        let held: BTreeSet<i32> = others.flat_map(|other| self.group.members[other].holds()).collect();
        let member = self.member(id);
        let owned: BTreeSet<i32> = member.reads.keys().copied().collect();
        let add: BTreeSet<i32> =
            target.difference(&owned).filter(|one| !held.contains(one)).copied().collect();
        let revoke: Vec<i32> = owned.difference(target).copied().collect();
        if revoke.is_empty() {
            self.assign_all(id, add);
        } else {
            member.add = add;
            self.revoke(id, revoke);
        }
    }

    /// A member is thrown out, and hears of it later.
    pub(super) fn evict(&mut self, id: usize) {
        if !self.group.joined.remove(&id) {
            return;
        }
        self.note(|| format!("member {id} is thrown out"));
        self.doom_all(id);
        if let Some(round) = &mut self.group.round {
            round.remove(&id);
        }
        let time = Duration::from_millis(self.random.u64(..400));
        self.after(time, Due::TellLost(id));
        self.others_go_on();
    }

    fn others_go_on(&mut self) {
        if self.group.joined.is_empty() {
            self.group.round = None;
        } else {
            self.begin_round();
            self.maybe_complete();
        }
    }

    pub(super) fn tell_lost(&mut self, id: usize) {
        let is_dead = self.dead.contains(&self.group.members[&id].instance);
        let member = self.member(id);
        if member.closed || is_dead {
            return;
        }
        member.lost = true;
        if member.waits == Waits::Nothing {
            self.answered(id);
        }
    }

    /// A member leaves; a static one only when its session is over.
    pub(super) fn left(&mut self, id: usize, says_so: bool) {
        self.note(|| format!("member {id} ends, and says so: {says_so}"));
        let session = self.plan.session;
        let small = self.plan.metadata_limit < 4096;
        let member = self.member(id);
        member.closed = true;
        let stays = !says_so || member.fixed.is_some();
        let instance = member.instance;
        // Who was told not to wait leaves with work that is not finished.
        if !says_so || small || self.aborted.contains(&instance) {
            self.doom_all(id);
        }
        let member = self.member(id);
        member.reads.clear();
        (member.add, member.given) = Default::default();
        if stays {
            self.after(session, Due::SessionExpired(id));
        } else if self.group.joined.remove(&id) {
            if let Some(round) = &mut self.group.round {
                round.remove(&id);
            }
            self.others_go_on();
        }
    }

    /// From now on it waits for nothing.
    pub(super) fn abort(&mut self, instance: usize) {
        self.note(|| format!("instance {instance} stops without waiting"));
        self.aborted.insert(instance);
    }

    /// From now on nothing of this incarnation has an effect.
    pub(super) fn kill(&mut self, instance: usize) {
        self.note(|| format!("instance {instance} is killed"));
        self.dead.insert(instance);
        let ids: Vec<usize> = self
            .group
            .members
            .iter()
            .filter(|(_, one)| one.instance == instance)
            .map(|(id, _)| *id)
            .collect();
        for id in ids.into_iter().filter(|id| !self.group.members[id].closed).collect::<Vec<_>>() {
            self.left(id, false);
        }
        self.producing.kill(instance);
    }

    pub(super) fn evict_one(&mut self) {
        let joined: Vec<usize> = self.group.joined.iter().copied().collect();
        if !joined.is_empty() {
            let id = joined[self.random.usize(..joined.len())];
            self.evict(id);
        }
    }

    pub(super) fn doom_all(&mut self, id: usize) {
        let partitions: Vec<i32> = self.member(id).reads.keys().copied().collect();
        partitions.into_iter().for_each(|partition| self.doom(id, partition));
    }

    /// What was delivered in this assignment and is not committed may be repeated.
    pub(super) fn doom(&mut self, id: usize, partition: i32) {
        let covered = self.covered(partition);
        let clean = self.plan.clean;
        let member = self.group.members.get_mut(&id).expect("a member");
        let Some(fetch) = member.reads.get_mut(&partition).filter(|fetch| !fetch.doomed) else { return };
        fetch.doomed = true;
        let open: Vec<i64> = fetch.delivered.iter().copied().filter(|offset| !covered(*offset)).collect();
        self.note(|| format!("member {id}: {partition} ends untidily, {} may be repeated", open.len()));
        if clean {
            self.oracle.wrong("clean", format!("member {id} did not end its work on {partition} tidily"));
        }
        self.oracle.untidy(partition);
        open.into_iter().for_each(|offset| self.oracle.may_repeat((partition, offset)));
    }
}
