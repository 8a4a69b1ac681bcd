//! All assigned partitions of this process: one [`Tracker`] each, and the one budget that they share.
//!
//! A *slot* is a partition's place here for one assignment; its *epoch* is unique in the process. Whatever is finished
//! under an epoch that is gone moves no offset: it only gives its budget back.

mod budget;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use budget::Budget;

use super::map::OffsetMap;
use super::note::{Note, Stamp};
use super::tracker::{Delivery, Times, Tracker};
use crate::planted::{Bug, planted};
use crate::topic_id::TopicId;

/// What a broker said of a partition's end so long ago is not known any more.
const LAG_HOLDS: Duration = Duration::from_secs(10);

/// A partition's place in the ledger, for one assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Index; used again by later assignments.
    pub index: u32,
    /// Unique for each assignment in this process.
    pub epoch: u32,
}

/// What a record in flight carries to be finished with, once.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// Which assignment it was read in.
    pub slot: Slot,
    sequence: u64,
    /// What it takes of the byte budget.
    charge: usize,
}

impl Ticket {
    /// The place of the record among those delivered to its slot.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// Why a delivered record gets no ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTicket {
    /// It was delivered before, or its assignment is gone.
    Repeated,
    /// It was finished in an earlier assignment.
    Finished,
}

/// One assigned partition.
pub struct Assigned {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its number.
    pub partition: i32,
    epoch: u32,
    owner: usize,
    topic_id: Option<TopicId>,
    tracker: Tracker,
    in_flight: Budget,
    /// What the broker confirmed last, if anything: the offset, and the tracker's count of changes then.
    committed: Option<(i64, u64)>,
    counts: Counts,
    /// As a broker said last.
    end: Option<LogEnd>,
    /// Of the record that came last.
    last: Option<Times>,
    stand: Option<Stand>,
    /// The partition is being given up: nothing more is admitted.
    leaving: bool,
    /// Its topic is gone, so no offset of it means anything.
    retired: bool,
    /// Something beyond the start was finished in an earlier assignment.
    had_map: bool,
    /// The first sequence number that was dropped unfinished: the watermark will not pass it any more.
    cut: u64,
}

impl Assigned {
    /// What was delivered and what of it is finished.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// What is in flight.
    pub fn in_flight(&self) -> Budget {
        self.in_flight
    }

    /// Records not finished yet, those not read included, and for how long that is known; `None` if it is not, or not any more.
    pub fn lag(&self, now: Instant) -> Option<(u64, Duration)> {
        let end = self.end?;
        let age = now.saturating_duration_since(end.at);
        (age <= LAG_HOLDS).then_some((end.lag, age))
    }

    /// Of the record that came last: when it was written and read.
    pub fn last(&self) -> Option<Times> {
        self.last
    }

    /// Since when nothing comes of it, and why, as far as that is known.
    pub fn stands(&self, now: Instant) -> Option<&Stand> {
        self.stand.as_ref().filter(|stand| now < stand.until)
    }

    /// The consumer that reads it.
    pub fn owner(&self) -> usize {
        self.owner
    }

    /// Records that were consumed and are not finished.
    pub fn unfinished(&self) -> u64 {
        self.counts.given_back + self.in_flight.records as u64
    }

    /// What became of its records.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Consumed, less all that a record can become, less what is in flight: 0, or a record went astray.
    pub fn balance(&self) -> i64 {
        let Counts { consumed, produced, filtered, dead_lettered, skipped, given_back } = self.counts;
        let ended =
            produced + filtered + dead_lettered + skipped + given_back + self.in_flight.records as u64;
        i64::try_from(i128::from(consumed) - i128::from(ended)).unwrap_or(i64::MAX)
    }

    /// Whether its topic is gone: see [`Ledger::retire`].
    pub fn is_retired(&self) -> bool {
        self.retired
    }

    /// What a commit of `offset` says beside it.
    fn note(&self, offset: i64, finished: OffsetMap) -> Note {
        assert!(
            !self.retired,
            "an offset of {}/{} means nothing: its topic is gone",
            self.topic, self.partition
        );
        assert!(
            finished.first().is_none_or(|first| first.start >= offset),
            "{offset} is open, and the map names it"
        );
        assert!(offset >= self.tracker.watermark(), "the watermark would go back to {offset}");
        Note { topic_id: self.topic_id, finished }
    }

