//! The command line of the driver, and what it is told by `scripts/chaos` in the environment.

use std::path::PathBuf;

use crate::faults::{self, Kind};

/// What the command line says.
pub(crate) struct Options {
    /// Records a run at least.
    pub records: u64,
    /// Where chance begins.
    pub seed: u64,
    /// What is run.
    pub kinds: Vec<&'static Kind>,
    /// A few kinds, few repetitions.
    pub short: bool,
    /// The instances run with `PROCESSOR_DELIVERY=exactly-once`, and nothing may be repeated.
    pub exactly_once: bool,
    /// Only say which kinds there are.
    pub list: bool,
    /// Show that the oracle objects to falsified outputs.
    pub sabotage: bool,
    /// Where the table goes.
    pub table: Option<PathBuf>,
}

/// Records a run at least, in a long run and in a short one.
const RECORDS: (u64, u64) = (100_000, 20_000);

/// Reads the command line.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut arguments = arguments.peekable();
    let (mut records, mut only, mut table) = (None, None, None);
    let (mut short, mut list, mut sabotage, mut exactly_once) = (false, false, false, false);
    let mut seed = fastrand::u64(..1 << 32);
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{option} wants a value"));
        match option.as_str() {
            "--records" => records = Some(number(&option, &value()?)?),
            "--seed" => seed = number(&option, &value()?)?,
            "--only" => only = Some(value()?),
            "--table" => table = Some(PathBuf::from(value()?)),
            "--short" => short = true,
            "--exactly-once" => exactly_once = true,
            "--list" => list = true,
            "--sabotage" => sabotage = true,
            _ => return Err(format!("{option} is no option of it; see scripts/chaos --help")),
        }
    }
    let names =
        only.unwrap_or_else(|| if short || sabotage { faults::SHORT.join(",") } else { String::new() });
    let records = records.unwrap_or(if short || sabotage { RECORDS.1 } else { RECORDS.0 });
    let (kinds, short) = (named(&names)?, short || sabotage);
    Ok(Options { records, seed, kinds, short, exactly_once, list, sabotage, table })
}

fn number(option: &str, text: &str) -> Result<u64, String> {
    let plain = text.replace([',', '_'], "");
    plain.parse().ok().filter(|n| *n > 0).ok_or_else(|| format!("{option} {text}: expected a number above 0"))
}

fn named(names: &str) -> Result<Vec<&'static Kind>, String> {
    if names.is_empty() {
        return Ok(faults::all().collect());
    }
    let find = |name: &str| faults::all().find(|kind| kind.name == name);
    names
        .split(',')
        .map(|name| {
            find(name.trim()).ok_or_else(|| format!("{name} is no kind of fault; see scripts/chaos --list"))
        })
        .collect()
}
