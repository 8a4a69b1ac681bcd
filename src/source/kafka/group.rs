//! What the group asks for, one thing after the other: partitions assigned, revoked, lost.
//!
//! The group is answered when we are ready, not when it asks: partitions are accepted once their starts are known, and given
//! up once their work is finished and committed, or when the time for that is over. Meanwhile the thread polls on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::reading::{Owned, Way};
use super::{KafkaSource, Leaving, Trouble};
use crate::checkpoint::Slot;
use crate::kafka::link::NOBODY;
use crate::ops::metrics::Rebalance;
use crate::planted::{Bug, planted};
use crate::record::TopicPartition;
use crate::source::Intake;
use crate::source::client::{Client, RebalanceEvent};
use crate::source::start::{self, Group, Start, StartError};

/// How long after a question without an answer it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// The same where only the user can answer: the process ends long before.
const NEVER: Duration = Duration::from_secs(3600);
/// How long there may be no answer before that is said.
const PATIENCE: Duration = Duration::from_secs(10);

impl<I: Intake, C: Client> KafkaSource<I, C> {
    /// Goes on with what the group asked for, one thing after the other and in its order.
    pub(super) fn go_on_with_the_group(&mut self) {
        if !self.assigned.is_empty() {
            self.maybe_accept();
            return;
        }
        if self.leaving.is_some() {
            self.maybe_give_up();
        }
        while self.leaving.is_none() && self.assigned.is_empty() {
            match self.told.pop_front() {
                Some(RebalanceEvent::Assigned(partitions)) => self.begin_assign(partitions),
                Some(RebalanceEvent::Revoked(partitions)) => self.begin_revoke(partitions),
                None => break,
            }
        }
    }

    fn begin_assign(&mut self, partitions: Vec<TopicPartition>) {
        self.control.joined.store(true, Ordering::Relaxed);
        self.context.link.answered();
        self.context.link.let_in(NOBODY);
        tracing::info!(consumer = self.settings.index, "assigned {}", describe(&partitions));
        if partitions.is_empty() {
            self.answer_assign(&[]);
            return;
        }
        self.assigned = partitions;
        self.assigned_at = self.clock.now();
        self.retry_starts_at = self.assigned_at;
        self.maybe_accept();
    }

    /// Finds out where to start, then accepts.
    fn maybe_accept(&mut self) {
        if self.clock.now() < self.retry_starts_at {
            return;
        }
        // What was revoked while the cluster did not answer is not accepted any more.
        let settings = &self.settings;
        let group = Group {
            name: &settings.group,
            known: &settings.known,
            reset: settings.reset,
            history: &self.watch.history,
            servers: &settings.servers,
        };
        match start::starts(&mut self.client, &self.assigned, group) {
            Ok(starts) => {
                self.assigned.clear();
                self.accept(starts);
            }
            Err(StartError::Unanswered(error)) => {
                let (index, now) = (self.settings.index, self.clock.now());
                tracing::debug!("consumer {index}: {error}");
                if now >= self.assigned_at + PATIENCE && !self.context.link.is_down() {
                    self.context.complain(
                        &format!("the start of consumer {index}"),
                        &format!(
                            "consumer {index} does not read {}: no broker says where they begin ({error}), so one of them may have no \
                             leader; trying again",
                            describe(&self.assigned)
                        ),
                    );
                }
                self.retry_starts_at = now + ASK_AGAIN;
            }
            // The broker that was asked what the topics are may be behind.
            Err(StartError::OtherTopic(_)) if !self.watch.is_settled(self.assigned_at) => {
                self.retry_starts_at = self.clock.now() + ASK_AGAIN;
            }
            Err(undecided @ (StartError::Undecided(..) | StartError::OtherTopic(_))) => {
                self.retry_starts_at = self.clock.now() + NEVER;
                self.report(Trouble::Undecided(undecided.to_string()));
            }
        }
    }

