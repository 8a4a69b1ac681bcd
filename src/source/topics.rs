//! Which topics the names of the input have meant since the process started. A topic that is deleted and made again has the same name
//! and another id, and nothing that is known of the old one holds for it.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use crate::topic_id::{Ids, TopicId};

/// The ids that each name has had, the last one being that of the topic that is read.
#[derive(Clone, Debug, Default)]
pub struct History(HashMap<Arc<str>, Vec<TopicId>>);

impl History {
    /// What a name means now. If that is a topic that it never meant before, though it meant one: the one that was read until now.
    ///
    /// Of two brokers one may be behind: an id that was given up does not come back.
    pub fn see(&mut self, topic: &Arc<str>, id: TopicId) -> Option<TopicId> {
        let all = self.0.entry(topic.clone()).or_default();
        if all.contains(&id) {
            return None;
        }
        all.push(id);
        all.len().checked_sub(2).map(|before| all[before])
    }

    /// The id of the topic that is read.
    pub fn now(&self, topic: &str) -> Option<TopicId> {
        self.0.get(topic)?.last().copied()
    }

    /// Whether the name meant the topic with this id once.
    pub fn knows(&self, topic: &str, id: TopicId) -> bool {
        self.0.get(topic).is_some_and(|all| all.contains(&id))
    }
}

impl From<&Ids> for History {
    fn from(ids: &Ids) -> Self {
        let known = |(topic, id): (&Arc<str>, &Option<TopicId>)| Some((topic.clone(), vec![(*id)?]));
        Self(ids.iter().filter_map(known).collect())
    }
}

/// Offsets that a group has committed of another topic than the one that has the name now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherTopic {
    /// The group.
    pub group: String,
    /// The topic's name.
    pub topic: Arc<str>,
    /// The id that stands beside the offsets.
    pub committed: TopicId,
    /// The id of the topic that has the name.
    pub now: TopicId,
    /// The partitions whose offsets they are.
    pub partitions: Vec<i32>,
    /// `bootstrap.servers`, for the commands.
    pub servers: String,
}

impl Display for OtherTopic {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { group, topic, committed, now, servers, .. } = self;
        let numbers: Vec<String> = self.partitions.iter().map(i32::to_string).collect();
        let numbers = numbers.join(",");
        let reset = |to: &str| {
            format!(
                "kafka-consumer-groups --bootstrap-server {servers} --group {group} --topic {topic}:{numbers} --reset-offsets {to} --execute"
            )
        };
        write!(
            f,
            "the offsets that group {group} has committed of {topic} (partitions {numbers}) are of another topic of that name: the \
             topic had id {committed} then, and has {now}. Stop all instances, choose, and start again. If it was deleted and made again, \
             read the new one from its beginning:\n  {}\nIf it has the same records at the same offsets (a cluster that was moved or \
             mirrored), go on where the group was:\n  {}",
            reset("--to-earliest"),
            reset("--to-current"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_id_is_news_once_and_one_that_was_given_up_is_none() {
        let topic: Arc<str> = "t".into();
        let id = |seed| TopicId::new([seed; TopicId::SIZE]).unwrap();
        let mut history = History::default();
        let seen: Vec<_> = [1, 1, 2, 1, 2, 3, 2].map(|seed| history.see(&topic, id(seed))).to_vec();
        assert_eq!(seen, [None, None, Some(id(1)), None, None, Some(id(2)), None]);
        assert_eq!(history.now("t"), Some(id(3)));
        assert!(history.knows("t", id(1)) && !history.knows("t", id(4)) && !history.knows("u", id(1)));
    }
}
