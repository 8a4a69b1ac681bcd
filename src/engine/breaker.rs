//! Poison or outage? One key that fails is poison: it is dealt with, and the rest goes on. Many keys that fail together are an
//! outage of what the transform needs: giving them all up would lose nothing and help nobody. Pure: told the time and the
//! chance.
//!
//! ```text
//!           KEYS keys failed last within WINDOW,                     a probe succeeds
//!           and half of what was judged since
//!  closed ───────────────────────────────────────▶ open: a probe ───────────────────▶ closed
//!                                                  after 1 s, doubling with
//!                                                  each that fails, to 30 s
//! ```
//!
//! What was judged is counted from the first of those failures on, and not over the whole window: ten seconds of success
//! before an outage would hide its first seconds, and that is when the dead letters would be written.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::engine::lanes::Gate;
use crate::planted::{Bug, planted};

/// How many keys make an outage.
pub const KEYS: usize = 8;
/// Within which they fail.
const WINDOW: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// Closed for so long it begins anew with the first pause.
const STABLE: Duration = Duration::from_secs(60);

/// A key that failed for good, for a reason that is not its own.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Which key; any number that stands for it.
    pub key: u64,
    /// What its failure was called.
    pub code: Cow<'static, str>,
    /// How many records the transform has answered so far.
    pub answered: u64,
}

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The transform answered.
    Succeeded,
    /// It failed.
    Failed,
    /// Its record is not ours any more, or was not run: it says nothing.
    Dropped,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// It is open from now on: so many records failed, most of them with this code.
    Opened(usize, Cow<'static, str>),
    /// It is closed again, after so long and so many probes.
    Closed(Duration, u32),
}

/// See the module.
#[derive(Debug)]
pub struct Breaker {
    /// The keys that failed last, oldest first, each once.
    last: VecDeque<Seen>,
    failures: u64,
    open: Option<Open>,
    pause: Duration,
    closed_at: Option<Instant>,
    gate: Gate,
}

#[derive(Debug)]
struct Seen {
    failed: Failed,
    at: Instant,
    /// Failures before this one.
    before: u64,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    probes: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        let (last, gate) = (VecDeque::with_capacity(KEYS + 1), Gate::default());
        Self { last, failures: 0, open: None, pause: FIRST_PAUSE, closed_at: None, gate }
    }
}

impl Breaker {
    /// Whether nothing is given up now.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// When work may be taken.
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// A record would have to be given up. `chance` is anything from 0 to 1.
    pub fn failed(&mut self, failed: Failed, now: Instant, chance: f64) -> Change {
        if self.is_open() {
            return Change::None;
        }
        self.last.retain(|seen| seen.failed.key != failed.key);
        self.last.push_back(Seen { failed, at: now, before: self.failures });
        self.failures += 1;
        if self.last.len() > KEYS {
            self.last.pop_front();
        }
        if !self.is_outage(now) || planted(Bug::BreakerNeverOpens) {
            return Change::None;
        }
        if self.closed_at.is_none_or(|closed| now.saturating_duration_since(closed) >= STABLE) {
            self.pause = FIRST_PAUSE;
        }
        self.open = Some(Open { since: now, probes: 0 });
        self.next_probe(now + jittered(self.pause, chance));
        let failures = self.last.front().map_or(0, |first| self.failures - first.before);
        Change::Opened(failures as usize, self.usual_code())
    }

    /// A probe has ended.
    pub fn probed(&mut self, probe: Probe, now: Instant, chance: f64) -> Change {
        let Some(open) = &mut self.open else { return Change::None };
        match probe {
            Probe::Dropped => self.next_probe(now),
            Probe::Failed => {
                open.probes += 1;
                self.pause = (self.pause * 2).min(LAST_PAUSE);
                self.next_probe(now + jittered(self.pause, chance));
            }
            Probe::Succeeded => {
                let (since, probes) = (open.since, open.probes + 1);
                (self.open, self.closed_at) = (None, Some(now));
                self.last.clear();
                self.gate = Gate { version: self.gate.version + 1, probe_at: None };
                return Change::Closed(now.saturating_duration_since(since), probes);
            }
        }
        Change::None
    }

    fn is_outage(&self, now: Instant) -> bool {
        let (Some(first), Some(last)) = (self.last.front(), self.last.back()) else { return false };
        let failures = self.failures - first.before;
        let answered = last.failed.answered.saturating_sub(first.failed.answered);
        self.last.len() == KEYS && now.saturating_duration_since(first.at) <= WINDOW && failures >= answered
    }

    fn next_probe(&mut self, at: Instant) {
        self.gate = Gate { version: self.gate.version + 1, probe_at: Some(at) };
    }

    fn usual_code(&self) -> Cow<'static, str> {
        let mut counts = BTreeMap::<&str, usize>::new();
        self.last.iter().for_each(|seen| *counts.entry(&seen.failed.code).or_default() += 1);
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.map_or(Cow::Borrowed(""), |(code, _)| Cow::Owned(code.to_owned()))
    }
}

/// A quarter more or less, so that many instances do not ask at once.
fn jittered(pause: Duration, chance: f64) -> Duration {
    pause.mul_f64(0.75 + chance / 2.0)
}

#[cfg(test)]
mod tests;
