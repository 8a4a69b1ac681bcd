//! The lines of a second, in words. None is longer than a narrow terminal, so that none is wrapped.

use std::time::Duration;

use super::judge::Tally;

/// What is known at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// Since the flow began.
    pub elapsed: Duration,
    /// How long it is to go on, if that is known and it does.
    pub duration: Option<Duration>,
    /// Records in the input topic by the broker's word; the judge may not have read them yet.
    pub acknowledged: u64,
    /// What the judge has counted.
    pub tally: Tally,
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
    pub fn lines(&self) -> Vec<String> {
        let Tally { input, output, dead_lettered, repeated, out_of_order, .. } = self.tally;
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
    pub fn lines_on_a_terminal(&self) -> Vec<String> {
        let mut lines = self.lines();
        lines.extend(self.duration.map(|duration| bar(self.elapsed, duration)));
        for line in lines.iter_mut().skip(1) {
            line.insert_str(0, "         ");
        }
        lines
    }
}

const BAR: usize = 40;

fn bar(elapsed: Duration, duration: Duration) -> String {
    let part = (elapsed.as_secs_f64() / duration.as_secs_f64()).min(1.0);
    let full = (part * BAR as f64) as usize;
    format!("[{}{}] {:.0} %", "#".repeat(full), "-".repeat(BAR - full), part * 100.0)
}

/// A number with its thousands apart: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_second_in_words() {
        let tally = Tally { input: 59_000, output: 58_000, dead_lettered: 1_100, ..Tally::default() };
        let moment = Moment {
            elapsed: Duration::from_millis(12_300),
            acknowledged: 60_000,
            tally,
            p99: Some(14),
            rate: 5_000,
            ..Moment::default()
        };
        let expected = ["   12 s  in 60,000  out 58,000  dead-lettered 1,100  lag 900", "5,000/s  p99 14 ms"];
        assert_eq!(moment.lines(), expected);
        let bad = Tally { repeated: 3, out_of_order: 1, ..tally };
        let bad = Moment { tally: bad, held_back: 40, faults: Some(7), ..moment }.lines().join(" ");
        assert!(bad.ends_with("faults 7  held back 40 % REPEATED 3  OUT OF ORDER 1"), "{bad}");
    }

    #[test]
    fn no_line_is_wrapped_by_a_narrow_terminal() {
        let many = 123_456_789;
        let tally = Tally {
            input: many,
            output: many,
            dead_lettered: many,
            repeated: 12_345,
            out_of_order: 12_345,
            ..Tally::default()
        };
        let moment = Moment {
            elapsed: Duration::from_secs(86_400),
            duration: Some(Duration::from_secs(90_000)),
            tally,
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
