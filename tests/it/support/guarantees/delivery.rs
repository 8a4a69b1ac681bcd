//! Every record arrives, unchanged in what is not the transform's business, and not too often.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::super::evidence::Evidence;
use super::super::record::{Expect, Seen, Sent};
use super::Guarantee;

/// Every input is in the output topic, or in the dead-letter topic if that is where it belongs.
pub(crate) struct AtLeastOnce;

impl Guarantee for AtLeastOnce {
    fn name(&self) -> &'static str {
        "at least once"
    }

    fn violations(&self, evidence: &Evidence) -> Vec<String> {
        let (output, dead) = (parts(&evidence.output), parts(&evidence.dead_letters));
        let mut violations = Vec::new();
        for s in &evidence.sent {
            let place = if is_dead(s) { &dead } else { &output };
            let lost = s.parts().filter(|part| !place.contains(part));
            violations.extend(lost.map(|(id, part)| {
                format!("{id}, part {part} ({}/{}/{}) is lost", s.topic, s.partition, s.offset)
            }));
        }
        violations
    }
}

/// Nothing is in the output or dead-letter topic that does not belong there.
pub(crate) struct NothingInvented;

impl Guarantee for NothingInvented {
    fn name(&self) -> &'static str {
        "nothing invented"
    }

    fn violations(&self, evidence: &Evidence) -> Vec<String> {
        let sent = evidence.by_id();
        let belongs = |seen: &Seen, dead: bool| {
            let sent = seen.id().and_then(|id| sent.get(id.as_str()).copied());
            sent.is_some_and(|s| dead == is_dead(s) && s.parts().any(|(_, part)| part == seen.part()))
        };
        let output = evidence.output.iter().filter(|seen| !belongs(seen, false)).map(|s| ("output", s));
        let dead =
            evidence.dead_letters.iter().filter(|seen| !belongs(seen, true)).map(|s| ("dead letters", s));
        output.chain(dead).map(|(place, s)| format!("{place}: {:?} does not belong there", s.id())).collect()
    }
}

/// No more than so many records (or parts of records) were written more than they had to.
pub(crate) struct NoMoreThan {
    /// Writes beyond one a record or part, in all.
    pub repeats: usize,
}

impl Guarantee for NoMoreThan {
    fn name(&self) -> &'static str {
        "no more repeats than allowed"
    }

    fn violations(&self, evidence: &Evidence) -> Vec<String> {
        let count = writes(evidence);
        let repeats = repeats(evidence);
        let most = count.iter().max_by_key(|(_, n)| **n);
        let broken = repeats > self.repeats;
        broken
            .then(|| format!("{repeats} repeats, {} allowed; most: {most:?}", self.repeats))
            .into_iter()
            .collect()
    }
}

/// How often something was written that was written already.
pub(crate) fn repeats(evidence: &Evidence) -> usize {
    writes(evidence).values().map(|n| n - 1).sum()
}

/// How often each record or part was written.
fn writes(evidence: &Evidence) -> HashMap<(String, usize), usize> {
    let mut count = HashMap::new();
    for seen in evidence.output.iter().chain(&evidence.dead_letters) {
        *count.entry((seen.id().unwrap_or_default(), seen.part())).or_default() += 1;
    }
    count
}

/// Key, headers (order and duplicates included), timestamp and all fields but `status` are what they were.
pub(crate) struct Unchanged;

impl Guarantee for Unchanged {
    fn name(&self) -> &'static str {
        "unchanged but for the status"
    }

    fn violations(&self, evidence: &Evidence) -> Vec<String> {
        let sent = evidence.by_id();
        let compare = |seen: &Seen| {
            let id = seen.id()?;
            let sent = sent.get(id.as_str())?;
            difference(sent, seen).map(|what| format!("{id}: {what}"))
        };
        evidence.output.iter().filter_map(compare).collect()
    }
}

