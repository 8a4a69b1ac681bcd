//! What is held back: results of each assignment, until there is no gap before them. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::checkpoint::Slot;
use crate::planted::{Bug, planted};

/// See the module.
pub(super) struct Lines<P> {
    /// By epoch, which is unique in the process.
    lines: BTreeMap<u32, Line<P>>,
    held: usize,
}

struct Line<P> {
    slot: Slot,
    /// All before this sequence number are finished.
    finished: u64,
    /// The sequence number of the first place in `held`: all before it are released.
    next: u64,
    held: VecDeque<Option<Arc<P>>>,
}

impl<P> Default for Lines<P> {
    fn default() -> Self {
        Self { lines: BTreeMap::new(), held: 0 }
    }
}

impl<P> Lines<P> {
    /// Holds a parcel at its place: also one that was released before, and was not written after all.
    pub(super) fn hold(&mut self, (slot, sequence): (Slot, u64), parcel: Arc<P>) {
        let line = self.lines.entry(slot.epoch).or_insert_with(|| {
            let (finished, next, held) = (0, 0, VecDeque::new());
            Line { slot, finished, next, held }
        });
        if sequence < line.next {
            // It was released, and comes back: so do all that are not finished.
            (line.finished..line.next).for_each(|_| line.held.push_front(None));
            line.next = line.finished;
        }
        let index = usize::try_from(sequence - line.next).expect("what is in flight fits into memory");
        if line.held.len() <= index {
            line.held.resize_with(index + 1, || None);
        }
        assert!(line.held[index].replace(parcel).is_none(), "sequence {sequence} of {slot:?} is held twice");
        self.held += 1;
    }

    /// Takes out up to `most` of those that nothing is missing before, each partition's in order.
    pub(super) fn release(&mut self, most: usize, out: &mut Vec<Arc<P>>) {
        let end = out.len() + most;
        for line in self.lines.values_mut() {
            while planted(Bug::CommitBeyondThePrefix) && matches!(line.held.front(), Some(None)) {
                line.held.pop_front();
                line.next += 1;
            }
            while out.len() < end
                && let Some(Some(_)) = line.held.front()
            {
                out.extend(line.held.pop_front().flatten());
                line.next += 1;
                self.held -= 1;
            }
        }
    }

    /// All of a slot before this sequence number are finished, and do not come back.
    pub(super) fn finish(&mut self, slot: Slot, end: u64) {
        if let Some(line) = self.lines.get_mut(&slot.epoch) {
            line.finished = end;
        }
    }

    /// The parcel at this place, if one is held there.
    pub(super) fn peek(&self, (slot, sequence): (Slot, u64)) -> Option<&P> {
        let line = self.lines.get(&slot.epoch)?;
        line.held.get(usize::try_from(sequence.checked_sub(line.next)?).ok()?)?.as_deref()
    }

    /// Takes out the parcel at this place; what is behind waits until it comes again.
    pub(super) fn take(&mut self, (slot, sequence): (Slot, u64)) -> Option<Arc<P>> {
        let line = self.lines.get_mut(&slot.epoch)?;
        let taken = line.held.get_mut(usize::try_from(sequence.checked_sub(line.next)?).ok()?)?.take();
        self.held -= usize::from(taken.is_some());
        taken
    }

    /// Whether there is something to release.
    pub(super) fn is_ready(&self) -> bool {
        self.lines.values().any(|line| matches!(line.held.front(), Some(Some(_))))
    }

    /// The assignments that something is or was held of.
    pub(super) fn slots(&self) -> Vec<Slot> {
        self.lines.values().map(|line| line.slot).collect()
    }

    /// Takes out what can never be released: all of a slot that is gone (`None`), and what is not before its cut.
    pub(super) fn prune(&mut self, cuts: &[(Slot, Option<u64>)]) -> Vec<Arc<P>> {
        let mut pruned = Vec::new();
        for (slot, cut) in cuts {
            let Some(line) = self.lines.get_mut(&slot.epoch) else { continue };
            let keep = usize::try_from(cut.unwrap_or(0).saturating_sub(line.next)).unwrap_or(usize::MAX);
            if keep < line.held.len() {
                pruned.extend(line.held.drain(keep..).flatten());
            }
            if cut.is_none() {
                self.lines.remove(&slot.epoch);
            }
        }
        self.held -= pruned.len();
        pruned
    }

    /// How many parcels are held.
    pub(super) fn len(&self) -> usize {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(epoch: u32) -> Slot {
        Slot { index: 0, epoch }
    }

    fn released(lines: &mut Lines<u64>, most: usize) -> Vec<u64> {
        let mut out = Vec::new();
        lines.release(most, &mut out);
        out.iter().map(|parcel| **parcel).collect()
    }

    #[test]
    fn nothing_passes_a_gap() {
        let mut lines = Lines::default();
        for sequence in [2, 1, 4] {
            lines.hold((slot(7), sequence), Arc::new(sequence));
        }
        assert!(!lines.is_ready());
        assert_eq!(released(&mut lines, 10), [0; 0]);
        lines.hold((slot(7), 0), Arc::new(0));
        assert_eq!(released(&mut lines, 2), [0, 1]);
        assert_eq!(released(&mut lines, 10), [2]);
        assert_eq!(lines.len(), 1);
    }

    #[test]
    fn what_comes_back_comes_first_and_in_its_order() {
        let mut lines = Lines::default();
        (0..6).for_each(|sequence| lines.hold((slot(7), sequence), Arc::new(sequence)));
        assert_eq!(released(&mut lines, 4), [0, 1, 2, 3]);
        for sequence in [3, 1] {
            lines.hold((slot(7), sequence), Arc::new(sequence));
        }
        assert!(!lines.is_ready(), "0 and 2 are missing");
        for sequence in [2, 0] {
            lines.hold((slot(7), sequence), Arc::new(sequence));
        }
        assert_eq!(released(&mut lines, 10), [0, 1, 2, 3, 4, 5]);
        lines.finish(slot(7), 4);
        lines.hold((slot(7), 5), Arc::new(5));
        assert_eq!(released(&mut lines, 10), [0; 0], "4 is missing");
        lines.hold((slot(7), 4), Arc::new(4));
        assert_eq!(released(&mut lines, 10), [4, 5]);
    }

    #[test]
    fn a_slot_that_is_gone_and_what_is_behind_a_cut_come_out() {
        let mut lines = Lines::default();
        for epoch in [1, 2] {
            (0..4).for_each(|sequence| lines.hold((slot(epoch), sequence), Arc::new(sequence)));
        }
        assert_eq!(released(&mut lines, 1), [0]);
        let pruned = lines.prune(&[(slot(1), Some(2)), (slot(2), None)]);
        assert_eq!(pruned.iter().map(|parcel| **parcel).collect::<Vec<_>>(), [2, 3, 0, 1, 2, 3]);
        assert_eq!(lines.slots(), [slot(1)]);
        assert_eq!(released(&mut lines, 10), [1]);
        assert_eq!(lines.len(), 0);
    }
}
