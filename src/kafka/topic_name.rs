//! What Kafka accepts as the name of a topic.

use super::properties::list;

/// Kafka's rule for the name of a topic.
///
/// # Errors
/// Which part of the rule it breaks.
pub fn topic_name(text: &str) -> Result<String, String> {
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
///
/// # Errors
/// What is wrong with the first bad one.
pub fn topic_names(text: &str) -> Result<Vec<String>, String> {
    let mut all: Vec<String> = Vec::new();
    for entry in list(text) {
        let topic = topic_name(entry)?;
        if !all.contains(&topic) {
            all.push(topic);
        }
    }
    if all.is_empty() { Err("names no topic".into()) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_rule() {
        for good in ["a", "Orders.v1_x-y", &"a".repeat(249)] {
            assert!(topic_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a b", "ä", "a/b", "^orders.*", &"a".repeat(250)] {
            assert!(topic_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_names_each_topic_once() {
        assert_eq!(topic_names("b, a b").unwrap(), ["b", "a"]);
        assert!(topic_names(" , ").is_err());
        assert!(topic_names("a,^b").is_err());
    }
}
