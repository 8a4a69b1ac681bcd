//! Requests of idempotent and transactional producers.

use std::collections::BTreeMap;

use super::bytes::Body;
use super::groups::Me;
use super::{Api, Wire, patiently};

/// A producer's number and how often it was renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub producer: i64,
    pub epoch: i16,
}

/// An offset that is committed with a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TxnCommit<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
}

impl Wire {
    /// A new identity; of a transactional id the next epoch, which ends what the last one left open.
    pub(crate) fn init_producer(&mut self, id: Option<&str>, timeout_ms: i32) -> (i16, Identity) {
        self.init_producer_by(1, id, timeout_ms)
    }

    /// By version 0 or 1.
    pub(crate) fn init_producer_by(
        &mut self,
        version: i16,
        id: Option<&str>,
        timeout_ms: i32,
    ) -> (i16, Identity) {
        let mut got = Identity { producer: -1, epoch: -1 };
        let code = patiently(|| {
            let body = Body::new().text_or_null(id).i32(timeout_ms);
            self.call(Api::InitProducerId, version, body, |a| {
                a.i32();
                let code = a.i16();
                got = Identity { producer: a.i64(), epoch: a.i16() };
                code
            })
        });
        (code, got)
    }

    /// By version 3: the producer says who it is, and gets its next epoch if it still is.
    pub(crate) fn renew_producer(&mut self, id: &str, who: Identity) -> (i16, Identity) {
        let mut got = who;
        let code = patiently(|| {
            let body = Body::new().compact_text_or_null(Some(id)).i32(60_000);
            let body = body.i64(who.producer).i16(who.epoch).tags();
            self.call(Api::InitProducerId, 3, body, |a| {
                a.i32();
                let code = a.i16();
                got = Identity { producer: a.i64(), epoch: a.i16() };
                a.tags();
                code
            })
        });
        (code, got)
    }

    /// Says which partitions the transaction will write to; the code of each.
    pub(crate) fn add_partitions(
        &mut self,
        id: &str,
        who: Identity,
        topic: &str,
        partitions: &[i32],
    ) -> Vec<i16> {
        // A broker may answer in another order.
        let mut codes = BTreeMap::new();
        patiently(|| {
            let body = Body::new().text(id).i64(who.producer).i16(who.epoch);
            let body = body.count(1).text(topic).list(partitions, |body, p| body.i32(*p));
            codes = self.call(Api::AddPartitionsToTxn, 2, body, |a| {
                a.i32();
                let codes = a.list(|a| {
                    assert_eq!(a.some_text(), topic);
                    a.list(|a| (a.i32(), a.i16()))
                });
                codes.into_iter().flatten().collect()
            });
            codes[&partitions[0]]
        });
        partitions.iter().map(|partition| codes[partition]).collect()
    }

    /// Says which group's offsets the transaction will commit.
    pub(crate) fn add_offsets(&mut self, id: &str, who: Identity, group: &str) -> i16 {
        patiently(|| {
            let body = Body::new().text(id).i64(who.producer).i16(who.epoch).text(group);
            self.call(Api::AddOffsetsToTxn, 2, body, |a| (a.i32(), a.i16()).1)
        })
    }

    /// Commits or aborts.
    pub(crate) fn end_transaction(&mut self, id: &str, who: Identity, commit: bool) -> i16 {
        patiently(|| {
            let body = Body::new().text(id).i64(who.producer).i16(who.epoch).bool(commit);
            self.call(Api::EndTxn, 2, body, |a| (a.i32(), a.i16()).1)
        })
    }

    /// Commits an offset when the transaction commits, by version 2, which says nothing of the group's generation.
    pub(crate) fn commit_in(&mut self, id: &str, who: Identity, group: &str, commit: &TxnCommit<'_>) -> i16 {
        patiently(|| {
            let body = Body::new().text(id).text(group).i64(who.producer).i16(who.epoch);
            let body = body.count(1).text(commit.topic).count(1).i32(commit.partition).i64(commit.offset);
            let codes = self.call(Api::TxnOffsetCommit, 2, body.i32(-1).text(""), |a| {
                a.i32();
                a.list(|a| {
                    a.text();
                    a.list(|a| (a.i32(), a.i16()).1)
                })
            });
            codes[0][0]
        })
    }

    /// The same by version 3, as a member of the group.
    pub(crate) fn commit_as(&mut self, id: &str, who: Identity, me: &Me<'_>, commit: &TxnCommit<'_>) -> i16 {
        patiently(|| {
            let body = Body::new().compact_text(id).compact_text(me.group).i64(who.producer).i16(who.epoch);
            let body = body.i32(me.generation).compact_text(me.member).compact_text_or_null(me.instance);
            let body = body.compact_list(&[commit], |body, c| {
                let offset = |body: Body| body.i32(c.partition).i64(c.offset).i32(-1);
                let body = body.compact_text(c.topic);
                body.compact_list(&[()], |body, ()| offset(body).compact_text_or_null(None).tags()).tags()
            });
            let codes = self.call(Api::TxnOffsetCommit, 3, body.tags(), |a| {
                a.i32();
                let codes = a.compact_list(|a| {
                    a.compact_text();
                    let codes = a.compact_list(|a| {
                        let code = (a.i32(), a.i16()).1;
                        a.tags();
                        code
                    });
                    a.tags();
                    codes
                });
                a.tags();
                codes
            });
            codes[0][0]
        })
    }
}
