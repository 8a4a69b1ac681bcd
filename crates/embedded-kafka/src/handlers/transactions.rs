//! Producers and their transactions.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{Call, Handled, offsets};
use crate::codes;
use crate::transactions::Claim;
use crate::wire::{Malformed, Reader};

pub(super) fn init(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let transactional_id = r.nullable_string()?;
    let timeout = Duration::from_millis(u64::try_from(r.i32()?).unwrap_or(0));
    let known = if call.version >= 3 { Some((r.i64()?, r.i16()?)).filter(|(id, _)| *id >= 0) } else { None };
    r.tags()?;
    let mut state = call.cluster.lock();
    let done = match call.refuse {
        Some(code) => Err(code),
        None => state.transactions.init(transactional_id.as_deref(), timeout, known),
    };
    let (code, (producer, epoch)) = match done {
        Err(code) => (code, (-1, -1)),
        Ok((identity, ending)) => {
            if let Some(ending) = ending {
                state.end_transaction(ending);
            }
            (codes::NONE, identity)
        }
    };
    drop(state);
    call.cluster.changed();
    let mut answer = call.throttled_answer(0);
    answer.i16(code).i64(producer).i16(epoch).tags();
    Ok(Some(answer))
}

fn claim(call: &Call<'_>, r: &mut Reader<'_>) -> Result<Claim, Malformed> {
    let knows_fenced = call.version >= 2;
    Ok(Claim { transactional_id: r.string()?, producer: r.i64()?, epoch: r.i16()?, knows_fenced })
}

pub(super) fn add_partitions(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let claim = claim(call, r)?;
    let topics = r.array(|r| Ok((r.string()?, r.array(Reader::i32)?)))?;
    let mut state = call.cluster.lock();
    let places = || topics.iter().flat_map(|(topic, all)| all.iter().map(|p| (topic.clone(), *p)));
    let unknown: BTreeSet<_> = places().filter(|(topic, p)| state.topics.log(topic, *p).is_err()).collect();
    // All of them, or none.
    let all = call.unless_refused(|| match unknown.is_empty() {
        true => state.transactions.add_places(&claim, places(), Instant::now()),
        false => codes::OPERATION_NOT_ATTEMPTED,
    });
    let mut answer = call.throttled_answer(0);
    answer.array(&topics, |w, (topic, partitions)| {
        w.string(topic).array(partitions, |w, partition| {
            let known = !unknown.contains(&(topic.clone(), *partition));
            let code = if known || call.refuse.is_some() { all } else { codes::UNKNOWN_TOPIC_OR_PARTITION };
            w.i32(*partition).i16(code);
        });
    });
    Ok(Some(answer))
}

pub(super) fn add_offsets(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let claim = claim(call, r)?;
    let group = r.string()?;
    let code =
        call.unless_refused(|| call.cluster.lock().transactions.add_group(&claim, &group, Instant::now()));
    let mut answer = call.throttled_answer(0);
    answer.i16(code);
    Ok(Some(answer))
}

pub(super) fn end(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let claim = claim(call, r)?;
    let commit = r.bool()?;
    let mut state = call.cluster.lock();
    let code = call.unless_refused(|| match state.transactions.end(&claim, commit) {
        Err(code) => code,
        Ok(ending) => {
            if let Some(ending) = ending {
                state.end_transaction(ending);
            }
            codes::NONE
        }
    });
    drop(state);
    call.cluster.changed();
    let mut answer = call.throttled_answer(0);
    answer.i16(code);
    Ok(Some(answer))
}

/// Offsets that count when the transaction does. A member of an older generation is refused: that fences a zombie.
pub(super) fn commit_offsets(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let transactional_id = r.string()?;
    let name = r.string()?;
    let claim = Claim { transactional_id, producer: r.i64()?, epoch: r.i16()?, knows_fenced: false };
    let (mut generation, mut member, mut instance) = (-1, String::new(), None);
    if call.version >= 3 {
        (generation, member, instance) = (r.i32()?, r.string()?, r.nullable_string()?);
    }
    let wanted = offsets::read(r, call.version >= 2)?;
    r.tags()?;
    let mut state = call.cluster.lock();
    let all = call.unless_refused(|| {
        let fenced = match state.groups.get(&name) {
            Some(group) if generation >= 0 || !member.is_empty() => {
                group.check(&member, instance.as_deref(), generation).err()
            }
            None if generation >= 0 => Some(codes::ILLEGAL_GENERATION),
            _ => None,
        };
        fenced.unwrap_or_else(|| state.transactions.may_commit_offsets(&claim, &name))
    });
    let mut answer = call.throttled_answer(0);
    offsets::store(&mut state, &name, all, wanted, &mut answer, |offsets, place, committed| {
        offsets.commit_later(claim.producer, place, committed);
    });
    answer.tags();
    Ok(Some(answer))
}
