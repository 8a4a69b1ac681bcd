//! The records of the input: forty bytes each, found by position or by stamp. Those at the front of a partition that are finished
//! can be forgotten, so that memory follows what is under way and not what went through.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::digest::Digest;

/// A record of the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub offset: i64,
    /// See [`Digest`].
    pub key: u64,
    pub value: u32,
    pub stamped: u32,
    pub headers: u32,
    /// Results seen that are not one of several: whole ones and dead letters.
    pub results: u16,
    /// Whether `stamped` says anything.
    pub is_stamped: bool,
    /// The commit's metadata says that it is finished.
    pub claimed: bool,
}

impl Entry {
    pub(super) fn new(offset: i64, digest: &Digest) -> Self {
        Self {
            offset,
            key: digest.key,
            value: digest.value,
            stamped: digest.stamped.unwrap_or_default(),
            headers: digest.headers,
            results: 0,
            is_stamped: digest.stamped.is_some(),
            claimed: false,
        }
    }
}

/// A partition of an input topic.
#[derive(Debug)]
pub(super) struct Partition {
    pub topic: Arc<str>,
    pub number: i32,
    /// The first offset that is still there, and the one behind the last record that is looked at: [`GROWING`] while it is not known.
    pub first: i64,
    pub end: i64,
    pub committed: Option<i64>,
    /// By ascending offset, without those that are forgotten.
    pub entries: VecDeque<Entry>,
    /// How many records are forgotten, all of them finished; and the offset behind the last of them.
    pub forgotten: u64,
    pub forgotten_to: i64,
}

/// The end of a partition that is read while it grows.
pub(super) const GROWING: i64 = i64::MAX;

impl Partition {
    /// The number of the first entry.
    fn front(&self) -> u32 {
        self.forgotten as u32
    }

    /// The place of a record among the entries.
    fn index(&self, one: Ref) -> usize {
        one.index.wrapping_sub(self.front()) as usize
    }

    /// The entries, each with its number.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u32, &Entry)> {
        (0..).zip(&self.entries).map(|(index, entry): (u32, _)| (self.front().wrapping_add(index), entry))
    }
}

/// Records of a partition that are remembered where they can be forgotten: 40 MiB.
pub(super) const MOST_HELD_UP: usize = 1 << 20;

/// Which record: its partition's place, and its own number in it, those that are forgotten included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ref {
    pub partition: u32,
    pub index: u32,
}

/// Where a position leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// To this record.
    Record(Ref),
    /// To one that was finished, and is forgotten.
    Forgotten,
    /// To one that may still come: it is behind the last that was shown.
    NotYet(u32),
    /// To one that is no longer there.
    Removed,
    /// To none that ever was.
    Nothing,
    /// To a topic that is none of the input topics.
    Elsewhere,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub partitions: Vec<Partition>,
    /// By topic: the places of its partitions, by number.
    places: Vec<(Arc<str>, Vec<Option<u32>>)>,
    stamps: HashMap<u64, Ref>,
    /// Records that were forgotten though they had no result.
    pub lost: u64,
    /// Records that were forgotten since `stamps` was cleaned last.
    uncleaned: usize,
    /// Records whose stamp an earlier one has, with that one.
    pub twins: Vec<(Ref, Ref)>,
}

impl Inputs {
    pub(super) fn declare(&mut self, topic: &str, number: i32, first: i64, end: i64) {
        let at = self.places.iter().position(|(name, _)| **name == *topic).unwrap_or_else(|| {
            self.places.push((topic.into(), Vec::new()));
            self.places.len() - 1
        });
        let (topic, numbers) = &mut self.places[at];
        let number_at = number as usize;
        numbers.resize(numbers.len().max(number_at + 1), None);
        numbers[number_at] = Some(self.partitions.len() as u32);
        // Holes make it less; a wrong end must not make it absurd.
        let count = if end == GROWING { 0 } else { end - first };
        let entries = VecDeque::with_capacity(usize::try_from(count).unwrap_or(0).min(1 << 24));
        self.partitions.push(Partition {
            topic: topic.clone(),
            number,
            first,
            end,
            committed: None,
            entries,
            forgotten: 0,
            forgotten_to: first,
        });
    }

    pub(super) fn place(&self, topic: &str, number: i32) -> Option<u32> {
        let (_, numbers) = self.places.iter().find(|(name, _)| **name == *topic)?;
        *numbers.get(usize::try_from(number).ok()?)?
    }

