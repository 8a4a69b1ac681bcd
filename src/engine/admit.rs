//! The pipeline as the source sees it: where records go, and how partitions come and go.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Job, OVERHEAD, Pipeline};
use crate::checkpoint::ledger::{Assigned, Watermark};
use crate::checkpoint::tracker::Times;
use crate::checkpoint::{Beginning, NoTicket, Slot, Ticket};
use crate::record::Record;
use crate::source::Intake;

/// What a record of this size takes of the byte budget.
fn charge(size: usize) -> usize {
    2 * size + OVERHEAD
}

impl Intake for Pipeline {
    fn assign(&self, owner: usize, topic: Arc<str>, partition: i32, beginning: Beginning) -> Slot {
        self.ledger.lock().assign(owner, topic, partition, beginning)
    }

    fn admit(&self, slot: Slot, records: &mut VecDeque<Record>) -> usize {
        let admitted = self.clock.now();
        let (owner, tickets) = self.tickets(slot, records, admitted);
        let taken = tickets.len();
        let mut jobs = Vec::with_capacity(taken);
        for (record, ticket) in records.drain(..taken).zip(tickets) {
            match ticket {
                Ok(ticket) => jobs.push(self.job(owner, record, ticket, admitted)),
                Err(NoTicket::Repeated) => self.metrics.redelivered(record.topic(), 1),
                Err(NoTicket::Finished) => self.metrics.skipped(record.topic(), 1),
            }
        }
        let bytes = jobs.iter().map(|(_, job)| job.record().size() as u64).sum();
        if let Some((_, first)) = jobs.first() {
            self.metrics.consumed(first.record().topic(), jobs.len() as u64, bytes);
        }
        let mut jobs = jobs.into_iter();
        self.run_here(&mut jobs);
        if jobs.len() > 0 {
            self.scheduler.push_to(slot.index, jobs);
        }
        taken
    }

    fn note_end(&self, slot: Slot, end: i64, at: Instant) {
        self.ledger.lock().note_end(slot, end, at);
    }

    fn stand(&self, slot: Slot, why: String, lease: Duration) {
        let now = self.clock.now();
        self.ledger.lock().stand(slot, why, now, lease);
    }

    fn has_room(&self, slot: Slot) -> bool {
        self.ledger.lock().has_room(slot)
    }

    fn is_full(&self) -> bool {
        self.ledger.lock().is_full()
    }

    fn drop_finished(&self) {
        // Not under the lock: whoever finishes records needs it.
        let spent = std::mem::take(&mut *self.spent.lock());
        drop(spent);
    }

    fn wait_for_room(&self, held: &[(Slot, usize)], timeout: Duration) {
        let mut ledger = self.ledger.lock();
        let has_room = |(slot, size): &(Slot, usize)| ledger.is_worth_a_round(*slot, charge(*size));
        let wait = if held.is_empty() { ledger.is_full() } else { !held.iter().any(has_room) };
        if wait {
            ledger.call();
            self.room.wait_for(&mut ledger, timeout);
        }
    }

    fn retire(&self, slot: Slot) {
        self.ledger.lock().retire(slot);
    }

    /// Also gives back what no worker has, as far as nothing is repeated by that.
    fn leave(&self, slots: &[Slot]) {
        let mut ledger = self.ledger.lock();
        slots.iter().for_each(|slot| ledger.leave(*slot));
        // Of a topic that is gone nothing can be read again.
        let is_retired = |slot: &&Slot| ledger.get(**slot).is_some_and(Assigned::is_retired);
        let read_again: Vec<Slot> = slots.iter().filter(|slot| !is_retired(slot)).copied().collect();
        drop(ledger);
        read_again.into_iter().for_each(|slot| self.give_back(slot));
    }

    fn in_flight_of(&self, slots: &[Slot]) -> usize {
        let ledger = self.ledger.lock();
        slots.iter().filter_map(|slot| ledger.get(*slot)).map(|assigned| assigned.in_flight().records).sum()
    }

