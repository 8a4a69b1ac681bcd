//! A dead letter is complete: with it alone the record can be understood and replayed.

use std::collections::HashMap;

use super::super::evidence::Evidence;
use super::super::record::{Expect, Seen, Sent, now_ms};
use super::Guarantee;

/// Original bytes and headers; the original timestamp in its header, and the time of death as its own; the reason, the right source, in the right partition, in 2 KiB at most.
pub(crate) struct CompleteDeadLetters;

/// Headers that every dead letter bears, once.
const REQUIRED: [&str; 10] = [
    "__dlq.errors.topic",
    "__dlq.errors.partition",
    "__dlq.errors.offset",
    "__dlq.errors.group",
    "__dlq.errors.delivery.count",
    "__dlq.errors.message",
    "processor.dlq.reason",
    "processor.dlq.stage",
    "processor.dlq.retryable",
    "processor.dlq.failed-at",
];

impl Guarantee for CompleteDeadLetters {
    fn name(&self) -> &'static str {
        "complete dead letters"
    }

    fn violations(&self, evidence: &Evidence) -> Vec<String> {
        let by_place: HashMap<(&str, i32, i64), &Sent> =
            evidence.sent.iter().map(|s| ((s.topic.as_str(), s.partition, s.offset), s)).collect();
        let mut violations = Vec::new();
        for letter in &evidence.dead_letters {
            let found = source(letter).and_then(|place| by_place.get(&place).copied());
            let faults = found.map_or_else(
                || vec!["its source position is missing or wrong".to_owned()],
                |sent| faults(letter, sent, evidence),
            );
            violations
                .extend(faults.into_iter().map(|f| format!("{:?}: {f}", letter.id().unwrap_or_default())));
        }
        violations
    }
}

fn source(letter: &Seen) -> Option<(&str, i32, i64)> {
    let partition = letter.text("__dlq.errors.partition")?.parse().ok()?;
    Some((letter.text("__dlq.errors.topic")?, partition, letter.text("__dlq.errors.offset")?.parse().ok()?))
}

fn faults(letter: &Seen, sent: &Sent, evidence: &Evidence) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |right: bool, fault: &str| {
        if !right {
            faults.push(fault.to_owned());
        }
    };
    check(letter.key == sent.input.key, "the key is another");
    check(letter.value == sent.input.value, "the value is another");
    let original = (sent.input.timestamp != -1).then(|| sent.input.timestamp.to_string());
    check(letter.text("processor.dlq.timestamp") == original.as_deref(), "the original timestamp is another");
    check(died_just_now(letter), "its own timestamp is not the time of death");
    check(theirs(&letter.headers) == theirs(&sent.input.headers), "the original headers are others");
    check(
        letter.partition == sent.partition % evidence.dead_letter_partitions,
        "it is in the wrong partition",
    );
    check(letter.text("__dlq.errors.group") == Some(&evidence.group), "the group is wrong");
    let count = letter.text("__dlq.errors.delivery.count").and_then(|n| n.parse::<u32>().ok());
    let untried = letter.text("processor.dlq.reason") == Some("predecessor_failed");
    check(count.is_some_and(|n| n >= 1 || untried), "the delivery count is no number from 1");
    let message = letter.text("__dlq.errors.message").unwrap_or_default();
    check(!message.is_empty() && message.len() <= 1024, "the message is empty or over 1 KiB");
    if let Expect::DeadLetter(reason) = sent.input.expect {
        check(letter.text("processor.dlq.reason") == Some(reason), "the reason is not the expected one");
    }
    for name in REQUIRED {
        check(
            letter.headers.iter().filter(|(n, _)| n == name).count() == 1,
            &format!("{name} is not there once"),
        );
    }
    let ours = letter.headers.iter().filter(|(name, _)| is_ours(name));
    let size: usize = ours.map(|(name, value)| name.len() + value.as_ref().map_or(0, Vec::len)).sum();
    check(size <= 2048, "our headers take more than 2 KiB");
    faults
}

/// Whether its timestamp is the time at which its record failed, or a later one, when it was tried again. No test takes an hour.
fn died_just_now(letter: &Seen) -> bool {
    let failed = letter.text("processor.dlq.failed-at").and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let now = now_ms();
    letter.timestamp.zip(failed).is_some_and(|(written, failed)| {
        let failed = failed.as_millisecond();
        now - failed < 3_600_000 && (failed..=now).contains(&written)
    })
}

