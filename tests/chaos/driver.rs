//! Chaos on real brokers: every kind of fault that `faults` knows, one run each, while records flow; and the oracle at the end.
//!
//! ```text
//! generate ▶ three Kafka brokers ◀── proxies ◀── instances of the program      faults: instances, groups, brokers, network, …
//!                  │      ▲
//!                  ▼      └ watch: committed offsets, all the time
//!               oracle ──▶ verdict ──▶ docs/fault-matrix.md
//! ```
//! Started by `scripts/chaos`, which builds it and says where things are.

mod cluster;
mod faults;
mod instance;
mod load;
mod options;
mod proxy;
mod sabotage;
mod table;
mod topics;
mod trial;
mod verdict;
mod wait;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use cluster::Cluster;
use faults::Kind;
use options::Options;
use table::Origin;
use trial::{Plan, Trial};
use verdict::Verdict;

fn main() -> ExitCode {
    match options::parse(std::env::args().skip(1)).and_then(|options| start(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("scripts/chaos: {fault}");
            ExitCode::from(2)
        }
    }
}

/// Whether all was as promised.
fn start(options: &Options) -> Result<bool, String> {
    if options.list {
        faults::all().for_each(|kind| println!("{:<28} {}", kind.name, kind.says));
        return Ok(true);
    }
    let work = path("CHAOS_WORK")?;
    let plan = plan(options, &work)?;
    println!(
        "chaos: {} kinds, {} records each or more, seed {}",
        options.kinds.len(),
        options.records,
        options.seed
    );
    let begin = Instant::now();
    let cluster = Cluster::start(&path("CHAOS_ROOT")?, &work)?;
    println!("chaos: three brokers after {:.0} s", begin.elapsed().as_secs_f64());
    if options.sabotage {
        return sabotage::run(&cluster, &plan);
    }
    let origin = Origin {
        seed: options.seed,
        commit: variable("CHAOS_COMMIT")?,
        versions: variable("CHAOS_VERSIONS")?,
    };
    let mut verdicts = Vec::new();
    for kind in &options.kinds {
        verdicts.push(run(&cluster, &plan, kind));
        say(verdicts.last());
        // After each run, so that an end before its time keeps what is there.
        if let Some(path) = &options.table {
            table::write(path, &verdicts, &plan, &origin)?;
        }
    }
    let held = verdicts.iter().filter(|verdict| verdict.good()).count();
    println!("chaos: {held} of {} kinds held, {:.0} s", verdicts.len(), begin.elapsed().as_secs_f64());
    Ok(held == verdicts.len())
}

fn plan(options: &Options, work: &Path) -> Result<Plan, String> {
    let seconds = if options.short { 10 } else { 30 };
    Ok(Plan {
        program: path("CHAOS_PROGRAM")?,
        work: work.to_owned(),
        records: options.records,
        rate: (options.records / seconds).max(1),
        keys: 3000,
        bad: 2,
        seed: options.seed,
        short: options.short,
        exactly_once: options.exactly_once,
        reader: path("CHAOS_PYTHON").and_then(|python| Ok((python, path("CHAOS_READER")?))).ok(),
    })
}

/// One run. Whatever goes wrong is a part of its verdict.
fn run(cluster: &Cluster, plan: &Plan, kind: &'static Kind) -> Verdict {
    let begin = Instant::now();
    println!("{}: {}", kind.name, kind.says);
    let mut verdict = match Trial::prepare(cluster, plan, kind.name, kind.settings) {
        Ok(mut trial) => {
            let verdict = judged(&mut trial, kind);
            if !verdict.good() {
                println!("    its files: {}", trial.dir().display());
            }
            verdict
        }
        Err(fault) => Verdict::of(kind, fault),
    };
    verdict.seconds = begin.elapsed().as_secs_f64();
    verdict
}

fn judged(trial: &mut Trial<'_>, kind: &'static Kind) -> Verdict {
    let mut wrong = Vec::new();
    let made = trial.begin(kind.instances).and_then(|()| (kind.make)(trial));
    if made.is_ok() && trial.count.faults == 0 {
        wrong.push("no fault was made".to_owned());
    }
    // After a failure too: what is lost or in disorder says more than the failure.
    for step in [made, trial.cluster.heal(), trial.settle(), trial.stop()] {
        wrong.extend(step.err());
    }
    let allowed = verdict::allowed(trial, kind.cuts_off);
    let tally = verdict::tally(trial);
    match &tally {
        Ok(tally) => {
            wrong.extend(verdict::faults_of(tally, allowed, trial.records));
            wrong.extend(verdict::second_opinion(trial, tally));
        }
        Err(fault) => wrong.push(fault.clone()),
    }
    Verdict {
        faults: trial.count.faults,
        recovery: trial.count.recovery.as_secs_f64(),
        notes: std::mem::take(&mut trial.count.notes),
        tally: tally.ok(),
        allowed,
        wrong,
        ..Verdict::of(kind, String::new())
    }
}

fn say(verdict: Option<&Verdict>) {
    let Some(verdict) = verdict else { return };
    let counts = verdict.tally.as_ref().map_or("not judged".to_owned(), |t| {
        format!(
            "{} records, {} dead letters: lost {}, repeated {} (allowed {}), out of order {}, torn {}, phantom {}, corrupt {}, watermark {}",
            t.records, t.dead_letters, t.lost, t.repeated, verdict.allowed, t.out_of_order, t.torn, t.phantom, t.corrupt, t.watermark
        )
    });
    println!(
        "    {} faults, recovery {:.1} s, run {:.0} s; {counts}",
        verdict.faults, verdict.recovery, verdict.seconds
    );
    if !verdict.notes.is_empty() {
        println!("    {}", verdict.notes.join(", "));
    }
    println!(
        "    {}",
        if verdict.good() { "held".to_owned() } else { format!("FAILED: {}", verdict.wrong.join("; ")) }
    );
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("{name} is not set: start it by scripts/chaos"))
}

fn path(name: &str) -> Result<PathBuf, String> {
    variable(name).map(PathBuf::from)
}
