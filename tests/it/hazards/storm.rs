//! Instances come and go all the time, under load. All of them stop as they should, so nothing is repeated.

use std::collections::VecDeque;

use crate::support::kafka::Kafka;
use crate::support::process::Instance;
use crate::support::scenario::Scenario;
use crate::support::seconds;
use crate::support::setup::{Mode, Setup, setup};

/// Records a second.
const PACE: usize = 1_000;
/// Somebody comes or goes whenever so many more are written.
const STEP: usize = 700;
/// So often.
const CHANGES: usize = 16;

#[test]
fn cooperative_by_key() {
    weather(setup());
}

#[test]
fn cooperative_unordered() {
    weather(setup().mode(Mode::Unordered));
}

#[test]
fn eager_by_key() {
    weather(setup().eager());
}

#[test]
fn eager_by_partition() {
    weather(setup().eager().mode(Mode::Partition));
}

/// Each change begins before the group has got over the one before it.
fn weather(setup: Setup) {
    let kafka = Kafka::for_test();
    let mut s = setup.patient().probe().input_partitions(7).on(&kafka);
    let last = s.while_sending_such(
        PACE,
        |s| s.load(37).slow(1),
        |s| {
            let (mut here, mut gone) = (VecDeque::from([s.start(), s.start()]), Vec::new());
            for change in 0..CHANGES {
                let written = s.written();
                if change % 2 == 0 {
                    here.push_back(s.start());
                } else if let Some(oldest) = here.pop_front() {
                    // Before its first word a process does not handle signals yet.
                    oldest.wait_for_log("running", seconds(30));
                    oldest.terminate();
                    gone.push(oldest);
                }
                s.wait_until_written(written + STEP);
            }
            end_all(s, gone, here)
        },
    );
    s.finish(last);
}

/// Stops all but one.
fn end_all(s: &Scenario, gone: Vec<Instance>, mut here: VecDeque<Instance>) -> Instance {
    let last = here.pop_back().expect("two are always there");
    here.iter().for_each(Instance::terminate);
    for mut instance in gone.into_iter().chain(here) {
        assert_eq!(instance.wait_exit(seconds(35)), Some(0), "a clean end\n{}", instance.log());
    }
    s.wait_for_members(2);
    last
}
