//! What is shown once a second. No line is longer than a narrow terminal, so that none is wrapped.

use std::time::{Duration, Instant};

use super::screen::{Screen, grouped};
use crate::cli::verify::Counts;

/// What is known at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Moment {
    /// Since the flow began.
    pub elapsed: Duration,
    /// How long it is to go on, if that is known and it does.
    pub duration: Option<Duration>,
    /// Records in the input topic by the broker's word; the judge may not have read them yet.
    pub acknowledged: u64,
    /// What the judge has counted.
    pub counts: Counts,
    /// Of the last second, milliseconds.
    pub p99: Option<u64>,
    /// Records of the last second that were read back.
    pub rate: u64,
    /// Which part of the last second the generator was held back, in percent.
    pub held_back: u64,
    /// Faults so far, if there are to be any.
    pub faults: Option<u64>,
    /// What is waited for, if the flow has ended.
    pub waits_for: Option<&'static str>,
}

impl Moment {
    /// What flows, how fast, what went wrong, and what is waited for.
    fn lines(&self) -> Vec<String> {
        let Counts { input, output, dead_lettered, repeated, out_of_order } = self.counts;
        let input = input.max(self.acknowledged);
        let lag = input.saturating_sub(output + dead_lettered);
        let flow = format!(
            "{:>5} s  in {}  out {}  dead-lettered {}  lag {}",
            self.elapsed.as_secs(),
            grouped(input),
            grouped(output),
            grouped(dead_lettered),
            grouped(lag)
        );
        let p99 = self.p99.map_or("-".to_owned(), |ms| format!("{} ms", grouped(ms)));
        let mut pace = format!("{}/s  p99 {p99}", grouped(self.rate));
        if let Some(faults) = self.faults {
            pace += &format!("  faults {}", grouped(faults));
        }
        if self.held_back > 0 {
            pace += &format!("  held back {} %", self.held_back);
        }
        let bad = format!("REPEATED {}  OUT OF ORDER {}", grouped(repeated), grouped(out_of_order));
        let bad = (repeated + out_of_order > 0).then_some(bad);
        [flow, pace].into_iter().chain(bad).chain(self.waits_for.map(str::to_owned)).collect()
    }

    /// The same for a terminal: indented, and with a bar where the end is known.
    fn lines_on_a_terminal(&self) -> Vec<String> {
        let mut lines = self.lines();
        lines.extend(self.duration.map(|duration| bar(self.elapsed, duration)));
        for line in lines.iter_mut().skip(1) {
            line.insert_str(0, "         ");
        }
        lines
    }
}

/// What has been counted at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// How long the flow is to go on, if that is known.
    pub duration: Option<Duration>,
    /// Records in the input topic by the broker's word.
    pub acknowledged: u64,
    /// What the judge has counted.
    pub counts: Counts,
    /// Of what was read since these figures were asked for last, milliseconds.
    pub p99: Option<u64>,
    /// How long the generator was held back.
    pub waited: Duration,
    /// Faults, if there are to be any.
    pub faults: Option<u64>,
}

const SECOND: Duration = Duration::from_secs(1);

/// Shows a moment once a second, and remembers what it needs of the one before.
pub(super) struct Progress {
    next: Instant,
    /// When the flow began; unset as long as the group forms.
    began: Option<Instant>,
    /// Whether it is over, and what is waited for then.
    over: bool,
    waits_for: Option<&'static str>,
    last: Last,
}

#[derive(Clone, Copy)]
struct Last {
    shown: Instant,
    finished: u64,
    waited: Duration,
}

impl Progress {
    /// Has shown nothing.
    pub(super) fn new() -> Self {
        let shown = Instant::now();
        let last = Last { shown, finished: 0, waited: Duration::ZERO };
        Self { next: shown, began: None, over: false, waits_for: None, last }
    }

    /// The flow begins; so long the generator was held back before.
    pub(super) fn begin(&mut self, now: Instant, waited: Duration) {
        self.began = Some(now);
        self.next = now + SECOND;
        self.last = Last { shown: now, waited, ..self.last };
    }

