//! As whom a member of the group commits within a transaction: the broker refuses offsets of a member that it does not count
//! among the group any more, or of a generation that is over (KIP-447).

use std::sync::Arc;

use crate::sync::Mutex;

/// A member of the group in one generation of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub group: String,
    /// Counts the rebalances; never negative: without a generation the broker would not check anything.
    pub generation: i32,
    /// The member's id, which the broker gave; never empty.
    pub member: String,
    /// `group.instance.id`, for static members.
    pub instance: Option<String>,
}

/// The membership under which the consumer's thread has its partitions: it changes when that thread has heard of a rebalance, and
/// not when the client did.
///
/// **Invariant:** a partition that is in the ledger while this stands here was given to the member in this generation or
/// before, and not taken from it. So whoever reads this first, and then finds a partition in the ledger, may commit it so.
#[derive(Debug, Default)]
pub struct GroupMetadata(Mutex<Option<Arc<Membership>>>);

impl GroupMetadata {
    /// From now on it is this one.
    pub fn set(&self, membership: Option<Membership>) {
        *self.0.lock() = membership.map(Arc::new);
    }

    /// As it is now; `None` while the member is none.
    pub fn get(&self) -> Option<Arc<Membership>> {
        self.0.lock().clone()
    }
}
