//! The ledger against lists of what was delivered and what of it is finished.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::checkpoint::tracker::Times;

const LIMIT: Budget = Budget { records: 12, bytes: 1000 };

/// One assignment in the plainest words.
struct Part {
    owner: usize,
    start: i64,
    /// Offset, and whether it is finished.
    records: Vec<(i64, bool)>,
    /// How many were finished when the broker was told last.
    committed: Option<(i64, usize)>,
    leaving: bool,
    gone: bool,
}

impl Part {
    fn finished(&self) -> usize {
        self.records.iter().filter(|(_, finished)| *finished).count()
    }

    fn watermark(&self) -> i64 {
        let open = self.records.iter().find(|(_, finished)| !finished).map(|(offset, _)| *offset);
        open.unwrap_or(self.records.last().map_or(self.start, |(last, _)| last + 1))
    }
}

struct Run {
    ledger: Ledger,
    parts: BTreeMap<u32, (Slot, Part)>,
    /// Whatever holds budget, stale or not, with what it should hold.
    flights: Vec<(Ticket, usize)>,
    resolved: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Assign(usize),
    Deliver { slot: Index, gap: i64, bytes: usize },
    Grow(Index, usize),
    Finish(Index),
    Drop(Index),
    Leave(Index),
    Revoke(Index),
    Commit(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0usize..2).prop_map(Step::Assign),
        9 => (any::<Index>(), 0i64..3, 1usize..1500).prop_map(|(slot, gap, bytes)| Step::Deliver { slot, gap, bytes: bytes / 8 }),
        2 => (any::<Index>(), 0i64..3, 1usize..1500).prop_map(|(slot, gap, bytes)| Step::Deliver { slot, gap, bytes }),
        1 => (any::<Index>(), 1usize..300).prop_map(|(flight, more)| Step::Grow(flight, more)),
        7 => any::<Index>().prop_map(Step::Finish),
        1 => any::<Index>().prop_map(Step::Drop),
        1 => any::<Index>().prop_map(Step::Leave),
        1 => any::<Index>().prop_map(Step::Revoke),
        2 => (0usize..2).prop_map(Step::Commit),
    ]
}

impl Run {
    fn part(&mut self, which: &Index) -> Option<&mut (Slot, Part)> {
        let count = self.parts.len();
        (count > 0).then(|| self.parts.values_mut().nth(which.index(count)).expect("counted"))
    }

