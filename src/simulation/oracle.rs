//! What must hold, whatever happens: it sees all that is written and committed, and remembers what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Draft, Kind, Plan};
use super::producing::Target;
use super::world::Input;
use crate::policy::{Order, Partitioning};

/// A record, by its partition and offset.
pub(super) type Place = (i32, i64);

/// What is written of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Leg(u32),
    Dead,
}

/// What is worked on one after the other: within an instance, a partition, and a key or none.
pub(super) type Lane = (usize, i32, Option<u8>);

/// The first occurrence of a result.
struct First {
    target: Target,
    position: u64,
    place: Place,
    leg: u32,
    key: Option<u8>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Oracle {
    wrong: Vec<(&'static str, String)>,
    written: BTreeMap<(Place, What), u32>,
    /// What was written first: where, and of which record.
    firsts: Vec<First>,
    /// Nothing may be repeated, whatever happened.
    exactly_once: bool,
    filtered: BTreeSet<Place>,
    /// Finished before all that is seen here.
    before: BTreeSet<Place>,
    allowed: BTreeMap<Place, u32>,
    at_work: BTreeMap<(usize, Place), Option<Lane>>,
    /// Where an assignment ended while its work was running: the next one does not wait for it.
    untidy: BTreeSet<i32>,
}

impl Oracle {
    /// Notes what must not be; the first few tell enough.
    pub(super) fn wrong(&mut self, class: &'static str, what: String) {
        if self.wrong.len() < 20 {
            self.wrong.push((class, what));
        }
    }

    pub(super) fn is_wrong(&self) -> bool {
        !self.wrong.is_empty()
    }

    pub(super) fn verdict(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.wrong)
    }

    pub(super) fn new(exactly_once: bool) -> Self {
        Self { exactly_once, ..Self::default() }
    }

    /// A record is there for readers, at this position of its partition's log.
    pub(super) fn written(
        &mut self,
        place: Place,
        what: What,
        (target, position): (Target, u64),
        draft: Option<Draft>,
    ) {
        let count = self.written.entry((place, what)).or_default();
        *count += 1;
        let first = *count == 1;
        let expected = draft.is_some_and(|draft| match what {
            What::Leg(leg) => leg < draft.kind.legs(),
            What::Dead => draft.kind.dies(),
        });
        if self.before.contains(&place) {
            self.wrong("repeated", format!("{place:?} {what:?} is written, and was finished before"));
        } else if !expected {
            self.wrong(
                "invented",
                format!("{place:?} {what:?} is written, and comes of nothing ({draft:?})"),
            );
        } else if let (Some(draft), true) = (draft, first) {
            let leg = if let What::Leg(leg) = what { leg } else { 0 };
            self.firsts.push(First { target, position, place, leg, key: draft.key });
        }
    }

    pub(super) fn filtered(&mut self, place: Place) {
        self.filtered.insert(place);
    }

    /// This one is finished, and not to be seen here.
    pub(super) fn was_finished(&mut self, place: Place) {
        self.before.insert(place);
    }

    /// Whether all that is to become of a record is there.
    pub(super) fn is_finished(&self, place: Place, kind: Kind) -> bool {
        match kind {
            _ if self.before.contains(&place) => true,
            Kind::Filter => self.filtered.contains(&place),
            kind if kind.dies() => self.written.contains_key(&(place, What::Dead)),
            kind => (0..kind.legs()).all(|leg| self.written.contains_key(&(place, What::Leg(leg)))),
        }
    }

    pub(super) fn may_repeat(&mut self, place: Place) {
        if self.exactly_once {
            return;
        }
        *self.allowed.entry(place).or_default() += 1;
    }

    /// An assignment of this partition ended, and its work may still run.
    pub(super) fn untidy(&mut self, partition: i32) {
        self.untidy.insert(partition);
    }

    pub(super) fn begins(&mut self, lane: Option<Lane>, place: Place) {
        let other = self.at_work.values().any(|at_work| lane.is_some() && *at_work == lane);
        if other && !self.untidy.contains(&place.0) {
            self.wrong("two at once", format!("{place:?} is begun while another of {lane:?} is at work"));
        }
        self.at_work.insert((lane.map_or(usize::MAX, |lane| lane.0), place), lane);
    }

    pub(super) fn ends(&mut self, instance: usize, place: Place) {
        self.at_work.remove(&(instance, place));
        self.at_work.remove(&(usize::MAX, place));
    }

    /// How many results were written more than once.
    pub(super) fn repeats(&self) -> u32 {
        self.written.values().map(|count| count - 1).sum()
    }

    /// The last look, when everything has come to rest.
    pub(super) fn look(&mut self, plan: &Plan, inputs: &[Vec<Input>]) {
        self.look_for_lost(inputs);
        self.look_for_repeats();
        self.look_at_order(plan);
    }

    fn look_for_lost(&mut self, inputs: &[Vec<Input>]) {
        for (partition, log) in (0..).zip(inputs) {
            for input in log {
                let place = (partition, input.offset);
                if !self.is_finished(place, input.draft.kind) {
                    self.wrong("lost", format!("{place:?} {:?}", input.draft));
                }
            }
        }
    }

    fn look_for_repeats(&mut self) {
        let repeats: Vec<_> = self
            .written
            .iter()
            .filter_map(|((place, what), count)| {
                let allowed = self.allowed.get(place).copied().unwrap_or(0);
                (count - 1 > allowed)
                    .then(|| format!("{place:?} {what:?}: {count} times, and {} would do", allowed + 1))
            })
            .collect();
        repeats.into_iter().for_each(|text| self.wrong("repeated", text));
    }

    fn look_at_order(&mut self, plan: &Plan) {
        if plan.partitioning == Partitioning::RoundRobin && !self.exactly_once {
            // What is written again may go elsewhere.
            return;
        }
        // Transactions become visible in another order than they were written in.
        self.firsts.sort_by_key(|first| first.position);
        let mut last: BTreeMap<(Target, i32, Option<u8>), (i64, u32)> = BTreeMap::new();
        let mut found = Vec::new();
        for First { target, place: (source, offset), leg, key, .. } in &self.firsts {
            let lane = match (plan.order, key) {
                // In the order of the input, whatever the order of the work.
                _ if self.exactly_once => None,
                _ if target.0 > 0 => continue,
                (Order::Partition, _) => None,
                (Order::Key, Some(key)) => Some(*key),
                _ => continue,
            };
            let before = last.insert((*target, *source, lane), (*offset, *leg));
            if before.is_some_and(|before| before > (*offset, *leg)) {
                found.push(format!("{source}/{offset}.{leg} of {lane:?} comes behind {before:?}"));
            }
        }
        found.into_iter().for_each(|text| self.wrong("order", text));
    }
}
