//! What the program promises, as objects that judge what a test read back. Each one is shown to have teeth: a test
//! beside it hands it a violation made by hand.

mod dead_letters;
mod delivery;
mod offsets;
mod order;

pub(crate) use dead_letters::CompleteDeadLetters;
pub(crate) use delivery::{AtLeastOnce, NoMoreThan, NothingInvented, Unchanged, repeats};
pub(crate) use offsets::{CommittedIsFinished, MonotonicOffsets};
pub(crate) use order::{OneAtATimePerLane, PerKeyOrder, PerPartitionOrder, PlacedByKey};

use super::evidence::Evidence;

/// One promise.
pub(crate) trait Guarantee {
    /// Its name in a failed test.
    fn name(&self) -> &'static str;

    /// What contradicts it; empty when it is kept.
    fn violations(&self, evidence: &Evidence) -> Vec<String>;
}

/// Fails the test when a promise is broken, and says how.
pub(crate) fn judge(evidence: &Evidence, guarantees: &[&dyn Guarantee]) {
    assert!(!evidence.sent.is_empty(), "nothing was sent: this would prove nothing");
    let mut broken = Vec::new();
    for guarantee in guarantees {
        let violations = guarantee.violations(evidence);
        if !violations.is_empty() {
            let some = violations[..violations.len().min(5)].join("\n    ");
            broken.push(format!("{} ({} times)\n    {some}", guarantee.name(), violations.len()));
        }
    }
    let (sent, output, dead) = (evidence.sent.len(), evidence.output.len(), evidence.dead_letters.len());
    assert!(
        broken.is_empty(),
        "{sent} sent, {output} output, {dead} dead; broken:\n  {}",
        broken.join("\n  ")
    );
}

/// Runs made by hand, for the proofs that a guarantee can fail.
#[cfg(test)]
mod example {
    use super::super::evidence::Evidence;
    use super::super::record::{Expect, Input, Seen, Sent};
    use super::Guarantee;

    /// `input`, standing at `offset` of partition 0.
    pub(super) fn sent(input: Input, offset: i64) -> Sent {
        Sent { input, topic: "in".to_owned(), partition: 0, offset }
    }

    /// What the program should have made of it, in partition 0.
    pub(super) fn output(sent: &Sent, offset: i64) -> Seen {
        let value = sent.input.value.as_deref().map(|v| {
            String::from_utf8_lossy(v).replace(r#""status":"new""#, r#""status":"valid""#).into_bytes()
        });
        Seen {
            partition: 0,
            offset,
            key: sent.input.key.clone(),
            value,
            headers: sent.input.headers.clone(),
            timestamp: Some(sent.input.timestamp),
        }
    }

    /// Three good records of one key, in one partition, well done.
    pub(super) fn good_run() -> Evidence {
        let inputs = ["a", "b", "c"].map(|id| Input::valid(id).key("key").stamped());
        let sent: Vec<_> = (0..).zip(inputs).map(|(offset, input)| sent(input, offset)).collect();
        let output = (0..).zip(&sent).map(|(offset, sent)| output(sent, offset)).collect();
        let group = "group".to_owned();
        Evidence {
            sent,
            output,
            output_partitions: 1,
            dead_letter_partitions: 1,
            group,
            ..Evidence::default()
        }
    }

    /// One record, split into three parts, well done.
    pub(super) fn split_run() -> Evidence {
        let mut run = good_run();
        run.sent.truncate(1);
        run.sent[0].input.expect = Expect::Parts(3);
        let part = |part: i64| {
            let mut seen = output(&run.sent[0], part);
            seen.headers.push(("probe.part".to_owned(), Some(part.to_string().into_bytes())));
            seen
        };
        run.output = (0..3).map(part).collect();
        run
    }

    /// The guarantee accepts the good run, and objects once `spoil` has changed it.
    pub(super) fn has_teeth(guarantee: &dyn Guarantee, good: &Evidence, spoil: impl FnOnce(&mut Evidence)) {
        assert_eq!(guarantee.violations(good), [""; 0], "{} refuses a good run", guarantee.name());
        let mut bad = good.clone();
        spoil(&mut bad);
        assert_ne!(guarantee.violations(&bad), [""; 0], "{} overlooks a violation", guarantee.name());
    }
}
