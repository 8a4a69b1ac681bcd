//! Bytes of a partition that change where they are stored, as a disk does that rots.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use super::own_broker::OwnBroker;

impl OwnBroker {
    /// Changes the first bytes of a partition that are `old` to `new`, which are as many: no checksum is made right. A real broker
    /// serves what is in the file, so that it need not be stopped for that.
    pub fn overwrite(&self, topic: &str, partition: i32, old: &str, new: &str) {
        assert_eq!(old.len(), new.len(), "bytes take the place of as many");
        let Some(folder) = self.data() else {
            let found = self.kafka.broker().overwrite(topic, partition, old.as_bytes(), new.as_bytes());
            return assert!(found, "{topic}/{partition} has no {old}");
        };
        let log = folder.join(format!("{topic}-{partition}")).join("00000000000000000000.log");
        let bytes = std::fs::read(&log).expect("a partition's first segment");
        let at = bytes.windows(old.len()).position(|bytes| bytes == old.as_bytes());
        let at = at.unwrap_or_else(|| panic!("{} has no {old}", log.display()));
        let file = OpenOptions::new().write(true).open(&log).expect("the segment can be written to");
        file.write_all_at(new.as_bytes(), at as u64).expect("the segment can be written to");
    }
}
