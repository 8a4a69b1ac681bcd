//! What the user sees while the demo runs: on a terminal a few lines that are drawn again and again, elsewhere a plain
//! line each time. Log lines go to standard error, on a terminal above those lines, so that nothing is garbled.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use parking_lot::Mutex;

/// One for the process.
pub(super) struct Screen {
    /// Standard output is a terminal.
    live: bool,
    /// Standard error is one too, so that log lines would run into the lines here.
    shared: bool,
    lines: Mutex<Vec<String>>,
}

impl Screen {
    /// The screen as standard output and standard error are.
    pub(super) fn new() -> Arc<Self> {
        let (live, error) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Arc::new(Self { live, shared: live && error, lines: Mutex::new(Vec::new()) })
    }

    /// Whether lines are drawn again and again.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// Shows these lines, in place of those that were shown before.
    pub(super) fn show(&self, lines: Vec<String>) {
        let mut shown = self.lines.lock();
        if self.live {
            // What cannot be written (a closed pipe) is not worth ending for: the verdict is in the exit code too.
            let _ = io::stdout().write_all(redrawn(shown.len(), &lines).as_bytes());
        } else {
            let _ = writeln!(io::stdout(), "{}", lines.join("  "));
        }
        *shown = lines;
    }

    /// What is shown stays, and what comes next stands below it.
    pub(super) fn let_stand(&self) {
        self.lines.lock().clear();
    }

    /// Where log lines go.
    pub(super) fn log(self: &Arc<Self>) -> Log {
        Log(self.clone())
    }
}

/// Writes to standard error, above what is shown on a terminal. A call is a whole line.
pub(super) struct Log(Arc<Screen>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = self.0.lines.lock();
        if !self.0.shared || shown.is_empty() {
            return io::stderr().write_all(line).map(|()| line.len());
        }
        let mut out = io::stdout();
        out.write_all(redrawn(shown.len(), &[]).as_bytes())?;
        out.flush()?;
        io::stderr().write_all(line)?;
        out.write_all(redrawn(0, &shown).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// These lines in place of so many, as a terminal is told.
fn redrawn(before: usize, lines: &[String]) -> String {
    // The line of the cursor first: a terminal writes ^C there.
    let mut text = format!("\r\x1b[2K{}", "\x1b[1A\x1b[2K".repeat(before));
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// A number with its thousands apart: `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
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

/// How this program was called.
pub(super) fn program() -> String {
    std::env::args_os().next().map_or("processor".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_take_the_place_of_those_before() {
        let lines = ["a".to_owned(), "b".to_owned()];
        assert_eq!(redrawn(0, &lines), "\r\x1b[2Ka\nb\n");
        assert_eq!(redrawn(2, &lines), "\r\x1b[2K\x1b[1A\x1b[2K\x1b[1A\x1b[2Ka\nb\n");
        assert_eq!(redrawn(1, &[]), "\r\x1b[2K\x1b[1A\x1b[2K");
    }

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), text);
        }
    }
}
