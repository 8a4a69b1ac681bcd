//! Brokers that die, stand still, are restarted, or have no room left; and what moves when they do.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Kind, Made, kind};
use crate::cluster::BROKERS;
use crate::trial::{PARTITIONS, RECONNECTED, Trial};
use crate::wait::{pass, seconds, until};

/// How soon work must go on when the cluster is whole again: a client that was refused waits up to ten seconds before it
/// knocks again, and its group may have to form anew.
const AFTER: std::time::Duration = seconds(45);

pub(super) const KINDS: &[Kind] = &[
    kind("broker-kill9", "kill -9 of one broker after another; each is back after some seconds", kill9)
        .cuts_off(),
    kind(
        "broker-sigstop",
        "SIGSTOP of a broker for 12 s: its connections stay open, and nothing answers",
        sigstop,
    )
    .cuts_off(),
    kind("brokers-rolling-restart", "the three brokers are restarted cleanly, one after another", rolling)
        .cuts_off(),
    kind(
        "two-brokers-down",
        "kill -9 of two brokers of three for 10 s: no quorum, and too few copies to write to",
        two_down,
    )
    .cuts_off(),
    kind(
        "leaders-move",
        "all partitions of input and output get another leader, again and again",
        leaders_move,
    ),
    kind(
        "coordinator-kill9",
        "kill -9 of the broker that coordinates the group, wherever that is by then",
        coordinator,
    )
    .cuts_off(),
    kind(
        "broker-disk-full",
        "the disk of a broker is full (a file system of its own, ENOSPC): Kafka ends the broker",
        disk_full,
    )
    .cuts_off(),
];

fn some_broker(trial: &mut Trial<'_>) -> u16 {
    trial.rng.u16(1..=BROKERS)
}

/// The brokers are there again: until all copies are in sync, the next fault would be a different one.
fn whole_again(trial: &mut Trial<'_>, limit: std::time::Duration) -> Made {
    trial.recovered(limit, "a broker is back")?;
    trial.admin.wait_in_sync(&[&trial.topics.input.0, &trial.topics.output.0, &trial.dead_letters])
}

fn back(trial: &mut Trial<'_>, number: u16) -> Made {
    trial.cluster.broker("launch", number)?;
    trial.cluster.broker("wait", number)?;
    whole_again(trial, AFTER)
}

fn kill9(trial: &mut Trial<'_>) -> Made {
    for _ in 0..trial.rounds(2) {
        trial.breathe(seconds(1));
        let number = some_broker(trial);
        trial.cluster.broker("kill", number)?;
        trial.made();
        trial.breathe(seconds(4));
        back(trial, number)?;
    }
    Ok(())
}

fn sigstop(trial: &mut Trial<'_>) -> Made {
    for _ in 0..trial.rounds(2) {
        trial.breathe(seconds(1));
        let number = some_broker(trial);
        trial.cluster.broker("pause", number)?;
        trial.made();
        pass(trial.lasting(seconds(12)));
        trial.cluster.broker("resume", number)?;
        whole_again(trial, RECONNECTED)?;
    }
    Ok(())
}

fn rolling(trial: &mut Trial<'_>) -> Made {
    for number in 1..=BROKERS {
        trial.cluster.broker("restart", number)?;
        trial.made();
        whole_again(trial, AFTER)?;
    }
    Ok(())
}

fn two_down(trial: &mut Trial<'_>) -> Made {
    let spared = some_broker(trial);
    let down: Vec<u16> = (1..=BROKERS).filter(|n| *n != spared).collect();
    for number in &down {
        trial.cluster.broker("kill", *number)?;
        trial.made();
    }
    pass(trial.lasting(seconds(10)));
    for number in &down {
        trial.cluster.broker("launch", *number)?;
    }
    for number in &down {
        trial.cluster.broker("wait", *number)?;
    }
    whole_again(trial, AFTER)
}

fn coordinator(trial: &mut Trial<'_>) -> Made {
    for _ in 0..trial.rounds(2) {
        let leaders = trial.admin.leaders("__consumer_offsets")?;
        let at = home_of(&trial.topics.group, leaders.len());
        let number = u16::try_from(leaders[at]).map_err(|_| "the group's offsets have no leader")?;
        trial.cluster.broker("kill", number)?;
        trial.made();
        trial.breathe(seconds(4));
        back(trial, number)?;
    }
    Ok(())
}

