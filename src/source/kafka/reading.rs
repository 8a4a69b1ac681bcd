//! Taking records, and what becomes of a partition without room for more: it must neither stop the others, which come out of the
//! same queue, nor fill the memory.
//!
//! * [`Way::Together`]: its records come out of the queue of all. What there is no room for is held, and the others wait behind
//!   it: where all are at the limit room comes within milliseconds.
//! * [`Way::Apart`]: after [`COURTESY`], and while something of it is held, its further records wait in a queue of their own
//!   (detached), which has a bound of its own, and the others flow. No more than [`APART`] partitions at a time; a further one is in
//!   the way of all until it has room. It comes back when nothing of it is held, nor left in the queue of all: what gathered
//!   meanwhile stands there then, and would do so once for each time that it went and came.
//! * [`Way::Parked`]: apart, and not one record admitted for [`PATIENCE`]; or in the way for as long. It is paused, what was
//!   fetched of it is thrown away, and it is read again from there when half of its share is free. Or it stands before a batch that
//!   cannot be read: [`super::unreadable`].

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::unreadable::Bad;
use super::{BUSY, KafkaSource};
use crate::checkpoint::Slot;
use crate::record::Record;
use crate::source::Intake;
use crate::source::client::Client;

/// How long a quiet thread waits for a record before it looks after the group.
const IDLE: Duration = Duration::from_millis(50);
/// The same, while it joins: all that can come then is news of the group, which does not wake it.
const JOINING: Duration = Duration::from_millis(5);
/// How long a partition without room may be in the way before it gets a queue of its own.
const COURTESY: Duration = Duration::from_millis(50);
/// How many partitions of a member may have a queue of their own: each may hold as much as that of all.
const APART: usize = 4;
/// How long nothing of a partition may be admitted, or it may be in the way, before it is parked.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a partition's records come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Together,
    Apart,
    Parked,
}

/// A partition that this member owns.
pub(super) struct Owned {
    pub slot: Slot,
    /// Read, but not admitted yet.
    held: VecDeque<Record>,
    /// Since when something is held; apart, since when nothing was admitted.
    pub since: Instant,
    pub way: Way,
    /// When so many records were taken, all of it that was in the queue of all when it went apart has come. (Or when that is empty:
    /// some of what was counted may never come.)
    passed_at: u64,
    /// Being given up, or of a topic that is gone: what still comes of it belongs to its next owner.
    pub leaving: bool,
    /// Where reading goes on.
    pub next: i64,
    /// What cannot be read.
    pub bad: Option<Bad>,
    /// The same partition of a topic that is gone, as far as something of it is in flight: nothing is read before that is finished.
    pub before: Vec<Slot>,
}

impl Owned {
    pub(super) fn new(slot: Slot, start: i64, now: Instant) -> Self {
        Self {
            slot,
            held: VecDeque::new(),
            since: now,
            way: Way::Together,
            passed_at: 0,
            leaving: false,
            next: start,
            bad: None,
            before: Vec::new(),
        }
    }

    /// A partition that is not read yet: the client fetches nothing of it.
    pub(super) fn parked(slot: Slot, start: i64, now: Instant, passed_at: u64, before: Vec<Slot>) -> Self {
        Self { way: Way::Parked, passed_at, before, ..Self::new(slot, start, now) }
    }

    /// Whether the client's word on it is of now.
    pub(super) fn is_read(&self) -> bool {
        self.way != Way::Parked && !self.leaving
    }

    /// All that is in the ledger of it.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        std::iter::once(self.slot).chain(self.before.iter().copied())
    }

    /// Drops what was read and not admitted, and takes no more.
    pub(super) fn leave(&mut self) {
        self.held.clear();
        self.leaving = true;
    }

    /// What waits for room, and how large the first record of it is.
    fn waits(&self) -> Option<(Slot, usize)> {
        self.held.front().map(|record| (self.slot, record.size()))
    }

    fn hold(&mut self, records: Vec<Record>, now: Instant) {
        if self.held.is_empty() {
            self.since = now;
        }
        self.next = records.last().map_or(self.next, |record| record.offset() + 1);
        self.held.extend(records);
    }
}

