//! The short way: the thread that reads runs a quick transform itself, while no worker has anything.
//!
//! Nothing of these records is in the scheduler meanwhile: no lane, no hand. That is right because nothing at all is in it when
//! this begins, and only the thread that reads a partition puts records of it there: what is ready already stands on the ready
//! list before what is made here. The first record that is not simply done, or a limit of time, ends it: that record and all
//! behind it go to the workers as if nobody had tried.

use std::sync::Arc;
use std::time::Duration;

use super::execute::Try;
use super::{Batch, Job, Pipeline, sole};
use crate::engine::lanes::pending::Lane;
use crate::planted::{Bug, planted};
use crate::policy::AfterFailure;
use crate::transform::Outcome;

/// How long the thread may be at it before it looks after its group again: where it takes longer, workers do it.
const LIMIT: Duration = Duration::from_millis(10);
/// After so many records of up to [`LARGE`] bytes the clock is read; a larger one counts for several.
const LOOK: usize = 8;
const LARGE: usize = 4096;

impl Pipeline {
    /// Runs and takes out of `jobs`, all read by this thread and in order, what it may. The rest is for the workers.
    pub(super) fn run_here(&self, jobs: &mut std::vec::IntoIter<(Lane, Arc<Job>)>) {
        if !self.may_run_here() {
            return;
        }
        let started = self.clock.now();
        self.metrics.waited(jobs.as_slice().first().map(|(_, job)| started.duration_since(job.admitted)));
        let mut batch = Batch { now_ms: self.clock.unix_ms(), ..Batch::default() };
        let (mut count, mut work) = (0, 0);
        while let Some(outcome) = jobs.as_slice().first().and_then(|(_, job)| self.simple(job, batch.now_ms))
        {
            let Some((lane, mut job)) = jobs.next() else { break };
            let this = Try { lane, attempt: 1 };
            work += 1 + job.record().size() / LARGE;
            batch.answered += 1;
            sole(&mut job).tried(this.attempt);
            // Nothing keeps its lane here: see `may_run_here`.
            self.answered(job, this, outcome, &mut batch);
            count += 1;
            if work >= LOOK {
                work = 0;
                if self.clock.now().duration_since(started) >= LIMIT {
                    break;
                }
            }
        }
        self.count(&mut batch);
        self.put_out(&mut batch.ready, &batch.finished);
        if count > 0 {
            let time = self.clock.now().duration_since(started);
            self.metrics.transformed(self.transform.name(), [time / count]);
        }
    }

    fn may_run_here(&self) -> bool {
        let alone = || self.scheduler.is_idle() || planted(Bug::ReaderOvertakesWorkers);
        // Whatever keeps its lane after a failure is the scheduler's to keep.
        let simple = self.transform.is_quick() && self.policy.after_failure == AfterFailure::Continue;
        simple && !self.outage.is_open() && alone()
    }

    /// What the transform says, unless it is to be tried again or the program stops.
    fn simple(&self, job: &Job, now_ms: i64) -> Option<Outcome> {
        if self.is_stopped() {
            return None;
        }
        self.apply(job, 1, now_ms).ok().filter(|outcome| !matches!(outcome, Outcome::Retry(_)))
    }
}
