//! Whether results stand in the order of their records: of each lane and output partition the latest record that was seen.

use std::collections::{HashMap, HashSet};

/// What stays in order within an output partition, and where each key has its home.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// By key, input partition and output partition: the latest step.
    latest: HashMap<(u64, u32, i32), Step>,
    homes: HashMap<u64, i32>,
    /// Keys and the partitions where they were met too.
    away: HashSet<(u64, i32)>,
}

/// A record's offset, and which of its results.
pub(super) type Step = (i64, u32);

impl Lanes {
    /// A result that was not seen before, in the order of the output partition. Returns the later step that stands before it,
    /// if one does.
    pub(super) fn step(&mut self, key: u64, from: u32, at: i32, step: Step) -> Option<Step> {
        let latest = self.latest.entry((key, from, at)).or_insert(step);
        if *latest > step {
            return Some(*latest);
        }
        *latest = step;
        None
    }

    /// A result with this key. Returns the partition where the key was met first, if that is another one and this one is new.
    pub(super) fn moved(&mut self, key: u64, at: i32) -> Option<i32> {
        let home = *self.homes.entry(key).or_insert(at);
        (home != at && self.away.insert((key, at))).then_some(home)
    }
}
