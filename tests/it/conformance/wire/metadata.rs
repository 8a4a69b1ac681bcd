//! Requests for metadata: who leads which partition, and which topic a name means.

use super::bytes::{Answer, Body};
use super::{Api, Wire};

/// A topic as metadata shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicMetadata {
    pub code: i16,
    pub name: String,
    /// All zero where the version has none.
    pub id: [u8; 16],
    pub partitions: Vec<PartitionMetadata>,
}

/// A partition as metadata shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionMetadata {
    pub code: i16,
    pub number: i32,
    pub leader: i32,
    pub copies: Vec<i32>,
    pub in_sync: Vec<i32>,
}

impl Wire {
    /// These topics, or all; never makes one.
    pub(crate) fn metadata(&mut self, topics: Option<&[&str]>) -> Vec<TopicMetadata> {
        self.metadata_by(4, topics).1
    }

    /// The topic's id; all zero if there is no such topic.
    pub(crate) fn topic_id(&mut self, topic: &str) -> [u8; 16] {
        self.metadata_by(10, Some(&[topic])).1[0].id
    }

    /// The brokers' node ids and the topics, by one of the versions 1 to 10.
    pub(crate) fn metadata_by(
        &mut self,
        version: i16,
        topics: Option<&[&str]>,
    ) -> (Vec<i32>, Vec<TopicMetadata>) {
        let shape = Shape { version };
        self.call(Api::Metadata, version, shape.body(topics), |a| {
            if version >= 3 {
                a.i32();
            }
            let brokers = shape.list(a, |a| {
                let (node, _host, _port, _rack) = (a.i32(), shape.text(a), a.i32(), shape.text(a));
                shape.end(a);
                node
            });
            if version >= 2 {
                shape.text(a);
            }
            a.i32();
            let topics = shape.list(a, |a| shape.topic(a));
            if version >= 8 {
                a.i32();
            }
            shape.end(a);
            (brokers, topics)
        })
    }
}

/// What a version's fields look like.
#[derive(Clone, Copy)]
struct Shape {
    version: i16,
}

impl Shape {
    fn is_flexible(self) -> bool {
        self.version >= 9
    }

    fn body(self, topics: Option<&[&str]>) -> Body {
        let one = |body: Body, topic: &&str| match self.version {
            10.. => body.i64(0).i64(0).compact_text(topic).tags(),
            9 => body.compact_text(topic).tags(),
            _ => body.text(topic),
        };
        let body = match (topics, self.is_flexible()) {
            (Some(topics), true) => Body::new().compact_list(topics, one),
            (Some(topics), false) => Body::new().list(topics, one),
            (None, true) => Body::new().i8(0),
            (None, false) => Body::new().i32(-1),
        };
        let body = if self.version >= 4 { body.bool(false) } else { body };
        let body = if self.version >= 8 { body.bool(false).bool(false) } else { body };
        if self.is_flexible() { body.tags() } else { body }
    }

    fn list<T>(self, a: &mut Answer, each: impl FnMut(&mut Answer) -> T) -> Vec<T> {
        if self.is_flexible() { a.compact_list(each) } else { a.list(each) }
    }

    fn text(self, a: &mut Answer) -> Option<String> {
        if self.is_flexible() { a.compact_text() } else { a.text() }
    }

    fn end(self, a: &mut Answer) {
        if self.is_flexible() {
            a.tags();
        }
    }

    fn topic(self, a: &mut Answer) -> TopicMetadata {
        let (code, name) = (a.i16(), self.text(a).expect("topics have names"));
        let id = if self.version >= 10 { a.take(16).try_into().expect("16 bytes") } else { [0; 16] };
        a.bool();
        let partitions = self.list(a, |a| self.partition(a));
        if self.version >= 8 {
            a.i32();
        }
        self.end(a);
        TopicMetadata { code, name, id, partitions }
    }

    fn partition(self, a: &mut Answer) -> PartitionMetadata {
        let (code, number, leader) = (a.i16(), a.i32(), a.i32());
        if self.version >= 7 {
            a.i32();
        }
        let (copies, in_sync) = (self.list(a, Answer::i32), self.list(a, Answer::i32));
        if self.version >= 5 {
            self.list(a, Answer::i32);
        }
        self.end(a);
        PartitionMetadata { code, number, leader, copies, in_sync }
    }
}
