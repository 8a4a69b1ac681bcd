//! What is committed is finished, and stays committed.

use std::collections::HashSet;

use super::super::evidence::Evidence;
use super::super::record::{Seen, Sent};
use super::Guarantee;

/// A committed offset never goes back, and never vanishes.
pub(crate) struct MonotonicOffsets;

impl Guarantee for MonotonicOffsets {
    fn name(&self) -> &'static str {
        "committed offsets only rise"
    }

    fn violations(&self, evidence: &Evidence) -> Vec<String> {
        let mut violations = Vec::new();
        for pair in evidence.committed.windows(2) {
            for ((topic, partition), before) in &pair[0] {
                let after = pair[1].get(&(topic.clone(), *partition));
                if after.is_none_or(|after| after < before) {
                    violations.push(format!("{topic}/{partition}: {before}, then {after:?}"));
                }
            }
        }
        violations
    }
}

/// Whatever stands before a committed offset is in the output or dead-letter topic already. Holds at every moment, so
/// also of a program that was just killed.
pub(crate) struct CommittedIsFinished;

impl Guarantee for CommittedIsFinished {
    fn name(&self) -> &'static str {
        "committed is finished"
    }

    fn violations(&self, evidence: &Evidence) -> Vec<String> {
        let Some(committed) = evidence.committed.last() else { return Vec::new() };
        let written = evidence.output.iter().chain(&evidence.dead_letters);
        let written: HashSet<(String, usize)> =
            written.filter_map(|seen: &Seen| Some((seen.id()?, seen.part()))).collect();
        let is_committed = |sent: &&Sent| {
            committed.get(&(sent.topic.clone(), sent.partition)).is_some_and(|&next| sent.offset < next)
        };
        let is_open = |sent: &&Sent| sent.parts().any(|part| !written.contains(&part));
        let early = evidence.sent.iter().filter(is_committed).filter(is_open);
        early
            .map(|s| format!("{} at {}/{} is committed and not written", s.input.id, s.partition, s.offset))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::admin::Offsets;
    use super::super::super::record::Expect;
    use super::super::example::{good_run, has_teeth};
    use super::*;

    fn at(offset: i64) -> Offsets {
        Offsets::from([(("in".to_owned(), 0), offset)])
    }

    #[test]
    fn a_commit_that_goes_back_or_vanishes_is_seen() {
        let run = Evidence { committed: vec![Offsets::new(), at(1), at(3)], ..good_run() };
        has_teeth(&MonotonicOffsets, &run, |run| run.committed.push(at(2)));
        has_teeth(&MonotonicOffsets, &run, |run| run.committed.push(Offsets::new()));
    }

    #[test]
    fn a_commit_ahead_of_the_output_is_seen() {
        let mut run = Evidence { committed: vec![at(2)], ..good_run() };
        run.output.remove(2);
        has_teeth(&CommittedIsFinished, &run, |run| run.committed.push(at(3)));
    }

    #[test]
    fn a_commit_ahead_of_a_part_is_seen() {
        let run = Evidence { committed: vec![at(3)], ..good_run() };
        has_teeth(&CommittedIsFinished, &run, |run| run.sent[1].input.expect = Expect::Parts(2));
    }
}
