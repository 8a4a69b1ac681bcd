//! Doubly linked lists over one slab: indices instead of pointers, so a task costs no allocation of its own and any
//! task can be taken out of the middle in O(1) — which is why it is a linked list and not a ring.
//!
//! One slab, many lists: a value moves from list to list without being moved in memory. The caller knows which list a
//! value is in (the list does not), as every value is in one list at a time, or in none.
//!
//! Beside that each value belongs to a *group* for as long as it is in the slab, whichever list it is in. The values of a group
//! are linked too, so that finding them costs what there is of them, however much the slab holds.

/// Names a value in a [`Slab`]. It stays good until the value is removed; afterwards it names nothing, even when its
/// place is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    index: u32,
    generation: u32,
}

/// The ends of one list. Its links are in the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    head: u32,
    tail: u32,
    len: usize,
}

impl Default for List {
    fn default() -> Self {
        Self { head: NONE, tail: NONE, len: 0 }
    }
}

impl List {
    /// How many values are in the list.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// No place: beyond the last one, so that looking it up finds nothing.
const NONE: u32 = u32::MAX;

struct Node<T> {
    prev: u32,
    /// In a free node: the next free one.
    next: u32,
    generation: u32,
    group: u32,
    /// Its neighbours in its group.
    newer: u32,
    older: u32,
    value: Option<T>,
}

/// Where the values live.
pub struct Slab<T> {
    nodes: Vec<Node<T>>,
    free: u32,
    len: usize,
    /// The newest value of each group.
    groups: Vec<u32>,
    /// Places that were looked at in search of values.
    #[cfg(test)]
    pub(super) visits: std::cell::Cell<u64>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            free: NONE,
            len: 0,
            groups: Vec::new(),
            #[cfg(test)]
            visits: std::cell::Cell::new(0),
        }
    }
}

impl<T> Slab<T> {
    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a value to a group, in no list yet. Groups are small numbers: there is a place for each up to the largest.
    #[inline]
    pub fn insert(&mut self, group: u32, value: T) -> Id {
        let index = if self.free == NONE { self.add_node() } else { self.free };
        let newest = match self.groups.get_mut(group as usize) {
            Some(newest) => newest,
            None => self.add_group(group),
        };
        let older = std::mem::replace(newest, index);
        if let Some(older) = self.nodes.get_mut(older as usize) {
            assert!(older.newer == NONE, "the newest of a group has none before it");
            older.newer = index;
        }
        let node = &mut self.nodes[index as usize];
        self.free = node.next;
        (node.group, node.newer, node.older) = (group, NONE, older);
        assert!(node.value.replace(value).is_none(), "a free place has no value");
        self.len += 1;
        Id { index, generation: node.generation }
    }

    /// Adds a place that is free.
    #[cold]
    fn add_node(&mut self) -> u32 {
        assert!(self.len == self.nodes.len(), "a place is added when none is free");
        let index = u32::try_from(self.nodes.len()).expect("fewer than 2^32 tasks: in flight is bounded");
        assert!(index != NONE, "the last number names no place");
        let (prev, next, generation) = (NONE, NONE, 0);
        self.nodes.push(Node { prev, next, generation, group: 0, newer: NONE, older: NONE, value: None });
        index
    }

    /// Makes a place for a group, which has no value yet.
    #[cold]
    fn add_group(&mut self, group: u32) -> &mut u32 {
        self.groups.resize(group as usize + 1, NONE);
        &mut self.groups[group as usize]
    }

    /// Removes a value. It must be in no list.
    #[inline(always)]
    pub fn remove(&mut self, id: Id) -> Option<T> {
        let node = self.nodes.get_mut(id.index as usize).filter(|node| node.generation == id.generation)?;
        let value = node.value.take()?;
        node.generation = node.generation.wrapping_add(1);
        node.next = std::mem::replace(&mut self.free, id.index);
        let (group, newer, older) = (node.group, node.newer, node.older);
        match self.nodes.get_mut(newer as usize) {
            Some(newer) => {
                assert!(newer.older == id.index, "neighbours in a group know each other");
                newer.older = older;
            }
            None => {
                let newest = std::mem::replace(&mut self.groups[group as usize], older);
                assert!(newest == id.index, "what has none before it in its group is the newest");
            }
        }
        if let Some(older) = self.nodes.get_mut(older as usize) {
            assert!(older.newer == id.index, "neighbours in a group know each other");
            older.newer = newer;
        }
        self.len -= 1;
        Some(value)
    }