    pub(super) fn partition(&mut self, topic: &str, number: i32) -> Option<&mut Partition> {
        let place = self.place(topic, number)?;
        self.partitions.get_mut(place as usize)
    }

    /// Adds a record behind those of its partition.
    pub(super) fn add(&mut self, place: u32, entry: Entry, stamp: Option<u64>) {
        let partition = &mut self.partitions[place as usize];
        let last = partition.entries.back().map_or(partition.forgotten_to - 1, |last| last.offset);
        assert!(last < entry.offset, "input is shown in order: {} behind {last}", entry.offset);
        let index = partition.front().wrapping_add(partition.entries.len() as u32);
        let one = Ref { partition: place, index };
        partition.entries.push_back(entry);
        if let Some(stamp) = stamp {
            let first = *self.stamps.entry(stamp).or_insert(one);
            if first != one {
                self.twins.push((one, first));
            }
        }
    }

    pub(super) fn at(&self, topic: &str, number: i32, offset: i64) -> Found {
        if !self.places.iter().any(|(name, _)| **name == *topic) {
            return Found::Elsewhere;
        }
        let Some(place) = self.place(topic, number) else { return Found::Nothing };
        let partition = &self.partitions[place as usize];
        let Partition { first, entries, forgotten_to, .. } = partition;
        if offset < *first {
            return Found::Removed;
        }
        if offset < *forgotten_to {
            return Found::Forgotten;
        }
        if partition.end == GROWING && entries.back().is_none_or(|last| last.offset < offset) {
            return Found::NotYet(place);
        }
        // Where there are no holes a record's place is its distance from the first.
        let guess = entries.front().and_then(|first| usize::try_from(offset - first.offset).ok());
        let guess = guess.filter(|index| entries.get(*index).is_some_and(|entry| entry.offset == offset));
        let found = guess.or_else(|| entries.binary_search_by_key(&offset, |entry| entry.offset).ok());
        let number = |index: usize| partition.front().wrapping_add(index as u32);
        found.map_or(Found::Nothing, |index| Found::Record(Ref { partition: place, index: number(index) }))
    }

    pub(super) fn stamped(&self, stamp: u64) -> Option<Ref> {
        self.stamps.get(&stamp).copied()
    }

    pub(super) fn entry(&self, one: Ref) -> &Entry {
        let partition = &self.partitions[one.partition as usize];
        &partition.entries[partition.index(one)]
    }

    pub(super) fn entry_mut(&mut self, one: Ref) -> &mut Entry {
        let partition = &mut self.partitions[one.partition as usize];
        let index = partition.index(one);
        &mut partition.entries[index]
    }

    /// Forgets the records at the front of a partition of which this is so. One of which it is not holds up the others, but not for
    /// ever: then it is forgotten too, and counts as [`lost`](Self::lost).
    pub(super) fn forget_while(&mut self, place: u32, mut is_over: impl FnMut(Ref, &Entry) -> bool) {
        let partition = &mut self.partitions[place as usize];
        while let Some(entry) = partition.entries.front()
            && let is_over = is_over(Ref { partition: place, index: partition.front() }, entry)
            && (is_over || partition.entries.len() > MOST_HELD_UP)
        {
            self.lost += u64::from(!is_over);
            partition.forgotten_to = entry.offset + 1;
            partition.entries.pop_front();
            partition.forgotten += 1;
            self.uncleaned += 1;
        }
        // All at once, now and then: what is left is then at most half of what was looked through.
        if self.uncleaned > self.stamps.len() / 2 {
            self.uncleaned = 0;
            let partitions = &self.partitions;
            let is_there = |one: &Ref| {
                let partition = &partitions[one.partition as usize];
                partition.index(*one) < partition.entries.len()
            };
            self.stamps.retain(|_, one| is_there(one));
            self.twins.retain(|(twin, first)| is_there(twin) && is_there(first));
        }
    }

    /// How many records are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.partitions.iter().map(|partition| partition.entries.len()).sum()
    }

    /// As people write it: `topic/partition/offset`.
    pub(super) fn name(&self, one: Ref) -> String {
        let partition = &self.partitions[one.partition as usize];
        format!("{}/{}/{}", partition.topic, partition.number, self.entry(one).offset)
    }
}
