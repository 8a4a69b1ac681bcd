//! Who is there: one broker, which leads every partition and coordinates every group.

use super::{Call, Handled};
use crate::config::topic_name;
use crate::embedded::api::APIS;
use crate::embedded::codes;
use crate::embedded::wire::{Reader, Writer};

/// Our only broker's id.
pub(super) const NODE: i32 = 1;
/// Of a topic whose other replicas are away.
const REPLICAS: [i32; 3] = [NODE, 2, 3];
const HOST: &str = "127.0.0.1";
const CLUSTER_ID: &str = "embedded-broker-for-tests";

/// Which requests are spoken. Whoever asks in a version we do not know is told so, and asks again in an older one.
pub(super) fn api_versions(call: &Call<'_>) -> Option<Writer> {
    let known = call.api.speaks(call.version);
    let code = if known { call.refuse.unwrap_or(codes::NONE) } else { codes::UNSUPPORTED_VERSION };
    let mut answer = Writer::default();
    answer.i16(code).array(APIS, |w, api| {
        w.i16(api.key).i16(api.min).i16(api.max);
    });
    if known && call.version >= 1 {
        call.throttle(&mut answer);
    }
    Some(answer)
}

pub(super) fn metadata(call: &Call<'_>, body: &mut Reader<'_>) -> Handled {
    let asked = body.nullable_array(Reader::string)?;
    let may_create = call.version < 4 || body.bool()?;
    let mut state = call.cluster.lock();
    if may_create && call.refuse.is_none() {
        for name in asked.iter().flatten() {
            call.cluster.auto_create(&mut state, name);
        }
    }
    let names = asked.unwrap_or_else(|| state.topics.by_name.keys().cloned().collect());
    let fenced = call.faults.is_fenced();
    let (brokers, node, no_leader): (&[i32], _, _) =
        if fenced { (&[], -1, codes::LEADER_NOT_AVAILABLE) } else { (&[NODE], NODE, codes::NONE) };
    let mut answer = call.throttled_answer(3);
    answer.array(brokers, |w, node| {
        w.i32(*node).string(HOST).i32(i32::from(call.cluster.port)).nullable_string(None);
    });
    if call.version >= 2 {
        answer.string(CLUSTER_ID);
    }
    answer.i32(node).array(names, |w, name| {
        let topic = state.topics.by_name.get(&name);
        let code = call.unless_refused(|| match topic {
            _ if topic_name(&name).is_err() => codes::INVALID_TOPIC,
            None => codes::UNKNOWN_TOPIC_OR_PARTITION,
            Some(_) => codes::NONE,
        });
        let count = topic.map_or(0, |topic| topic.partitions.len());
        w.i16(code).string(&name).bool(false).array(0..count, |w, partition| {
            w.i16(no_leader).i32(partition as i32).i32(node);
            let replicas =
                if topic.is_some_and(|topic| topic.replicas_away) { &REPLICAS[..] } else { &[NODE] };
            for list in [replicas, &[NODE]] {
                w.array(list.iter().copied(), |w, node| {
                    w.i32(node);
                });
            }
        });
    });
    Ok(Some(answer))
}

pub(super) fn find_coordinator(call: &Call<'_>, body: &mut Reader<'_>) -> Handled {
    body.string()?; // of any group, of any transactional id: it is always us
    let kind = if call.version >= 1 { body.i8()? } else { 0 };
    let known = matches!(kind, 0 | 1);
    let mut answer = call.throttled_answer(1);
    answer.i16(call.unless_refused(|| if known { codes::NONE } else { codes::INVALID_REQUEST }));
    if call.version >= 1 {
        answer.nullable_string(None);
    }
    answer.i32(NODE).string(HOST).i32(i32::from(call.cluster.port));
    Ok(Some(answer))
}
