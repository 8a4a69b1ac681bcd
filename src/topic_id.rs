//! What the cluster calls a topic: a topic that is deleted and made again has its old name, and another id.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// A topic's id, as of Kafka 2.8. It is shown as Kafka's own tools show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId([u8; TopicId::SIZE]);

/// The ids of topics by their names: of those that exist; `None` where the cluster has no ids.
pub type Ids = HashMap<Arc<str>, Option<TopicId>>;

impl TopicId {
    /// Bytes that it has.
    pub const SIZE: usize = 16;

    /// From its bytes; `None` for all zero, which means that the cluster has no ids.
    pub fn new(bytes: [u8; Self::SIZE]) -> Option<Self> {
        (bytes != [0; Self::SIZE]).then_some(Self(bytes))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; Self::SIZE] {
        &self.0
    }
}

impl fmt::Display for TopicId {
    /// Base64 with the alphabet for addresses, without filling.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::with_capacity(22);
        for group in self.0.chunks(3) {
            let mut three = [0; 3];
            three[..group.len()].copy_from_slice(group);
            let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            let digits = [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift & 63) as usize]));
            text.extend(&digits[..=group.len()]);
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shown_as_kafka_shows_it() {
        // By Kafka's `new Uuid(most, least).toString()`.
        let id = TopicId::new(0x0123_4567_89ab_cdef_fedc_ba98_7654_32f0_u128.to_be_bytes()).unwrap();
        assert_eq!(id.to_string(), "ASNFZ4mrze_-3LqYdlQy8A");
        assert_eq!(TopicId::new([255; 16]).unwrap().to_string(), "_____________________w");
    }

    #[test]
    fn nothing_is_no_id() {
        assert_eq!(TopicId::new([0; 16]), None);
    }
}
