//! SIGTERM, SIGINT and SIGHUP, the signals that end the program.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// All of them, caught: none ends the process by itself any more.
pub struct Signals {
    term: Signal,
    int: Signal,
    /// The terminal has gone, or somebody asks for a reload, which there is not: to die of it would repeat records. `None` where the
    /// process was started with it ignored.
    hangup: Option<Signal>,
}

impl Signals {
    /// Catches them. To be called where a tokio runtime is entered.
    ///
    /// # Errors
    /// When the system lets nobody handle signals.
    pub fn catch() -> io::Result<Self> {
        let hangup = (!hangup_is_ignored()).then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())?, hangup })
    }

    /// Calls `tell` for each that comes, until it says that nobody listens. A terminal that goes may say so twice, by its shell and
    /// by the system, and that is no second wish: SIGHUP is told only where nothing was told before.
    pub async fn forward(mut self, mut tell: impl FnMut() -> bool) {
        let mut told = false;
        loop {
            tokio::select! {
                _ = self.term.recv() => {}
                _ = self.int.recv() => {}
                () = next(&mut self.hangup) => if told { continue },
            }
            told = true;
            if !tell() {
                return;
            }
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

/// Whether the process was started with SIGHUP ignored, as `nohup` does: it is to go on when its terminal goes. Only Linux can be
/// asked that without a system call of our own.
fn hangup_is_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status))
}

fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // SIGHUP is signal 1, the lowest bit.
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000000\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"));
        assert!(!ignores_hangup(""));
    }
}