    /// Whether the broker does not have the watermark, or what is finished beyond it.
    pub fn is_uncommitted(&self) -> bool {
        !self.retired && self.committed != Some((self.tracker.watermark(), self.tracker.changes()))
    }
}

/// Where a partition ended.
#[derive(Clone, Copy, Debug)]
struct LogEnd {
    offset: i64,
    at: Instant,
    /// Records from the watermark to there, when it was noted.
    lag: u64,
}

/// Why nothing comes of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stand {
    /// For people.
    pub why: String,
    /// When that was first seen.
    pub since: Instant,
    until: Instant,
}

/// A partition that ends behind its watermark, though there is nothing to do for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short {
    /// Its place.
    pub slot: Slot,
    /// Topic and number.
    pub partition: (Arc<str>, i32),
    /// The watermark.
    pub from: i64,
    /// Where it ends, as a broker said last.
    pub end: i64,
}

/// A partition as it is taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beginning {
    /// The next record is here or above.
    pub start: i64,
    /// What the broker has, if anything; a start that differs is committed with the next commit.
    pub committed: Option<i64>,
    /// What of the records above is finished already: these are skipped.
    pub finished: OffsetMap,
    /// The topic that it is a partition of, by its id: commits say it.
    pub topic_id: Option<TopicId>,
}

/// What became of a partition's records in this assignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken from the source, repeated deliveries left out.
    pub consumed: u64,
    /// Results acknowledged.
    pub produced: u64,
    /// Deliberately without a result: filtered, or given up where failed records are skipped.
    pub filtered: u64,
    /// Dead letters acknowledged.
    pub dead_lettered: u64,
    /// Finished in an earlier assignment, as the offset map said.
    pub skipped: u64,
    /// Dropped unfinished, to be read again by whoever gets the partition.
    pub given_back: u64,
}

/// How a record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its results are acknowledged.
    Produced,
    /// It has none.
    Filtered,
    /// Its dead letter is acknowledged.
    DeadLettered,
}

/// A watermark to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// Whose it is.
    pub slot: Slot,
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
    /// What is finished beyond it, and of which topic it is.
    pub note: Note,
    /// The tracker's count of changes.
    pub changes: u64,
}

impl Watermark {
    /// What a commit of this group says beside the offset, in so many characters at most.
    pub fn metadata(&self, group: &str, characters: usize) -> String {
        let stamp = Stamp { group, topic: &self.topic, partition: self.partition, watermark: self.offset };
        self.note.encode_within(&stamp, characters)
    }
}

/// See the module.
pub struct Ledger {
    slots: Vec<Option<Assigned>>,
    next_epoch: u32,
    limit: Budget,
    in_flight: Budget,
    resolved: u64,
    /// Who waits for room is to be called when no more than either of these is in flight.
    call_at: Option<Budget>,
    /// Partitions from this number on have no place in the output: nothing of them is admitted.
    places: i32,
}

impl Ledger {
    /// A ledger without partitions, and with this much for all of them.
    pub fn new(limit: Budget) -> Self {
        let none = Budget { records: 0, bytes: 0 };
        let (slots, places) = (Vec::new(), i32::MAX);
        Self { slots, next_epoch: 0, limit, in_flight: none, resolved: 0, call_at: None, places }
    }

    /// From now on partitions below `places` alone are admitted; all are, where this is not called.
    pub fn limit_partitions(&mut self, places: i32) {
        self.places = places;
    }

    /// Partitions that are not admitted, as they have no place in the output.
    pub fn without_a_place(&self) -> Vec<(Slot, (Arc<str>, i32))> {
        self.iter()
            .filter(|(_, assigned)| assigned.partition >= self.places && !assigned.leaving)
            .map(|(slot, assigned)| (slot, (assigned.topic.clone(), assigned.partition)))
            .collect()
    }

    /// The partition of this slot, if anything of it may be admitted.
    fn admitted(&self, slot: Slot) -> Option<&Assigned> {
        self.get(slot).filter(|assigned| !assigned.leaving && assigned.partition < self.places)
    }

