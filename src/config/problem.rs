//! What is wrong with the settings: each problem, all of them at once, in words and as JSON.

use std::fmt;

use serde::Serialize;

use super::effective::EffectiveSettings;

/// One thing that is wrong with a setting. It holds no secret: values are masked before they get here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingProblem {
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

impl SettingProblem {
    /// A problem of a name alone.
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

/// What is wrong with a value by the rule of its setting, which says the rest.
pub(super) struct Wrong {
    pub code: &'static str,
    pub rule: String,
    /// What to do, where the setting's rule is not enough.
    pub fix: Option<String>,
}

impl Wrong {
    pub(super) fn new(code: &'static str, rule: impl Into<String>) -> Self {
        Self { code, rule: rule.into(), fix: None }
    }
}

impl<T: Into<String>> From<T> for Wrong {
    fn from(rule: T) -> Self {
        Self::new("PC003", rule)
    }
}

/// Everything found on the way, in the order in which it was found.
#[derive(Default)]
pub(super) struct Problems {
    pub faults: Vec<SettingProblem>,
    pub warnings: Vec<SettingProblem>,
}

impl Problems {
    /// Adds what must be mended before the program runs; once, even if both clients stumble over it.
    pub(super) fn fault(&mut self, problem: SettingProblem) {
        if !self.faults.contains(&problem) {
            self.faults.push(problem);
        }
    }

    /// Adds what is probably not meant.
    pub(super) fn warn(&mut self, problem: SettingProblem) {
        if !self.warnings.contains(&problem) {
            self.warnings.push(problem);
        }
    }

    /// Adds those of another list.
    pub(super) fn append(&mut self, other: Self) {
        other.faults.into_iter().for_each(|fault| self.fault(fault));
        other.warnings.into_iter().for_each(|warning| self.warn(warning));
    }

    /// `PROCESSOR_STRICT_CONFIG`.
    pub(super) fn make_strict(&mut self) {
        self.faults.append(&mut self.warnings);
    }
}

/// The settings cannot be used, and why: every fault, not the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigError {
    /// At least one.
    pub faults: Vec<SettingProblem>,
    /// What is doubtful beside them.
    pub warnings: Vec<SettingProblem>,
    /// The settings as far as they were understood.
    pub settings: EffectiveSettings,
}

impl fmt::Display for ConfigError {
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

impl std::error::Error for ConfigError {}

/// Warnings, shown as faults are.
pub struct Warnings<'a>(pub &'a [SettingProblem]);

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

fn lines(problems: &[SettingProblem]) -> String {
    let subjects: Vec<String> = problems.iter().map(SettingProblem::subject).collect();
    let widths = subjects.iter().map(|subject| subject.chars().count());
    let width = widths.filter(|width| *width <= WIDEST).max().unwrap_or(0);
    problems
        .iter()
        .zip(&subjects)
        .map(|(problem, subject)| format!("  {} {subject:width$}  {}\n", problem.code, problem.sentence()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_aligned_and_say_where_they_come_from() {
        let six = SettingProblem {
            value: Some("six".into()),
            origin: Some("the environment".into()),
            ..SettingProblem::new("PC003", "WORKER_POOL", "not a number", "Expected 1–1024, default 6.")
        };
        let missing = SettingProblem::new("PC001", "KAFKA_GROUP_ID", "missing", "e.g. KAFKA_GROUP_ID=orders");
        let faults = ConfigError {
            faults: vec![missing, six],
            warnings: vec![],
            settings: EffectiveSettings::default(),
        };
        let expected = "error: 2 settings are wrong\n  \
            PC001 KAFKA_GROUP_ID     missing. e.g. KAFKA_GROUP_ID=orders\n  \
            PC003 WORKER_POOL=\"six\"  not a number (from the environment). Expected 1–1024, default 6.\n";
        assert_eq!(faults.to_string(), expected);
    }
}
