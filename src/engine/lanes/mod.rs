//! The scheduler: a pending list and a ready list, each behind one mutex, and what wakes whom. Generic over the job: it
//! knows neither Kafka nor records, takes any job in, and gives its result out.
//!
//! # Threads
//! Anybody may [`push`](Scheduler::push). Workers call [`take`](Scheduler::take) and [`finish`](Scheduler::finish);
//! producer `n` calls [`take_ready`](Scheduler::take_ready) for shard `n`. The two mutexes are never held together, and
//! no job runs under one.
//!
//! # Who is woken
//! 1. A push wakes at most as many idle workers as there are tasks, one batch each; a worker that leaves tasks behind
//!    wakes the next. Nobody is woken while all workers are busy: they come by themselves.
//! 2. A retry is a time, not a thread: one idle worker, the one with the alarm, sleeps until the earliest; the others sleep
//!    without an end. Whoever leaves with work and sees that the alarm is missing or late wakes one to set it.
//! 3. While the *gate* is shut nobody takes anything but a probe, one task at a time; the worker with the alarm sleeps until
//!    it is due.
//! 4. A push to the ready list wakes the producer of that shard if it sleeps.

pub mod list;
pub mod pending;
pub mod ready;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::planted::{Bug, planted};
use crate::sync::{Condvar, Mutex, MutexGuard};
use pending::{Held, Lane, Pending, Task, Verdict};
pub use ready::Place;
use ready::Ready;

/// How long the next probe waits for the end of one.
const PROBE_PATIENCE: Duration = Duration::from_secs(30);

/// See the module. `T` is a job, `R` its result.
pub struct Scheduler<T, R> {
    pending: Mutex<PendingSide<T>>,
    work: Condvar,
    ready: Mutex<ReadySide<R>>,
    /// One for each shard.
    results: Vec<Condvar>,
    workers: usize,
}

struct PendingSide<T> {
    list: Pending<T>,
    gate: Gate,
    /// Workers that sleep on `work`.
    idle: usize,
    /// When the one worker that watches the clock will wake up, if one does: the others sleep without an end.
    alarm: Option<Instant>,
    /// No more jobs come: a worker that finds none stops.
    closed: bool,
}

impl<T> PendingSide<T> {
    /// Whether something falls due before any sleeper looks at the clock.
    fn alarm_is_late(&self) -> bool {
        self.next_due().is_some_and(|due| self.alarm.is_none_or(|alarm| alarm > due))
    }

    /// When time alone brings work: a retry, or the next probe while the gate is shut and there is something to probe with.
    fn next_due(&self) -> Option<Instant> {
        match self.gate.probe_at {
            None => self.list.next_due(),
            Some(at) if self.list.runnable() > 0 => Some(at),
            Some(at) => self.list.next_due().map(|due| due.max(at)),
        }
    }

    /// How many workers find work now that need not wait for the clock.
    fn takers(&self) -> usize {
        if self.gate.probe_at.is_none() { self.list.runnable() } else { 0 }
    }

    fn take(&mut self, now: Instant, workers: usize, max: usize, out: &mut Vec<Task<T>>) -> bool {
        match self.gate.probe_at {
            None => {
                let share = self.list.runnable().div_ceil(workers).max(1);
                self.list.take(now, share, max, out)
            }
            Some(at) if now < at => false,
            Some(_) => {
                let any = self.list.take_probe(now, out);
                if any {
                    // Until it is known how this one ends; one that hangs does not keep the gate shut.
                    self.gate.probe_at = Some(now + PROBE_PATIENCE);
                }
                any
            }
        }
    }
}

struct ReadySide<R> {
    list: Ready<R>,
    /// Which producers sleep.
    idle: Vec<bool>,
    closed: bool,
}

/// When work may be taken. A later version replaces an earlier one, whichever comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// Counts the changes.
    pub version: u64,
    /// `None`: as usual. Else one task, not before this instant.
    pub probe_at: Option<Instant>,
}

/// How full the lists are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Tasks that no worker has.
    pub pending: usize,
    /// Tasks that workers have.
    pub running: usize,
    /// Results that no producer has.
    pub ready: usize,
}

impl<T, R> Scheduler<T, R> {
    /// A scheduler for this many workers and this many producers of results; at least one each.
    pub fn new(workers: usize, producers: usize) -> Self {
        assert!(workers > 0, "jobs need a worker");
        Self {
            pending: Mutex::new(PendingSide {
                list: Pending::default(),
                gate: Gate::default(),
                idle: 0,
                alarm: None,
                closed: false,
            }),
            work: Condvar::new(),
            ready: Mutex::new(ReadySide {
                list: Ready::new(producers),
                idle: vec![false; producers],
                closed: false,
            }),
            results: (0..producers).map(|_| Condvar::new()).collect(),
            workers,
        }
    }