    /// Takes a partition in for consumer `owner`.
    pub fn assign(&mut self, owner: usize, topic: Arc<str>, partition: i32, beginning: Beginning) -> Slot {
        let epoch = self.next_epoch;
        assert!(epoch < u32::MAX, "an epoch is used once, and there is none left");
        assert!(partition >= 0, "{topic} has no partition {partition}");
        self.next_epoch += 1;
        let none = Budget { records: 0, bytes: 0 };
        let finished = if planted(Bug::MapIgnored) { OffsetMap::default() } else { beginning.finished };
        let had_map = !finished.is_empty();
        let tracker = Tracker::new(beginning.start, finished);
        let assigned = Assigned {
            topic,
            partition,
            epoch,
            owner,
            topic_id: beginning.topic_id,
            tracker,
            in_flight: none,
            committed: beginning.committed.map(|offset| (offset, 0)),
            counts: Counts::default(),
            end: None,
            last: None,
            stand: None,
            leaving: false,
            retired: false,
            had_map,
            cut: u64::MAX,
        };
        let free = self.slots.iter().position(Option::is_none);
        let index = free.unwrap_or(self.slots.len());
        match free {
            Some(free) => self.slots[free] = Some(assigned),
            None => self.slots.push(Some(assigned)),
        }
        let slot = Slot { index: index as u32, epoch };
        assert!(self.get(slot).is_some(), "{slot:?} is what was assigned last");
        slot
    }

    /// From now on nothing is admitted for this slot; what is in flight may still finish and be committed.
    pub fn leave(&mut self, slot: Slot) {
        if let Some(assigned) = self.get_mut(slot) {
            assigned.leaving = true;
        }
    }

    /// The topic of this slot is gone, though there may be one of its name: nothing is admitted, and nothing committed any more.
    /// What is in flight may still finish.
    pub fn retire(&mut self, slot: Slot) {
        if let Some(assigned) = self.get_mut(slot) {
            (assigned.leaving, assigned.retired) = (true, !planted(Bug::RetiredIsCommitted));
            assert!(!assigned.is_uncommitted(), "{slot:?} has an offset to commit, and its topic is gone");
        }
    }

    /// Partitions that have nothing in flight and nothing to commit, and yet end behind their watermark.
    pub fn short_of_their_end(&self) -> Vec<Short> {
        let short = |(slot, assigned): (Slot, &Assigned)| {
            let quiet = assigned.in_flight.records == 0 && !assigned.leaving && !assigned.is_uncommitted();
            let from = assigned.tracker.next();
            let end = assigned.end.filter(|end| quiet && end.offset > from)?.offset;
            Some(Short { slot, partition: (assigned.topic.clone(), assigned.partition), from, end })
        };
        self.iter().filter_map(short).collect()
    }

    /// Partitions of which no broker has said for so long where they end.
    pub fn without_an_end(&self, now: Instant, silence: Duration) -> Vec<(Slot, (Arc<str>, i32))> {
        let is_known = |assigned: &Assigned| assigned.lag(now).is_some_and(|(_, age)| age < silence);
        self.iter()
            .filter(|(_, assigned)| !assigned.retired && !is_known(assigned))
            .map(|(slot, assigned)| (slot, (assigned.topic.clone(), assigned.partition)))
            .collect()
    }

    /// There is no record between these two offsets. The watermark moves over them, if nothing was delivered since it stood at
    /// the first.
    pub fn pass(&mut self, slot: Slot, from: i64, end: i64) {
        if let Some(assigned) = self.get_mut(slot)
            && !assigned.leaving
            && assigned.in_flight.records == 0
            && assigned.tracker.next() == from
        {
            assigned.tracker.pass(end);
            assert!(assigned.tracker.watermark() >= from, "the watermark went back, from {from}");
            assigned.stand = None;
        }
    }

    /// Nothing comes of a partition, and why; that counts for so long, unless something comes.
    pub fn stand(&mut self, slot: Slot, why: String, now: Instant, lease: Duration) {
        if let Some(assigned) = self.get_mut(slot) {
            let since = assigned.stands(now).map_or(now, |stand| stand.since);
            assigned.stand = Some(Stand { why, since, until: now + lease });
        }
    }

    /// Records came, this one last.
    pub fn flows(&mut self, slot: Slot, last: Times) {
        if let Some(assigned) = self.get_mut(slot) {
            (assigned.last, assigned.stand) = (Some(last), None);
        }
    }

    /// Notes where a partition ended at that time. The lag is taken here: later the watermark may be beyond this end, and the
    /// partition longer.
    pub fn note_end(&mut self, slot: Slot, offset: i64, at: Instant) {
        if let Some(assigned) = self.get_mut(slot) {
            let lag = u64::try_from(offset - assigned.tracker.watermark()).unwrap_or(0);
            assigned.end = Some(LogEnd { offset, at, lag });
        }
    }

