//! Batches come in.

use super::{Call, Handled};
use crate::cluster::Refused;
use crate::codes;
use crate::log::Batch;
use crate::wire::{Malformed, Reader};

pub(super) fn produce(call: &Call<'_>, body: &mut Reader<'_>) -> Handled {
    let transactional_id = body.nullable_string()?;
    let acks = body.i16()?;
    body.i32()?; // how long replicas may take: there are none
    let topics = body.array(|r| {
        let name = r.string()?;
        let batches = r.array(|r| Ok((r.i32()?, Batch::from_client(r.bytes()?))))?;
        Ok((name, batches))
    })?;
    let refuse = call.refuse.or((!matches!(acks, -1..=1)).then_some(codes::INVALID_REQUIRED_ACKS));
    let (mut failed, mut unanswered) = (false, false);
    let mut answer = call.answer();
    let mut state = call.cluster.lock();
    answer.array(topics, |w, (name, batches)| {
        w.string(&name).array(batches, |w, (partition, batch)| {
            let place = (name.clone(), partition);
            let transactional_id = transactional_id.as_deref();
            let stamp = batch.as_ref().ok().and_then(|batch| batch.stamp);
            unanswered |= stamp.is_some_and(|stamp| call.faults.leaves_unanswered(stamp.producer, partition));
            let done = refuse.map_or(batch, Err).map_err(Refused::from);
            let done =
                done.and_then(|batch| call.cluster.append(&mut state, &place, batch, transactional_id));
            failed |= done.is_err();
            let (offset, time) = *done.as_ref().unwrap_or(&(-1, -1));
            let Refused { code, records } = done.err().unwrap_or(codes::NONE.into());
            w.i32(partition).i16(code).i64(offset).i64(time);
            if call.version >= 5 {
                w.i64(state.topics.log(&name, partition).map_or(-1, |log| log.start()));
            }
            if call.version >= 8 {
                let text = (!records.is_empty()).then_some("some records are not what the topic takes");
                w.array(records, |w, place| _ = w.i32(place).nullable_string(Some("this record is one")));
                w.nullable_string(text);
            }
        });
    });
    drop(state);
    call.cluster.changed();
    call.throttle(&mut answer);
    match acks {
        0 if failed => Err(Malformed("records that cannot be taken, and nobody who waits for an answer")),
        0 => Ok(None),
        _ if unanswered => Ok(None),
        _ => Ok(Some(answer)),
    }
}