    /// Adds jobs behind those of their lanes, under one lock.
    pub fn push(&self, jobs: impl IntoIterator<Item = (Lane, T)>) {
        self.push_to(0, jobs);
    }

    /// The same for jobs that can be found by their group, a small number, later.
    pub fn push_to(&self, group: u32, jobs: impl IntoIterator<Item = (Lane, T)>) {
        let mut side = self.pending.lock();
        for (lane, job) in jobs {
            side.list.push(group, lane, job);
        }
        self.wake_one(side);
    }

    /// Says when work may be taken; what an older version says is ignored.
    pub fn set_gate(&self, gate: Gate) {
        let mut side = self.pending.lock();
        if gate.version > side.gate.version {
            side.gate = gate;
            self.wake_one(side);
        }
    }

    /// Gives back for a worker what it does not get around to (see [`Pending::finish`]).
    pub fn give_back(&self, results: &mut Vec<(Held, Verdict<T>)>) {
        let mut side = self.pending.lock();
        side.list.finish(results);
        let all_done = side.closed && side.list.is_empty();
        self.wake_one(side);
        if all_done {
            self.work.notify_all();
        }
    }

    /// For whoever has taken tasks and runs them elsewhere, once [`Scheduler::exchange`] returns `false`: waits until one of them
    /// comes back to be run again. `false` when none will.
    pub fn wait_for_more(&self) -> bool {
        let mut side = self.pending.lock();
        loop {
            if side.list.is_empty() || side.gate.probe_at.is_some() {
                return false;
            }
            if side.list.waiting() > 0 {
                return true;
            }
            side.idle += 1;
            self.work.wait(&mut side);
            side.idle -= 1;
        }
    }

    /// One is enough when it takes everything; it wakes the next if it does not.
    fn wake_one(&self, side: MutexGuard<'_, PendingSide<T>>) {
        let wake = side.idle > 0 && (side.takers() > 0 || side.alarm_is_late());
        drop(side);
        if wake {
            self.work.notify_one();
        }
    }

    /// Gives back what a worker has (see [`Pending::finish`]), then waits until there is work and moves up to `max`
    /// tasks into `out`, no more than this worker's fair share. Returns `false` when the scheduler is closed and nothing
    /// is left to take.
    pub fn exchange(
        &self,
        results: &mut Vec<(Held, Verdict<T>)>,
        max: usize,
        clock: &dyn Fn() -> Instant,
        out: &mut Vec<Task<T>>,
    ) -> bool {
        let mut side = self.pending.lock();
        if !results.is_empty() {
            side.list.finish(results);
        }
        loop {
            if side.take(clock(), self.workers, max, out) {
                self.wake_one(side);
                return true;
            }
            // Behind a gate that is shut there may be work for ever.
            if side.closed && (side.list.waiting() == 0 || side.gate.probe_at.is_some()) {
                drop(side);
                self.work.notify_all();
                return false;
            }
            self.sleep(&mut side);
        }
    }

    fn sleep(&self, side: &mut MutexGuard<'_, PendingSide<T>>) {
        side.idle += 1;
        if side.alarm_is_late() {
            let due = side.next_due().expect("an alarm is late for something");
            side.alarm = Some(due);
            self.work.wait_until(side, due);
            if side.alarm == Some(due) {
                side.alarm = None;
            }
        } else {
            self.work.wait(side);
        }
        assert!(side.idle > 0, "who sleeps is counted");
        side.idle -= 1;
    }

    /// Adds results for producers, as (shard, result) or with a group that they can be found by, under one lock. Empties
    /// `results`.
    pub fn push_ready<P: Into<Place>>(&self, results: &mut Vec<(P, R)>) {
        if results.is_empty() {
            return;
        }
        let mut side = self.ready.lock();
        for (place, result) in results.drain(..) {
            side.list.push(place.into(), result);
        }
        self.wake_producers(side);
    }

    /// Puts results back among those that wait, and puts each of these shards into the order of `key`: whatever was pushed
    /// or taken meanwhile, the older comes first.
    pub fn return_ready<P: Into<Place>, K: Ord>(&self, results: Vec<(P, R)>, key: impl Fn(&R) -> K) {
        let mut side = self.ready.lock();
        let mut shards = BTreeSet::new();
        for (place, result) in results {
            let place = place.into();
            shards.insert(place.shard);
            side.list.push(place, result);
        }
        for shard in shards.into_iter().filter(|_| !planted(Bug::PutBackUnsorted)) {
            side.list.sort(shard as usize, &key);
        }
        self.wake_producers(side);
    }

    /// Offers a result again, not before `due`.
    pub fn delay_ready(&self, place: impl Into<Place>, due: Instant, result: R) {
        let place = place.into();
        let mut side = self.ready.lock();
        side.list.push_later(place, due, result);
        // The producer may sleep longer than that: let it look at the clock.
        self.results[place.shard as usize].notify_one();
    }