impl<I: Intake, C: Client> KafkaSource<I, C> {
    /// Takes a batch of records and admits what there is room for.
    pub(super) fn read(&mut self) {
        let rearranging = self.leaving.is_some() || !self.assigned.is_empty() || !self.told.is_empty();
        let parked = self.owned.values().any(|owned| owned.way == Way::Parked);
        let wait = match (rearranging, parked) {
            (true, _) => BUSY,
            (false, _) if !self.control.joined.load(Ordering::Relaxed) => JOINING,
            // A partition that is stuck for long is looked at less and less often.
            (false, true) => IDLE.min(BUSY * (1 << self.quiet_rounds.min(5))),
            (false, false) => IDLE,
        };
        let held: Vec<(Slot, usize)> = self.owned.values().filter_map(Owned::waits).collect();
        let together = || self.owned.values().filter(|owned| owned.way == Way::Together);
        if together().any(|owned| !owned.held.is_empty()) || (!held.is_empty() && together().next().is_none())
        {
            self.intake.wait_for_room(&held, wait);
        } else if held.is_empty() {
            self.take(wait);
        } else if !self.take(Duration::ZERO) {
            // Room wakes it, records of others do not: not for longer than they may wait.
            self.intake.wait_for_room(&held, BUSY);
        }
        self.admit();
        self.maybe_try_again();
    }

    /// Returns whether there was something.
    fn take(&mut self, wait: Duration) -> bool {
        let batch = self.client.take(wait);
        let some = !batch.runs.is_empty();
        self.taken += batch.runs.iter().map(|(_, records)| records.len() as u64).sum::<u64>();
        // First: of what comes behind a batch that cannot be read nothing may be held.
        for misread in batch.errors {
            self.misread(misread);
        }
        let now = self.clock.now();
        for (partition, mut records) in batch.runs {
            // Records of a partition that was given up: whoever owns it reads them again. Those of a parked one come again.
            let taken = |owned: &&mut Owned| !owned.leaving && owned.way != Way::Parked;
            if let Some(owned) = self.owned.get_mut(&partition).filter(taken) {
                if owned.keep_readable(&mut records) {
                    tracing::info!("{}/{} can be read again", partition.0, partition.1);
                }
                owned.hold(records, now);
            }
        }
        some
    }

    /// Admits what is held, and moves partitions out of the way and back.
    fn admit(&mut self) {
        let now = self.clock.now();
        let mut apart = self.owned.values().filter(|owned| owned.way == Way::Apart).count();
        let mut progress = false;
        for (partition, owned) in self.owned.iter_mut().filter(|(_, owned)| !owned.leaving) {
            if owned.way == Way::Parked {
                // What is still in the queue of all is of before it was parked, errors too.
                let passed = self.taken >= owned.passed_at || self.client.queued() == 0;
                if owned.bad.is_none()
                    && passed
                    && owned.before.is_empty()
                    && self.intake.has_room(owned.slot)
                {
                    self.client.unpark(partition);
                    (owned.way, owned.since, progress) = (Way::Together, now, true);
                }
                continue;
            }
            if !owned.held.is_empty() && self.intake.admit(owned.slot, &mut owned.held) > 0 {
                progress = true;
                // Whoever is in the way of the others is so however slowly it moves.
                if owned.way == Way::Apart {
                    owned.since = now;
                }
            }
            let stuck = now.saturating_duration_since(owned.since) >= PATIENCE;
            let first = owned.held.front().map(Record::offset);
            if owned.is_to_stop() && first.is_none() {
                // Where it cannot be parked it may have no position any more: nothing comes then either.
                self.client.park(partition, owned.next);
                apart -= usize::from(owned.way == Way::Apart);
                owned.way = Way::Parked;
                if let Some((why, lease)) = owned.why_it_waits() {
                    self.intake.stand(owned.slot, why, lease);
                }
                continue;
            }
            match (first, owned.way) {
                (None, Way::Apart) if self.taken >= owned.passed_at || self.client.queued() == 0 => {
                    self.client.attach(partition);
                    owned.way = Way::Together;
                    apart -= 1;
                }
                (Some(first), way) if stuck => {
                    owned.since = now;
                    if self.client.park(partition, first) {
                        owned.held.clear();
                        owned.next = first;
                        owned.way = Way::Parked;
                        apart -= usize::from(way == Way::Apart);
                    }
                }
                (Some(_), Way::Together)
                    if apart < APART
                        && now.saturating_duration_since(owned.since) >= COURTESY
                        && !self.intake.is_full() =>
                {
                    self.client.detach(partition);
                    owned.way = Way::Apart;
                    owned.passed_at = self.taken + self.client.queued() as u64;
                    apart += 1;
                }
                _ => {}
            }
        }
        self.quiet_rounds = if progress { 0 } else { self.quiet_rounds.saturating_add(1) };
    }
}
