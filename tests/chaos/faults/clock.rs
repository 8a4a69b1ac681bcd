//! A machine's clock that jumps. A small library (`clock.c`), preloaded into the instances, tells them a time of our choice; how
//! much time passes (the monotonic clock) stays true, as on a machine whose clock is set.
//!
//! What this does not show: waits inside librdkafka that the kernel times by the time of day. A clock that is set back by an hour
//! while such a wait is under way makes it an hour longer; only setting the machine's own clock would do that.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Kind, Made, kind};
use crate::trial::{GRACE, SESSION, Trial};
use crate::wait::{pass, seconds, until};

pub(super) const KINDS: &[Kind] = &[kind(
    "clock-jumps",
    "the time of day of both instances jumps one hour back, to the truth, two hours ahead, and back to it",
    jumps,
)
.instances(0)];

const LIBRARY: &str = include_str!("clock.c");
const HOUR: i64 = 3600;

fn jumps(trial: &mut Trial<'_>) -> Made {
    let library = compiled(trial.dir())?.display().to_string();
    let clock = trial.dir().join("clock");
    std::fs::write(&clock, 0i64.to_ne_bytes()).map_err(|e| e.to_string())?;
    for _ in 0..2 {
        let file = clock.display().to_string();
        let instance = trial.spawn(&[("LD_PRELOAD", &library), ("CHAOS_CLOCK", &file)])?;
        trial.instances.push(instance);
    }
    trial.first_records()?;
    for hours in [-1, 0, 2, 0] {
        let dead = trial.dead_letter_count().ok_or("the dead letters cannot be counted")?;
        set(&clock, hours * HOUR)?;
        trial.made();
        if hours < 0 {
            // The built-in transform takes all records to be of the future: so the program did see the jump.
            until(seconds(60), "the program takes records to be of the future", || {
                trial.dead_letter_count().is_some_and(|now| now > dead + 100)
            })?;
        }
        pass(trial.lasting(seconds(5)));
        trial.recovered(SESSION + GRACE, "the clock has jumped")?;
    }
    Ok(())
}

/// In place: the instances have it mapped.
fn set(clock: &Path, seconds: i64) -> Made {
    let file = OpenOptions::new().write(true).open(clock);
    file.and_then(|mut file| file.write_all(&seconds.to_ne_bytes()))
        .map_err(|e| format!("{}: {e}", clock.display()))
}

fn compiled(dir: &Path) -> Result<PathBuf, String> {
    let (source, library) = (dir.join("clock.c"), dir.join("clock.so"));
    std::fs::write(&source, LIBRARY).map_err(|e| e.to_string())?;
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output();
    let output = output.map_err(|e| format!("cc cannot be run: {e}"))?;
    if output.status.success() {
        Ok(library)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