    /// Gives a partition up: whatever of it is still in flight is stale from now on. Returns how many records that are.
    pub fn revoke(&mut self, slot: Slot) -> usize {
        let Some(assigned) = self.get(slot) else { return 0 };
        let left = assigned.in_flight.records;
        assert!(
            left == 0 || assigned.in_flight.bytes <= self.in_flight.bytes,
            "a part is no more than the whole"
        );
        assert!(left <= self.in_flight.records, "{left} of {} records are in flight", self.in_flight.records);
        assert!(assigned.balance() == 0, "{} records of {slot:?} went astray", assigned.balance());
        self.slots[slot.index as usize] = None;
        left
    }

    /// Admits a record, unless there is nothing to do for it. `charge` is what it takes of the byte budget. The caller has
    /// asked for [`Ledger::room`].
    pub fn deliver(
        &mut self,
        slot: Slot,
        offset: i64,
        times: Times,
        charge: usize,
    ) -> Result<Ticket, NoTicket> {
        let assigned = self.get_mut(slot).ok_or(NoTicket::Repeated)?;
        let sequence = match assigned.tracker.deliver(offset, times) {
            Delivery::New(sequence) => sequence,
            Delivery::Repeated => return Err(NoTicket::Repeated),
            Delivery::Finished => {
                assigned.counts.consumed += 1;
                assigned.counts.skipped += 1;
                return Err(NoTicket::Finished);
            }
        };
        assigned.counts.consumed += 1;
        assigned.in_flight.records += 1;
        assigned.in_flight.bytes += charge;
        self.in_flight.records += 1;
        self.in_flight.bytes += charge;
        assert!(
            self.in_flight.records <= self.limit.records.max(1),
            "more is admitted than the budget has room for"
        );
        Ok(Ticket { slot, sequence, charge })
    }

    /// A record in flight has grown by its results: takes `more` bytes of the budget until it is finished.
    pub fn grow(&mut self, ticket: &mut Ticket, more: usize) {
        assert!(self.in_flight.records > 0, "what grows is in flight");
        ticket.charge += more;
        self.in_flight.bytes += more;
        if let Some(assigned) = self.get_mut(ticket.slot) {
            assigned.in_flight.bytes += more;
            assert!(assigned.in_flight.bytes >= ticket.charge, "a record is a part of what is in flight");
        }
    }

    /// A record is finished. Returns `false` if its assignment is gone: it is stale and moves no offset.
    pub fn finish(&mut self, ticket: &Ticket, end: End) -> bool {
        if !planted(Bug::StaleKeepsBudget) || self.get(ticket.slot).is_some() {
            self.release(ticket);
        }
        let Some(assigned) = self.get_mut(ticket.slot) else { return false };
        assert!(
            assigned.epoch == ticket.slot.epoch,
            "a ticket of an assignment that is gone finishes nothing"
        );
        assigned.tracker.finish(ticket.sequence);
        assigned.in_flight.take(ticket.charge);
        match end {
            End::Produced => assigned.counts.produced += 1,
            End::Filtered => assigned.counts.filtered += 1,
            End::DeadLettered => assigned.counts.dead_lettered += 1,
        }
        self.resolved += 1;
        true
    }

    /// A record is dropped without being finished: it will be read again by whoever gets the partition.
    pub fn drop_unfinished(&mut self, ticket: &Ticket) {
        self.release(ticket);
        if let Some(assigned) = self.get_mut(ticket.slot) {
            assert!(ticket.sequence < assigned.tracker.deliveries(), "{ticket:?} was delivered");
            assigned.in_flight.take(ticket.charge);
            assigned.counts.given_back += 1;
            assigned.cut = assigned.cut.min(ticket.sequence);
        }
    }

    /// Up to which sequence number, itself excluded, records of this slot can still be below a watermark: beyond are those
    /// behind one that was dropped. `None` if its assignment is gone.
    pub fn cut(&self, slot: Slot) -> Option<u64> {
        self.get(slot).map(|assigned| assigned.cut)
    }

    /// The watermarks of a consumer's partitions that the broker does not have yet.
    /// What is finished beyond is said anew with them.
    pub fn uncommitted(&self, owner: usize) -> Vec<Watermark> {
        self.iter()
            .filter(|(_, assigned)| assigned.owner == owner && assigned.is_uncommitted())
            .map(|(slot, assigned)| Watermark {
                slot,
                topic: assigned.topic.clone(),
                partition: assigned.partition,
                offset: assigned.tracker.watermark(),
                note: assigned.note(assigned.tracker.watermark(), assigned.tracker.finished()),
                changes: assigned.tracker.changes(),
            })
            .collect()
    }

