//! The ready list: results on their way to the producers, one linked list per producer over one slab. Pure.
//!
//! What must stay in order goes to the same producer (the same *shard*), so no two producers can overtake each other.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::list::{Id, List, Slab};

/// Which producer a result is for, and which group it belongs to: a small number, as in [`super::pending`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The producer's.
    pub shard: u32,
    /// What it can be found by.
    pub group: u32,
}

impl From<usize> for Place {
    fn from(shard: usize) -> Self {
        Self { shard: u32::try_from(shard).expect("a producer is a thread"), group: 0 }
    }
}

struct Entry<R> {
    shard: u32,
    /// In its producer's list; otherwise it waits for its time.
    listed: bool,
    result: R,
}

/// See the module.
pub struct Ready<R> {
    slab: Slab<Entry<R>>,
    shards: Vec<List>,
    /// What is to be offered again later, by due time.
    delayed: BinaryHeap<Reverse<(Instant, Id)>>,
}

impl<R> Ready<R> {
    /// A list for `shards` producers; at least one.
    pub fn new(shards: usize) -> Self {
        assert!(shards > 0, "results need a producer");
        Self { slab: Slab::default(), shards: vec![List::default(); shards], delayed: BinaryHeap::new() }
    }

    /// Appends a result for a producer.
    pub fn push(&mut self, place: Place, result: R) {
        let Place { shard, group } = place;
        let id = self.slab.insert(group, Entry { shard, listed: true, result });
        self.slab.push_back(&mut self.shards[shard as usize], id);
    }

    /// Puts the results of a producer into the order of `key`; equal ones stay as they are.
    pub fn sort<K: Ord>(&mut self, shard: usize, key: impl Fn(&R) -> K) {
        let mut all = Vec::with_capacity(self.shards[shard].len());
        while let Some(id) = self.slab.pop_front(&mut self.shards[shard]) {
            let entry = self.slab.get(id).expect("a list holds what is in the slab");
            all.push((key(&entry.result), id));
        }
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (_, id) in all {
            self.slab.push_back(&mut self.shards[shard], id);
        }
    }

    /// Offers a result again, not before `due`, behind those that are there then.
    pub fn push_later(&mut self, place: Place, due: Instant, result: R) {
        let Place { shard, group } = place;
        assert!((shard as usize) < self.shards.len(), "there is no producer {shard}");
        let id = self.slab.insert(group, Entry { shard, listed: false, result });
        self.delayed.push(Reverse((due, id)));
    }

    /// Moves up to `max` results of a producer into `out`, in order.
    pub fn take(&mut self, now: Instant, shard: usize, max: usize, out: &mut Vec<R>) {
        self.wake_delayed(now);
        for _ in 0..max {
            let Some(id) = self.slab.pop_front(&mut self.shards[shard]) else { break };
            let entry = self.slab.remove(id).expect("a list holds what is in the slab");
            out.push(entry.result);
        }
    }

    /// Takes out every result of a group that `matches`, those that wait for their time included.
    pub fn remove_if(&mut self, group: u32, mut matches: impl FnMut(&R) -> bool) -> Vec<R> {
        let found: Vec<Id> =
            self.slab.group(group).filter(|(_, entry)| matches(&entry.result)).map(|(id, _)| id).collect();
        found.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// When the next result that waits for its time is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.delayed.peek().map(|Reverse((due, _))| *due)
    }

    /// Results that wait for producer `shard` now.
    pub fn waiting_in(&self, shard: usize) -> usize {
        self.shards[shard].len()
    }

    /// All results, those that wait for their time included.
    pub fn len(&self) -> usize {
        let listed: usize = self.shards.iter().map(List::len).sum();
        assert!(listed <= self.slab.len(), "{listed} of {} results are listed", self.slab.len());
        self.slab.len()
    }

