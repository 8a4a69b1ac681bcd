//! What the group asks for, one thing after the other: partitions assigned, revoked, lost.
//!
//! The group is answered when we are ready, not when it asks: partitions are accepted once their starts are known, and given
//! up once their work is finished and committed, or when the time for that is over. Meanwhile the thread polls on.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::{Consumer, RebalanceProtocol};
use rdkafka::topic_partition_list::Offset;

use super::{KafkaSource, Leaving, Owned, Trouble};
use crate::kafka::context::{Told, TopicPartition};
use crate::offsets::Slot;
use crate::source::Intake;
use crate::source::start::{self, StartError};
use crate::telemetry::metrics::Rebalance;

impl<I: Intake> KafkaSource<I> {
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
                Some(Told::Assigned(partitions)) => self.begin_assign(partitions),
                Some(Told::Revoked(partitions)) => self.begin_revoke(partitions),
                None => break,
            }
        }
    }

    fn begin_assign(&mut self, partitions: Vec<TopicPartition>) {
        self.control.joined.store(true, Ordering::Relaxed);
        self.context.link.answered();
        tracing::info!(consumer = self.settings.index, "assigned {}", describe(&partitions));
        if partitions.is_empty() {
            self.answer_assign(&[]);
            return;
        }
        self.assigned = partitions;
        self.assigned_at = Instant::now();
        self.retry_starts_at = Instant::now();
        self.maybe_accept();
    }

    /// Finds out where to start, then accepts.
    fn maybe_accept(&mut self) {
        if Instant::now() < self.retry_starts_at {
            return;
        }
        // What was revoked while the cluster did not answer is not accepted any more.
        let settings = &self.settings;
        match start::starts(&self.consumer, &self.assigned, &settings.known, settings.reset) {
            Ok(starts) => {
                self.assigned.clear();
                self.accept(&starts);
            }
            Err(StartError::Unanswered(error)) => {
                tracing::debug!("consumer {}: {error}", self.settings.index);
                self.retry_starts_at = Instant::now() + Duration::from_millis(500);
            }
            Err(undecided @ StartError::Undecided(..)) => {
                self.retry_starts_at = Instant::now() + Duration::from_secs(3600);
                self.report(Trouble::Undecided(undecided.to_string()));
            }
        }
    }

    fn accept(&mut self, starts: &[start::Start]) {
        for start in starts {
            let (topic, partition) = start.partition.clone();
            self.queue.attach(&topic, partition);
            let slot =
                self.intake.assign(self.settings.index, topic, partition, start.offset, start.committed);
            let owned = Owned { slot, held: VecDeque::new(), detached: false, leaving: false };
            self.owned.insert(start.partition.clone(), owned);
        }
        self.answer_assign(starts);
        self.context.metrics.rebalanced(Rebalance::Assign, self.assigned_at.elapsed());
        self.next_commit = Instant::now();
    }

    fn answer_assign(&self, starts: &[start::Start]) {
        let mut list = start::list(&[], Offset::Invalid);
        for start in starts {
            list.add_partition_offset(&start.partition.0, start.partition.1, Offset::Offset(start.offset))
                .expect("an offset that the broker gave can be represented");
        }
        let answer = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.consumer.incremental_assign(&list),
            _ => self.consumer.assign(&list),
        };
        if let Err(error) = answer {
            self.report(Trouble::Failed(format!("cannot accept partitions: {error}")));
        }
    }

    fn begin_revoke(&mut self, partitions: Vec<TopicPartition>) {
        let lost = self.consumer.assignment_lost();
        let word = if lost { "lost" } else { "revoked" };
        tracing::info!(consumer = self.settings.index, "{word} {}", describe(&partitions));
        let slots: Vec<Slot> =
            partitions.iter().filter_map(|partition| Some(self.owned.get(partition)?.slot)).collect();
        self.hold_nothing(&partitions);
        self.intake.leave(&slots);
        let now = Instant::now();
        // What is lost belongs to somebody else already: nothing can be committed, so nothing is waited for.
        let until = if lost { now } else { now + self.settings.revoke_timeout };
        self.leaving = Some(Leaving { partitions, slots, until, lost, since: now });
        self.maybe_give_up();
    }

    /// Drops what was read and not admitted of these, and takes no more of them.
    pub(super) fn hold_nothing(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(owned) = self.owned.get_mut(partition) {
                owned.held.clear();
                owned.leaving = true;
            }
        }
    }

    /// Gives revoked partitions up once their work is done and committed, or when their time is over.
    fn maybe_give_up(&mut self) {
        let Some(leaving) = &self.leaving else { return };
        let now = Instant::now();
        let in_time = now < leaving.until && !self.control.abort.load(Ordering::Relaxed);
        if in_time && self.intake.in_flight_of(&leaving.slots) > 0 {
            return;
        }
        if in_time && self.is_uncommitted(&leaving.slots.clone()) {
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
            self.owned.remove(partition);
            self.queue.forget(&partition.0, partition.1);
        }
        let answer = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => {
                self.consumer.incremental_unassign(&start::list(&leaving.partitions, Offset::Invalid))
            }
            _ => self.consumer.unassign(),
        };
        if let Err(error) = answer {
            self.report(Trouble::Failed(format!("cannot give partitions up: {error}")));
        }
        let kind = if leaving.lost { Rebalance::Lost } else { Rebalance::Revoke };
        self.context.metrics.rebalanced(kind, leaving.since.elapsed());
    }

    pub(super) fn is_uncommitted(&self, slots: &[Slot]) -> bool {
        self.intake.uncommitted(self.settings.index).iter().any(|watermark| slots.contains(&watermark.slot))
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
