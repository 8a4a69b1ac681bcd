//! What an operator asks of groups.

use super::{Call, Handled};
use crate::codes;
use crate::group::{Group, Member, Phase};
use crate::wire::{Reader, Writer};

/// The operations that the asker may do are not said.
const NOT_ASKED: i32 = i32::MIN;

pub(super) fn describe(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let names = r.array(Reader::string)?;
    if call.version >= 3 {
        r.bool()?; // whether to say what the asker may do
    }
    let state = call.cluster.lock();
    let unknown = Group::default();
    let mut answer = call.throttled_answer(1);
    answer.array(names, |w, name| {
        let known = state.groups.get(&name);
        let group = known.unwrap_or(&unknown);
        let phase = known.map_or("Dead", |group| group.phase.name());
        w.i16(call.refuse.unwrap_or(codes::NONE)).string(&name).string(phase);
        w.string(&group.protocol_type).string(&group.protocol);
        w.array(&group.members, |w, (id, member)| write_member(w, call.version, group, id, member));
        if call.version >= 3 {
            w.i32(NOT_ASKED);
        }
    });
    Ok(Some(answer))
}

fn write_member(w: &mut Writer, version: i16, group: &Group, id: &str, member: &Member) {
    w.string(id);
    if version >= 4 {
        w.nullable_string(member.instance_id.as_deref());
    }
    w.string(&member.client_id).string(&member.client_host);
    let stable = group.phase == Phase::Stable;
    w.bytes(if stable { member.metadata(&group.protocol) } else { &[] });
    w.bytes(if stable { &member.assignment } else { &[] });
}

pub(super) fn list(call: &Call<'_>) -> Handled {
    let state = call.cluster.lock();
    let mut answer = call.throttled_answer(1);
    answer.i16(call.refuse.unwrap_or(codes::NONE)).array(&state.groups, |w, (name, group)| {
        w.string(name).string(&group.protocol_type);
    });
    Ok(Some(answer))
}

pub(super) fn delete(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let names = r.array(Reader::string)?;
    let mut state = call.cluster.lock();
    let mut answer = call.throttled_answer(0);
    answer.array(names, |w, name| {
        let code = call.unless_refused(|| match state.groups.get(&name) {
            None => codes::GROUP_ID_NOT_FOUND,
            Some(group) if group.phase != Phase::Empty => codes::NON_EMPTY_GROUP,
            Some(_) => {
                state.groups.remove(&name);
                codes::NONE
            }
        });
        w.string(&name).i16(code);
    });
    Ok(Some(answer))
}