    /// The value, unless it was removed.
    pub fn get(&self, id: Id) -> Option<&T> {
        self.nodes.get(id.index as usize).filter(|n| n.generation == id.generation)?.value.as_ref()
    }

    /// The value, to be changed, unless it was removed.
    pub fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        self.nodes.get_mut(id.index as usize).filter(|n| n.generation == id.generation)?.value.as_mut()
    }

    /// The values of a group, the newest first, whichever lists they are in.
    pub fn group(&self, group: u32) -> impl Iterator<Item = (Id, &T)> {
        let mut at = self.groups.get(group as usize).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let node = self.nodes.get(at as usize)?;
            #[cfg(test)]
            self.visits.update(|visits| visits + 1);
            assert!(node.group == group, "a group links what belongs to it");
            let id = Id { index: at, generation: node.generation };
            at = node.older;
            Some((id, node.value.as_ref().expect("a group links what is in the slab")))
        })
    }

    /// Appends a value that is in no list.
    pub fn push_back(&mut self, list: &mut List, id: Id) {
        let last = std::mem::replace(&mut list.tail, id.index);
        let node = &mut self.nodes[id.index as usize];
        (node.prev, node.next) = (last, NONE);
        match self.nodes.get_mut(last as usize) {
            Some(last) => last.next = id.index,
            None => {
                assert!(list.head == NONE, "a list without a last value has no first");
                list.head = id.index;
            }
        }
        list.len += 1;
    }

    /// Puts a value that is in no list before all others.
    pub fn push_front(&mut self, list: &mut List, id: Id) {
        let first = std::mem::replace(&mut list.head, id.index);
        let node = self.node(id);
        (node.prev, node.next) = (NONE, first);
        match self.nodes.get_mut(first as usize) {
            Some(first) => first.prev = id.index,
            None => {
                assert!(list.tail == NONE, "a list without a first value has no last");
                list.tail = id.index;
            }
        }
        list.len += 1;
    }

    /// Takes the first value out of the list; it stays in the slab.
    pub fn pop_front(&mut self, list: &mut List) -> Option<Id> {
        let node = self.nodes.get(list.head as usize)?;
        let (id, next) = (Id { index: list.head, generation: node.generation }, node.next);
        list.head = next;
        self.set_prev(list, id, next, NONE);
        list.len -= 1;
        Some(id)
    }

    /// Takes a value out of the middle; it must be in this list and stays in the slab.
    pub fn unlink(&mut self, list: &mut List, id: Id) {
        let node = self.node(id);
        let (prev, next) = (node.prev, node.next);
        match self.nodes.get_mut(prev as usize) {
            Some(prev) => {
                assert!(prev.next == id.index, "neighbours in a list know each other");
                prev.next = next;
            }
            None => {
                assert!(list.head == id.index, "what has none before it is the first of its list");
                list.head = next;
            }
        }
        self.set_prev(list, id, next, prev);
        list.len -= 1;
    }

    /// What stood before `next` was `id`, which is being taken out, and is `prev` from now on.
    fn set_prev(&mut self, list: &mut List, id: Id, next: u32, prev: u32) {
        match self.nodes.get_mut(next as usize) {
            Some(next) => {
                assert!(next.prev == id.index, "neighbours in a list know each other");
                next.prev = prev;
            }
            None => {
                assert!(list.tail == id.index, "what has none behind it is the last of its list");
                list.tail = prev;
            }
        }
    }

    /// The node of a value that is in the slab.
    fn node(&mut self, id: Id) -> &mut Node<T> {
        let node = &mut self.nodes[id.index as usize];
        assert!(node.generation == id.generation, "a list holds what is in the slab");
        node
    }
}

#[cfg(test)]
mod tests;
