//! Joining a group, sharing out, staying, leaving.

use std::time::{Duration, Instant};

use super::{Call, Handled};
use crate::codes;
use crate::group::{Application, Join, Joined, Waiting};
use crate::wire::{Malformed, Reader};

/// A request does not wait longer than this, whatever happens: the client asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

fn instance(call: &Call<'_>, r: &mut Reader<'_>, since: i16) -> Result<Option<String>, Malformed> {
    if call.version >= since { r.nullable_string() } else { Ok(None) }
}

fn millis(value: i32) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}

pub(super) fn join(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let group = r.string()?;
    let (session_timeout, rebalance_timeout) = (millis(r.i32()?), millis(r.i32()?));
    let member_id = r.string()?;
    let application = Application {
        member_id,
        session_timeout,
        rebalance_timeout,
        instance_id: instance(call, r, 5)?,
        protocol_type: r.string()?,
        protocols: r.array(|r| Ok((r.string()?, r.bytes()?.to_vec())))?,
        client_id: call.client_id.to_owned(),
        client_host: call.client_host.to_owned(),
        asks_twice: call.version >= 4,
    };
    let done = match call.refuse {
        Some(code) => Err((code, application.member_id.clone())),
        None if group.is_empty() => Err((codes::INVALID_GROUP_ID, application.member_id.clone())),
        None => match wait_for_others(call, &group, &application) {
            Some(done) => done,
            None => return Ok(None),
        },
    };
    let (code, joined) = match done {
        Ok(joined) => (codes::NONE, joined),
        Err((code, member_id)) => {
            let none = || String::new();
            (
                code,
                Joined { generation: -1, protocol: none(), leader: none(), member_id, members: Vec::new() },
            )
        }
    };
    let mut answer = call.throttled_answer(2);
    answer.i16(code).i32(joined.generation).string(&joined.protocol).string(&joined.leader);
    answer.string(&joined.member_id).array(joined.members, |w, (id, instance, metadata)| {
        w.string(&id);
        if call.version >= 5 {
            w.nullable_string(instance.as_deref());
        }
        w.bytes(&metadata);
    });
    Ok(Some(answer))
}

/// `None` when the broker is gone.
fn wait_for_others(call: &Call<'_>, group: &str, who: &Application) -> Option<Result<Joined, (i16, String)>> {
    let gather = call.cluster.options.rebalance_delay;
    let until = Instant::now() + LONGEST_WAIT;
    let mut state = call.cluster.lock();
    let fresh = state.new_member_id(&who.client_id);
    let group_state = state.groups.entry(group.to_owned()).or_default();
    let (id, request) = match group_state.join(who, fresh, gather, Instant::now()) {
        Join::Wait(id, request) => (id, request),
        Join::Done(joined) => return Some(Ok(joined)),
        Join::Refused(code, id) => return Some(Err((code, id))),
    };
    call.cluster.changed();
    loop {
        let waiting = state.groups.get_mut(group).map(|group| group.joined(&id, request));
        match waiting.unwrap_or(Waiting::Refused(codes::UNKNOWN_MEMBER_ID)) {
            Waiting::Done(joined) => return Some(Ok(joined)),
            Waiting::Refused(code) => return Some(Err((code, id))),
            Waiting::NotYet if call.is_gone() => return None,
            Waiting::NotYet if Instant::now() >= until => {
                return Some(Err((codes::REBALANCE_IN_PROGRESS, id)));
            }
            Waiting::NotYet => call.cluster.wait(&mut state, call.look_again(until)),
        }
    }
}

pub(super) fn sync(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let (group, generation, member) = (r.string()?, r.i32()?, r.string()?);
    let instance = instance(call, r, 3)?;
    let mut shares = r.array(|r| Ok((r.string()?, r.bytes()?.to_vec())))?;
    let until = Instant::now() + LONGEST_WAIT;
    let mut state = call.cluster.lock();
    let done = loop {
        let waiting = match (call.refuse, state.groups.get_mut(&group)) {
            (Some(code), _) => Waiting::Refused(code),
            (None, None) => Waiting::Refused(codes::UNKNOWN_MEMBER_ID),
            (None, Some(group)) => {
                group.sync(&member, instance.as_deref(), generation, &mut shares, Instant::now())
            }
        };
        match waiting {
            Waiting::Done(assignment) => break Ok(assignment),
            Waiting::Refused(code) => break Err(code),
            Waiting::NotYet if call.is_gone() => return Ok(None),
            Waiting::NotYet if Instant::now() >= until => break Err(codes::REBALANCE_IN_PROGRESS),
            Waiting::NotYet => call.cluster.wait(&mut state, call.look_again(until)),
        }
    };
    drop(state);
    call.cluster.changed();
    let mut answer = call.throttled_answer(1);
    answer.i16(done.as_ref().err().copied().unwrap_or(codes::NONE)).bytes(&done.unwrap_or_default());
    Ok(Some(answer))
}

pub(super) fn heartbeat(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let (group, generation, member) = (r.string()?, r.i32()?, r.string()?);
    let instance = instance(call, r, 3)?;
    let code = call.unless_refused(|| match call.cluster.lock().groups.get_mut(&group) {
        None => codes::UNKNOWN_MEMBER_ID,
        Some(group) => group.heartbeat(&member, instance.as_deref(), generation, Instant::now()),
    });
    let mut answer = call.throttled_answer(1);
    answer.i16(code);
    Ok(Some(answer))
}

pub(super) fn leave(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let group = r.string()?;
    let members = match call.version {
        3.. => r.array(|r| Ok((r.string()?, r.nullable_string()?)))?,
        _ => vec![(r.string()?, None)],
    };
    let mut state = call.cluster.lock();
    let mut leave = |(id, instance): &(String, Option<String>)| match state.groups.get_mut(&group) {
        None => codes::UNKNOWN_MEMBER_ID,
        Some(group) => group.leave(id, instance.as_deref(), Instant::now()),
    };
    let done: Vec<_> = members.iter().map(|member| call.unless_refused(|| leave(member))).collect();
    drop(state);
    call.cluster.changed();
    let mut answer = call.throttled_answer(1);
    if call.version < 3 {
        answer.i16(done[0]);
        return Ok(Some(answer));
    }
    answer.i16(call.refuse.unwrap_or(codes::NONE));
    answer.array(members.iter().zip(done), |w, ((id, instance), code)| {
        w.string(id).nullable_string(instance.as_deref()).i16(code);
    });
    Ok(Some(answer))
}
