//! What a group has committed, and what it will have when its transactions commit.

use std::collections::BTreeMap;

/// Topic and partition.
pub(crate) type Place = (String, i32);

/// An offset, as it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub offset: i64,
    pub metadata: Option<String>,
}

/// The offsets of one group.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    committed: BTreeMap<Place, Committed>,
    /// By producer: they count when its transaction does.
    pending: BTreeMap<i64, Vec<(Place, Committed)>>,
}

impl Offsets {
    pub(crate) fn commit(&mut self, place: Place, committed: Committed) {
        self.committed.insert(place, committed);
    }

    pub(crate) fn get(&self, place: &Place) -> Option<&Committed> {
        self.committed.get(place)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&Place, &Committed)> {
        self.committed.iter()
    }

    /// In the open transaction of this producer.
    pub(crate) fn commit_later(&mut self, producer: i64, place: Place, committed: Committed) {
        self.pending.entry(producer).or_default().push((place, committed));
    }

    /// Whether an open transaction may change it.
    pub(crate) fn is_pending(&self, place: &Place) -> bool {
        self.pending.values().flatten().any(|(pending, _)| pending == place)
    }

    /// The transaction of this producer is over.
    pub(crate) fn end_transaction(&mut self, producer: i64, commit: bool) {
        let pending = self.pending.remove(&producer).unwrap_or_default();
        if commit {
            self.committed.extend(pending);
        }
    }

    /// A topic is gone, and what was read of it is of no interest any more.
    pub(crate) fn forget(&mut self, topic: &str) {
        self.committed.retain(|(of, _), _| of != topic);
        self.pending.values_mut().for_each(|pending| pending.retain(|((of, _), _)| of != topic));
    }
}
