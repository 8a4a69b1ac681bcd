//! SIGTERM and SIGINT, the signals that end the program.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both of them, caught: neither ends the process by itself any more.
pub struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// Catches them. To be called where a tokio runtime is entered.
    ///
    /// # Errors
    /// When the system lets nobody handle signals.
    pub fn catch() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// Calls `tell` for each that comes, until it says that nobody listens.
    pub async fn forward(mut self, mut tell: impl FnMut() -> bool) {
        loop {
            tokio::select! {
                _ = self.term.recv() => {}
                _ = self.int.recv() => {}
            }
            if !tell() {
                return;
            }
        }
    }
}