    /// The watermarks that a consumer's partitions will have when all that is `released` is finished, as far as the broker does
    /// not have them: `released` says for slots, the sequence number after the last one. `None` if one of these slots is gone,
    /// or something of it that is released was dropped.
    ///
    /// **Before:** what is finished is, for each slot, the beginning of what is released.
    pub fn watermarks(&self, owner: usize, released: &[(Slot, u64)]) -> Option<Vec<Watermark>> {
        let is_stale = |(slot, end): &(Slot, u64)| self.cut(*slot).is_none_or(|cut| *end > cut);
        if released.iter().any(is_stale) && !planted(Bug::StaleIsCommitted) {
            return None;
        }
        let end_of = |slot| released.iter().find(|(released, _)| *released == slot).map(|(_, end)| *end);
        let own = self.iter().filter(|(_, assigned)| assigned.owner == owner && !assigned.retired);
        Some(
            own.filter(|(slot, assigned)| end_of(*slot).is_some() || assigned.is_uncommitted())
                .map(|(slot, assigned)| {
                    let (tracker, end) = (&assigned.tracker, end_of(slot).unwrap_or(0));
                    let offset = tracker.watermark_before(end);
                    let finished =
                        if assigned.had_map { tracker.finished_after(end) } else { OffsetMap::default() };
                    let (topic, partition) = (assigned.topic.clone(), assigned.partition);
                    let note = assigned.note(offset, finished);
                    Watermark { slot, topic, partition, offset, note, changes: tracker.changes() }
                })
                .collect(),
        )
    }

    /// The broker has this watermark, and all below it is finished meanwhile. Whatever was skipped since it was asked for is
    /// for the next one.
    pub fn committed_with_results(&mut self, watermark: &Watermark) {
        if let Some(assigned) = self.get_mut(watermark.slot)
            && assigned.tracker.watermark() == watermark.offset
        {
            assigned.committed = Some((watermark.offset, assigned.tracker.changes()));
        }
    }

    /// Whether a consumer's partition is being given up.
    pub fn is_leaving(&self, owner: usize) -> bool {
        self.iter().any(|(_, assigned)| assigned.owner == owner && assigned.leaving && !assigned.retired)
    }

    /// Whether the broker does not have all there is to say of a consumer's partitions.
    pub fn is_uncommitted(&self, owner: usize) -> bool {
        self.iter().any(|(_, assigned)| assigned.owner == owner && assigned.is_uncommitted())
    }

    /// The broker has this watermark.
    pub fn committed(&mut self, watermark: &Watermark) {
        if let Some(assigned) = self.get_mut(watermark.slot) {
            let reached = assigned.tracker.watermark();
            assert!(
                watermark.offset <= reached,
                "{watermark:?} is committed, and all is finished up to {reached}"
            );
            assert!(
                watermark.changes <= assigned.tracker.changes(),
                "{watermark:?} tells of what has not been"
            );
            assigned.committed = Some((watermark.offset, watermark.changes));
        }
    }

    /// The assigned partition, unless its assignment is gone.
    pub fn get(&self, slot: Slot) -> Option<&Assigned> {
        self.slots.get(slot.index as usize)?.as_ref().filter(|assigned| assigned.epoch == slot.epoch)
    }

    /// All assigned partitions.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &Assigned)> {
        self.slots.iter().zip(0u32..).filter_map(|(assigned, index)| {
            assigned.as_ref().map(|assigned| (Slot { index, epoch: assigned.epoch }, assigned))
        })
    }

    /// What is in flight in all, stale records included: they hold memory too.
    pub fn in_flight(&self) -> Budget {
        self.in_flight
    }

    /// Records finished since the start, stale ones not counted.
    pub fn resolved(&self) -> u64 {
        self.resolved
    }

    fn get_mut(&mut self, slot: Slot) -> Option<&mut Assigned> {
        let ours = |epoch: u32| epoch == slot.epoch || planted(Bug::EpochUnchecked);
        self.slots.get_mut(slot.index as usize)?.as_mut().filter(|assigned| ours(assigned.epoch))
    }

    fn release(&mut self, ticket: &Ticket) {
        self.in_flight.take(ticket.charge);
    }
}

#[cfg(test)]
mod tests;
