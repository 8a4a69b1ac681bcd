//! What a run came to: the oracle's counts (`processor verify`), what was seen from outside, and whether that is what is promised.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::faults::Kind;
use crate::trial::{COMMIT_INTERVAL, IN_FLIGHT, SESSION, Trial};

/// What the oracle found in the topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Records in the input.
    pub records: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Records without a result.
    pub lost: u64,
    /// Results beyond the first.
    pub repeated: u64,
    /// First results behind a later one of their key; and keys in more than one partition of the output.
    pub out_of_order: u64,
    /// Records of which some results are missing.
    pub torn: u64,
    /// Results of no record.
    pub phantom: u64,
    /// Results that are not what their record asks for.
    pub corrupt: u64,
    /// Committed offsets beyond an unfinished record; and those that were seen to go back.
    pub watermark: u64,
}

/// A run with its judgement.
pub(crate) struct Verdict {
    /// The kind's name.
    pub name: &'static str,
    /// What happened.
    pub says: &'static str,
    /// What was found; nothing if it could not be looked for.
    pub tally: Option<Tally>,
    /// Faults that were made.
    pub faults: u64,
    /// Repeats that are allowed.
    pub allowed: u64,
    /// The longest way from a fault to progress, in seconds.
    pub recovery: f64,
    /// How long the run took, in seconds.
    pub seconds: f64,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// What is wrong. Nothing: the run is good.
    pub wrong: Vec<String>,
}

impl Verdict {
    /// Whether the promises were held.
    pub(crate) fn good(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Nothing is known but what is wrong.
    pub(crate) fn of(kind: &Kind, wrong: String) -> Self {
        Self {
            name: kind.name,
            says: kind.says,
            tally: None,
            faults: 0,
            allowed: 0,
            recovery: 0.0,
            seconds: 0.0,
            notes: Vec::new(),
            wrong: vec![wrong],
        }
    }
}

/// Lets the oracle read the topics of a run.
pub(crate) fn tally(trial: &Trial<'_>) -> Result<Tally, String> {
    let mut tally = ask(trial, &trial.topics.output.0)?;
    tally.watermark += trial.seen().went_back;
    Ok(tally)
}

/// Lets the oracle compare the input of a run with this output, which may be a copy.
pub(crate) fn ask(trial: &Trial<'_>, output: &str) -> Result<Tally, String> {
    let answer = Command::new(&trial.plan.program)
        .arg("verify")
        .args(["--servers", &trial.cluster.servers()])
        .args(["--input", &trial.topics.input.0, "--output", output, "--dlq", &trial.dead_letters])
        .args(["--group", &trial.topics.group, "--json", "--max-repeats", "any", "--timeout", "120s"])
        .env_clear()
        .output()
        .map_err(|e| format!("the oracle cannot be asked: {e}"))?;
    let text = String::from_utf8_lossy(&answer.stdout);
    // What it found is kept beside the logs: it names positions.
    let _ = std::fs::write(trial.dir().join(format!("{output}.verify.json")), text.as_bytes());
    read(&text).map_err(|e| format!("the oracle: {e}: {}", String::from_utf8_lossy(&answer.stderr).trim()))
}

fn read(text: &str) -> Result<Tally, String> {
    let json: Value = serde_json::from_str(text).map_err(|e| format!("no JSON ({e})"))?;
    let number = |path: &str| {
        json.pointer(path).and_then(Value::as_u64).ok_or_else(|| format!("its JSON says nothing at {path}"))
    };
    Ok(Tally {
        records: number("/records/input")?,
        dead_letters: number("/records/dead_letters")?,
        lost: number("/lost/count")? + number("/unfinished/count")?,
        repeated: number("/repeated/count")?,
        out_of_order: number("/out_of_order/count")? + number("/split/count")?,
        torn: number("/torn/count")?,
        // All records are stamped: a result without a stamp is nobody's.
        phantom: number("/phantom/count")? + number("/unjudged/count")?,
        corrupt: number("/corrupt/count")?,
        watermark: number("/watermark/count")?,
    })
}

/// What a reader that shares nothing with the oracle finds in the same topics (`scripts/chaos.d/reader.py`), where it differs.
pub(crate) fn second_opinion(trial: &Trial<'_>, tally: &Tally) -> Vec<String> {
    let Some((python, program)) = &trial.plan.reader else { return Vec::new() };
    let answer = Command::new(python)
        .arg(program)
        .args([&trial.cluster.servers(), &trial.topics.input.0, &trial.topics.output.0, &trial.dead_letters])
        .output();
    let found: Value = match &answer {
        Ok(answer) if answer.status.success() => serde_json::from_slice(&answer.stdout).unwrap_or_default(),
        Ok(answer) => {
            return vec![format!("the second reader: {}", String::from_utf8_lossy(&answer.stderr).trim())];
        }
        Err(error) => return vec![format!("the second reader cannot be asked: {error}")],
    };
    let expected = [
        ("records", tally.records),
        ("lost", tally.lost),
        ("repeated", tally.repeated),
        ("out_of_order", tally.out_of_order),
        ("phantom", tally.phantom),
    ];
    let differs = |(what, count): &(&str, u64)| {
        let other = found[*what].as_u64();
        (other != Some(*count)).then(|| format!("{what}: {count}, and by a second reader {other:?}"))
    };
    expected.iter().filter_map(differs).collect()
}

/// How many repeats are allowed: what the run asked to have again, and exactly once no more. Else, for each instance that was
/// killed, also what it had in flight and what it finished since its last commit; and where it could be cut off from its
/// coordinator, for each time that partitions went to another, the same and what it finished in the session in which no commit got
/// through.
pub(crate) fn allowed(trial: &Trial<'_>, cuts_off: bool) -> u64 {
    if trial.plan.exactly_once {
        return trial.count.asked_again;
    }
    let given_up = if cuts_off { trial.given_up() } else { 0 };
    let finished_in = |time: Duration| (trial.seen().peak * time.as_secs_f64()).ceil() as u64;
    let killed = trial.count.hard * (IN_FLIGHT + finished_in(COMMIT_INTERVAL));
    let cut_off = given_up * (IN_FLIGHT + finished_in(COMMIT_INTERVAL + SESSION));
    trial.count.asked_again + killed + cut_off
}

/// What of this is not as promised.
pub(crate) fn faults_of(tally: &Tally, allowed: u64, records: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    if tally.records != records {
        wrong.push(format!("{} records in the input instead of {records}", tally.records));
    }
    let none = [
        ("lost", tally.lost),
        ("out of order", tally.out_of_order),
        ("torn", tally.torn),
        ("phantom", tally.phantom),
        ("corrupt", tally.corrupt),
        ("watermark", tally.watermark),
    ];
    wrong.extend(none.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}")));
    if tally.repeated > allowed {
        wrong.push(format!("{} repeated, {allowed} are allowed", tally.repeated));
    }
    wrong
}
