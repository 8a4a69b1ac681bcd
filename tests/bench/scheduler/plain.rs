//! What one would write first: a queue of the standard library and a map of lanes behind one lock, results behind another. With
//! one task a lock it is how the program's forerunner worked.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, LinkedList, VecDeque};

use parking_lot::{Condvar, Mutex};

use crate::course::{Contender, Job, Shape};

/// A queue.
trait Line: Default + Send {
    fn append(&mut self, job: Job);
    fn next(&mut self) -> Option<Job>;
    fn count(&self) -> usize;
}

impl Line for VecDeque<Job> {
    fn append(&mut self, job: Job) {
        self.push_back(job);
    }

    fn next(&mut self) -> Option<Job> {
        self.pop_front()
    }

    fn count(&self) -> usize {
        self.len()
    }
}

impl Line for LinkedList<Job> {
    fn append(&mut self, job: Job) {
        self.push_back(job);
    }

    fn next(&mut self) -> Option<Job> {
        self.pop_front()
    }

    fn count(&self) -> usize {
        self.len()
    }
}

#[derive(Default)]
struct Side<L> {
    line: L,
    /// Lanes that are runnable or at a worker, and what waits behind that.
    lanes: HashMap<u64, L>,
    idle: usize,
    closed: bool,
}

struct Plain<L> {
    pending: Mutex<Side<L>>,
    work: Condvar,
    ready: Mutex<Side<L>>,
    results: Condvar,
    workers: usize,
    pick: usize,
}

/// With a `VecDeque`.
pub(crate) fn deque(shape: &Shape) -> Box<dyn Contender> {
    make::<VecDeque<Job>>(shape)
}

/// With a `LinkedList`.
pub(crate) fn list(shape: &Shape) -> Box<dyn Contender> {
    make::<LinkedList<Job>>(shape)
}

fn make<L: Line + 'static>(shape: &Shape) -> Box<dyn Contender> {
    Box::new(Plain::<L> {
        pending: Mutex::default(),
        work: Condvar::new(),
        ready: Mutex::default(),
        results: Condvar::new(),
        workers: shape.workers,
        pick: shape.pick,
    })
}

impl<L: Line> Side<L> {
    fn push(&mut self, job: Job) {
        match self.lanes.entry(job.lane) {
            Entry::Occupied(mut busy) => busy.get_mut().append(job),
            Entry::Vacant(free) => {
                free.insert(L::default());
                self.line.append(job);
            }
        }
    }

    fn release(&mut self, lane: u64) {
        let next = self.lanes.get_mut(&lane).and_then(Line::next);
        match next {
            Some(job) => self.line.append(job),
            None => _ = self.lanes.remove(&lane),
        }
    }
}

impl<L: Line> Plain<L> {
    fn give_back(&self, lanes: &mut Vec<u64>, out: &mut Vec<Job>) -> bool {
        let mut side = self.pending.lock();
        lanes.drain(..).for_each(|lane| side.release(lane));
        loop {
            let share = side.line.count().div_ceil(self.workers).clamp(1, self.pick);
            out.extend((0..share).map_while(|_| side.line.next()));
            if !out.is_empty() {
                let wake = side.idle > 0 && side.line.count() > 0;
                drop(side);
                if wake {
                    self.work.notify_one();
                }
                return true;
            }
            if side.closed && side.lanes.is_empty() {
                drop(side);
                self.work.notify_all();
                return false;
            }
            side.idle += 1;
            self.work.wait(&mut side);
            side.idle -= 1;
        }
    }
}

impl<L: Line> Contender for Plain<L> {
    fn push(&self, jobs: &mut Vec<Job>) {
        let mut side = self.pending.lock();
        jobs.drain(..).for_each(|job| side.push(job));
        let wake = side.idle > 0;
        drop(side);
        if wake {
            self.work.notify_one();
        }
    }

    fn work(&self, _: usize) {
        let (mut lanes, mut jobs) = (Vec::new(), Vec::new());
        while self.give_back(&mut lanes, &mut jobs) {
            lanes.extend(jobs.iter().map(|job| job.lane));
            let mut ready = self.ready.lock();
            jobs.drain(..).for_each(|job| ready.line.append(job));
            let wake = ready.idle > 0;
            drop(ready);
            if wake {
                self.results.notify_one();
            }
        }
    }

    fn take(&self, out: &mut Vec<Job>) -> bool {
        let mut ready = self.ready.lock();
        loop {
            out.extend((0..self.pick.max(256 * usize::from(self.pick > 1))).map_while(|_| ready.line.next()));
            if !out.is_empty() || ready.closed {
                return !out.is_empty();
            }
            ready.idle += 1;
            self.results.wait(&mut ready);
            ready.idle -= 1;
        }
    }

    fn close(&self) {
        self.pending.lock().closed = true;
        self.work.notify_all();
    }

    fn close_results(&self) {
        self.ready.lock().closed = true;
        self.results.notify_one();
    }
}