    fn accept(&mut self, starts: Vec<Start>) {
        let now = self.clock.now();
        let mut offsets = Vec::with_capacity(starts.len());
        for Start { partition, beginning } in starts {
            self.client.attach(&partition);
            let start = beginning.start;
            offsets.push((partition.clone(), start));
            let (topic, number) = partition.clone();
            let slot = self.intake.assign(self.settings.index, topic, number, beginning);
            self.owned.insert(partition, Owned::new(slot, start, now));
        }
        self.answer_assign(&offsets);
        let now = self.clock.now();
        let time = now.saturating_duration_since(self.assigned_at);
        self.context.metrics.rebalanced(Rebalance::Assign, time);
        self.next_commit = now;
    }

    /// What is in the ledger now is ours in the generation that the group is in now: that is over only after the answer. Of what is
    /// being revoked that holds too, unless it is lost: nobody is given it before.
    fn note_standing(&mut self, lost: bool) {
        if self.settings.commit_interval.is_none() {
            let membership =
                if lost && !planted(Bug::StandingKept) { None } else { self.client.membership() };
            self.control.standing.set(membership);
        }
    }

    fn answer_assign(&mut self, starts: &[(TopicPartition, i64)]) {
        self.note_standing(false);
        if let Err(error) = self.client.accept(starts) {
            self.report(Trouble::Failed(format!("cannot accept partitions: {error}")));
        }
    }

    fn begin_revoke(&mut self, partitions: Vec<TopicPartition>) {
        let lost = self.client.is_lost();
        let word = if lost { "lost" } else { "revoked" };
        tracing::info!(consumer = self.settings.index, "{word} {}", describe(&partitions));
        let slots: Vec<Slot> = partitions
            .iter()
            .filter_map(|partition| self.owned.get(partition))
            .flat_map(Owned::slots)
            .collect();
        self.hold_nothing(&partitions);
        self.intake.leave(&slots);
        self.note_standing(lost);
        let now = self.clock.now();
        // What is lost belongs to somebody else already: nothing can be committed, so nothing is waited for.
        let until = if lost { now } else { now + self.settings.revoke_timeout };
        self.leaving = Some(Leaving { partitions, slots, until, lost, since: now });
        self.maybe_give_up();
    }

    /// Drops what was read and not admitted of these, and takes no more of them.
    pub(super) fn hold_nothing(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(owned) = self.owned.get_mut(partition) {
                owned.leave();
            }
        }
    }

    /// Gives revoked partitions up once their work is done and committed, or when their time is over.
    fn maybe_give_up(&mut self) {
        let Some(leaving) = &self.leaving else { return };
        let now = self.clock.now();
        let in_time = now < leaving.until && !self.control.abort.load(Ordering::Relaxed);
        if in_time && self.intake.in_flight_of(&leaving.slots) > 0 {
            return;
        }
        if in_time && !self.intake.is_committed(&leaving.slots) && !planted(Bug::RevokeWithoutCommit) {
            self.commit();
            return;
        }
        let Some(leaving) = self.leaving.take() else { return };
        let left = self.intake.revoke(&leaving.slots);
        if left > 0 {
            tracing::warn!(
                consumer = self.settings.index,
                "{left} records were still in flight when their partitions had to be given up; they will be delivered again"
            );
        }
        for partition in &leaving.partitions {
            if self.owned.remove(partition).is_some_and(|owned| owned.way == Way::Parked) {
                // The client would remember it, should the partition come back.
                self.client.unpark(partition);
            }
            self.client.forget(partition);
        }
        if let Err(error) = self.client.give_up(&leaving.partitions) {
            self.report(Trouble::Failed(format!("cannot give partitions up: {error}")));
        }
        let kind = if leaving.lost { Rebalance::Lost } else { Rebalance::Revoke };
        let time = self.clock.now().saturating_duration_since(leaving.since);
        self.context.metrics.rebalanced(kind, time);
    }
}

fn describe(partitions: &[TopicPartition]) -> String {
    let names: Vec<String> =
        partitions.iter().take(12).map(|(topic, number)| format!("{topic}/{number}")).collect();
    match partitions.len() {
        0 => "no partition".to_owned(),
        count if count > names.len() => format!("{count} partitions: {} …", names.join(" ")),
        count => format!("{count} partitions: {}", names.join(" ")),
    }
}
