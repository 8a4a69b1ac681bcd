//! The ready list: results on their way to the producers, one linked list per producer over one slab. Pure.
//!
//! What must stay in order goes to the same producer (the same *shard*), so no two producers can overtake each other.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::list::{Id, List, Slab};

struct Entry<R> {
    shard: usize,
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
    pub fn push(&mut self, shard: usize, result: R) {
        let id = self.slab.insert(Entry { shard, listed: true, result });
        self.slab.push_back(&mut self.shards[shard], id);
    }

    /// Puts a result back before all others of its producer.
    pub fn push_front(&mut self, shard: usize, result: R) {
        let id = self.slab.insert(Entry { shard, listed: true, result });
        self.slab.push_front(&mut self.shards[shard], id);
    }

    /// Offers a result again, not before `due`, behind those that are there then.
    pub fn push_later(&mut self, shard: usize, due: Instant, result: R) {
        let id = self.slab.insert(Entry { shard, listed: false, result });
        self.delayed.push(Reverse((due, id)));
    }

    /// Moves up to `max` results of a producer into `out`, in order.
    pub fn take(&mut self, now: Instant, shard: usize, max: usize, out: &mut Vec<R>) {
        self.wake_delayed(now);
        for _ in 0..max {
            let Some(id) = self.slab.pop_front(&mut self.shards[shard]) else { break };
            out.extend(self.slab.remove(id).map(|entry| entry.result));
        }
    }

    /// Takes out every result that `matches`, those that wait for their time included.
    pub fn remove_if(&mut self, mut matches: impl FnMut(&R) -> bool) -> Vec<R> {
        let found: Vec<Id> =
            self.slab.iter().filter(|(_, entry)| matches(&entry.result)).map(|(id, _)| id).collect();
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
        self.slab.len()
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
                entry.listed = true;
                let shard = entry.shard;
                self.slab.push_back(&mut self.shards[shard], id);
            }
        }
    }

    fn remove(&mut self, id: Id) -> Option<R> {
        let entry = self.slab.get(id)?;
        if entry.listed {
            let shard = entry.shard;
            self.slab.unlink(&mut self.shards[shard], id);
        }
        self.slab.remove(id).map(|entry| entry.result)
    }
}