/// The partition of `__consumer_offsets` that a group lives in: Java's hash of its name, without the sign.
fn home_of(group: &str, partitions: usize) -> usize {
    let hash = group.bytes().fold(0i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    (hash & i32::MAX) as usize % partitions.max(1)
}

fn leaders_move(trial: &mut Trial<'_>) -> Made {
    let names = [trial.topics.input.0.clone(), trial.topics.output.0.clone()];
    for round in 0..trial.rounds(3) {
        let before: Vec<_> = names.iter().map(|name| trial.admin.leaders(name)).collect::<Result<_, _>>()?;
        let file = trial.dir().join("leaders.json");
        let text = another_order(&names, &before, round);
        std::fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
        let path = file.display().to_string();
        let reassign = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
        trial.cluster.tool(reassign, &["--reassignment-json-file", &path, "--execute"])?;
        let elect = "org.apache.kafka.tools.LeaderElectionCommand";
        trial.cluster.tool(elect, &["--election-type", "preferred", "--all-topic-partitions"])?;
        until(AFTER, "the leaders have moved", || {
            names.iter().zip(&before).all(|(name, before)| {
                trial.admin.leaders(name).is_ok_and(|now| now.iter().zip(before).all(|(a, b)| a != b))
            })
        })?;
        trial.made();
        trial.recovered(AFTER, "the leaders have moved")?;
    }
    Ok(())
}

/// The same brokers for each partition, but another one first: the one that leads.
fn another_order(names: &[String], leaders: &[Vec<i32>], round: u64) -> String {
    let count = i32::from(BROKERS);
    let step = 1 + (round % 2) as i32;
    let mut rows = Vec::new();
    for (name, leaders) in names.iter().zip(leaders) {
        for (partition, leader) in leaders.iter().enumerate().take(PARTITIONS as usize) {
            let broker = |n: i32| (leader - 1 + step + n).rem_euclid(count) + 1;
            let replicas = [broker(0), broker(1), broker(2)];
            rows.push(serde_json::json!({"topic": name, "partition": partition, "replicas": replicas}));
        }
    }
    serde_json::json!({"version": 1, "partitions": rows}).to_string()
}

/// A small file system, mounted over a broker's folder with all that was in it. Unmounted when dropped.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// The broker is down.
    fn mount(folder: &Path) -> Result<Self, String> {
        let kept = kept(folder);
        std::fs::rename(folder, &kept)
            .and_then(|()| std::fs::create_dir(folder))
            .map_err(|e| e.to_string())?;
        let mounted = run("mount", &["-t", "tmpfs", "-o", "size=400m", "tmpfs"], folder);
        mounted.map_err(|e| format!("{e}: a disk that can be filled takes the right to mount one"))?;
        let disk = Self { folder: folder.to_owned() };
        copy(&kept, folder)?;
        Ok(disk)
    }

    /// Writes until nothing more goes in.
    fn fill(&self) -> Result<PathBuf, String> {
        let path = self.folder.join("somebody-elses-file");
        let mut file = std::fs::File::create(&path).map_err(|e| e.to_string())?;
        let block = vec![0; 1 << 16];
        while file.write_all(&block).is_ok() {}
        Ok(path)
    }

    /// What the broker has written since goes where its folder is then. The broker is down.
    fn take_back(&self) -> Made {
        let kept = kept(&self.folder);
        std::fs::remove_dir_all(&kept).map_err(|e| e.to_string())?;
        std::fs::create_dir(&kept).map_err(|e| e.to_string())?;
        copy(&self.folder, &kept)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a broker that is still ending may have files open.
        let _ = run("umount", &["-l"], &self.folder);
    }
}

fn kept(folder: &Path) -> PathBuf {
    folder.with_extension("kept")
}

fn copy(from: &Path, to: &Path) -> Made {
    run("cp", &["-a", &format!("{}/.", from.display())], to)
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<(), String> {
    let output = Command::new(program).args(arguments).arg(folder).output();
    let output = output.map_err(|e| format!("{program} cannot be run: {e}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn disk_full(trial: &mut Trial<'_>) -> Made {
    let number = some_broker(trial);
    let folder = trial.cluster.dir.join(format!("data-{number}"));
    trial.cluster.broker("kill", number)?;
    let result = Disk::mount(&folder).and_then(|disk| {
        let made = fill_and_free(trial, number, &disk);
        trial.cluster.broker("kill", number)?;
        disk.take_back().and(made)
    });
    if kept(&folder).exists() {
        let moved = std::fs::remove_dir_all(&folder).and_then(|()| std::fs::rename(kept(&folder), &folder));
        moved.map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    result?;
    back(trial, number)
}

fn fill_and_free(trial: &mut Trial<'_>, number: u16, disk: &Disk) -> Made {
    back(trial, number)?;
    let ballast = disk.fill()?;
    let log = trial.cluster.dir.join(format!("{number}.log"));
    until(seconds(60), "the broker has noticed that its disk is full", || no_space(&log))?;
    trial.made();
    trial.breathe(seconds(6));
    std::fs::remove_file(ballast).map_err(|e| e.to_string())?;
    trial.cluster.broker("kill", number)?;
    back(trial, number)
}

fn no_space(log: &Path) -> bool {
    std::fs::read_to_string(log).is_ok_and(|text| text.contains("No space left on device"))
}
