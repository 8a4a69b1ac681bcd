//! Who is there: one broker, which leads every partition and coordinates every group.

use super::{Call, Handled};
use crate::api::APIS;
use crate::codes;
use crate::topics::is_topic_name;
use crate::wire::{Reader, Writer};

/// Our only broker's id.
pub(super) const NODE: i32 = 1;
/// Of a topic whose other replicas are away.
const REPLICAS: [i32; 3] = [NODE, 2, 3];
/// Bytes of a topic's id.
const ID: usize = 16;
/// In place of what the user may do: nobody asked.
const NOT_ASKED: i32 = i32::MIN;
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
    let asked = body.nullable_array(|r| {
        if call.version >= 10 {
            r.take(ID)?; // topics are asked for by name
        }
        let name = r.string()?;
        r.tags()?;
        Ok(name)
    })?;
    let may_create = call.version < 4 || body.bool()?;
    if call.version >= 8 {
        // Whether to say what the user may do with the cluster, and with the topics.
        let _ = (body.bool()?, body.bool()?);
    }
    body.tags()?;
    let mut state = call.cluster.lock();
    if may_create && call.refuse.is_none() {
        for name in asked.iter().flatten() {
            call.cluster.auto_create(&mut state, name);
        }
    }
    let names = asked.unwrap_or_else(|| state.topics.by_name.keys().cloned().collect());
    let brokers: &[i32] = if call.faults.is_fenced() { &[] } else { &[NODE] };
    let mut answer = call.throttled_answer(3);
    answer.array(brokers, |w, node| {
        w.i32(*node).string(HOST).i32(i32::from(call.cluster.port)).nullable_string(None).tags();
    });
    if call.version >= 2 {
        answer.string(CLUSTER_ID);
    }
    answer.i32(brokers.first().copied().unwrap_or(-1)).array(names, |w, name| {
        let topic = state.topics.by_name.get(&name);
        let code = call.unless_refused(|| match topic {
            _ if !is_topic_name(&name) => codes::INVALID_TOPIC,
            None => codes::UNKNOWN_TOPIC_OR_PARTITION,
            Some(_) => codes::NONE,
        });
        let count = topic.map_or(0, |topic| topic.partitions.len());
        w.i16(code).string(&name);
        if call.version >= 10 {
            w.raw(&topic.map_or([0; ID], |topic| topic.id));
        }
        let replicas = if topic.is_some_and(|topic| topic.replicas_away) { &REPLICAS[..] } else { &[NODE] };
        w.bool(false).array(0..count, |w, partition| {
            let partition = partition as i32;
            let leads = !topic.is_some_and(|topic| topic.leaderless.contains(&partition));
            put_partition(call, w, partition, leads, replicas);
        });
        if call.version >= 8 {
            w.i32(NOT_ASKED);
        }
        w.tags();
    });
    if call.version >= 8 {
        answer.i32(NOT_ASKED);
    }
    answer.tags();
    Ok(Some(answer))
}

fn put_partition(call: &Call<'_>, w: &mut Writer, partition: i32, leads: bool, replicas: &[i32]) {
    let leads = leads && !call.faults.is_fenced();
    let (code, leader) = if leads { (codes::NONE, NODE) } else { (codes::LEADER_NOT_AVAILABLE, -1) };
    w.i16(code).i32(partition).i32(leader);
    if call.version >= 7 {
        w.i32(0); // the leader's epoch
    }
    for list in [replicas, &[NODE]] {
        w.array(list.iter().copied(), |w, node| {
            w.i32(node);
        });
    }
    if call.version >= 5 {
        w.array([], |_, ()| {}); // replicas that are offline
    }
    w.tags();
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
