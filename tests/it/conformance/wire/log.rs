//! Requests about a partition's log: produce, fetch, list offsets, delete records.

use super::batch::{Batch, Stored};
use super::bytes::{Answer, Body};
use super::{Api, Wire};

/// What is in open and aborted transactions is read too.
pub(crate) const READ_UNCOMMITTED: i8 = 0;
/// Only what is committed is read.
pub(crate) const READ_COMMITTED: i8 = 1;

/// What became of one partition's batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Produced {
    pub partition: i32,
    pub code: i16,
    pub base: i64,
    pub append_time: i64,
    /// From version 5 on; -1 before.
    pub log_start: i64,
    /// Places of the records at fault, from version 8 on.
    pub at_fault: Vec<i32>,
}

/// One partition of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub topic: String,
    pub partition: i32,
    pub code: i16,
    pub high_watermark: i64,
    pub last_stable: i64,
    /// From version 5 on; -1 before.
    pub log_start: i64,
    /// Producer id, first offset.
    pub aborted: Vec<(i64, i64)>,
    pub batches: Vec<Stored>,
}

impl Fetched {
    /// All values, as text; of markers none.
    pub(crate) fn values(&self) -> Vec<String> {
        self.batches.iter().filter(|b| b.marker().is_none()).flat_map(Stored::values).collect()
    }
}

/// One partition's offset for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub code: i16,
    pub timestamp: i64,
    pub offset: i64,
}

/// A fetch; the defaults are what tests want most: all there is, without waiting.
#[derive(Clone, Debug)]
pub(crate) struct FetchRequest<'a> {
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
    pub isolation: i8,
    /// Session id and epoch, from version 7 on; `(0, -1)` is none.
    pub session: (i32, i32),
    /// Topic, partition, offset, most bytes.
    pub from: Vec<(&'a str, i32, i64, i32)>,
}

impl<'a> FetchRequest<'a> {
    pub(crate) fn of(topic: &'a str, partition: i32, offset: i64) -> Self {
        Self::several(&[(topic, partition, offset)])
    }

