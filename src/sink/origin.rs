//! The header `processor.source`: which input record a result was made of, so that anybody can hold output against input.
//!
//! `topic/partition/offset` for the only result of a record, `topic/partition/offset/i/n` for the i-th of n. Written where
//! `PROCESSOR_SOURCE_HEADER` is on; what arrives under the name is then replaced, so that nobody can forge it. Dead letters
//! say the same in `__dlq.errors.*`.

use crate::record::{Headers, Record};

/// The header's name.
pub const NAME: &str = "processor.source";

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The input topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// The record's offset there.
    pub offset: i64,
    /// Which of the record's results this is, from 1, and how many there are; `None` for the only one.
    pub part: Option<(u32, u32)>,
}

impl<'a> Origin<'a> {
    /// From the header's value; `None` if it is none of ours.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(value).ok()?.split('/');
        let (topic, partition, offset) =
            (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let part = match (words.next(), words.next(), words.next()) {
            (None, ..) => None,
            (Some(index), Some(count), None) => Some((index.parse().ok()?, count.parse().ok()?)),
            _ => return None,
        };
        let makes_sense = part.is_none_or(|(index, count)| 1 <= index && index <= count);
        (makes_sense && !topic.is_empty() && partition >= 0 && offset >= 0).then_some(Self {
            topic,
            partition,
            offset,
            part,
        })
    }
}

/// `headers` with the origin of `record` behind them; the `part`-th of so many results.
pub fn marked(headers: &Headers, record: &Record, part: Option<(u32, u32)>) -> Headers {
    let mut marked = Headers::new();
    for (name, value) in headers.iter().filter(|(name, _)| *name != NAME.as_bytes()) {
        marked.push(name, value);
    }
    let mut text = format!("{}/{}/{}", record.topic(), record.partition(), record.offset());
    if let Some((index, count)) = part {
        text += &format!("/{index}/{count}");
    }
    marked.push(NAME.as_bytes(), Some(text.as_bytes()));
    marked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Parts;

    fn record() -> Record {
        Record::new("orders.in".into(), 3, 42, Parts::default())
    }

    #[test]
    fn what_is_written_can_be_read() {
        for part in [None, Some((1, 2)), Some((2, 2))] {
            let headers = marked(&Headers::new(), &record(), part);
            let origin = Origin::parse(headers.last(NAME).unwrap());
            assert_eq!(origin, Some(Origin { topic: "orders.in", partition: 3, offset: 42, part }));
        }
    }

    #[test]
    fn what_arrives_under_the_name_is_replaced_and_the_rest_kept_in_order() {
        let mut headers = Headers::new();
        for (name, value) in [("a", "1"), (NAME, "forged/0/0"), ("a", "2"), (NAME, "forged/0/1")] {
            headers.push(name.as_bytes(), Some(value.as_bytes()));
        }
        let marked = marked(&headers, &record(), None);
        let names: Vec<_> = marked.iter().map(|(name, _)| name).collect();
        assert_eq!(names, [b"a" as &[u8], b"a", NAME.as_bytes()]);
        assert_eq!(marked.last(NAME), Some(&b"orders.in/3/42"[..]));
    }

    #[test]
    fn nonsense_is_nobodys_origin() {
        let wrong = [
            "",
            "a",
            "a/1",
            "a/1/x",
            "a/-1/0",
            "a/0/-1",
            "/0/0",
            "a/0/0/1",
            "a/0/0/0/2",
            "a/0/0/3/2",
            "a/0/0/1/2/3",
        ];
        for text in wrong {
            assert_eq!(Origin::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Origin::parse(b"\xff/0/0"), None);
    }
}