/// The sender's headers: ours are replaced, whoever wrote them, so that nobody can forge them.
fn theirs(headers: &[(String, Option<Vec<u8>>)]) -> Vec<&(String, Option<Vec<u8>>)> {
    headers.iter().filter(|(name, _)| !is_ours(name)).collect()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("__dlq.") || (name.starts_with("processor.") && !name.starts_with("processor.replay."))
}

#[cfg(test)]
mod tests {
    use super::super::super::record::Input;
    use super::super::example::{good_run, has_teeth, output, sent};
    use super::*;

    fn with_a_letter() -> Evidence {
        let mut run = good_run();
        let input = Input::invalid("d").key("key").header("twice", Some(b"1")).header("twice", None);
        let sent = sent(input, 3);
        let mut letter = output(&sent, 0);
        let died = jiff::Timestamp::now().to_string();
        let values =
            ["in", "0", "3", "group", "1", "EOF at column 6", "invalid_json", "validate", "false", &died];
        for (name, value) in REQUIRED.iter().zip(values) {
            letter.headers.push(((*name).to_owned(), Some(value.as_bytes().to_vec())));
        }
        let original = sent.input.timestamp.to_string().into_bytes();
        letter.headers.push(("processor.dlq.timestamp".to_owned(), Some(original)));
        letter.timestamp = Some(now_ms());
        run.sent.push(sent);
        run.dead_letters.push(letter);
        run
    }

    fn spoils(change: impl FnOnce(&mut Seen)) {
        has_teeth(&CompleteDeadLetters, &with_a_letter(), |run| change(&mut run.dead_letters[0]));
    }

    fn replace(letter: &mut Seen, name: &str, value: &[u8]) {
        let header = letter.headers.iter_mut().find(|(n, _)| n == name).expect("the letter has it");
        header.1 = Some(value.to_vec());
    }

    #[test]
    fn another_key_value_or_timestamp_is_seen() {
        spoils(|letter| letter.key = None);
        spoils(|letter| letter.value = None);
        spoils(|letter| replace(letter, "processor.dlq.timestamp", b"1"));
        spoils(|letter| letter.headers.retain(|(name, _)| name != "processor.dlq.timestamp"));
    }

    #[test]
    fn a_time_that_is_not_that_of_the_death_is_seen() {
        spoils(|letter| letter.timestamp = None);
        spoils(|letter| letter.timestamp = Some(now_ms() - 60_000));
        spoils(|letter| letter.timestamp = Some(now_ms() + 60_000));
        spoils(|letter| {
            letter.timestamp = Some(now_ms() - 7_200_000);
            replace(letter, "processor.dlq.failed-at", b"2001-01-01T00:00:00Z");
        });
    }

    #[test]
    fn another_order_of_the_original_headers_is_seen() {
        spoils(|letter| letter.headers.swap(1, 2));
        spoils(|letter| drop(letter.headers.remove(1)));
    }

    #[test]
    fn each_missing_or_doubled_header_is_seen() {
        for name in REQUIRED {
            spoils(|letter| letter.headers.retain(|(n, _)| n != name));
            spoils(|letter| letter.headers.push((name.to_owned(), None)));
        }
    }

    #[test]
    fn wrong_contents_are_seen() {
        for (name, value) in [
            ("__dlq.errors.offset", "2"),
            ("__dlq.errors.group", "another"),
            ("__dlq.errors.delivery.count", "0"),
            ("__dlq.errors.message", ""),
            ("processor.dlq.reason", "too_old"),
        ] {
            spoils(|letter| replace(letter, name, value.as_bytes()));
        }
    }

    #[test]
    fn too_large_headers_are_seen() {
        spoils(|letter| replace(letter, "__dlq.errors.message", &[b'x'; 1025]));
        spoils(|letter| letter.headers.push(("processor.dlq.path".to_owned(), Some(vec![b'x'; 2048]))));
    }

    #[test]
    fn the_wrong_partition_is_seen() {
        spoils(|letter| letter.partition = 1);
    }
}
