//! Topics come, grow, lose their oldest records, and go.

use super::{Call, Handled};
use crate::codes;
use crate::topics::{MAX_PARTITIONS, Settings, is_topic_name};
use crate::wire::{Malformed, Reader};

/// Partitions of a topic whose maker leaves the number to us.
const DEFAULT_PARTITIONS: i32 = 1;
/// What [`is_topic_name`] asks for.
const NAME_RULE: &str = "1 to 249 ASCII letters, digits, '.', '_' and '-', and neither '.' nor '..'";

struct Wanted {
    name: String,
    partitions: i32,
    replicas: i16,
    placed: usize,
    settings: Vec<(String, Option<String>)>,
}

fn parse(r: &mut Reader<'_>) -> Result<Wanted, Malformed> {
    let (name, partitions, replicas) = (r.string()?, r.i32()?, r.i16()?);
    let placed = r.array(|r| Ok((r.i32()?, r.array(Reader::i32)?)))?.len();
    let settings = r.array(|r| Ok((r.string()?, r.nullable_string()?)))?;
    Ok(Wanted { name, partitions, replicas, placed, settings })
}

impl Wanted {
    /// What is to be made, or the error code and what it means.
    fn check(&self) -> Result<(i32, Settings), (i16, String)> {
        if !is_topic_name(&self.name) {
            let message = format!("Topic name is invalid: {:?}: {NAME_RULE}", self.name);
            return Err((codes::INVALID_TOPIC, message));
        }
        let partitions = match (self.placed, self.partitions) {
            (0, -1) => DEFAULT_PARTITIONS,
            (0, count) => count,
            (placed, _) => i32::try_from(placed).unwrap_or(i32::MAX),
        };
        if !(1..=MAX_PARTITIONS).contains(&partitions) {
            return Err((
                codes::INVALID_PARTITIONS,
                format!("{partitions} is no possible number of partitions"),
            ));
        }
        if !matches!(self.replicas, -1 | 1) {
            let message = format!("there is one broker, so {} replicas cannot be had", self.replicas);
            return Err((codes::INVALID_REPLICATION_FACTOR, message));
        }
        let mut settings = Settings::default();
        for (name, value) in &self.settings {
            settings.set(name, value.as_deref()).map_err(|message| (codes::INVALID_CONFIG, message))?;
        }
        Ok((partitions, settings))
    }
}

pub(super) fn create(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let wanted = r.array(parse)?;
    r.i32()?; // how long it may take: no time
    let only_check = r.bool()?;
    let mut state = call.cluster.lock();
    let mut answer = call.throttled_answer(2);
    answer.array(wanted, |w, wanted| {
        let checked = call.refuse.map_or_else(|| wanted.check(), |code| Err((code, String::new())));
        let done = checked.and_then(|(partitions, settings)| {
            if only_check && !state.topics.by_name.contains_key(&wanted.name) {
                return Ok(());
            }
            let exists = |code| (code, format!("Topic '{}' already exists.", wanted.name));
            state.topics.create(&wanted.name, partitions, settings).map_err(exists)
        });
        let (code, message) = done.err().unwrap_or((codes::NONE, String::new()));
        w.string(&wanted.name).i16(code).nullable_string((code != codes::NONE).then_some(&message));
    });
    drop(state);
    call.cluster.changed();
    Ok(Some(answer))
}

pub(super) fn delete(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let names = r.array(Reader::string)?;
    r.i32()?; // how long it may take
    let mut state = call.cluster.lock();
    let mut answer = call.throttled_answer(1);
    answer.array(names, |w, name| {
        let code = call.unless_refused(|| match state.topics.by_name.remove(&name) {
            None => codes::UNKNOWN_TOPIC_OR_PARTITION,
            Some(_) => {
                state.groups.values_mut().for_each(|group| group.offsets.forget(&name));
                codes::NONE
            }
        });
        w.string(&name).i16(code);
    });
    drop(state);
    call.cluster.changed();
    Ok(Some(answer))
}

pub(super) fn delete_records(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let topics = r.array(|r| Ok((r.string()?, r.array(|r| Ok((r.i32()?, r.i64()?)))?)))?;
    r.i32()?; // how long it may take
    let mut state = call.cluster.lock();
    let mut delete = |topic: &str, partition, offset| {
        let log = state.topics.log_mut(topic, partition)?;
        let offset = if offset == -1 { log.end() } else { offset };
        if !(0..=log.end()).contains(&offset) {
            return Err(codes::OFFSET_OUT_OF_RANGE);
        }
        log.delete_before(offset);
        Ok(log.start())
    };
    let mut answer = call.throttled_answer(0);
    answer.array(topics, |w, (topic, partitions)| {
        w.string(&topic).array(partitions, |w, (partition, offset)| {
            let done = call.refuse.map_or_else(|| delete(&topic, partition, offset), Err);
            w.i32(partition).i64(done.unwrap_or(-1)).i16(done.err().unwrap_or(codes::NONE));
        });
    });
    drop(state);
    call.cluster.changed();
    Ok(Some(answer))
}

pub(super) fn grow(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let wanted = r.array(|r| {
        let (name, count) = (r.string()?, r.i32()?);
        r.nullable_array(|r| r.array(Reader::i32))?;
        Ok((name, count))
    })?;
    r.i32()?; // how long it may take
    let only_check = r.bool()?;
    let mut state = call.cluster.lock();
    let mut answer = call.throttled_answer(0);
    answer.array(wanted, |w, (name, count)| {
        let code = call.unless_refused(|| match state.topics.by_name.get_mut(&name) {
            None => codes::UNKNOWN_TOPIC_OR_PARTITION,
            Some(topic) if count > MAX_PARTITIONS || count as usize <= topic.partitions.len() => {
                codes::INVALID_PARTITIONS
            }
            Some(topic) => {
                if !only_check {
                    topic.grow(count);
                }
                codes::NONE
            }
        });
        let message = format!("topic {name} cannot have {count} partitions");
        w.string(&name).i16(code).nullable_string((code != codes::NONE).then_some(&message));
    });
    drop(state);
    call.cluster.changed();
    Ok(Some(answer))
}
