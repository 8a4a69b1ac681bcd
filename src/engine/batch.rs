//! What a worker has in its hands, where others can see it: what it runs, what it has yet to run, what it has made.
//!
//! A transform that does not return keeps its worker, and nothing else: what the worker took along with that record is taken
//! out of its hand by the look-out ([`super::stuck`]). The lock is the worker's own; it takes it once a record, and nobody
//! else wants it but the look-out, once a second.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stuck::Said;
use super::{Batch, Job, Verdicts};
use crate::checkpoint::{Slot, Ticket};
use crate::engine::lanes::Place;
use crate::engine::lanes::pending::{Held, Lane, Task, Verdict};
use crate::sync::{Condvar, Mutex};

/// See the module.
pub(super) struct WorkerBatch {
    /// The worker's thread.
    pub name: String,
    inner: Mutex<Inner>,
    /// What the look-out took is where it belongs.
    returned: Condvar,
}

#[derive(Default)]
struct Inner {
    tasks: VecDeque<Task<Arc<Job>>>,
    made: Made,
    running: Option<Running>,
    /// How many records were begun: while it stands still, so does the worker.
    begun: u64,
    /// What `begun` was when the look-out last saw it change, and when that was.
    seen: Option<(u64, Instant)>,
    said: Said,
    /// The look-out has results of the running record's lane: what is made next must come out behind them.
    lent: bool,
}

/// What became of tasks, and is not where it belongs yet.
#[derive(Default)]
pub(super) struct Made {
    pub verdicts: Verdicts,
    pub ready: Vec<(Place, Arc<Job>)>,
    pub finished: Vec<Ticket>,
}

/// The record that a worker runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub slot: Slot,
    pub partition: i32,
    pub offset: i64,
    lane: Lane,
}

impl Running {
    pub(super) fn of(task: &Task<Arc<Job>>) -> Self {
        let (slot, record) = (task.job.ticket().slot, task.job.record());
        Self { slot, partition: record.partition(), offset: record.offset(), lane: task.lane() }
    }

    /// Whether a task of this lane has to wait for it.
    fn blocks(&self, lane: Lane) -> bool {
        lane.is_some() && lane == self.lane
    }
}

impl WorkerBatch {
    pub(super) fn new(name: String) -> Self {
        Self { name, inner: Mutex::default(), returned: Condvar::new() }
    }

    /// The worker has taken these.
    pub(super) fn take(&self, tasks: &mut Vec<Task<Arc<Job>>>) {
        self.inner.lock().tasks.extend(tasks.drain(..));
    }

    /// Puts down what became of one task and what was made of it, and takes the next to run.
    pub(super) fn next(
        &self,
        became: Option<(Held, Verdict<Arc<Job>>)>,
        batch: &mut Batch,
    ) -> Option<Task<Arc<Job>>> {
        let mut inner = self.inner.lock();
        inner.made.verdicts.extend(became);
        inner.made.ready.append(&mut batch.ready);
        inner.made.finished.append(&mut batch.finished);
        while let Some(task) = inner.tasks.pop_front() {
            if batch.hand_back || (task.lane().is_some() && task.lane() == batch.blocked) {
                let (held, job) = task.split();
                inner.made.verdicts.push((held, Verdict::Untouched(job)));
                continue;
            }
            inner.begun += 1;
            inner.running = Some(Running::of(&task));
            return Some(task);
        }
        inner.running = None;
        None
    }

    /// Everything that was made and is still here.
    pub(super) fn put_down(&self) -> Made {
        let mut inner = self.inner.lock();
        while inner.lent {
            self.returned.wait(&mut inner);
        }
        std::mem::take(&mut inner.made)
    }

    /// What it runs, and for how long at least.
    pub(super) fn stands_still(&self, now: Instant) -> Option<(Running, Duration)> {
        let mut inner = self.inner.lock();
        let begun = inner.begun;
        let running = inner.running?;
        match inner.seen {
            Some((seen, since)) if seen == begun => Some((running, now.saturating_duration_since(since))),
            _ => {
                (inner.seen, inner.said) = (Some((begun, now)), Said::default());
                Some((running, Duration::ZERO))
            }
        }
    }

    /// Whether it is to be said that it stands still for so long: at `first`, and at each doubling.
    pub(super) fn is_to_be_said(&self, time: Duration, first: Duration) -> bool {
        self.inner.lock().said.is_due(time, first)
    }

    /// Takes everything out but what has to wait for the running record: its own lane. The caller sees to it that all of it
    /// comes where it belongs, and then calls [`WorkerBatch::returned`].
    pub(super) fn relieve(&self) -> Option<Made> {
        let mut inner = self.inner.lock();
        let running = inner.running?;
        let (stays, goes) =
            std::mem::take(&mut inner.tasks).into_iter().partition(|task| running.blocks(task.lane()));
        inner.tasks = stays;
        let mut made = std::mem::take(&mut inner.made);
        let (stay, go) = made.verdicts.into_iter().partition(|(held, _)| running.blocks(held.lane()));
        (inner.made.verdicts, made.verdicts) = (stay, go);
        let untouched = |task: Task<Arc<Job>>| {
            let (held, job) = task.split();
            (held, Verdict::Untouched(job))
        };
        let goes: VecDeque<Task<Arc<Job>>> = goes;
        made.verdicts.extend(goes.into_iter().map(untouched));
        let something = !(made.verdicts.is_empty() && made.ready.is_empty() && made.finished.is_empty());
        inner.lent = something;
        something.then_some(made)
    }

    pub(super) fn returned(&self) {
        self.inner.lock().lent = false;
        self.returned.notify_all();
    }
}

#[cfg(test)]
mod tests;