fn difference(sent: &Sent, seen: &Seen) -> Option<&'static str> {
    if sent.input.key != seen.key {
        return Some("the key is another");
    }
    if !sent.input.headers.iter().eq(seen.headers_as_sent()) {
        return Some("the headers are others");
    }
    if kept(sent.input.timestamp) != seen.timestamp {
        return Some("the timestamp is another");
    }
    (transformed(sent.input.value.as_deref()) != parsed(seen.value.as_deref()))
        .then_some("the value is not right")
}

/// The timestamp that a result must have. The first millisecond of 1970 cannot be written: the second one is.
fn kept(timestamp: i64) -> Option<i64> {
    (timestamp != -1).then_some(if timestamp == 0 { 1 } else { timestamp })
}

fn parsed(value: Option<&[u8]>) -> Option<Value> {
    serde_json::from_slice(value?).ok()
}

/// What the built-in transform should make of a valid value, said in other words than it does.
fn transformed(value: Option<&[u8]>) -> Option<Value> {
    let mut value = parsed(value)?;
    let long = value.get("data")?.as_str()?.chars().count() > 10;
    value.as_object_mut()?.insert("status".to_owned(), if long { "valid" } else { "invalid" }.into());
    Some(value)
}

fn parts(seen: &[Seen]) -> HashSet<(String, usize)> {
    seen.iter().filter_map(|seen| Some((seen.id()?, seen.part()))).collect()
}

fn is_dead(sent: &Sent) -> bool {
    matches!(sent.input.expect, Expect::DeadLetter(_))
}

#[cfg(test)]
mod tests {
    use super::super::super::record::Input;
    use super::super::example::{good_run, has_teeth, sent, split_run};
    use super::*;

    #[test]
    fn a_lost_record_is_seen() {
        has_teeth(&AtLeastOnce, &good_run(), |run| drop(run.output.remove(1)));
    }

    #[test]
    fn a_lost_part_is_seen_and_one_too_many_and_a_filtered_record() {
        let run = split_run();
        let expect = |parts| move |run: &mut Evidence| run.sent[0].input.expect = Expect::Parts(parts);
        has_teeth(&AtLeastOnce, &run, expect(4));
        has_teeth(&NothingInvented, &run, expect(2));
        has_teeth(&NothingInvented, &run, expect(0));
        assert_eq!(Unchanged.violations(&run), [""; 0]);
        has_teeth(&NoMoreThan { repeats: 0 }, &run, |run| run.output.push(run.output[2].clone()));
    }

    #[test]
    fn a_failed_record_without_a_dead_letter_is_seen() {
        has_teeth(&AtLeastOnce, &good_run(), |run| run.sent.push(sent(Input::invalid("d"), 3)));
    }

    #[test]
    fn a_failed_record_in_the_output_is_seen() {
        let as_dead = |run: &mut Evidence| run.sent[0].input.expect = Expect::DeadLetter("invalid_json");
        has_teeth(&AtLeastOnce, &good_run(), as_dead);
        has_teeth(&NothingInvented, &good_run(), as_dead);
    }

    #[test]
    fn a_record_nobody_sent_is_seen() {
        has_teeth(&NothingInvented, &good_run(), |run| drop(run.sent.remove(0)));
        has_teeth(&NothingInvented, &good_run(), |run| run.dead_letters.push(run.output[0].clone()));
    }

    #[test]
    fn a_repeat_is_seen() {
        has_teeth(&NoMoreThan { repeats: 0 }, &good_run(), |run| run.output.push(run.output[0].clone()));
    }

    #[test]
    fn a_changed_record_is_seen() {
        has_teeth(&Unchanged, &good_run(), |run| run.output[0].key = None);
        has_teeth(&Unchanged, &good_run(), |run| run.output[0].headers.push(("x".to_owned(), None)));
        has_teeth(&Unchanged, &good_run(), |run| run.output[0].timestamp = Some(1));
        has_teeth(&Unchanged, &good_run(), |run| run.output[0].value = run.sent[0].input.value.clone());
    }
}
