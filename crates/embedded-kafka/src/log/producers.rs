//! Which batches of each idempotent producer a partition has: what comes again is not appended again.

use std::collections::{HashMap, VecDeque};

use super::batch::Stamp;
use crate::codes;

/// As many batches as a producer may have in flight.
const REMEMBERED: usize = 5;

#[derive(Clone, Copy, Debug)]
struct Appended {
    first: i32,
    last: i32,
    offset: i64,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    /// The latest ones, oldest first.
    batches: VecDeque<Appended>,
}

/// What is known of the producers of one partition.
#[derive(Debug, Default)]
pub(super) struct Producers {
    by_id: HashMap<i64, Producer>,
}

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Append,
    /// It stands at this offset already.
    Duplicate(i64),
    /// The error code.
    Refuse(i16),
}

/// Sequence numbers begin at 0 again after the largest.
fn advanced(sequence: i32, by: i32) -> i32 {
    ((i64::from(sequence) + i64::from(by)) % (i64::from(i32::MAX) + 1)) as i32
}

impl Producers {
    pub(super) fn judge(&self, stamp: Stamp, count: i32) -> Verdict {
        let Some(known) = self.by_id.get(&stamp.producer) else { return Verdict::Append };
        if stamp.epoch < known.epoch {
            return Verdict::Refuse(codes::INVALID_PRODUCER_EPOCH);
        }
        if stamp.epoch > known.epoch {
            // A new epoch counts from 0.
            return if stamp.sequence == 0 {
                Verdict::Append
            } else {
                Verdict::Refuse(codes::OUT_OF_ORDER_SEQUENCE)
            };
        }
        let last = advanced(stamp.sequence, count - 1);
        if let Some(same) = known.batches.iter().find(|b| b.first == stamp.sequence && b.last == last) {
            return Verdict::Duplicate(same.offset);
        }
        match known.batches.back() {
            Some(before) if stamp.sequence != advanced(before.last, 1) => {
                Verdict::Refuse(codes::OUT_OF_ORDER_SEQUENCE)
            }
            _ => Verdict::Append,
        }
    }

    /// A batch was appended.
    pub(super) fn note(&mut self, stamp: Stamp, count: i32, offset: i64) {
        let known = self.at_epoch(stamp.producer, stamp.epoch);
        let last = advanced(stamp.sequence, count - 1);
        known.batches.push_back(Appended { first: stamp.sequence, last, offset });
        if known.batches.len() > REMEMBERED {
            known.batches.pop_front();
        }
    }

    /// A transaction ended under this epoch: what an earlier one still sends is refused.
    pub(super) fn fence(&mut self, producer: i64, epoch: i16) {
        self.at_epoch(producer, epoch);
    }

    fn at_epoch(&mut self, producer: i64, epoch: i16) -> &mut Producer {
        let known =
            self.by_id.entry(producer).or_insert_with(|| Producer { epoch, batches: VecDeque::new() });
        if known.epoch < epoch {
            known.epoch = epoch;
            known.batches.clear();
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(epoch: i16, sequence: i32) -> Stamp {
        Stamp { producer: 7, epoch, sequence }
    }

    fn with(batches: &[(i16, i32, i32)]) -> Producers {
        let mut producers = Producers::default();
        for (offset, (epoch, sequence, count)) in batches.iter().enumerate() {
            assert_eq!(producers.judge(stamp(*epoch, *sequence), *count), Verdict::Append);
            producers.note(stamp(*epoch, *sequence), *count, offset as i64);
        }
        producers
    }

    #[test]
    fn the_last_five_batches_are_recognised() {
        let producers = with(&[(0, 0, 3), (0, 3, 1), (0, 4, 1), (0, 5, 1), (0, 6, 1), (0, 7, 1)]);
        assert_eq!(producers.judge(stamp(0, 3), 1), Verdict::Duplicate(1));
        assert_eq!(producers.judge(stamp(0, 7), 1), Verdict::Duplicate(5));
        assert_eq!(producers.judge(stamp(0, 0), 3), Verdict::Refuse(codes::OUT_OF_ORDER_SEQUENCE));
    }

    #[test]
    fn a_gap_is_refused_and_so_is_an_old_epoch() {
        let producers = with(&[(1, 0, 3)]);
        assert_eq!(producers.judge(stamp(1, 4), 1), Verdict::Refuse(codes::OUT_OF_ORDER_SEQUENCE));
        assert_eq!(producers.judge(stamp(0, 3), 1), Verdict::Refuse(codes::INVALID_PRODUCER_EPOCH));
        assert_eq!(producers.judge(stamp(2, 3), 1), Verdict::Refuse(codes::OUT_OF_ORDER_SEQUENCE));
        assert_eq!(producers.judge(stamp(2, 0), 1), Verdict::Append);
    }

    #[test]
    fn sequence_numbers_begin_again_after_the_largest() {
        let producers = with(&[(0, i32::MAX - 1, 3)]);
        assert_eq!(producers.judge(stamp(0, 1), 1), Verdict::Append);
        assert_eq!(producers.judge(stamp(0, 2), 1), Verdict::Refuse(codes::OUT_OF_ORDER_SEQUENCE));
    }

    #[test]
    fn a_fence_refuses_what_the_epoch_before_still_sends() {
        let mut producers = with(&[(0, 0, 1)]);
        producers.fence(7, 1);
        assert_eq!(producers.judge(stamp(0, 1), 1), Verdict::Refuse(codes::INVALID_PRODUCER_EPOCH));
        assert_eq!(producers.judge(stamp(1, 0), 1), Verdict::Append);
    }
}