    /// The flow is over, and this is waited for.
    pub(super) fn waits_for(&mut self, what: &'static str) {
        self.over = true;
        self.waits_for = Some(what);
    }

    /// Shows how it goes, if it is time.
    pub(super) fn maybe_show(&mut self, screen: &Screen, figures: impl FnOnce() -> Figures) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = (self.next + SECOND).max(now);
        let lines = match self.began {
            None => {
                vec!["starting: the processor joins its group, and the first record goes through".to_owned()]
            }
            Some(began) => {
                let moment = self.moment(&figures(), began, now);
                if screen.is_live() { moment.lines_on_a_terminal() } else { moment.lines() }
            }
        };
        screen.show(lines);
    }

    /// On a terminal the last figures stay where they are. Elsewhere the verdict follows, and says them too.
    pub(super) fn show_the_last(&mut self, screen: &Screen, figures: impl FnOnce() -> Figures) {
        if screen.is_live() {
            self.next = Instant::now();
            self.waits_for = None;
            self.maybe_show(screen, figures);
            screen.let_stand();
        }
    }

    fn moment(&mut self, figures: &Figures, began: Instant, now: Instant) -> Moment {
        let this = Last { shown: now, finished: figures.counts.finished(), waited: figures.waited };
        let last = std::mem::replace(&mut self.last, this);
        let time = (this.shown - last.shown).as_secs_f64().max(0.001);
        Moment {
            elapsed: now - began,
            duration: figures.duration.filter(|_| !self.over),
            acknowledged: figures.acknowledged,
            counts: figures.counts,
            p99: figures.p99,
            rate: ((this.finished - last.finished) as f64 / time) as u64,
            held_back: ((this.waited - last.waited).as_secs_f64() / time * 100.0) as u64,
            faults: figures.faults,
            waits_for: self.waits_for,
        }
    }
}

const BAR: usize = 40;

fn bar(elapsed: Duration, duration: Duration) -> String {
    let part = (elapsed.as_secs_f64() / duration.as_secs_f64()).min(1.0);
    let full = (part * BAR as f64) as usize;
    format!("[{}{}] {:.0} %", "#".repeat(full), "-".repeat(BAR - full), part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_in_words() {
        let counts = Counts { input: 59_000, output: 58_000, dead_lettered: 1_100, ..Counts::default() };
        let moment = Moment {
            elapsed: Duration::from_millis(12_300),
            acknowledged: 60_000,
            counts,
            p99: Some(14),
            rate: 5_000,
            ..Moment::default()
        };
        let expected = ["   12 s  in 60,000  out 58,000  dead-lettered 1,100  lag 900", "5,000/s  p99 14 ms"];
        assert_eq!(moment.lines(), expected);
        let bad = Counts { repeated: 3, out_of_order: 1, ..counts };
        let bad = Moment { counts: bad, held_back: 40, faults: Some(7), ..moment }.lines().join(" ");
        assert!(bad.ends_with("faults 7  held back 40 % REPEATED 3  OUT OF ORDER 1"), "{bad}");
    }

    #[test]
    fn no_line_is_wrapped_by_a_narrow_terminal() {
        let many = 123_456_789;
        let counts =
            Counts { input: many, output: many, dead_lettered: many, repeated: 12_345, out_of_order: 12_345 };
        let moment = Moment {
            elapsed: Duration::from_secs(86_400),
            duration: Some(Duration::from_secs(90_000)),
            counts,
            p99: Some(66_560),
            rate: 1_234_567,
            held_back: 99,
            faults: Some(123_456),
            ..Moment::default()
        };
        for line in moment.lines_on_a_terminal() {
            assert!(line.len() < 80, "{} characters: {line}", line.len());
        }
    }

    #[test]
    fn the_bar_is_full_at_the_end() {
        let at = |seconds| bar(Duration::from_secs(seconds), Duration::from_secs(10));
        assert_eq!(at(0), format!("[{}] 0 %", "-".repeat(BAR)));
        assert_eq!(at(5), format!("[{}{}] 50 %", "#".repeat(20), "-".repeat(20)));
        assert_eq!(at(12), format!("[{}] 100 %", "#".repeat(BAR)));
    }
}
