//! Processes of the program that die, stand still, or are stopped.

use super::{Kind, Made, kind};
use crate::trial::{GRACE, SESSION, Trial};
use crate::wait::{pass, seconds};

pub(super) const KINDS: &[Kind] = &[
    kind(
        "instance-kill9",
        "kill -9 of one of two instances; a new one comes when its work has gone on elsewhere",
        kill9,
    ),
    kind("instances-kill9-all", "kill -9 of all instances at once; new ones come at once", kill9_all),
    kind(
        "instance-stop-cont",
        "SIGSTOP for longer than the session, then SIGCONT: it does not know that it lost its partitions",
        stop_cont,
    ),
    kind("instance-sigterm-restart", "SIGTERM of one of two instances; a new one comes at once", sigterm),
    kind(
        "instances-rolling-restart",
        "three instances are replaced one after another, as a deployment does",
        rolling,
    )
    .instances(3),
];

fn kill9(trial: &mut Trial<'_>) -> Made {
    for _ in 0..trial.rounds(3) {
        trial.breathe(seconds(2));
        let victim = trial.rng.usize(..trial.instances.len());
        trial.instances.swap_remove(victim).kill()?;
        trial.made();
        trial.count.hard += 1;
        trial.recovered(SESSION + GRACE, "kill -9 of an instance")?;
        trial.start_instance()?;
    }
    Ok(())
}

fn kill9_all(trial: &mut Trial<'_>) -> Made {
    for _ in 0..trial.rounds(3) {
        trial.breathe(seconds(2));
        let count = trial.instances.len();
        for instance in std::mem::take(&mut trial.instances) {
            instance.kill()?;
            trial.made();
            trial.count.hard += 1;
        }
        for _ in 0..count {
            trial.start_instance()?;
        }
        trial.recovered(SESSION + GRACE, "kill -9 of all instances")?;
    }
    Ok(())
}

fn stop_cont(trial: &mut Trial<'_>) -> Made {
    for _ in 0..trial.rounds(2) {
        trial.breathe(seconds(2));
        let victim = trial.rng.usize(..trial.instances.len());
        trial.instances[victim].signal("STOP")?;
        trial.made();
        trial.count.hard += 1;
        trial.recovered(SESSION + GRACE, "SIGSTOP of an instance")?;
        // It comes back to a group that has been without it for a while.
        pass(seconds(3));
        trial.instances[victim].signal("CONT")?;
        trial.recovered(SESSION + GRACE, "SIGCONT of an instance")?;
    }
    Ok(())
}

fn sigterm(trial: &mut Trial<'_>) -> Made {
    for _ in 0..trial.rounds(6) {
        trial.breathe(seconds(2));
        let victim = trial.rng.usize(..trial.instances.len());
        let mut leaving = trial.instances.swap_remove(victim);
        leaving.stop(seconds(40))?;
        trial.made();
        trial.start_instance()?;
        trial.recovered(SESSION + GRACE, "SIGTERM of an instance")?;
    }
    Ok(())
}

fn rolling(trial: &mut Trial<'_>) -> Made {
    for _ in 0..trial.rounds(2) {
        for _ in 0..trial.instances.len() {
            trial.start_instance()?;
            trial.breathe(seconds(2));
            trial.instances.remove(0).stop(seconds(40))?;
            trial.made();
        }
        trial.recovered(SESSION + GRACE, "a rolling restart")?;
    }
    Ok(())
}
