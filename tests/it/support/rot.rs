//! Bytes of a partition that change where they are stored, as a disk does that rots, or a broker that writes what it should not.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use super::own_broker::OwnBroker;
use crate::conformance::wire::{CHECKED_FROM, crc32c};

impl OwnBroker {
    /// Changes the first bytes of a partition that are `old` to `new`, which are as many: no checksum is made right.
    pub(crate) fn overwrite(&self, topic: &str, partition: i32, old: &str, new: &str) {
        assert_eq!(old.len(), new.len(), "bytes take the place of as many");
        let (old, new) = (old.as_bytes(), new.as_bytes());
        self.rot(topic, partition, |batch| {
            let at = batch.windows(old.len()).position(|bytes| bytes == old);
            at.inspect(|at| batch[*at..*at + new.len()].copy_from_slice(new)).is_some()
        });
    }

    /// Changes the batch of a partition that begins at this offset, and makes its checksum right.
    pub(crate) fn rewrite(&self, topic: &str, partition: i32, offset: i64, change: impl Fn(&mut [u8])) {
        self.rot(topic, partition, |batch| {
            let found = batch[..8] == offset.to_be_bytes();
            if found {
                change(batch);
                let checksum = crc32c(&batch[CHECKED_FROM..]);
                batch[17..CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
            }
            found
        });
    }

    /// Shows `change` one batch after the other until it has changed one. A real broker serves what is in the file, so that it need not
    /// be stopped for that.
    fn rot(&self, topic: &str, partition: i32, mut change: impl FnMut(&mut [u8]) -> bool) {
        let Some(folder) = self.data() else {
            let found = self.kafka.broker().rot(topic, partition, change);
            return assert!(found, "{topic}/{partition} has no such batch");
        };
        let log = folder.join(format!("{topic}-{partition}")).join("00000000000000000000.log");
        let mut rest = &mut *std::fs::read(&log).expect("a partition's first segment");
        let mut at = 0;
        while let Some(length) = rest.get(8..12) {
            let length = 12 + u32::from_be_bytes(length.try_into().expect("4 bytes")) as usize;
            let (batch, behind) = rest.split_at_mut(length);
            if change(batch) {
                let file = OpenOptions::new().write(true).open(&log).expect("the segment can be written to");
                return file.write_all_at(batch, at).expect("the segment can be written to");
            }
            (rest, at) = (behind, at + length as u64);
        }
        panic!("{} has no such batch", log.display());
    }
}
