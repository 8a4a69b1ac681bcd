//! Settings of topics and of the broker.

use super::metadata::NODE;
use super::{Call, Handled};
use crate::cluster::State;
use crate::codes;
use crate::faults::Request;
use crate::wire::{Malformed, Reader, Writer};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Where a setting comes from, as the protocol numbers it.
const OF_THE_TOPIC: i8 = 1;
const BY_DEFAULT: i8 = 5;

/// What the broker does, under the names that Kafka has for it. Nothing of it can be changed.
const BROKER_SETTINGS: [(&str, &str); 8] = [
    ("auto.create.topics.enable", "false"),
    ("group.max.session.timeout.ms", "1800000"),
    ("group.min.session.timeout.ms", "6000"),
    ("log.message.timestamp.type", "CreateTime"),
    ("message.max.bytes", "1048588"),
    ("min.insync.replicas", "1"),
    ("offset.metadata.max.bytes", "4096"),
    ("transaction.max.timeout.ms", "900000"),
];

struct Entry {
    name: &'static str,
    value: String,
    read_only: bool,
    source: i8,
}

impl Entry {
    fn write(self, w: &mut Writer, with_synonyms: bool) {
        w.string(self.name)
            .nullable_string(Some(&self.value))
            .bool(self.read_only)
            .i8(self.source)
            .bool(false);
        let synonyms = if with_synonyms { vec![()] } else { Vec::new() };
        w.array(synonyms, |w, ()| {
            w.string(self.name).nullable_string(Some(&self.value)).i8(self.source);
        });
    }
}

/// The settings of a topic or of the broker, or an error code and what it means.
fn entries(call: &Call<'_>, state: &State, kind: i8, name: &str) -> Result<Vec<Entry>, (i16, String)> {
    match kind {
        TOPIC => {
            let topic = state.topics.by_name.get(name);
            let topic = topic.ok_or((codes::UNKNOWN_TOPIC_OR_PARTITION, format!("no topic {name}")))?;
            let entry = |(name, value, own): (&'static str, &str, bool)| {
                let source = if own { OF_THE_TOPIC } else { BY_DEFAULT };
                Entry { name, value: value.to_owned(), read_only: false, source }
            };
            Ok(topic.settings.all().map(entry).collect())
        }
        BROKER if name == NODE.to_string() || name.is_empty() => {
            let auto_create = call.cluster.options.auto_create.is_some();
            let value = |name: &str, value: &str| match name {
                "auto.create.topics.enable" => auto_create.to_string(),
                _ => value.to_owned(),
            };
            let entry = |(name, text): &(&'static str, &str)| Entry {
                name,
                value: value(name, text),
                read_only: true,
                source: BY_DEFAULT,
            };
            Ok(BROKER_SETTINGS.iter().map(entry).collect())
        }
        _ => Err((codes::INVALID_REQUEST, format!("only topics and broker {NODE} have settings"))),
    }
}

pub(super) fn describe(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let asked = r.array(|r| Ok((r.i8()?, r.string()?, r.nullable_array(Reader::string)?)))?;
    let with_synonyms = r.bool()?;
    let state = call.cluster.lock();
    let mut answer = call.throttled_answer(0);
    answer.array(asked, |w, (kind, name, only)| {
        let found =
            call.refuse.map_or_else(|| entries(call, &state, kind, &name), |code| Err((code, String::new())));
        let (code, message) = found.as_ref().err().cloned().unwrap_or((codes::NONE, String::new()));
        w.i16(code).nullable_string((code != codes::NONE).then_some(&message)).i8(kind).string(&name);
        let wanted =
            |entry: &Entry| only.as_ref().is_none_or(|only| only.iter().any(|name| name == entry.name));
        let entries: Vec<_> = found.unwrap_or_default().into_iter().filter(wanted).collect();
        w.array(entries, |w, entry| entry.write(w, with_synonyms));
    });
    Ok(Some(answer))
}

/// One setting that is to change: the name, what to do with it, the value.
type Change = (String, i8, Option<String>);

const SET: i8 = 0;
const DELETE: i8 = 1;

fn change(call: &Call<'_>, r: &mut Reader<'_>) -> Result<Change, Malformed> {
    let name = r.string()?;
    let operation = if call.api.request == Request::IncrementalAlterConfigs { r.i8()? } else { SET };
    Ok((name, operation, r.nullable_string()?))
}

/// Changes settings of topics; in the older request what is not named goes back to its default.
pub(super) fn alter(call: &Call<'_>, r: &mut Reader<'_>) -> Handled {
    let asked = r.array(|r| Ok((r.i8()?, r.string()?, r.array(|r| change(call, r))?)))?;
    let only_check = r.bool()?;
    let mut state = call.cluster.lock();
    let mut alter = |kind: i8, name: &str, changes: Vec<Change>| {
        let topic = state.topics.by_name.get_mut(name).filter(|_| kind == TOPIC);
        let topic = topic.ok_or((codes::UNKNOWN_TOPIC_OR_PARTITION, format!("no topic {name}")))?;
        let mut settings = topic.settings.clone();
        if call.api.request == Request::AlterConfigs {
            settings.clear();
        }
        for (name, operation, value) in changes {
            let value = match operation {
                SET => value.as_deref(),
                DELETE => None,
                _ => {
                    return Err((
                        codes::INVALID_REQUEST,
                        "only to set or to delete is known here".to_owned(),
                    ));
                }
            };
            settings.set(&name, value).map_err(|message| (codes::INVALID_CONFIG, message))?;
        }
        if !only_check {
            topic.settings = settings;
        }
        Ok(())
    };
    let mut answer = call.throttled_answer(0);
    answer.array(asked, |w, (kind, name, changes)| {
        let done = call.refuse.map_or_else(|| alter(kind, &name, changes), |code| Err((code, String::new())));
        let (code, message) = done.err().unwrap_or((codes::NONE, String::new()));
        w.i16(code).nullable_string((code != codes::NONE).then_some(&message)).i8(kind).string(&name);
    });
    Ok(Some(answer))
}