    /// See [`Slab`].
    #[cfg(all(test, not(feature = "shuttle")))]
    pub(super) fn visits(&self) -> u64 {
        self.slab.visits.get()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    fn wake_delayed(&mut self, now: Instant) {
        while let Some(&Reverse((due, id))) = self.delayed.peek() {
            if due > now {
                break;
            }
            self.delayed.pop();
            if let Some(entry) = self.slab.get_mut(id) {
                assert!(!entry.listed, "what waits for its time is in no producer's list");
                entry.listed = true;
                let shard = entry.shard as usize;
                self.slab.push_back(&mut self.shards[shard], id);
            }
        }
    }

    fn remove(&mut self, id: Id) -> Option<R> {
        let entry = self.slab.get(id)?;
        assert!((entry.shard as usize) < self.shards.len(), "there is no producer {}", entry.shard);
        assert!(entry.listed || !self.delayed.is_empty(), "what is in no list waits for its time");
        if entry.listed {
            let shard = entry.shard as usize;
            self.slab.unlink(&mut self.shards[shard], id);
        }
        self.slab.remove(id).map(|entry| entry.result)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const SHARDS: usize = 3;
    const GROUPS: u32 = 2;

    fn place(shard: usize, value: u32) -> Place {
        Place { group: value % GROUPS, ..shard.into() }
    }

    /// The same in the plainest words: a queue a shard, and what waits for its time.
    #[derive(Default)]
    struct Model {
        shards: [VecDeque<u32>; SHARDS],
        later: Vec<(Instant, usize, u32)>,
    }

    impl Model {
        fn take(&mut self, now: Instant, shard: usize, max: usize) -> Vec<u32> {
            self.later.sort_unstable();
            let due = self.later.partition_point(|(due, ..)| *due <= now);
            self.later.drain(..due).for_each(|(_, shard, value)| self.shards[shard].push_back(value));
            let queue = &mut self.shards[shard];
            queue.drain(..max.min(queue.len())).collect()
        }

        fn remove(&mut self, matches: impl Fn(u32) -> bool) -> Vec<u32> {
            let later = self.later.iter().map(|(.., value)| *value);
            let mut found: Vec<u32> = self.shards.iter().flatten().copied().chain(later).collect();
            found.retain(|value| matches(*value));
            self.shards.iter_mut().for_each(|queue| queue.retain(|value| !matches(*value)));
            self.later.retain(|(.., value)| !matches(*value));
            found.sort_unstable();
            found
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push,
        Sort,
        PushLater(u64),
        Take(usize),
        Remove(u32),
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Push),
            1 => Just(Step::Sort),
            2 => (0u64..20).prop_map(Step::PushLater),
            3 => (1usize..5).prop_map(Step::Take),
            1 => (2u32..5).prop_map(Step::Remove),
            1 => (1u64..15).prop_map(Step::Pass),
        ]
    }

    proptest! {
        #[test]
        fn shards_are_as_queues(steps in prop::collection::vec((step(), 0..SHARDS), 1..150)) {
            let (mut ready, mut model) = (Ready::new(SHARDS), Model::default());
            let mut now = Instant::now();
            for ((step, shard), value) in steps.into_iter().zip(0u32..) {
                match step {
                    Step::Push => {
                        ready.push(place(shard, value), value);
                        model.shards[shard].push_back(value);
                    }
                    Step::Sort => {
                        // Not what it would do by chance: values ascend as they are pushed.
                        ready.sort(shard, |value| value % 7);
                        model.shards[shard].make_contiguous().sort_by_key(|value| *value % 7);
                    }
                    Step::PushLater(ms) => {
                        // No two at the same time: their order would be anybody's.
                        let due = now + Duration::from_millis(ms) + Duration::from_nanos(value.into());
                        ready.push_later(place(shard, value), due, value);
                        model.later.push((due, shard, value));
                    }
                    Step::Take(max) => {
                        let mut out = Vec::new();
                        ready.take(now, shard, max, &mut out);
                        prop_assert_eq!(out, model.take(now, shard, max));
                    }
                    Step::Remove(nth) => {
                        let group = shard as u32 % GROUPS;
                        let mut removed = ready.remove_if(group, |value| value % nth == 0);
                        removed.sort_unstable();
                        prop_assert_eq!(removed, model.remove(|value| value % nth == 0 && value % GROUPS == group));
                    }
                    Step::Pass(ms) => now += Duration::from_millis(ms),
                }
                let listed: Vec<usize> = model.shards.iter().map(VecDeque::len).collect();
                prop_assert_eq!((0..SHARDS).map(|shard| ready.waiting_in(shard)).collect::<Vec<_>>(), listed.clone());
                prop_assert_eq!(ready.len(), listed.iter().sum::<usize>() + model.later.len());
                prop_assert_eq!(ready.is_empty(), listed.iter().sum::<usize>() + model.later.len() == 0);
                let due = model.later.iter().map(|(due, ..)| *due).min();
                prop_assert!(due.is_none_or(|due| ready.next_due().is_some_and(|next| next <= due)));
            }
        }
    }
}
