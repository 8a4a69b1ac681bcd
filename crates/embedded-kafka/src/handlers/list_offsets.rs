//! Where a partition begins and ends, and where a time is in it.

use super::{Call, Handled};
use crate::codes;
use crate::log::Log;
use crate::wire::Reader;

const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

pub(super) fn list_offsets(call: &Call<'_>, body: &mut Reader<'_>) -> Handled {
    body.i32()?; // replica
    let committed_only = call.version >= 2 && body.i8()? == 1;
    let topics = body.array(|r| Ok((r.string()?, r.array(|r| Ok((r.i32()?, r.i64()?)))?)))?;
    let find = |log: &Log, timestamp| match timestamp {
        EARLIEST => (-1, log.start()),
        LATEST => (-1, log.end_for(committed_only)),
        timestamp => log.first_since(timestamp).unwrap_or((-1, -1)),
    };
    let state = call.cluster.lock();
    let mut answer = call.throttled_answer(2);
    answer.array(topics, |w, (name, partitions)| {
        w.string(&name).array(partitions, |w, (partition, timestamp)| {
            let log = call.refuse.map_or_else(|| state.topics.led(&name, partition), Err);
            let (time, offset) = log.map_or((-1, -1), |log| find(log, timestamp));
            w.i32(partition).i16(log.err().unwrap_or(codes::NONE)).i64(time).i64(offset);
        });
    });
    Ok(Some(answer))
}
