//! What the user may not do and must be able to, with the command that allows it.

use rdkafka::client::{Client, ClientContext};

use super::start::PATIENCE;
use crate::config::Config;
use crate::kafka::ffi::rights::{self, Right};

/// One right that is missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    right: Right,
    /// `topic` or `group`.
    kind: &'static str,
    name: String,
}

/// All that is missing, as far as the brokers tell.
pub(super) fn missing<C: ClientContext>(client: &Client<C>, config: &Config) -> Vec<Missing> {
    let outputs = std::iter::once(&config.output_topic).chain(&config.dead_letter_topic);
    let needed: Vec<(&str, Right)> = config
        .input_topics
        .iter()
        .map(|topic| (topic.as_str(), Right::Read))
        .chain(outputs.map(|topic| (topic.as_str(), Right::Write)))
        .collect();
    let names: Vec<&str> = needed.iter().map(|(topic, _)| *topic).collect();
    let topics = rights::of_topics(client, &names, PATIENCE).unwrap_or_default();
    let lacks = |topic: &str, right| topics.get(topic).is_some_and(|rights| !rights.contains(&right));
    let mut all: Vec<Missing> = needed
        .into_iter()
        .filter(|(topic, right)| lacks(topic, *right))
        .map(|(topic, right)| Missing { right, kind: "topic", name: topic.to_owned() })
        .collect();
    let group = rights::of_group(client, &config.group_id, PATIENCE).ok().flatten();
    if group.is_some_and(|rights| !rights.contains(&Right::Read)) {
        all.push(Missing::of_group(config));
    }
    all
}

impl Missing {
    /// To be a member of the group.
    pub(super) fn of_group(config: &Config) -> Self {
        Self { right: Right::Read, kind: "group", name: config.group_id.clone() }
    }

    /// With the command that gives it.
    pub(super) fn text(&self, config: &Config) -> String {
        let Self { right, kind, name } = self;
        let properties = &config.consumer_properties;
        let servers = properties.get("bootstrap.servers").unwrap_or("localhost:9092");
        let user = properties.get("sasl.username").unwrap_or("<user>");
        format!(
            "the user needs {right:?} on {kind} {name}; give it with:\n  kafka-acls --bootstrap-server {servers} --add \
             --allow-principal User:{user} --operation {right:?} --{kind} {name}"
        )
    }
}
