//! Where records come in: the consumer group's members.

pub mod client;
pub mod kafka;
pub mod librdkafka;
pub mod scout;
pub mod start;
pub mod topics;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checkpoint::ledger::Watermark;
use crate::checkpoint::{Beginning, Slot};
use crate::record::Record;

/// Where a source puts records, and what it asks of those who work on them.
pub trait Intake: Send + Sync + 'static {
    /// A partition is ours, from here on.
    fn assign(&self, owner: usize, topic: Arc<str>, partition: i32, beginning: Beginning) -> Slot;

    /// Admits what there is room for from the front of `records`, in order; the rest stays. Returns how many were taken.
    fn admit(&self, slot: Slot, records: &mut VecDeque<Record>) -> usize;

    /// Where a partition ended at that time: the offset of the next record to be written to it.
    fn note_end(&self, slot: Slot, end: i64, at: Instant);

    /// Nothing comes of a partition for now, and why; that counts for so long, unless something comes.
    fn stand(&self, slot: Slot, why: String, lease: Duration);

    /// Whether half of its share is free.
    fn has_room(&self, slot: Slot) -> bool;

    /// Whether nothing can be admitted, for any partition.
    fn is_full(&self) -> bool;

    /// Drops finished records. The thread that reads does it, each round: most of their memory is from it, and a thread that frees
    /// what another one allocated stands in that one's way.
    fn drop_finished(&self);

    /// Waits until a good many of what is held can be admitted, or something more than when the wait began; at most `timeout`.
    /// `held` has the slots of which something is held, with the size of the first record in bytes; with nothing held any room
    /// will do.
    fn wait_for_room(&self, held: &[(Slot, usize)], timeout: Duration);

    /// Nothing more comes for these; what has begun goes on.
    fn leave(&self, slots: &[Slot]);

    /// The partition's topic is gone: nothing more comes of it, and no offset of it is committed any more. What has begun goes on.
    fn retire(&self, slot: Slot);

    /// Records of these that are still in flight.
    fn in_flight_of(&self, slots: &[Slot]) -> usize;

    /// Records of these that were taken and are not finished, whether in flight or dropped: who reads the partition next reads them
    /// again.
    fn unfinished_of(&self, slots: &[Slot]) -> u64;

    /// These are given up; what is still in flight is stale. Returns how many records that are.
    fn revoke(&self, slots: &[Slot]) -> usize;

    /// Whether the broker has all there is to say of these.
    fn is_committed(&self, slots: &[Slot]) -> bool;

    /// The watermarks of a consumer's partitions that the broker does not have yet, and what is finished beyond them.
    fn uncommitted(&self, owner: usize) -> Vec<Watermark>;

    /// The broker has these.
    fn committed(&self, watermarks: &[Watermark]);
}