    /// Waits until there are results for producer `shard`, and moves up to `max` into `out`, in order. Returns `false`
    /// when the ready list is closed and nothing is left for this producer.
    pub fn take_ready(
        &self,
        shard: usize,
        max: usize,
        clock: &dyn Fn() -> Instant,
        out: &mut Vec<R>,
    ) -> bool {
        self.take_ready_until(shard, max, None, clock, out)
    }

    /// As [`Scheduler::take_ready`], but waits no longer than `until`: then it returns `true` with nothing in `out`.
    pub fn take_ready_until(
        &self,
        shard: usize,
        max: usize,
        until: Option<Instant>,
        clock: &dyn Fn() -> Instant,
        out: &mut Vec<R>,
    ) -> bool {
        let mut side = self.ready.lock();
        loop {
            let now = clock();
            side.list.take(now, shard, max, out);
            if !out.is_empty() {
                return true;
            }
            if side.closed {
                return false;
            }
            if until.is_some_and(|until| now >= until) {
                return true;
            }
            side.idle[shard] = true;
            match side.list.next_due().into_iter().chain(until).min() {
                Some(due) => _ = self.results[shard].wait_until(&mut side, due),
                None => self.results[shard].wait(&mut side),
            }
            side.idle[shard] = false;
        }
    }

    /// Takes out all jobs and results of a group that match and that neither a worker nor a producer has.
    pub fn remove_if(
        &self,
        group: u32,
        mut job: impl FnMut(&T) -> bool,
        mut result: impl FnMut(&R) -> bool,
    ) -> (Vec<T>, Vec<R>) {
        let jobs = self.pending.lock().list.remove_if(group, &mut job);
        let results = self.ready.lock().list.remove_if(group, &mut result);
        // Removing the last waiting task may be what a closed scheduler's workers wait for.
        self.work.notify_all();
        (jobs, results)
    }

    /// What `look` says of the jobs of a group that no worker has, in no particular order.
    pub fn waiting<L>(&self, group: u32, look: impl FnMut(&T) -> Option<L>) -> Vec<L> {
        self.pending.lock().list.waiting_jobs(group).filter_map(look).collect()
    }

    /// Takes out the jobs of a group behind the last one that left the pending list; one that waits for its retry is still in
    /// it. `sequence` numbers the jobs in question without gaps, `None` for others; `next` is the number that comes after the
    /// last of them, finished ones included.
    pub fn remove_unbegun(&self, group: u32, sequence: impl Fn(&T) -> Option<u64>, next: u64) -> Vec<T> {
        let mut end = next;
        let mut side = self.pending.lock();
        let mut waiting: Vec<u64> = side.list.waiting_jobs(group).filter_map(&sequence).collect();
        waiting.sort_unstable();
        assert!(
            waiting.last().is_none_or(|last| *last < next),
            "{waiting:?} were not delivered: {next} comes next"
        );
        while end > 0 && waiting.last() == Some(&(end - 1)) {
            waiting.pop();
            end -= 1;
        }
        end += u64::from(planted(Bug::UnbegunOffByOne));
        let removed = side.list.remove_if(group, |job| sequence(job).is_some_and(|sequence| sequence >= end));
        drop(side);
        self.work.notify_all();
        removed
    }

    /// Whether there is no job at all, neither here nor at a worker.
    pub fn is_idle(&self) -> bool {
        self.pending.lock().list.is_empty()
    }

    /// No more jobs come: workers finish what is there, retries included, and stop.
    pub fn close(&self) {
        self.pending.lock().closed = true;
        self.work.notify_all();
    }

    /// No more results come: producers finish what is there and stop.
    pub fn close_ready(&self) {
        self.ready.lock().closed = true;
        self.results.iter().for_each(|producer| _ = producer.notify_one());
    }

    /// How full the lists are.
    pub fn depth(&self) -> Depth {
        let (pending, running) = {
            let side = self.pending.lock();
            (side.list.waiting(), side.list.running())
        };
        Depth { pending, running, ready: self.ready.lock().list.len() }
    }

    /// Places that were looked at in search of jobs and results.
    #[cfg(all(test, not(feature = "shuttle")))]
    pub(crate) fn visits(&self) -> u64 {
        self.pending.lock().list.visits() + self.ready.lock().list.visits()
    }

    fn wake_producers(&self, side: MutexGuard<'_, ReadySide<R>>) {
        let wake: Vec<usize> = (0..self.results.len())
            .filter(|&shard| {
                side.idle[shard] && side.list.waiting_in(shard) > 0 && !planted(Bug::WakeUpForgotten)
            })
            .collect();
        drop(side);
        for shard in wake {
            self.results[shard].notify_one();
        }
    }
}

#[cfg(all(test, feature = "shuttle"))]
mod schedules;
#[cfg(test)]
mod testing;
#[cfg(all(test, not(feature = "shuttle")))]
mod tests;
