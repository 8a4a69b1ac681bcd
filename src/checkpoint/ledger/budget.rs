//! The budget: records and bytes in flight have one limit for all partitions.
//!
//! One partition may take as much as is left over by all others together: a single busy partition gets half of the budget, a stuck
//! one no more than half, two stuck ones a third each, and there is always a rest for those that flow.

use super::{Ledger, Slot};
use crate::planted::{Bug, planted};

/// How much may be in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Records.
    pub records: usize,
    /// Bytes.
    pub bytes: usize,
}

impl Budget {
    /// One record less is in flight, of so many bytes.
    pub(super) fn take(&mut self, bytes: usize) {
        self.records = self.records.checked_sub(1).expect("a record is given back that was in flight");
        self.bytes = self.bytes.checked_sub(bytes).expect("as many bytes are given back as were taken");
    }
}

/// The part of a limit that is worth waking somebody for.
fn worth(limit: usize) -> usize {
    (limit / 64).max(1)
}

impl Ledger {
    /// How many records, of `bytes` each, the slot may take now. Where nothing at all is in flight one record always fits,
    /// however large: otherwise it would never be read.
    pub fn room(&self, slot: Slot, bytes: usize) -> usize {
        let Some(assigned) = self.admitted(slot) else { return 0 };
        // Half of the difference, because each record admitted makes `all` larger and `own` too.
        let share =
            |limit: usize, all: usize, own: usize| limit.saturating_sub(all).saturating_sub(own).div_ceil(2);
        if planted(Bug::RoomForAll) {
            return usize::MAX;
        }
        let records = share(self.limit.records, self.in_flight.records, assigned.in_flight.records);
        let bytes_left = share(self.limit.bytes, self.in_flight.bytes, assigned.in_flight.bytes);
        let alone = usize::from(self.in_flight.records == 0);
        records.min(bytes_left / bytes.max(1)).max(alone)
    }

    /// Whether the slot could take as much again as it has.
    pub fn has_room(&self, slot: Slot) -> bool {
        let Some(assigned) = self.admitted(slot) else { return false };
        let (all, own) = (self.in_flight, assigned.in_flight);
        let fits = |limit: usize, all: usize, own: usize| 2 * own <= limit.saturating_sub(all);
        !self.is_full()
            && fits(self.limit.records, all.records, own.records)
            && fits(self.limit.bytes, all.bytes, own.bytes)
    }

    /// Whether the slot may take some records of `bytes` each now: enough of them to be worth a consumer's round, or the one that
    /// always fits.
    pub fn is_worth_a_round(&self, slot: Slot, bytes: usize) -> bool {
        let most = self.limit.records.min(self.limit.bytes / bytes.max(1));
        self.room(slot, bytes) >= worth(most)
    }

    /// Somebody waits for room: see [`Ledger::is_to_call`].
    pub fn call(&mut self) {
        let records = self.in_flight.records.saturating_sub(worth(self.limit.records));
        let bytes = self.in_flight.bytes.saturating_sub(worth(self.limit.bytes));
        assert!(
            self.in_flight.records > 0 || self.in_flight.bytes == 0,
            "no record, and {:?}",
            self.in_flight
        );
        let call_at = self.call_at.get_or_insert(Budget { records, bytes });
        (call_at.records, call_at.bytes) = (call_at.records.max(records), call_at.bytes.max(bytes));
        assert!(
            call_at.records >= records && call_at.bytes >= bytes,
            "who waits is called when there is more room"
        );
    }

    /// Whether there is some more room than there was when somebody began to wait. Said once.
    pub fn is_to_call(&mut self) -> bool {
        let Budget { records, bytes } = self.in_flight;
        self.call_at.take_if(|at| records <= at.records || bytes <= at.bytes).is_some()
    }

    /// Whether anything at all may be admitted.
    pub fn is_full(&self) -> bool {
        self.in_flight.records > 0
            && (self.in_flight.records >= self.limit.records || self.in_flight.bytes >= self.limit.bytes)
    }
}
