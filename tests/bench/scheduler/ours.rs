//! The program's own scheduler, used as `src/engine/execute.rs` and the producers use it.

use std::time::Instant;

use processor::engine::lanes::Scheduler;
use processor::engine::lanes::pending::Verdict;

use crate::course::{Contender, Job, Shape};

/// Results that a producer takes at once, as in the program.
const PARCELS: usize = 256;

struct Ours {
    scheduler: Scheduler<Job, Job>,
    pick: usize,
}

/// See the module.
pub(crate) fn make(shape: &Shape) -> Box<dyn Contender> {
    Box::new(Ours { scheduler: Scheduler::new(shape.workers, 1), pick: shape.pick })
}

impl Contender for Ours {
    fn push(&self, jobs: &mut Vec<Job>) {
        self.scheduler.push(jobs.drain(..).map(|job| (Some(job.lane), job)));
    }

    fn work(&self, _: usize) {
        let (mut results, mut tasks, mut ready) = (Vec::new(), Vec::new(), Vec::new());
        while self.scheduler.exchange(&mut results, self.pick, &Instant::now, &mut tasks) {
            for task in tasks.drain(..) {
                let (held, job) = task.split();
                results.push((held, Verdict::Done));
                ready.push((0, job));
            }
            self.scheduler.push_ready(&mut ready);
        }
    }

    fn take(&self, out: &mut Vec<Job>) -> bool {
        self.scheduler.take_ready(0, PARCELS, &Instant::now, out)
    }

    fn close(&self) {
        self.scheduler.close();
    }

    fn close_results(&self) {
        self.scheduler.close_ready();
    }
}
