//! What is wrong with the settings, all of it at once, in words and as JSON.

use std::fmt;

use serde::Serialize;

use super::settings::Settings;

/// One thing that is wrong. It holds no secret: values are masked before they get here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `PC001` missing, `PC003` not allowed, `PC004` said twice, `PC005` unit, `PC006` servers, `PC007` unknown,
    /// `PC008` not UTF-8, `PC009` loop, `PC010` half a security setting, `PC011` unreadable file, `PC012` Java's name,
    /// `PC019` topic name, `PC020` would break a guarantee, `PC022` no dead-letter topic, `PC023` failure policies that
    /// contradict, `PC024` queue too small, `PC025` transactions that outlive a session, `PC026` refused by librdkafka, `PC027`
    /// not in this build.
    pub code: &'static str,
    /// The variable or the flag, as the user typed it.
    pub name: String,
    /// Its value, if it may be shown, `***` if not; `None` if there is none to speak of.
    pub value: Option<String>,
    /// Where it was said: `the environment`, `a flag`, or a file.
    pub origin: Option<String>,
    /// What is wrong.
    pub rule: String,
    /// What to do.
    pub fix: String,
}

impl Finding {
    /// A finding about a name alone.
    pub(super) fn new(
        code: &'static str,
        name: impl Into<String>,
        rule: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { code, name: name.into(), value: None, origin: None, rule: rule.into(), fix: fix.into() }
    }

    fn subject(&self) -> String {
        let name = self.name.escape_debug();
        self.value.as_ref().map_or_else(|| name.to_string(), |value| format!("{name}={value:?}"))
    }

    fn sentence(&self) -> String {
        let origin = self.origin.as_ref().filter(|_| !self.name.starts_with("--"));
        let origin = origin.map(|origin| format!(" (from {origin})")).unwrap_or_default();
        format!("{}{origin}. {}", self.rule, self.fix).trim_end().to_owned()
    }
}

/// Everything found on the way, in the order in which it was found.
#[derive(Default)]
pub(super) struct Report {
    pub faults: Vec<Finding>,
    pub warnings: Vec<Finding>,
}

impl Report {
    /// Adds what must be mended before the program runs; once, even if both clients stumble over it.
    pub(super) fn fault(&mut self, finding: Finding) {
        if !self.faults.contains(&finding) {
            self.faults.push(finding);
        }
    }

    /// Adds what is probably not meant.
    pub(super) fn warn(&mut self, finding: Finding) {
        if !self.warnings.contains(&finding) {
            self.warnings.push(finding);
        }
    }

    /// `PROCESSOR_STRICT_CONFIG`.
    pub(super) fn make_strict(&mut self) {
        self.faults.append(&mut self.warnings);
    }
}

/// The settings cannot be used, and why: every fault, not the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// At least one.
    pub faults: Vec<Finding>,
    /// What is doubtful beside them.
    pub warnings: Vec<Finding>,
    /// The settings as far as they were understood.
    pub settings: Settings,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.len() {
            1 => writeln!(f, "error: 1 setting is wrong")?,
            n => writeln!(f, "error: {n} settings are wrong")?,
        }
        f.write_str(&lines(&self.faults))?;
        if !self.warnings.is_empty() {
            write!(f, "{}", Warnings(&self.warnings))?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Warnings, shown as faults are.
pub struct Warnings<'a>(pub &'a [Finding]);

impl fmt::Display for Warnings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "warning: {} to look at", count(self.0.len(), "setting"))?;
        f.write_str(&lines(self.0))
    }
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// A subject longer than this does not push the others' sentences to the right.
const WIDEST: usize = 44;

fn lines(findings: &[Finding]) -> String {
    let subjects: Vec<String> = findings.iter().map(Finding::subject).collect();
    let widths = subjects.iter().map(|subject| subject.chars().count());
    let width = widths.filter(|width| *width <= WIDEST).max().unwrap_or(0);
    findings
        .iter()
        .zip(&subjects)
        .map(|(finding, subject)| format!("  {} {subject:width$}  {}\n", finding.code, finding.sentence()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_aligned_and_say_where_they_come_from() {
        let six = Finding {
            value: Some("six".into()),
            origin: Some("the environment".into()),
            ..Finding::new("PC003", "WORKER_POOL", "not a number", "Expected 1–1024, default 6.")
        };
        let missing = Finding::new("PC001", "KAFKA_GROUP_ID", "missing", "e.g. KAFKA_GROUP_ID=orders");
        let faults = Faults { faults: vec![missing, six], warnings: vec![], settings: Settings::default() };
        let expected = "error: 2 settings are wrong\n  \
            PC001 KAFKA_GROUP_ID     missing. e.g. KAFKA_GROUP_ID=orders\n  \
            PC003 WORKER_POOL=\"six\"  not a number (from the environment). Expected 1–1024, default 6.\n";
        assert_eq!(faults.to_string(), expected);
    }
}