    pub(crate) fn several(from: &[(&'a str, i32, i64)]) -> Self {
        let from = from.iter().map(|(t, p, o)| (*t, *p, *o, 1 << 20)).collect();
        Self {
            max_wait_ms: 0,
            min_bytes: 1,
            max_bytes: 16 << 20,
            isolation: READ_UNCOMMITTED,
            session: (0, -1),
            from,
        }
    }

    pub(crate) fn body(&self, version: i16) -> Body {
        let body = Body::new().i32(-1).i32(self.max_wait_ms).i32(self.min_bytes).i32(self.max_bytes);
        let mut body = body.i8(self.isolation);
        if version >= 7 {
            body = body.i32(self.session.0).i32(self.session.1);
        }
        body = body.list(&self.from, |body, (topic, partition, offset, max_bytes)| {
            let mut body = body.text(topic).count(1).i32(*partition);
            if version >= 9 {
                body = body.i32(-1);
            }
            body = body.i64(*offset);
            if version >= 5 {
                body = body.i64(-1);
            }
            body.i32(*max_bytes)
        });
        if version >= 7 {
            body = body.count(0);
        }
        if version >= 11 { body.text("") } else { body }
    }
}

impl Wire {
    /// Writes one batch to one partition, with all acknowledgements.
    pub(crate) fn produce(&mut self, topic: &str, partition: i32, batch: &Batch) -> Produced {
        self.produce_to(7, None, topic, &[(partition, batch.encode())]).remove(0)
    }

    /// Writes a batch within a transaction.
    pub(crate) fn produce_in(&mut self, id: &str, topic: &str, partition: i32, batch: &Batch) -> Produced {
        self.produce_to(7, Some(id), topic, &[(partition, batch.encode())]).remove(0)
    }

    /// Writes what may be no batch at all, to several partitions, by this version of the request.
    pub(crate) fn produce_to(
        &mut self,
        version: i16,
        transaction: Option<&str>,
        topic: &str,
        batches: &[(i32, Vec<u8>)],
    ) -> Vec<Produced> {
        self.send(Api::Produce, version, produce_body(-1, transaction, topic, batches));
        self.produced(version, topic)
    }

    fn produced(&mut self, version: i16, topic: &str) -> Vec<Produced> {
        self.receive(Api::Produce, version, |a| {
            let topics = a.list(|a| {
                assert_eq!(a.some_text(), topic);
                a.list(|a| Produced::read(a, version))
            });
            a.i32();
            topics.concat()
        })
    }

    /// Writes one batch and asks for so many acknowledgements.
    pub(crate) fn produce_with_acks(
        &mut self,
        acks: i16,
        topic: &str,
        partition: i32,
        batch: &Batch,
    ) -> Produced {
        self.send(Api::Produce, 7, produce_body(acks, None, topic, &[(partition, batch.encode())]));
        self.produced(7, topic).remove(0)
    }

    /// Writes without asking for an answer.
    pub(crate) fn produce_unanswered(&mut self, topic: &str, partition: i32, batch: &Batch) {
        self.send(Api::Produce, 7, produce_body(0, None, topic, &[(partition, batch.encode())]));
    }

    /// Reads all of one partition from `offset`.
    pub(crate) fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> Fetched {
        self.fetch_by(&FetchRequest::of(topic, partition, offset)).remove(0)
    }

    /// The same, committed records only.
    pub(crate) fn fetch_committed(&mut self, topic: &str, partition: i32, offset: i64) -> Fetched {
        let request =
            FetchRequest { isolation: READ_COMMITTED, ..FetchRequest::of(topic, partition, offset) };
        self.fetch_by(&request).remove(0)
    }

    pub(crate) fn fetch_by(&mut self, request: &FetchRequest<'_>) -> Vec<Fetched> {
        self.send(Api::Fetch, 11, request.body(11));
        self.fetched(11).1
    }

    /// The error of the whole fetch (from version 7 on), and its partitions.
    pub(crate) fn fetched(&mut self, version: i16) -> (i16, Vec<Fetched>) {
        self.receive(Api::Fetch, version, |a| {
            a.i32();
            let code = if version >= 7 { a.i16() } else { 0 };
            if version >= 7 {
                a.i32();
            }
            let topics = a.list(|a| {
                let topic = a.some_text();
                a.list(|a| Fetched::read(a, &topic, version))
            });
            (code, topics.concat())
        })
    }

    /// The offset for a time; -1 is the end, -2 the beginning.
    pub(crate) fn list_offset(&mut self, topic: &str, partition: i32, time: i64, isolation: i8) -> Listed {
        self.list_offset_by(3, topic, partition, time, isolation)
    }

    pub(crate) fn list_offset_by(
        &mut self,
        version: i16,
        topic: &str,
        partition: i32,
        time: i64,
        isolation: i8,
    ) -> Listed {
        let body = Body::new().i32(-1);
        let body = if version >= 2 { body.i8(isolation) } else { body };
        let body = body.count(1).text(topic).count(1).i32(partition).i64(time);
        let mut topics = self.call(Api::ListOffsets, version, body, |a| {
            if version >= 2 {
                a.i32();
            }
            a.list(|a| {
                assert_eq!(a.some_text(), topic);
                a.list(|a| {
                    assert_eq!(a.i32(), partition);
                    Listed { code: a.i16(), timestamp: a.i64(), offset: a.i64() }
                })
            })
        });
        topics.remove(0).remove(0)
    }

    /// Deletes what stands before `offset`; the error code and the new beginning.
    pub(crate) fn delete_records(&mut self, topic: &str, partition: i32, offset: i64) -> (i16, i64) {
        let body = Body::new().count(1).text(topic).count(1).i32(partition).i64(offset).i32(30_000);
        let mut topics = self.call(Api::DeleteRecords, 1, body, |a| {
            a.i32();
            a.list(|a| {
                assert_eq!(a.some_text(), topic);
                a.list(|a| {
                    assert_eq!(a.i32(), partition);
                    let beginning = a.i64();
                    (a.i16(), beginning)
                })
            })
        });
        topics.remove(0).remove(0)
    }
}

fn produce_body(acks: i16, transaction: Option<&str>, topic: &str, batches: &[(i32, Vec<u8>)]) -> Body {
    let body = Body::new().text_or_null(transaction).i16(acks).i32(30_000);
    body.count(1).text(topic).list(batches, |body, (partition, batch)| body.i32(*partition).bytes(batch))
}

impl Produced {
    fn read(a: &mut Answer, version: i16) -> Self {
        let (partition, code, base, append_time) = (a.i32(), a.i16(), a.i64(), a.i64());
        let log_start = if version >= 5 { a.i64() } else { -1 };
        let at_fault = if version >= 8 { a.list(|a| (a.i32(), a.text()).0) } else { Vec::new() };
        if version >= 8 {
            a.text();
        }
        Self { partition, code, base, append_time, log_start, at_fault }
    }
}

impl Fetched {
    fn read(a: &mut Answer, topic: &str, version: i16) -> Self {
        let (partition, code) = (a.i32(), a.i16());
        let (high_watermark, last_stable) = (a.i64(), a.i64());
        let log_start = if version >= 5 { a.i64() } else { -1 };
        let aborted = a.list(|a| (a.i64(), a.i64()));
        if version >= 11 {
            a.i32();
        }
        let batches = Stored::all(&a.blob());
        let topic = topic.to_owned();
        Self { topic, partition, code, high_watermark, last_stable, log_start, aborted, batches }
    }
}
