//! A valid request of each kind, as a client would send it.

use crate::api::Api;
use crate::faults::Request;
use crate::log::Batch;
use crate::wire::Writer;

/// The whole frame of a request, without its length.
pub(super) fn frame(key: i16, version: i16) -> Vec<u8> {
    let api = Api::find(key).expect("a kind of request that there is");
    let flexible = api.is_flexible(version);
    let mut header = Writer::default();
    header.i16(key).i16(version).i32(77).string("fuzz");
    let mut body = Writer::new(flexible);
    body.tags();
    write(&mut body, api.request, version);
    [header.into_bytes(), body.into_bytes()].concat()
}

/// One item for an array.
const ONE: [(); 1] = [()];

fn topic(w: &mut Writer, partition: impl Fn(&mut Writer)) {
    w.array(ONE, |w, ()| {
        w.string("a").array([0, 1], |w, number| {
            w.i32(number);
            partition(w);
            w.tags();
        });
        w.tags();
    });
}

fn names(w: &mut Writer, names: [&str; 2]) {
    w.array(names, |w, name| {
        w.string(name);
    });
}

/// Transactional id, producer id and epoch.
fn claim(w: &mut Writer) -> &mut Writer {
    w.string("t").i64(1).i16(0)
}

fn write(w: &mut Writer, request: Request, version: i16) {
    match request {
        Request::Produce => {
            w.nullable_string(None).i16(1).i32(1000);
            // A marker is a batch that is whole; that it is refused from a client is seen to after all else.
            topic(w, |w| drop_ref(w.bytes(&Batch::marker(1, 0, true, 5).bytes)));
        }
        Request::Fetch => fetch(w, version),
        Request::ListOffsets => {
            w.i32(-1);
            if version >= 2 {
                w.i8(1);
            }
            topic(w, |w| drop_ref(w.i64(-1)));
        }
        Request::Metadata => {
            w.array(["a", "new"], |w, name| {
                if version >= 10 {
                    w.raw(&[0; 16]);
                }
                w.string(name).tags();
            });
            if version >= 4 {
                w.bool(true);
            }
            if version >= 8 {
                w.bool(false).bool(false);
            }
            w.tags();
        }
        Request::OffsetCommit => {
            w.string("g").i32(-1).string("");
            if version >= 7 {
                w.nullable_string(None);
            }
            if version <= 4 {
                w.i64(-1);
            }
            topic(w, |w| {
                w.i64(5);
                if version >= 6 {
                    w.i32(-1);
                }
                w.nullable_string(Some("note"));
            });
        }
        Request::OffsetFetch => {
            w.string("g").array(ONE, |w, ()| {
                w.string("a").array([0], |w, partition| drop_ref(w.i32(partition))).tags();
            });
            if version >= 7 {
                w.bool(true);
            }
            w.tags();
        }
        Request::FindCoordinator => {
            w.string("g");
            if version >= 1 {
                w.i8(0);
            }
        }
        Request::JoinGroup | Request::SyncGroup | Request::Heartbeat | Request::LeaveGroup => {
            membership(w, request, version);
        }
        Request::DescribeGroups => {
            names(w, ["g", "h"]);
            if version >= 3 {
                w.bool(false);
            }
        }
        Request::DeleteGroups => names(w, ["g", "h"]),
        Request::ListGroups | Request::ApiVersions => {}
        Request::CreateTopics
        | Request::DeleteTopics
        | Request::DeleteRecords
        | Request::CreatePartitions => {
            topics(w, request);
        }
        Request::DescribeConfigs | Request::AlterConfigs | Request::IncrementalAlterConfigs => {
            configs(w, request);
        }
        _ => transactions(w, request, version),
    }
}

fn drop_ref(_: &mut Writer) {}

fn fetch(w: &mut Writer, version: i16) {
    w.i32(-1).i32(10).i32(1).i32(1 << 20).i8(1);
    if version >= 7 {
        w.i32(0).i32(-1);
    }
    topic(w, |w| {
        if version >= 9 {
            w.i32(-1);
        }
        w.i64(0);
        if version >= 5 {
            w.i64(-1);
        }
        w.i32(1 << 20);
    });
    if version >= 7 {
        w.array([(); 0], |_, ()| {});
    }
    if version >= 11 {
        w.string("");
    }
}

fn membership(w: &mut Writer, request: Request, version: i16) {
    w.string("g");
    match request {
        Request::JoinGroup => {
            w.i32(6000).i32(6000).string("");
            if version >= 5 {
                w.nullable_string(Some("instance"));
            }
            w.string("consumer").array(ONE, |w, ()| drop_ref(w.string("range").bytes(b"metadata")));
        }
        Request::LeaveGroup if version >= 3 => {
            w.array(ONE, |w, ()| drop_ref(w.string("").nullable_string(Some("instance"))));
        }
        Request::LeaveGroup => {
            w.string("m");
        }
        _ => {
            w.i32(1).string("m");
            if version >= 3 {
                w.nullable_string(Some("instance"));
            }
            if request == Request::SyncGroup {
                w.array(ONE, |w, ()| drop_ref(w.string("m").bytes(b"share")));
            }
        }
    }
}

fn topics(w: &mut Writer, request: Request) {
    match request {
        Request::CreateTopics => {
            w.array(ONE, |w, ()| {
                w.string("made").i32(2).i16(1).array([(); 0], |_, ()| {});
                w.array(ONE, |w, ()| drop_ref(w.string("retention.ms").nullable_string(Some("5"))));
            });
            w.i32(1000).bool(false);
        }
        Request::DeleteTopics => {
            names(w, ["made", "b"]);
            w.i32(1000);
        }
        Request::DeleteRecords => {
            topic(w, |w| drop_ref(w.i64(0)));
            w.i32(1000);
        }
        _ => {
            w.array(ONE, |w, ()| drop_ref(w.string("a").i32(3).i32(-1))).i32(1000).bool(false);
        }
    }
}

fn configs(w: &mut Writer, request: Request) {
    w.array(ONE, |w, ()| {
        w.i8(2).string("a");
        if request == Request::DescribeConfigs {
            w.i32(-1);
            return;
        }
        w.array(ONE, |w, ()| {
            w.string("retention.ms");
            if request == Request::IncrementalAlterConfigs {
                w.i8(0);
            }
            w.nullable_string(Some("7"));
        });
    });
    w.bool(true);
}

fn transactions(w: &mut Writer, request: Request, version: i16) {
    match request {
        Request::InitProducerId => {
            w.nullable_string(Some("t")).i32(5000);
            if version >= 3 {
                w.i64(-1).i16(-1);
            }
            w.tags();
        }
        Request::AddPartitionsToTxn => {
            claim(w);
            w.array(ONE, |w, ()| {
                w.string("a").array([0, 1], |w, partition| drop_ref(w.i32(partition)));
            });
        }
        Request::AddOffsetsToTxn => {
            claim(w).string("g");
        }
        Request::EndTxn => {
            claim(w).bool(true);
        }
        _ => {
            w.string("t").string("g").i64(1).i16(0);
            if version >= 3 {
                w.i32(-1).string("").nullable_string(None);
            }
            topic(w, |w| {
                w.i64(5);
                if version >= 2 {
                    w.i32(-1);
                }
                w.nullable_string(None);
            });
            w.tags();
        }
    }
}