    fn flight(&mut self, which: &Index) -> Option<(Ticket, usize)> {
        (!self.flights.is_empty()).then(|| self.flights.swap_remove(which.index(self.flights.len())))
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Assign(owner) => {
                let slot =
                    self.ledger.assign(*owner, "t".into(), 0, Beginning { start: 5, ..Beginning::default() });
                let part = Part {
                    owner: *owner,
                    start: 5,
                    records: Vec::new(),
                    committed: None,
                    leaving: false,
                    gone: false,
                };
                assert!(self.parts.insert(slot.epoch, (slot, part)).is_none(), "an epoch is used once");
            }
            Step::Deliver { slot, gap, bytes } => self.deliver(slot, *gap, *bytes),
            Step::Grow(flight, more) => {
                if let Some((mut ticket, charge)) = self.flight(flight) {
                    self.ledger.grow(&mut ticket, *more);
                    self.flights.push((ticket, charge + more));
                }
            }
            Step::Finish(flight) => {
                let Some((ticket, _)) = self.flight(flight) else { return };
                let (_, part) = self.parts.get_mut(&ticket.slot.epoch).expect("assigned once");
                part.records[ticket.sequence as usize].1 = true;
                let stale = part.gone;
                assert_eq!(
                    self.ledger.finish(&ticket, End::Produced),
                    !stale,
                    "what is stale moves no offset"
                );
                self.resolved += u64::from(!stale);
            }
            Step::Drop(flight) => {
                if let Some((ticket, _)) = self.flight(flight) {
                    self.ledger.drop_unfinished(&ticket);
                }
            }
            Step::Leave(which) => {
                let Some((slot, part)) = self.part(which) else { return };
                part.leaving = true;
                let slot = *slot;
                self.ledger.leave(slot);
            }
            Step::Revoke(which) => {
                let Some((slot, part)) = self.part(which) else { return };
                let (slot, gone) = (*slot, std::mem::replace(&mut part.gone, true));
                let own = self.flights.iter().filter(|(ticket, _)| ticket.slot == slot).count();
                assert_eq!(self.ledger.revoke(slot), if gone { 0 } else { own });
            }
            Step::Commit(owner) => {
                for watermark in self.ledger.uncommitted(*owner) {
                    self.ledger.committed(&watermark);
                    let part = &mut self.parts.get_mut(&watermark.slot.epoch).expect("assigned once").1;
                    part.committed = Some((watermark.offset, part.finished()));
                }
            }
        }
    }

    fn deliver(&mut self, which: &Index, gap: i64, bytes: usize) {
        let Some(&mut (slot, ref mut part)) = self.part(which) else { return };
        let offset = part.records.last().map_or(part.start, |(offset, _)| offset + 1) + gap;
        let closed = part.leaving || part.gone;
        let room = self.ledger.room(slot, bytes);
        assert!(!closed || room == 0, "a partition that is being given up takes nothing");
        assert!(
            closed || !self.flights.is_empty() || room > 0,
            "where nothing is in flight one record always fits"
        );
        assert!(closed || room > 0 || self.ledger.in_flight.records > 0);
        if room == 0 {
            return;
        }
        let before = self.ledger.in_flight();
        let ticket = self.ledger.deliver(slot, offset, times(), bytes).expect("new");
        assert!(self.ledger.deliver(slot, offset, times(), bytes).is_err(), "a repeated delivery is dropped");
        let (_, part) = self.parts.get_mut(&slot.epoch).expect("assigned once");
        assert_eq!(ticket.sequence(), part.records.len() as u64);
        part.records.push((offset, false));
        self.flights.push((ticket, bytes));
        let after = self.ledger.in_flight();
        let within = after.records <= LIMIT.records && after.bytes <= LIMIT.bytes;
        assert!(within || before.records == 0, "{after:?} in flight");
    }

    fn check(&self) {
        let sum = |slot: Option<Slot>| {
            let own = self.flights.iter().filter(|(ticket, _)| slot.is_none_or(|slot| ticket.slot == slot));
            own.fold(Budget { records: 0, bytes: 0 }, |sum, (_, charge)| Budget {
                records: sum.records + 1,
                bytes: sum.bytes + charge,
            })
        };
        assert_eq!(
            self.ledger.in_flight(),
            sum(None),
            "what is in flight holds budget, stale or not, and nothing else does"
        );
        assert_eq!(self.ledger.resolved(), self.resolved);
        for (slot, part) in self.parts.values() {
            let assigned = self.ledger.get(*slot);
            assert_eq!(assigned.is_none(), part.gone);
            let Some(assigned) = assigned else { continue };
            assert_eq!(assigned.in_flight(), sum(Some(*slot)));
            assert_eq!(assigned.tracker().watermark(), part.watermark());
            assert_eq!(assigned.balance(), 0, "{:?}", assigned.counts());
        }
        for owner in 0..2 {
            let mut uncommitted: Vec<(Slot, i64)> =
                self.ledger.uncommitted(owner).iter().map(|one| (one.slot, one.offset)).collect();
            uncommitted.sort_by_key(|(slot, _)| slot.epoch);
            let expected = self.parts.values().filter(|(_, part)| part.owner == owner && !part.gone);
            let expected =
                expected.filter(|(_, part)| part.committed != Some((part.watermark(), part.finished())));
            assert_eq!(
                uncommitted,
                expected.map(|(slot, part)| (*slot, part.watermark())).collect::<Vec<_>>()
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn the_ledger_is_as_lists_of_records(steps in prop::collection::vec(step(), 1..150)) {
        let mut run = Run { ledger: Ledger::new(LIMIT), parts: BTreeMap::new(), flights: Vec::new(), resolved: 0 };
        run.step(&Step::Assign(0));
        for step in &steps {
            run.step(step);
            run.check();
        }
        while let Some((ticket, _)) = run.flights.pop() {
            run.ledger.drop_unfinished(&ticket);
        }
        prop_assert_eq!(run.ledger.in_flight(), Budget { records: 0, bytes: 0 }, "nothing leaks");
    }
}

/// Admits to the slot whatever it may take; returns how many.
fn fill(ledger: &mut Ledger, slot: Slot, flights: &mut Vec<Ticket>) -> usize {
    let before = flights.len();
    while ledger.room(slot, 1) > 0 {
        let next = ledger.get(slot).expect("assigned").tracker().next();
        flights.extend(ledger.deliver(slot, next, times(), 1));
    }
    flights.len() - before
}

#[test]
fn stuck_partitions_leave_room_for_those_that_flow() {
    let mut ledger = Ledger::new(Budget { records: 120, bytes: 1000 });
    let slots: Vec<Slot> =
        (0..5).map(|part| ledger.assign(0, "t".into(), part, Beginning::default())).collect();
    let mut stuck = Vec::new();
    assert_eq!(fill(&mut ledger, slots[0], &mut stuck), 60, "one gets half");
    for slot in &slots[1..4] {
        fill(&mut ledger, *slot, &mut stuck);
    }
    assert!(!ledger.is_full());
    for _ in 0..100 {
        let mut flowing = Vec::new();
        assert!(fill(&mut ledger, slots[4], &mut flowing) > 0, "{:?} in flight", ledger.in_flight());
        flowing.iter().for_each(|ticket| assert!(ledger.finish(ticket, End::Produced)));
    }
    assert!(ledger.get(slots[4]).expect("assigned").tracker().oldest().is_none());
}

#[test]
fn there_is_room_when_half_of_a_share_is_free() {
    for limit in [Budget { records: 90, bytes: 1_000 }, Budget { records: 1_000, bytes: 90 }] {
        let mut ledger = Ledger::new(limit);
        let slot = ledger.assign(0, "t".into(), 0, Beginning::default());
        let other = ledger.assign(0, "t".into(), 1, Beginning::default());
        let mut tickets = Vec::new();
        assert!(ledger.has_room(slot));
        assert_eq!(fill(&mut ledger, slot, &mut tickets), 45);
        assert!(ledger.has_room(other) && !ledger.has_room(slot));
        for ticket in tickets.drain(..14) {
            ledger.finish(&ticket, End::Produced);
        }
        assert!(!ledger.has_room(slot), "31 of 59 that could be had");
        ledger.finish(&tickets[0], End::Produced);
        assert!(ledger.has_room(slot), "30 of 60");
        ledger.leave(slot);
        assert!(!ledger.has_room(slot), "nothing more comes of it");
    }
}

#[test]
fn a_watermark_of_an_assignment_that_is_gone_marks_nothing_as_committed() {
    let mut ledger = Ledger::new(LIMIT);
    let old = ledger.assign(0, "t".into(), 0, Beginning::default());
    let late = ledger.uncommitted(0);
    ledger.revoke(old);
    let new = ledger.assign(0, "t".into(), 0, Beginning::default());
    assert_eq!((old.index, new.index), (0, 0), "the same place");
    late.iter().for_each(|watermark| ledger.committed(watermark));
    assert_eq!(ledger.uncommitted(0).len(), 1);
}

#[test]
fn lag_is_what_is_not_finished_up_to_the_end_when_that_was_noted() {
    let mut ledger = Ledger::new(LIMIT);
    let slot = ledger.assign(0, "t".into(), 0, Beginning { start: 5, ..Beginning::default() });
    let start = std::time::Instant::now();
    let at = |seconds| start + std::time::Duration::from_secs(seconds);
    let lag = |ledger: &Ledger, seconds| {
        let lag = ledger.get(slot).expect("assigned").lag(at(seconds));
        lag.map(|(records, age)| (records, age.as_secs()))
    };
    assert_eq!(lag(&ledger, 0), None, "the end is not known yet");
    ledger.note_end(slot, 9, at(0));
    let ticket = ledger.deliver(slot, 5, times(), 1).expect("new");
    assert_eq!(lag(&ledger, 1), Some((4, 1)));
    assert!(ledger.finish(&ticket, End::Produced));
    assert_eq!(lag(&ledger, 2), Some((4, 2)), "more may have been written meanwhile");
    ledger.note_end(slot, 9, at(3));
    assert_eq!(lag(&ledger, 13), Some((3, 10)));
    assert_eq!(lag(&ledger, 14), None, "nobody has said for ten seconds that it is so");
    ledger.note_end(slot, 2, at(14));
    assert_eq!(lag(&ledger, 14), Some((0, 0)), "a partition that became shorter has none");
}

#[test]
fn every_record_is_counted_as_what_became_of_it() {
    let mut ledger = Ledger::new(Budget { records: 100, bytes: 100 });
    let mut finished = OffsetMap::default();
    finished.push(0..3);
    let slot = ledger.assign(7, "t".into(), 0, Beginning { finished, ..Beginning::default() });
    let mut tickets = Vec::new();
    for offset in 0..18 {
        match ledger.deliver(slot, offset, times(), 1) {
            Ok(ticket) => tickets.push(ticket),
            Err(why) => assert_eq!((why, offset < 3), (NoTicket::Finished, true)),
        }
        assert_eq!(ledger.deliver(slot, offset, times(), 1).err(), Some(NoTicket::Repeated));
    }
    let mut tickets = tickets.into_iter();
    for (end, count) in [(End::Produced, 2), (End::Filtered, 3), (End::DeadLettered, 4)] {
        tickets.by_ref().take(count).for_each(|ticket| assert!(ledger.finish(&ticket, end)));
    }
    tickets.by_ref().take(5).for_each(|ticket| ledger.drop_unfinished(&ticket));
    let assigned = ledger.get(slot).expect("assigned");
    assert_eq!((assigned.owner(), assigned.in_flight().records, assigned.balance()), (7, 1, 0));
    let counts =
        Counts { consumed: 18, produced: 2, filtered: 3, dead_lettered: 4, skipped: 3, given_back: 5 };
    assert_eq!(assigned.counts(), counts);
}

#[test]
fn a_record_that_went_astray_shows_in_the_balance() {
    let mut ledger = Ledger::new(LIMIT);
    let slot = ledger.assign(0, "t".into(), 0, Beginning::default());
    for (counts, balance) in [
        (Counts { consumed: 1, ..Counts::default() }, 1),
        (Counts { produced: 1, ..Counts::default() }, -1),
        (Counts { filtered: 1, ..Counts::default() }, -1),
        (Counts { dead_lettered: 1, ..Counts::default() }, -1),
        (Counts { skipped: 1, ..Counts::default() }, -1),
        (Counts { given_back: 1, ..Counts::default() }, -1),
    ] {
        let assigned = ledger.get_mut(slot).expect("assigned");
        assigned.counts = counts;
        assert_eq!(assigned.balance(), balance, "{counts:?}");
    }
}

#[test]
fn who_waits_for_room_is_called_when_a_part_of_it_came_back_and_once() {
    let mut ledger = Ledger::new(Budget { records: 640, bytes: 6400 });
    let slot = ledger.assign(0, "t".into(), 0, Beginning::default());
    let mut tickets: Vec<Ticket> =
        (0..300).map(|offset| ledger.deliver(slot, offset, times(), 10).expect("it is new")).collect();
    assert!(ledger.is_worth_a_round(slot, 10), "20 of 340 more");
    tickets.extend((300..320).map(|offset| ledger.deliver(slot, offset, times(), 10).expect("it is new")));
    assert!(!ledger.is_worth_a_round(slot, 10));
    assert!(!ledger.is_to_call(), "nobody waits");
    ledger.call();
    let mut finish = |ledger: &mut Ledger, count: usize| {
        tickets.drain(..count).for_each(|ticket| _ = ledger.finish(&ticket, End::Produced));
    };
    finish(&mut ledger, 9);
    assert!(!ledger.is_to_call(), "not for so little");
    finish(&mut ledger, 1);
    assert!(ledger.is_to_call());
    assert!(!ledger.is_to_call(), "it was said");
    assert!(ledger.is_worth_a_round(slot, 10));
    ledger.call();
    finish(&mut ledger, 310);
    assert!(ledger.is_to_call(), "nothing is in flight");
}

/// A large record is worth a round by itself: it would never be read where many of its size do not fit.
#[test]
fn room_for_a_large_record_is_worth_a_round() {
    let mut ledger = Ledger::new(Budget { records: 640, bytes: 6400 });
    let slot = ledger.assign(0, "t".into(), 0, Beginning::default());
    assert!(ledger.is_worth_a_round(slot, 6000) && ledger.is_worth_a_round(slot, 60_000));
    ledger.deliver(slot, 0, times(), 6000).expect("it is new");
    assert!(!ledger.is_worth_a_round(slot, 6000));
}

#[test]
fn it_is_full_at_either_limit_and_never_while_empty() {
    let mut ledger = Ledger::new(Budget { records: 2, bytes: 10 });
    let slot = ledger.assign(0, "t".into(), 0, Beginning::default());
    let admit =
        |ledger: &mut Ledger, offset, bytes| ledger.deliver(slot, offset, times(), bytes).expect("new");
    let first = admit(&mut ledger, 0, 9);
    assert!(!ledger.is_full());
    let second = admit(&mut ledger, 1, 0);
    assert!(ledger.is_full(), "two records");
    ledger.drop_unfinished(&second);
    ledger.drop_unfinished(&first);
    admit(&mut ledger, 2, 10);
    assert!(ledger.is_full(), "ten bytes");
    assert!(!Ledger::new(Budget { records: 0, bytes: 0 }).is_full(), "one record always fits");
}

fn times() -> Times {
    Times { timestamp: 0, admitted: std::time::Instant::now() }
}

/// The topic was deleted, and perhaps made again: its offsets say nothing of the one that has its name.
#[test]
fn what_is_retired_is_finished_and_never_committed() {
    let mut ledger = Ledger::new(Budget { records: 10, bytes: 1_000 });
    let id = |seed| crate::topic_id::TopicId::new([seed; 16]);
    let beginning = |seed| Beginning { start: 5, topic_id: id(seed), ..Beginning::default() };
    let old = ledger.assign(0, "t".into(), 0, beginning(1));
    let times = Times { timestamp: 0, admitted: std::time::Instant::now() };
    let tickets: Vec<Ticket> = (5..8).map(|offset| ledger.deliver(old, offset, times, 10).unwrap()).collect();
    ledger.retire(old);
    let new = ledger.assign(0, "t".into(), 0, beginning(2));
    assert!(ledger.finish(&tickets[0], End::Produced), "what is in flight finishes");
    assert_eq!(ledger.room(old, 1), 0, "and nothing more is admitted");
    assert!(!ledger.is_leaving(0), "nobody waits for it");
    let slots = |watermarks: Vec<Watermark>| {
        watermarks.into_iter().map(|one| (one.slot, one.offset, one.note.topic_id)).collect::<Vec<_>>()
    };
    let begins = [(new, 5, id(2))];
    assert_eq!(slots(ledger.uncommitted(0)), begins);
    assert_eq!(
        slots(ledger.watermarks(0, &[(old, 2)]).unwrap()),
        begins,
        "though what it released is written"
    );
    assert!(!ledger.get(old).unwrap().is_uncommitted());
}

#[test]
fn a_partition_without_a_place_in_the_output_has_no_room_until_it_has_one() {
    let mut ledger = Ledger::new(LIMIT);
    let slots = [0, 1, 2].map(|number| ledger.assign(0, "t".into(), number, Beginning::default()));
    ledger.limit_partitions(2);
    let held = ledger.without_a_place();
    assert_eq!(held, [(slots[2], ("t".into(), 2))]);
    assert_eq!(slots.map(|slot| ledger.room(slot, 1) > 0 && ledger.has_room(slot)), [true, true, false]);
    assert_eq!(ledger.room(slots[2], 1), 0, "not even the one record that always fits");
    ledger.limit_partitions(3);
    assert!(ledger.room(slots[2], 1) > 0 && ledger.without_a_place().is_empty());
}