    fn unfinished_of(&self, slots: &[Slot]) -> u64 {
        let ledger = self.ledger.lock();
        slots.iter().filter_map(|slot| ledger.get(*slot)).map(Assigned::unfinished).sum()
    }

    /// The ledger first: whatever workers finish from here on is stale when a producer takes it.
    fn revoke(&self, slots: &[Slot]) -> usize {
        let mut ledger = self.ledger.lock();
        let left = slots.iter().map(|slot| ledger.revoke(*slot)).sum();
        drop(ledger);
        self.drop_all_of(slots);
        left
    }

    fn uncommitted(&self, owner: usize) -> Vec<Watermark> {
        self.ledger.lock().uncommitted(owner)
    }

    fn is_committed(&self, slots: &[Slot]) -> bool {
        let ledger = self.ledger.lock();
        !slots.iter().filter_map(|slot| ledger.get(*slot)).any(Assigned::is_uncommitted)
    }

    fn committed(&self, watermarks: &[Watermark]) {
        let mut ledger = self.ledger.lock();
        watermarks.iter().for_each(|watermark| ledger.committed(watermark));
    }
}

impl Pipeline {
    /// The consumer that reads the slot, and tickets for as many records as there is room for, in order, where there is
    /// something to do. Nothing else is done under the lock: every thread of the pipeline needs it.
    fn tickets(
        &self,
        slot: Slot,
        records: &VecDeque<Record>,
        admitted: Instant,
    ) -> (usize, Vec<Result<Ticket, NoTicket>>) {
        let mut tickets = Vec::with_capacity(records.len());
        let mut ledger = self.ledger.lock();
        let owner = ledger.get(slot).map_or(0, Assigned::owner);
        let mut last = None;
        for record in records {
            let charge = charge(record.size());
            if ledger.room(slot, charge) == 0 {
                break;
            }
            let times = Times { timestamp: record.timestamp().unwrap_or(i64::MAX), admitted };
            tickets.push(ledger.deliver(slot, record.offset(), times, charge));
            last = Some(times);
        }
        if let Some(times) = last {
            ledger.flows(slot, times);
        }
        (owner, tickets)
    }

    /// Drops what neither a worker nor a producer has of these.
    pub(super) fn drop_all_of(&self, slots: &[Slot]) {
        for slot in slots {
            let of_slot = |job: &Arc<Job>| job.ticket().slot == *slot;
            let (jobs, results) = self.scheduler.remove_if(slot.index, of_slot, of_slot);
            self.abandon(jobs.into_iter().chain(results));
        }
    }

    /// Gives back the records that no worker has; one that waits for its retry has written nothing and is given back too. What
    /// is finished among them goes into the offset map. Where that would not fit, only the records behind the last one that
    /// is finished or at work are given back, and the others are waited for.
    fn give_back(&self, slot: Slot) {
        let of_slot = |job: &Arc<Job>| job.ticket().slot == slot;
        let mut waiting =
            self.scheduler.waiting(slot.index, |job| of_slot(job).then(|| job.record().offset()));
        waiting.sort_unstable();
        let Some(first) = waiting.first().copied() else { return };
        let ledger = self.ledger.lock();
        let Some(tracker) = ledger.get(slot).map(Assigned::tracker) else { return };
        let (finished, deliveries) = (tracker.finished_but(waiting), tracker.deliveries());
        drop(ledger);
        // In transactions all is given back: what is finished behind it is written by nobody, and done again.
        let jobs = if self.in_transactions() || finished.fits(first) {
            self.scheduler.remove_if(slot.index, of_slot, |_| false).0
        } else {
            let sequence = |job: &Arc<Job>| of_slot(job).then(|| job.ticket().sequence());
            self.scheduler.remove_unbegun(slot.index, sequence, deliveries)
        };
        self.abandon(jobs);
    }

    /// Drops records that are not finished: whoever gets their partition reads them again.
    pub(super) fn abandon(&self, jobs: impl IntoIterator<Item = Arc<Job>>) {
        let mut ledger = self.ledger.lock();
        jobs.into_iter().for_each(|job| ledger.drop_unfinished(&job.ticket()));
        drop(ledger);
        self.room.notify_all();
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests;
