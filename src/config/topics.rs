//! Topics: what Kafka accepts as a name, and that no topic is both read and written.

use super::Config;
use crate::kafka::properties::list;

/// Kafka's rule for the name of a topic.
///
/// # Errors
/// Which part of the rule it breaks.
pub fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match text {
        _ if text.starts_with('^') => Err("a pattern of topics is not supported: name each".into()),
        "." | ".." => Err("not the name of a topic".into()),
        _ if text.len() > 249 => Err("a topic's name has at most 249 characters".into()),
        _ if text.is_empty() || !text.chars().all(fits) => {
            Err("not the name of a topic: letters, digits, '.', '_' and '-' only".into())
        }
        _ => Ok(text.to_owned()),
    }
}

/// A list of topics, each once, in the order given.
pub(super) fn names(text: &str) -> Result<Vec<String>, String> {
    let mut all: Vec<String> = Vec::new();
    for entry in list(text) {
        let topic = name(entry)?;
        if !all.contains(&topic) {
            all.push(topic);
        }
    }
    if all.is_empty() { Err("names no topic".into()) } else { Ok(all) }
}

/// Which setting makes records go round in a circle, or mix, and how.
pub(super) fn loops(config: &Config) -> Vec<(&'static str, String)> {
    let (output, dead) = (&config.output_topic, config.dead_letter_topic.as_ref());
    let mut found = Vec::new();
    if config.input_topics.contains(output) {
        found.push((
            "KAFKA_CONSUMER_TOPIC",
            "the output is an input too: records would go round for ever".to_owned(),
        ));
    }
    if let Some(dead) = dead.filter(|dead| config.input_topics.contains(dead)) {
        let rule = format!("dead letters would go to {dead}, an input: they would come back for ever");
        found.push(("KAFKA_DLQ_TOPIC", rule));
    }
    if dead.is_some_and(|dead| !dead.is_empty() && dead == output) {
        found.push((
            "KAFKA_DLQ_TOPIC",
            "dead letters would go to the output, among the good records".to_owned(),
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_rule() {
        for good in ["a", "Orders.v1_x-y", &"a".repeat(249)] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a b", "ä", "a/b", "^orders.*", &"a".repeat(250)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_names_each_topic_once() {
        assert_eq!(names("b, a b").unwrap(), ["b", "a"]);
        assert!(names(" , ").is_err());
        assert!(names("a,^b").is_err());
    }
}
