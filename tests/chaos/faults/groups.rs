//! A group that does not come to rest: members come and go. Nothing may be repeated.

use std::time::Instant;

use super::{Kind, Made, kind};
use crate::trial::{GRACE, SESSION, Trial};
use crate::wait::{pass, seconds, until};

pub(super) const KINDS: &[Kind] = &[
    kind(
        "rebalance-storm",
        "a third instance comes and is stopped again, every second or two (cooperative-sticky)",
        storm,
    ),
    kind(
        "rebalance-storm-eager",
        "the same where every rebalance takes all partitions from all members (range)",
        storm,
    )
    .settings(&[("KAFKA_CONSUMER_PARTITION_ASSIGNMENT_STRATEGY", "range")]),
    kind("scale-out-in", "one instance becomes five, a second apart, and then one again", scale).instances(1),
    kind(
        "static-members-restart",
        "static members are stopped, or killed, and are back within their session",
        static_members,
    )
    .instances(0),
];

fn storm(trial: &mut Trial<'_>) -> Made {
    let (begin, time) = (Instant::now(), trial.lasting(seconds(24)));
    for round in (0..).take_while(|_| begin.elapsed() < time) {
        let mut guest = trial.spawn(&[])?;
        if round % 2 == 0 {
            // Where a start takes longer than the pause below, no other guest gets as far.
            until(seconds(60), "a guest has partitions", || guest.log().contains(": assigned "))?;
        }
        pass(seconds(1).mul_f64(trial.rng.f64() + 0.5));
        guest.stop(seconds(40))?;
        trial.made();
        pass(seconds(1).mul_f64(trial.rng.f64() * 0.5));
    }
    trial.recovered(SESSION + GRACE, "the last of many rebalances").map(drop)
}

fn scale(trial: &mut Trial<'_>) -> Made {
    for _ in 0..trial.rounds(2) {
        for _ in 0..4 {
            trial.start_instance()?;
            trial.made();
            trial.breathe(seconds(2));
        }
        while trial.instances.len() > 1 {
            trial.instances.remove(0).stop(seconds(40))?;
            trial.made();
            trial.breathe(seconds(1));
        }
        trial.recovered(SESSION + GRACE, "all instances but one have left")?;
    }
    Ok(())
}

/// A static member that is stopped stays a member until its session is over: if it is back before that, the others do not
/// notice.
fn static_members(trial: &mut Trial<'_>) -> Made {
    let names = ["a", "b"];
    let start = |trial: &mut Trial<'_>, n: usize| trial.spawn(&[("KAFKA_GROUP_INSTANCE_ID", names[n])]);
    for n in 0..names.len() {
        let instance = start(trial, n)?;
        trial.instances.push(instance);
    }
    trial.first_records()?;
    for round in 0..trial.rounds(6) {
        let n = round as usize % names.len();
        if round < 3 {
            trial.instances[n].stop(seconds(40))?;
        } else {
            trial.instances[n].signal("KILL")?;
            trial.count.hard += 1;
        }
        trial.made();
        trial.instances[n] = start(trial, n)?;
        trial.recovered(SESSION + GRACE, "the restart of a static member")?;
        trial.breathe(seconds(1));
    }
    Ok(())
}
