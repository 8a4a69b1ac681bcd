//! Committed offsets.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Call, Handled};
use crate::cluster::State;
use crate::codes;
use crate::group::{Committed, Offsets, Place};
use crate::wire::{Malformed, Reader, Writer};

/// The most bytes of metadata that an offset may carry.
const MAX_METADATA: usize = 4096;

/// Offsets that a request wants to commit, by topic and partition.
type Wanted = Vec<(String, Vec<(i32, Committed)>)>;

/// Reads them; with a leader epoch in newer versions.
pub(super) fn read(r: &mut Reader<'_>, with_leader_epoch: bool) -> Result<Wanted, Malformed> {
    r.array(|r| {
        let topic = r.string()?;
        let offsets = r.array(|r| {
            let (partition, offset) = (r.i32()?, r.i64()?);
            if with_leader_epoch {
                r.i32()?; // not kept
            }
            let committed = Committed { offset, metadata: r.nullable_string()? };
            r.tags()?;
            Ok((partition, committed))
        })?;
        r.tags()?;
        Ok((topic, offsets))
    })
}

/// Commits them to a group by `commit`, unless `all` is an error or there is one of their own, and answers with the codes.
pub(super) fn store(
    state: &mut State,
    name: &str,
    all: i16,
    wanted: Wanted,
    answer: &mut Writer,
    commit: impl Fn(&mut Offsets, Place, Committed),
) {
    answer.array(wanted, |w, (topic, offsets)| {
        w.string(&topic).array(offsets, |w, (partition, committed)| {
            let code = match all {
                codes::NONE => check(state, &topic, partition, committed.metadata.as_deref()),
                code => code,
            };
            if code == codes::NONE {
                let group = state.groups.entry(name.to_owned()).or_default();
                commit(&mut group.offsets, (topic.clone(), partition), committed);
            }
            w.i32(partition).i16(code).tags();
        });
        w.tags();
    });
}

/// Whether this may be committed, the member being who it says.
fn check(state: &State, topic: &str, partition: i32, metadata: Option<&str>) -> i16 {
    match state.topics.log(topic, partition) {
        Err(code) => code,
        Ok(_) if metadata.is_some_and(|text| text.len() > MAX_METADATA) => codes::OFFSET_METADATA_TOO_LARGE,
        Ok(_) => codes::NONE,
    }
}

pub(super) fn commit(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let (name, generation, member) = (r.string()?, r.i32()?, r.string()?);
    let instance = if call.version >= 7 { r.nullable_string()? } else { None };
    if call.version <= 4 {
        r.i64()?; // how long to keep it: as long as we are there
    }
    let wanted = read(r, call.version >= 6)?;
    let mut state = call.cluster.lock();
    let all = call.unless_refused(|| match state.groups.get_mut(&name) {
        Some(group) => group.may_commit(&member, instance.as_deref(), generation, Instant::now()),
        None if generation < 0 => codes::NONE,
        None => codes::ILLEGAL_GENERATION,
    });
    let mut answer = call.throttled_answer(3);
    store(&mut state, &name, all, wanted, &mut answer, Offsets::commit);
    drop(state);
    call.cluster.changed();
    Ok(Some(answer))
}

pub(super) fn fetch(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let name = r.string()?;
    let asked = r.nullable_array(|r| {
        let topic = (r.string()?, r.array(Reader::i32)?);
        r.tags()?;
        Ok(topic)
    })?;
    let stable_only = call.version >= 7 && r.bool()?;
    r.tags()?;
    let state = call.cluster.lock();
    let group = state.groups.get(&name);
    let topics = asked.unwrap_or_else(|| {
        let mut all: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for ((topic, partition), _) in group.into_iter().flat_map(|group| group.offsets.all()) {
            all.entry(topic.clone()).or_default().push(*partition);
        }
        all.into_iter().collect()
    });
    let refused = call.refuse.unwrap_or(codes::NONE);
    let mut answer = call.throttled_answer(3);
    answer.array(topics, |w, (topic, partitions)| {
        w.string(&topic).array(partitions, |w, partition| {
            let place = (topic.clone(), partition);
            let unstable = stable_only && group.is_some_and(|group| group.offsets.is_pending(&place));
            let code = if unstable { codes::UNSTABLE_OFFSET_COMMIT } else { refused };
            let known = group.and_then(|group| group.offsets.get(&place)).filter(|_| code == codes::NONE);
            w.i32(partition).i64(known.map_or(-1, |committed| committed.offset));
            if call.version >= 5 {
                w.i32(-1); // leader epoch
            }
            let metadata = known.and_then(|committed| committed.metadata.as_deref());
            w.nullable_string(Some(metadata.unwrap_or_default())).i16(code).tags();
        });
        w.tags();
    });
    if call.version >= 2 {
        answer.i16(refused);
    }
    answer.tags();
    Ok(Some(answer))
}
