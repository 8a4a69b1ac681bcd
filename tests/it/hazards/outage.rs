//! What the transform needs is away: nothing is given up for it, and one key that always fails is not taken for that.

use std::collections::HashSet;

use crate::support::evidence::Evidence;
use crate::support::kafka::Kafka;
use crate::support::probe::Flag;
use crate::support::record::{Expect, Input};
use crate::support::setup::{Mode, in_every_mode, setup};
use crate::support::{eventually, seconds};

in_every_mode!(a_dead_transform_does_not_flood_the_dead_letter_topic);

const OPENED: &str = "the transform fails for all";

/// What was given up before it was noticed is where it should be.
fn forgive_the_first(evidence: &mut Evidence) -> usize {
    let dead = |seen: &&crate::support::record::Seen| seen.text("processor.dlq.reason") == Some("probe_dead");
    let given_up: HashSet<String> = evidence
        .dead_letters
        .iter()
        .filter(dead)
        .filter_map(|seen| seen.id().map(|id| id.to_string()))
        .collect();
    for sent in evidence.sent.iter_mut().filter(|sent| given_up.contains(&sent.input.id)) {
        sent.input.expect = Expect::DeadLetter("probe_dead");
    }
    given_up.len()
}

fn a_dead_transform_does_not_flood_the_dead_letter_topic(mode: Mode) {
    let kafka = Kafka::for_test();
    let dead = Flag::raise();
    let setup = setup().mode(mode).probe().set("PROBE_DEAD_WHILE", dead.path().display());
    let mut s = setup.set("PROCESSOR_MAX_IN_FLIGHT", 2_000).on(&kafka);
    // Without an order a key of its own for each: the first records of one partition would have too few of 37.
    let (count, keys) = match mode {
        Mode::Key => (100_000, 37),
        Mode::Partition => (10_000, 37),
        Mode::Unordered => (10_000, 9_973),
    };
    let load: Vec<_> = (0..count).map(|_| s.load(keys)).collect();
    s.send(load);
    let mut instance = s.start();
    instance.wait_for_log(OPENED, seconds(60));
    let tries = || instance.log().matches("found what it needs dead").count();
    let before = tries();
    eventually(seconds(60), "it is tried now and then", || tries() >= before + 3);
    s.wait_for_members(2);
    // Those before it was an outage; and the cluster does not always say how many at the first question.
    s.wait_until_written(1);
    let given_up = s.written();
    assert!(given_up <= 2_000, "{given_up} dead letters, and no more than 2,000 were in flight");
    assert!(given_up < 8 + 6, "{given_up} dead letters: it takes 8 keys, and 6 workers were at it");
    dead.lower();
    instance.wait_for_log("the transform answers again", seconds(60));
    s.wait_until_committed();
    instance.stop_cleanly();
    let mut evidence = s.evidence();
    assert_eq!(forgive_the_first(&mut evidence), given_up, "nothing was given up later");
    s.judge_this(&evidence, 0);
}

#[test]
fn one_poisonous_key_among_many_is_not_taken_for_an_outage() {
    let kafka = Kafka::for_test();
    let mut s = setup().probe().set("PROCESSOR_RETRY_BACKOFF", "5ms").on(&kafka);
    let inputs = (0..3_000).map(|n| {
        let input = Input::valid(&s.id()).key(format!("key-{}", n % 30));
        if n % 30 == 7 { input.retried(1_000).dead("probe_retry") } else { input }
    });
    let inputs: Vec<_> = inputs.collect();
    s.send(inputs);
    let instance = s.start();
    s.wait_until_committed();
    assert!(!instance.log().contains(OPENED));
    s.finish(instance);
}

#[test]
fn a_stop_during_an_outage_is_as_prompt_as_any_and_repeats_nothing() {
    let kafka = Kafka::for_test();
    let dead = Flag::raise();
    let setup = setup().probe().set("PROBE_DEAD_WHILE", dead.path().display());
    // Nothing is given up: so no dead letter stands behind a record that still waits, which the stop would wait for.
    let mut s = setup.set("PROCESSOR_DRAIN_TIMEOUT", "5s").set("PROCESSOR_AFTER_FAILURE", "hold").on(&kafka);
    let inputs: Vec<_> = (0..1_000).map(|n| Input::valid(&s.id()).key(format!("key-{}", n % 37))).collect();
    s.send(inputs);
    let mut instance = s.start();
    instance.wait_for_log(OPENED, seconds(60));
    instance.terminate();
    assert_eq!(instance.wait_exit(seconds(30)), Some(0), "nothing is left to do\n{}", instance.log());
    assert_eq!(s.written(), 0);
    dead.lower();
    s.finish(s.start());
}
