//! The tracker against lists of what was delivered and what of it is finished.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn now() -> Times {
    Times { timestamp: 0, admitted: Instant::now() }
}

fn started(start: i64) -> Tracker {
    Tracker::new(start, OffsetMap::default())
}

fn new(tracker: &mut Tracker, offset: i64) -> u64 {
    match tracker.deliver(offset, now()) {
        Delivery::New(sequence) => sequence,
        other => panic!("offset {offset} is {other:?}"),
    }
}

/// The same in the plainest words: what there is to read, what of it was delivered, and what is finished.
struct Model {
    start: i64,
    /// Ascending.
    delivered: Vec<i64>,
    finished: BTreeSet<i64>,
    /// Finished in an earlier assignment.
    before: BTreeSet<i64>,
}

impl Model {
    fn next(&self) -> i64 {
        self.delivered.last().map_or(self.start, |last| last + 1)
    }

    fn open(&self) -> impl Iterator<Item = i64> {
        self.delivered.iter().copied().filter(|offset| !self.finished.contains(offset))
    }

    fn watermark(&self) -> i64 {
        self.open().next().unwrap_or(self.next())
    }

    /// Whether a reader of the map may skip this offset: it is finished, or was passed over and does not exist.
    fn may_be_skipped(&self, offset: i64) -> bool {
        self.finished.contains(&offset)
            || self.before.contains(&offset)
            || (offset < self.next() && self.delivered.binary_search(&offset).is_err())
    }

    fn check(&self, tracker: &Tracker) -> Result<(), TestCaseError> {
        tracker.check();
        prop_assert_eq!(tracker.watermark(), self.watermark());
        prop_assert_eq!(tracker.next(), self.next());
        prop_assert_eq!(tracker.oldest().map(|(offset, _)| offset), self.open().next());
        let (entries, open) = tracker.remembered();
        prop_assert_eq!(open, self.open().count());
        prop_assert!(entries <= SHORT + 4 * open + 1, "{entries} entries for {open} open records");
        Ok(())
    }

    fn check_map(&self, tracker: &Tracker) -> Result<(), TestCaseError> {
        let map = tracker.finished();
        let in_map = |offset: i64| {
            let first = map.ranges().partition_point(|range| range.end <= offset);
            map.ranges().get(first).is_some_and(|range| range.contains(&offset))
        };
        for offset in self.watermark()..self.next() + 40 {
            let finished = self.finished.contains(&offset) || self.before.contains(&offset);
            prop_assert!(!in_map(offset) || self.may_be_skipped(offset), "{offset} would be skipped");
            prop_assert!(!finished || in_map(offset), "{offset} would be repeated");
        }
        prop_assert!(map.ranges().iter().all(|range| range.start >= self.watermark()));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_watermark_is_the_first_open_record_and_the_map_is_the_rest(
        start in 0i64..1000,
        before in prop::collection::btree_set(0i64..200, 0..40),
        steps in prop::collection::vec((0i64..4, any::<Index>(), 0u8..5), 1..400),
    ) {
        let before: BTreeSet<i64> = before.into_iter().map(|offset| offset + start).collect();
        let mut map = OffsetMap::default();
        before.iter().for_each(|offset| map.push(*offset..*offset + 1));
        let mut tracker = Tracker::new(start, map);
        let mut model = Model { start, delivered: Vec::new(), finished: BTreeSet::new(), before };
        let mut open: Vec<(u64, i64)> = Vec::new();
        let mut expected = 0;
        for ((gap, which, kind), number) in steps.into_iter().zip(1..) {
            if kind < 3 || open.is_empty() {
                let offset = model.next() + gap;
                let delivery = tracker.deliver(offset, now());
                model.delivered.push(offset);
                if model.before.contains(&offset) {
                    prop_assert_eq!(delivery, Delivery::Finished);
                    model.finished.insert(offset);
                } else {
                    prop_assert_eq!(delivery, Delivery::New(expected));
                    open.push((expected, offset));
                    expected += 1;
                }
                prop_assert_eq!(tracker.deliver(offset, now()), Delivery::Repeated);
            } else {
                // The first ones are the stuck ones: they are chosen seldom.
                let place = if kind == 3 { open.len() - 1 } else { which.index(open.len()) };
                let (sequence, offset) = open.remove(place);
                tracker.finish(sequence);
                model.finished.insert(offset);
            }
            prop_assert_eq!(tracker.deliveries(), expected);
            model.check(&tracker)?;
            // The map has every offset to look at: not after each step.
            if number % 8 == 0 {
                model.check_map(&tracker)?;
            }
        }
        model.check_map(&tracker)?;
    }
}

#[test]
fn a_later_success_does_not_pass_an_earlier_record_that_is_open() {
    let mut tracker = started(10);
    let (first, second) = (new(&mut tracker, 10), new(&mut tracker, 15));
    tracker.finish(second);
    assert_eq!(tracker.watermark(), 10);
    tracker.finish(first);
    assert_eq!(tracker.watermark(), 16);
}

#[test]
fn a_million_finished_records_behind_a_stuck_one_take_no_memory() {
    let mut tracker = started(0);
    let stuck = new(&mut tracker, 0);
    for offset in 1..1_000_000 {
        let sequence = new(&mut tracker, offset);
        tracker.finish(sequence);
        assert!(tracker.remembered().0 <= SHORT + 8);
    }
    assert_eq!((tracker.watermark(), tracker.finished().count()), (0, 999_999));
    tracker.finish(stuck);
    assert_eq!(tracker.watermark(), 1_000_000);
    assert!(tracker.finished().is_empty());
}

#[test]
fn what_was_finished_before_and_is_not_read_again_yet_stays_in_the_map() {
    let mut map = OffsetMap::default();
    map.push(3..5);
    map.push(9..20);
    let mut tracker = Tracker::new(2, map);
    let first = new(&mut tracker, 2);
    let changes = tracker.changes();
    assert_eq!(tracker.deliver(3, now()), Delivery::Finished);
    assert!(tracker.changes() > changes, "a commit may go beyond it");
    assert_eq!(tracker.finished().ranges(), [3..5, 9..20]);
    let changes = tracker.changes();
    tracker.finish(first);
    assert!(tracker.changes() > changes);
    assert_eq!(tracker.watermark(), 4, "what is not delivered is not passed");
    assert_eq!(tracker.finished().ranges(), [4..5, 9..20]);
}

#[test]
#[should_panic(expected = "finished once")]
fn finishing_twice_is_our_bug() {
    let mut tracker = started(0);
    let sequence = new(&mut tracker, 0);
    tracker.finish(sequence);
    tracker.finish(sequence);
}

#[test]
#[should_panic(expected = "finished once")]
fn finishing_what_was_never_delivered_is_our_bug() {
    let mut tracker = started(0);
    tracker.finish(3);
}
