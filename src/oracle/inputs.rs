//! The records of the input: forty bytes each, found by position or by stamp.

use std::collections::HashMap;
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
    /// The first offset that is still there, and the one behind the last record that is looked at.
    pub first: i64,
    pub end: i64,
    pub committed: Option<i64>,
    /// By ascending offset.
    pub entries: Vec<Entry>,
}

/// Which record: its partition's place, and its own place in it.
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
        let entries = Vec::with_capacity(usize::try_from(end - first).unwrap_or(0).min(1 << 24));
        self.partitions.push(Partition {
            topic: topic.clone(),
            number,
            first,
            end,
            committed: None,
            entries,
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
        let entries = &mut self.partitions[place as usize].entries;
        let last = entries.last().map_or(-1, |last| last.offset);
        assert!(last < entry.offset, "input is shown in order: {} behind {last}", entry.offset);
        let one = Ref { partition: place, index: entries.len() as u32 };
        entries.push(entry);
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
        let Partition { first, entries, .. } = &self.partitions[place as usize];
        if offset < *first {
            return Found::Removed;
        }
        // Where there are no holes a record's place is its distance from the first.
        let guess = entries.first().and_then(|first| usize::try_from(offset - first.offset).ok());
        let guess = guess.filter(|index| entries.get(*index).is_some_and(|entry| entry.offset == offset));
        let found = guess.or_else(|| entries.binary_search_by_key(&offset, |entry| entry.offset).ok());
        found.map_or(Found::Nothing, |index| Found::Record(Ref { partition: place, index: index as u32 }))
    }

    pub(super) fn stamped(&self, stamp: u64) -> Option<Ref> {
        self.stamps.get(&stamp).copied()
    }

    pub(super) fn entry(&self, one: Ref) -> &Entry {
        &self.partitions[one.partition as usize].entries[one.index as usize]
    }

    pub(super) fn entry_mut(&mut self, one: Ref) -> &mut Entry {
        &mut self.partitions[one.partition as usize].entries[one.index as usize]
    }

    /// As people write it: `topic/partition/offset`.
    pub(super) fn name(&self, one: Ref) -> String {
        let partition = &self.partitions[one.partition as usize];
        format!("{}/{}/{}", partition.topic, partition.number, self.entry(one).offset)
    }
}
