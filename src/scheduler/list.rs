//! Doubly linked lists over one slab: indices instead of pointers, so a task costs no allocation of its own and any
//! task can be taken out of the middle in O(1) — which is why it is a linked list and not a ring.
//!
//! One slab, many lists: a value moves from list to list without being moved in memory. The caller knows which list a
//! value is in (the list does not), as every value is in one list at a time, or in none.

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

const NONE: u32 = u32::MAX;

struct Node<T> {
    prev: u32,
    /// In a free node: the next free one.
    next: u32,
    generation: u32,
    value: Option<T>,
}

/// Where the values live.
pub struct Slab<T> {
    nodes: Vec<Node<T>>,
    free: u32,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { nodes: Vec::new(), free: NONE, len: 0 }
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

    /// Adds a value, in no list yet.
    pub fn insert(&mut self, value: T) -> Id {
        self.len += 1;
        if self.free == NONE {
            let index = u32::try_from(self.nodes.len()).expect("fewer than 2^32 tasks: in flight is bounded");
            self.nodes.push(Node { prev: NONE, next: NONE, generation: 0, value: Some(value) });
            return Id { index, generation: 0 };
        }
        let index = self.free;
        let node = &mut self.nodes[index as usize];
        self.free = node.next;
        (node.prev, node.next, node.value) = (NONE, NONE, Some(value));
        Id { index, generation: node.generation }
    }

    /// Removes a value. It must be in no list.
    pub fn remove(&mut self, id: Id) -> Option<T> {
        let node = self.nodes.get_mut(id.index as usize).filter(|node| node.generation == id.generation)?;
        let value = node.value.take()?;
        node.generation = node.generation.wrapping_add(1);
        node.next = self.free;
        self.free = id.index;
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

    /// All values, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        self.nodes.iter().zip(0u32..).filter_map(|(node, index)| {
            node.value.as_ref().map(|value| (Id { index, generation: node.generation }, value))
        })
    }

    /// Appends a value that is in no list.
    pub fn push_back(&mut self, list: &mut List, id: Id) {
        let last = list.tail;
        (self.node(id.index).prev, self.node(id.index).next) = (last, NONE);
        if last == NONE {
            list.head = id.index
        } else {
            self.node(last).next = id.index
        }
        list.tail = id.index;
        list.len += 1;
    }

    /// Puts a value that is in no list before all others.
    pub fn push_front(&mut self, list: &mut List, id: Id) {
        let first = list.head;
        (self.node(id.index).prev, self.node(id.index).next) = (NONE, first);
        if first == NONE {
            list.tail = id.index
        } else {
            self.node(first).prev = id.index
        }
        list.head = id.index;
        list.len += 1;
    }

    /// Takes the first value out of the list; it stays in the slab.
    pub fn pop_front(&mut self, list: &mut List) -> Option<Id> {
        if list.head == NONE {
            return None;
        }
        let id = Id { index: list.head, generation: self.nodes[list.head as usize].generation };
        self.unlink(list, id);
        Some(id)
    }

    /// Takes a value out of the middle; it must be in this list and stays in the slab.
    pub fn unlink(&mut self, list: &mut List, id: Id) {
        let (prev, next) = (self.node(id.index).prev, self.node(id.index).next);
        if prev == NONE {
            list.head = next
        } else {
            self.node(prev).next = next
        }
        if next == NONE {
            list.tail = prev
        } else {
            self.node(next).prev = prev
        }
        list.len -= 1;
    }

    fn node(&mut self, index: u32) -> &mut Node<T> {
        &mut self.nodes[index as usize]
    }
}

#[cfg(test)]
mod tests;
