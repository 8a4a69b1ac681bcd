//! Members that the group knows by name: they go and come back, and nobody else is disturbed.

use crate::support::kafka::Kafka;
use crate::support::process::Instance;
use crate::support::scenario::Scenario;
use crate::support::seconds;
use crate::support::setup::{Setup, setup};

fn named(s: &Scenario, name: &str) -> Instance {
    s.start_with(&[("KAFKA_GROUP_INSTANCE_ID", name)])
}

fn rebalances(instance: &Instance) -> usize {
    ["assigned ", "revoked ", "lost "].iter().map(|word| instance.log().matches(word).count()).sum()
}

/// Nobody is thought gone while it restarts.
fn patient(setup: Setup) -> Setup {
    setup.set("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", 45_000)
}

#[test]
fn a_static_member_restarted_in_place_disturbs_nobody_and_repeats_nothing() {
    restarted_in_place(patient(setup()));
}

#[test]
fn a_static_member_restarted_in_place_with_the_eager_protocol() {
    restarted_in_place(patient(setup()).eager());
}

fn restarted_in_place(setup: Setup) {
    let kafka = Kafka::for_test();
    let mut s = setup.on(&kafka);
    let (mut first, mut second) = s.while_sending(|s| {
        let (mut first, second) = (named(s, "a"), named(s, "b"));
        s.wait_for_members(4);
        s.wait_until_written(s.written() + 500);
        let before = rebalances(&second);
        for _ in 0..3 {
            first.stop_cleanly();
            first = named(s, "a");
            first.wait_for_log("assigned ", seconds(30));
            s.wait_until_written(s.written() + 500);
        }
        assert_eq!(rebalances(&second), before, "the other one was disturbed\n{}", second.log());
        (first, second)
    });
    s.wait_until_committed();
    first.stop_cleanly();
    second.stop_cleanly();
    s.judge(0);
}

/// All of them, one after the other, as a rolling restart does it, and again without a pause. The group is settled before the
/// first one goes: each partition has been read. (Who restarts while partitions move may come back to fewer of them, until the
/// next rebalance.)
#[test]
fn rolling_restarts_of_static_members() {
    let kafka = Kafka::for_test();
    let mut s = patient(setup()).input_partitions(7).on(&kafka);
    let names = ["a", "b", "c"];
    let mut all = names.map(|name| named(&s, name));
    s.wait_for_members(6);
    s.send_load(500);
    s.wait_until_committed();
    s.while_sending(|s| {
        for round in 0..6 {
            let which = round % names.len();
            all[which].stop_cleanly();
            all[which] = named(s, names[which]);
            s.wait_until_written(s.written() + 500);
        }
    });
    s.wait_until_committed();
    all.iter_mut().for_each(Instance::stop_cleanly);
    s.judge(0);
}
