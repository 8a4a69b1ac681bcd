//! What a member of the group is told, and what the rest of the process sees of its thread.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::clock::Clock;
use crate::kafka::context::Context;
use crate::kafka::membership::GroupMetadata;
use crate::policy::OffsetReset;
use crate::source::start::Known;

/// What a member is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its number in this process.
    pub index: usize,
    /// The group.
    pub group: String,
    /// `bootstrap.servers`, for advice.
    pub servers: String,
    /// What to read.
    pub topics: Vec<String>,
    /// Where a new group begins.
    pub reset: OffsetReset,
    /// What was known of the topics at start.
    pub known: HashMap<Arc<str>, Known>,
    /// How often offsets are committed; `None` leaves that to a transactor.
    pub commit_interval: Option<Duration>,
    /// How long revoked partitions may take to finish.
    pub revoke_timeout: Duration,
}

/// Whom a member works with.
pub struct Deps<I> {
    /// Where records go.
    pub intake: Arc<I>,
    /// Who is told about the cluster.
    pub context: Context,
    /// What the rest of the process sees of the member, and how it stops it.
    pub control: Arc<Control>,
    /// Who is told why the member cannot go on.
    pub trouble: Sender<Trouble>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}

/// Why a member cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The user has to choose where the group begins.
    Undecided(String),
    /// Not allowed.
    Denied(String),
    /// Another process uses the same `group.instance.id`.
    Fenced(String),
    /// Anything else.
    Failed(String),
}

/// What a member left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Records that were in flight.
    pub left: usize,
    /// Records that will be delivered again: those, and what was taken and given back, or stopped the program.
    pub unfinished: u64,
    /// Partitions whose last watermark the broker did not confirm.
    pub uncommitted: usize,
}

/// What the rest of the process sees of a member's thread.
#[derive(Debug, Default)]
pub struct Control {
    pub(super) stop: AtomicBool,
    /// Gives up at once what is not finished.
    pub(super) abort: AtomicBool,
    /// Whether the group has told it what it owns (nothing is an answer too).
    pub(super) joined: AtomicBool,
    pub(super) standing: Arc<GroupMetadata>,
    pub(super) beat: crate::sync::Mutex<Option<Instant>>,
}

impl Control {
    /// Stop taking records, finish, commit, leave the group.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Do not wait for what is not finished.
    pub fn abort(&self) {
        self.stop();
        self.abort.store(true, Ordering::Relaxed);
    }

    /// As whom whoever commits for the member does so.
    pub fn standing(&self) -> Arc<GroupMetadata> {
        self.standing.clone()
    }

    /// Whether the group has told the member what it owns.
    pub fn has_joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed)
    }

    /// When the thread last began a round.
    pub fn last_beat(&self) -> Option<Instant> {
        *self.beat.lock()
    }
}
