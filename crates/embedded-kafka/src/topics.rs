//! Topics: their partitions and settings.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use crate::codes;
use crate::log::Log;

/// Settings a topic may have, with their defaults; those that this broker heeds and those that clients ask for.
const SETTINGS: [(&str, &str); 16] = [
    ("cleanup.policy", "delete"),
    ("compression.type", "producer"),
    ("delete.retention.ms", "86400000"),
    ("max.compaction.lag.ms", "9223372036854775807"),
    ("max.message.bytes", "1048588"),
    ("message.timestamp.after.max.ms", "3600000"),
    ("message.timestamp.before.max.ms", "9223372036854775807"),
    ("message.timestamp.type", "CreateTime"),
    ("min.cleanable.dirty.ratio", "0.5"),
    ("min.compaction.lag.ms", "0"),
    ("min.insync.replicas", "1"),
    ("retention.bytes", "-1"),
    ("retention.ms", "604800000"),
    ("segment.bytes", "1073741824"),
    ("segment.ms", "604800000"),
    ("unclean.leader.election.enable", "false"),
];

/// A topic's own settings, and the defaults for the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    own: BTreeMap<String, String>,
}

impl Settings {
    /// Sets one, or goes back to the default.
    ///
    /// # Errors
    /// Says what is wrong with the name or the value.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        if !SETTINGS.iter().any(|(known, _)| *known == name) {
            return Err(format!("Unknown topic config name: {name}"));
        }
        let Some(value) = value else {
            self.own.remove(name);
            return Ok(());
        };
        let fits = match name {
            "max.message.bytes" => value.parse::<i32>().is_ok_and(|n| n >= 0),
            "message.timestamp.after.max.ms" | "message.timestamp.before.max.ms" => {
                value.parse::<i64>().is_ok_and(|n| n >= 0)
            }
            "retention.bytes" | "retention.ms" => value.parse::<i64>().is_ok_and(|n| n >= -1),
            "min.insync.replicas" => value.parse::<i32>().is_ok_and(|n| n >= 1),
            "message.timestamp.type" => matches!(value, "CreateTime" | "LogAppendTime"),
            "cleanup.policy" => value.split(',').all(|policy| matches!(policy.trim(), "delete" | "compact")),
            _ => true,
        };
        if !fits {
            return Err(format!("Invalid value {value} for configuration {name}"));
        }
        if name == "cleanup.policy" && value.contains("compact") {
            tracing::warn!("the embedded broker does not compact: every record of the topic stays");
        }
        self.own.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Back to the defaults.
    pub(crate) fn clear(&mut self) {
        self.own.clear();
    }

    /// Name, value, and whether it is the topic's own, of each.
    pub(crate) fn all(&self) -> impl ExactSizeIterator<Item = (&'static str, &str, bool)> {
        SETTINGS.iter().map(|(name, default)| {
            let own = self.own.get(*name);
            (*name, own.map_or(*default, String::as_str), own.is_some())
        })
    }

    fn value(&self, name: &str) -> &str {
        self.all().find(|(known, ..)| *known == name).map_or("", |(_, value, _)| value)
    }

    /// The largest batch that is taken, bytes.
    pub(crate) fn max_message_bytes(&self) -> usize {
        self.value("max.message.bytes").parse().expect("a number, or it had not been set")
    }

    /// With fewer replicas in sync nothing is taken.
    pub(crate) fn min_in_sync(&self) -> usize {
        self.value("min.insync.replicas").parse().expect("a number, or it had not been set")
    }

    /// What a partition keeps, bytes, if the topic says so.
    pub(crate) fn retention_bytes(&self) -> Option<u64> {
        // -1 is no limit of the topic's own.
        self.value("retention.bytes").parse().ok()
    }

    /// Timestamps that are taken, milliseconds.
    pub(crate) fn timestamps(&self, now_ms: i64) -> RangeInclusive<i64> {
        let number = |name| self.value(name).parse::<i64>().expect("a number, or it had not been set");
        let (before, after) =
            (number("message.timestamp.before.max.ms"), number("message.timestamp.after.max.ms"));
        now_ms.saturating_sub(before)..=now_ms.saturating_add(after)
    }

    /// Whether every record must have a key.
    pub(crate) fn needs_keys(&self) -> bool {
        self.value("cleanup.policy").contains("compact")
    }

    /// Whether records get the time of their arrival.
    pub(crate) fn log_append_time(&self) -> bool {
        self.value("message.timestamp.type") == "LogAppendTime"
    }
}

