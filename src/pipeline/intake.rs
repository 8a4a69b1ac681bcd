//! The pipeline as the source sees it: where records go, and how partitions come and go.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Job, OVERHEAD, Pipeline};
use crate::offsets::ledger::Watermark;
use crate::offsets::tracker::Times;
use crate::offsets::{Slot, Ticket};
use crate::record::Record;
use crate::source::Intake;

impl Intake for Pipeline {
    fn assign(
        &self,
        owner: usize,
        topic: Arc<str>,
        partition: i32,
        start: i64,
        committed: Option<i64>,
    ) -> Slot {
        self.ledger.lock().assign(owner, topic, partition, start, committed)
    }

    fn admit(&self, slot: Slot, records: &mut VecDeque<Record>) -> usize {
        let admitted = self.clock.now();
        let tickets = self.tickets(slot, records, admitted);
        let taken = tickets.len();
        let mut jobs = Vec::with_capacity(taken);
        for (record, ticket) in records.drain(..taken).zip(tickets) {
            match ticket {
                Some(ticket) => jobs.push(self.job(record, ticket, admitted)),
                None => self.metrics.redelivered(record.topic(), 1),
            }
        }
        let bytes = jobs.iter().map(|(_, job)| job.record().size() as u64).sum();
        if let Some((_, first)) = jobs.first() {
            self.metrics.consumed(first.record().topic(), jobs.len() as u64, bytes);
        }
        self.scheduler.push(jobs);
        taken
    }

    fn note_end(&self, slot: Slot, end: i64) {
        self.ledger.lock().note_end(slot, end);
    }

    fn is_full(&self) -> bool {
        self.ledger.lock().is_full()
    }

    fn wait_for_room(&self, timeout: Duration) {
        let mut ledger = self.ledger.lock();
        if ledger.is_full() {
            self.room.wait_for(&mut ledger, timeout);
        }
    }

    /// Also gives back what can be given back without anything being repeated: the records behind the last one that is
    /// finished or that a worker or a producer has. One that waits for its retry has written nothing and is given back too.
    fn leave(&self, slots: &[Slot]) {
        let mut ledger = self.ledger.lock();
        slots.iter().for_each(|slot| ledger.leave(*slot));
        let next: Vec<u64> =
            slots.iter().map(|slot| ledger.get(*slot).map_or(0, |one| one.tracker().deliveries())).collect();
        drop(ledger);
        for (slot, next) in slots.iter().zip(next) {
            let sequence = |job: &Arc<Job>| (job.ticket().slot == *slot).then(|| job.ticket().sequence());
            self.abandon(self.scheduler.remove_unbegun(sequence, next));
        }
    }

    fn in_flight_of(&self, slots: &[Slot]) -> usize {
        let ledger = self.ledger.lock();
        slots.iter().filter_map(|slot| ledger.get(*slot)).map(|assigned| assigned.in_flight().records).sum()
    }

    /// The ledger first: whatever workers finish from here on is stale when a producer takes it.
    fn revoke(&self, slots: &[Slot]) -> usize {
        let mut ledger = self.ledger.lock();
        let left = slots.iter().map(|slot| ledger.revoke(*slot)).sum();
        drop(ledger);
        let of_slots = |job: &Arc<Job>| slots.contains(&job.ticket().slot);
        let (jobs, results) = self.scheduler.remove_if(of_slots, of_slots);
        self.abandon(jobs.into_iter().chain(results));
        left
    }

    fn uncommitted(&self, owner: usize) -> Vec<Watermark> {
        self.ledger.lock().uncommitted(owner)
    }

    fn committed(&self, watermarks: &[Watermark]) {
        let mut ledger = self.ledger.lock();
        watermarks.iter().for_each(|watermark| ledger.committed(watermark));
    }
}

impl Pipeline {
    /// Tickets for as many records as there is room for, in order; `None` for one that was delivered before. Nothing else is
    /// done under the lock: every thread of the pipeline needs it.
    fn tickets(&self, slot: Slot, records: &VecDeque<Record>, admitted: Instant) -> Vec<Option<Ticket>> {
        let mut tickets = Vec::with_capacity(records.len());
        let mut ledger = self.ledger.lock();
        for record in records {
            let charge = 2 * record.size() + OVERHEAD;
            if ledger.room(slot, charge) == 0 {
                break;
            }
            let times = Times { timestamp: record.timestamp().unwrap_or(i64::MAX), admitted };
            tickets.push(ledger.deliver(slot, record.offset(), times, charge));
        }
        tickets
    }

    /// Drops records that are not finished: whoever gets their partition reads them again.
    fn abandon(&self, jobs: impl IntoIterator<Item = Arc<Job>>) {
        let mut ledger = self.ledger.lock();
        jobs.into_iter().for_each(|job| ledger.drop_unfinished(&job.ticket()));
        drop(ledger);
        self.room.notify_all();
    }
}
