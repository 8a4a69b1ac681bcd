//! The table of all kinds, `docs/fault-matrix.md`. A run of some kinds replaces their rows and leaves the others.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::faults;
use crate::trial::{COMMIT_INTERVAL, GRACE, IN_FLIGHT, PARTITIONS, Plan, SESSION, USUAL_START};
use crate::verdict::{Tally, Verdict};

/// Where the rows come from, for whoever wants them again.
pub(crate) struct Origin {
    /// The seed of all runs.
    pub seed: u64,
    /// The commit that was built, shortened; with a plus where it was changed.
    pub commit: String,
    /// The versions of what was at work.
    pub versions: String,
}

/// Writes the table.
pub(crate) fn write(path: &Path, verdicts: &[Verdict], plan: &Plan, origin: &Origin) -> Result<(), String> {
    let mut rows = rows_of(&std::fs::read_to_string(path).unwrap_or_default());
    for verdict in verdicts {
        rows.insert(verdict.name.to_owned(), row(verdict, origin));
    }
    let text = text(&rows, plan, origin);
    std::fs::write(path, text).map_err(|e| format!("{} cannot be written: {e}", path.display()))
}

fn rows_of(text: &str) -> BTreeMap<String, String> {
    let name = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    text.lines().filter_map(|line| Some((name(line)?, line.to_owned()))).collect()
}

/// The columns' order is that of [`HEAD`].
fn row(verdict: &Verdict, origin: &Origin) -> String {
    let counts = match &verdict.tally {
        Some(Tally {
            records,
            dead_letters,
            lost,
            repeated,
            out_of_order,
            torn,
            phantom,
            corrupt,
            watermark,
        }) => format!(
            "{records} | {dead_letters} | {} | {lost} | {out_of_order} | {torn} | {phantom} | {corrupt} | {watermark} | {repeated}",
            verdict.faults
        ),
        None => format!("? | ? | {} | ? | ? | ? | ? | ? | ? | ?", verdict.faults),
    };
    let outcome =
        if verdict.good() { "held".to_owned() } else { format!("**failed**: {}", verdict.wrong.join("; ")) };
    let notes =
        if verdict.notes.is_empty() { String::new() } else { format!(" ({})", verdict.notes.join(", ")) };
    let line = format!(
        "| `{}` | {}{notes} | {counts} | {} | {:.1} | {:.0} | {} `{}` | {outcome} |",
        verdict.name,
        verdict.says,
        verdict.allowed,
        verdict.recovery,
        verdict.seconds,
        origin.seed,
        origin.commit
    );
    // A reason may have several lines, a row may not.
    line.replace(['\n', '\r'], " ")
}

const HEAD: &str = "| kind | what happens, while records flow | records | dead letters | faults | lost | out of order | torn \
                    | phantom | corrupt | watermark | repeated | allowed | recovery, s | run, s | seed, commit | verdict |\n\
                    | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |\n";

fn text(rows: &BTreeMap<String, String>, plan: &Plan, origin: &Origin) -> String {
    let in_order = || faults::all().filter_map(|kind| rows.get(kind.name));
    let sum = |column: usize| -> u64 {
        let cell = |row: &String| row.split('|').nth(column).and_then(|cell| cell.trim().parse::<u64>().ok());
        in_order().filter_map(cell).sum()
    };
    let (held, count) = (in_order().filter(|row| row.ends_with("| held |")).count(), in_order().count());
    let mut text = format!(
        "# Fault matrix\n\nWritten by `./scripts/chaos`; do not edit. Each row is a run on three real Kafka brokers: topics and a group of \
         its own, instances of the\nprogram, and {} records a second that keep coming for as long as the fault lasts. When it is over, \
         everything has to drain, the instances\nhave to stop with exit code 0, and the oracle (`processor verify`) reads input, \
         output and dead letters.\n\n\
         **{count} kinds, {held} held. {} records, {} faults: {} lost, {} out of order, {} torn, {} phantom, {} corrupt, {} watermark, {} repeated.**\n\n",
        plan.rate,
        sum(3),
        sum(5),
        sum(6),
        sum(7),
        sum(8),
        sum(9),
        sum(10),
        sum(11),
        sum(12)
    );
    text += HEAD;
    in_order().for_each(|row| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{row}");
    });
    text + &legend(plan, origin)
}

fn legend(plan: &Plan, origin: &Origin) -> String {
    format!(
        "\n**lost**: records of the input without a result in output or dead letters, when everything has drained.\n\
         **out of order**: first results behind a later one of their key, and keys that stand in two partitions of the output.\n\
         **watermark**: committed offsets beyond an unfinished record, and committed offsets that were seen to go back.\n\
         **allowed**: repeats. None for clean stops and rebalances. For each instance that was killed: what it may have in flight\n\
         ({IN_FLIGHT}) and what was finished within a commit interval ({} s) at the highest rate seen. Where a broker or the network could cut\n\
         an instance off from its coordinator: for each time that its partitions went to another (by its own log), the same and a session\n\
         at that rate, in which no commit got through. And what the run itself set back.\n\
         **recovery**: the longest time from a fault (of an instance), or from its end (of a broker or the network) when the cluster answers\n\
         the run itself, until the committed offset of every partition with open records has moved. After kill -9 no more than the session\n\
         ({} s) and {} s; and where a start took longer than {} s, twice the difference.\n\
         A fault that could not be made is a failed run.\n\n\
         Again: `./scripts/chaos --records {} --seed {} --only KIND`. The seed decides who is hit and when; threads, brokers and clocks are\n\
         real, so no two runs are the same. All kinds: `./scripts/chaos --list`. Whether the oracle would notice: `./scripts/chaos\n\
         --sabotage` falsifies copies of a good output, and it has to object to each.\n\n\
         Settings of all runs: {PARTITIONS} partitions, three copies, `min.insync.replicas=2`, {} keys, SASL, the defaults of the program but for the session,\n\
         the heartbeat (1 s) and the records in flight. Last run: {}.\n",
        COMMIT_INTERVAL.as_secs(),
        SESSION.as_secs(),
        GRACE.as_secs(),
        USUAL_START.as_secs(),
        plan.records,
        origin.seed,
        plan.keys,
        origin.versions
    )
}
