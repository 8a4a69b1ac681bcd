//! What a proxy does to what passes through it, and the connections that are open.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::line::Line;

/// Kinds of requests that a rule can name, by their number in Kafka's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// Records for a partition.
    Produce = 0,
    /// A group's offsets.
    OffsetCommit = 8,
    /// The end of a transaction.
    EndTxn = 26,
    /// A group's offsets, in a transaction.
    TxnOffsetCommit = 28,
}

impl Api {
    /// Whether a request that begins with this number is of this kind.
    pub(crate) fn is(self, number: i16) -> bool {
        self as i16 == number
    }
}

/// What is done to frames. The default lets everything pass.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// Each frame comes so much later, in both directions.
    pub delay: Duration,
    /// Nothing passes and nothing is closed: a cable that was pulled.
    pub silent: bool,
    /// Answers to these wait until the rule is gone.
    pub holds: Option<Api>,
    /// The next answer to these is lost, and the connection with it: the broker has done it, and nobody knows.
    pub loses: Option<Api>,
    /// Requests of a connection go no faster than so many bytes a second.
    pub bytes_a_second: Option<u32>,
    /// New connections are closed at once.
    pub refuses: bool,
}

/// What the connections of one proxy share.
#[derive(Default)]
pub(super) struct Shared {
    rules: Mutex<Rules>,
    /// RebalanceEvent when the rules change: somebody may be waiting for the end of one.
    changed: Condvar,
    lines: Mutex<Vec<Weak<Line>>>,
    touched: AtomicU64,
}

impl Shared {
    /// The rules now.
    pub(super) fn rules(&self) -> Rules {
        *self.lock()
    }

    /// New rules.
    pub(super) fn rule(&self, rules: Rules) {
        *self.lock() = rules;
        self.changed.notify_all();
    }

    /// Waits while `holds` says so.
    pub(super) fn wait_while(&self, holds: impl Fn(&Rules) -> bool) {
        let guard = self.changed.wait_while(self.lock(), |rules| holds(rules));
        drop(guard.unwrap_or_else(PoisonError::into_inner));
    }

    /// A rule has had an effect.
    pub(super) fn touch(&self) {
        self.touched.fetch_add(1, Ordering::Relaxed);
    }

    /// How many effects there were.
    pub(super) fn touched(&self) -> u64 {
        self.touched.load(Ordering::Relaxed)
    }

    /// A connection is open.
    pub(super) fn enter(&self, line: &Arc<Line>) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|line| line.strong_count() > 0);
        lines.push(Arc::downgrade(line));
    }

    /// Closes all connections.
    pub(super) fn cut(&self) -> u64 {
        let lines = std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        let open: Vec<_> = lines.iter().filter_map(Weak::upgrade).collect();
        open.iter().for_each(|line| line.close());
        self.touched.fetch_add(open.len() as u64, Ordering::Relaxed);
        open.len() as u64
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