/// A topic.
#[derive(Debug)]
pub(crate) struct Topic {
    /// Another one each time that a topic is made.
    pub id: [u8; 16],
    pub partitions: Vec<Log>,
    pub settings: Settings,
    /// Records that retention has removed so far.
    pub removed: i64,
    /// As if two other brokers had replicas and were down.
    pub replicas_away: bool,
    /// Partitions whose leader is away.
    pub leaderless: BTreeSet<i32>,
}

impl Topic {
    pub(crate) fn grow(&mut self, partitions: i32) {
        self.partitions.resize_with(usize::try_from(partitions).unwrap_or(0), Log::default);
    }
}

/// All topics, by name.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    pub by_name: BTreeMap<String, Topic>,
}

impl Topics {
    /// A partition.
    ///
    /// # Errors
    /// The error code, when there is none of that name and number.
    pub(crate) fn log(&self, topic: &str, partition: i32) -> Result<&Log, i16> {
        let logs = self.by_name.get(topic).map(|topic| &topic.partitions);
        logs.zip(usize::try_from(partition).ok())
            .and_then(|(logs, partition)| logs.get(partition))
            .ok_or(codes::UNKNOWN_TOPIC_OR_PARTITION)
    }

    /// As [`Topics::log`], for what only its leader answers.
    pub(super) fn led(&self, topic: &str, partition: i32) -> Result<&Log, i16> {
        let led = |topic: &Topic| !topic.leaderless.contains(&partition);
        if self.by_name.get(topic).is_none_or(led) {
            self.log(topic, partition)
        } else {
            Err(codes::NOT_LEADER)
        }
    }

    /// As [`Topics::log`], to write.
    pub(crate) fn log_mut(&mut self, topic: &str, partition: i32) -> Result<&mut Log, i16> {
        let logs = self.by_name.get_mut(topic).map(|topic| &mut topic.partitions);
        logs.zip(usize::try_from(partition).ok())
            .and_then(|(logs, partition)| logs.get_mut(partition))
            .ok_or(codes::UNKNOWN_TOPIC_OR_PARTITION)
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// The error code, when there is one already or the name or the count is impossible.
    pub(crate) fn create(&mut self, name: &str, partitions: i32, settings: Settings) -> Result<(), i16> {
        if !is_topic_name(name) {
            return Err(codes::INVALID_TOPIC);
        }
        if self.by_name.contains_key(name) {
            return Err(codes::TOPIC_ALREADY_EXISTS);
        }
        if !(1..=MAX_PARTITIONS).contains(&partitions) {
            return Err(codes::INVALID_PARTITIONS);
        }
        let id = fastrand::u128(1..).to_be_bytes();
        let mut topic = Topic {
            id,
            partitions: Vec::new(),
            settings,
            removed: 0,
            replicas_away: false,
            leaderless: BTreeSet::new(),
        };
        topic.grow(partitions);
        self.by_name.insert(name.to_owned(), topic);
        Ok(())
    }
}

/// A typing error is not to take all memory.
pub(crate) const MAX_PARTITIONS: i32 = 10_000;

/// Whether a topic may have this name.
pub(crate) fn is_topic_name(name: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
    (1..=249).contains(&name.len()) && name.bytes().all(fits) && !matches!(name, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_rule_for_names() {
        for good in ["a", "...", "Orders.v1_x-y", &"a".repeat(249)] {
            assert!(is_topic_name(good), "{good}");
        }
        for bad in ["", ".", "..", "a b", "ä", "a/b", "^orders", &"a".repeat(250)] {
            assert!(!is_topic_name(bad), "{bad}");
        }
    }
}
