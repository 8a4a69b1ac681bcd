//! A worker pool for any work, without Kafka: jobs go in, results come out.
//!
//! Jobs of one key run one after another in the order in which they were submitted, and their results come out in that order. Jobs of
//! different keys, and jobs without a key, run in parallel. A job may ask to be run again later: its key waits, and no thread does.
//!
//! ```
//! use processor::pool::{Pool, Step};
//!
//! let pool = Pool::new(4, 100, |number: u64, _attempt| Step::Done(number * number));
//! for number in 0..10 {
//!     pool.submit(Some(number % 2), number).expect("the pool is open");
//! }
//! pool.close();
//! let squares: Vec<u64> = pool.results().collect();
//! let even: Vec<_> = squares.iter().filter(|square| *square % 2 == 0).collect();
//! assert_eq!(even, [&0, &4, &16, &36, &64]);
//! ```

use std::any::Any;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::engine::lanes::Scheduler;
use crate::engine::lanes::pending::Verdict;
use crate::engine::pace::Pace;
use crate::sync::{Condvar, Mutex};

/// What a job made.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step<J, R> {
    /// It is done, with this result.
    Done(R),
    /// Run this job in its place, no earlier than after this time. Jobs of the same key wait for it.
    Again(J, Duration),
}

/// Worker threads, the jobs that wait for them, and the results that nobody has taken.
///
/// Dropped, it finishes the jobs that were submitted and drops their results.
pub struct Pool<J, R> {
    shared: Arc<Shared<J, R>>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<J, R> {
    scheduler: Scheduler<J, R>,
    state: Mutex<State>,
    room: Condvar,
    capacity: usize,
}

#[derive(Default)]
struct State {
    /// Jobs submitted whose results nobody has taken.
    inside: usize,
    closed: bool,
    /// Workers that have ended.
    ended: usize,
    /// What a job panicked with first.
    panic: Option<Box<dyn Any + Send>>,
}

impl<J: Send + 'static, R: Send + 'static> Pool<J, R> {
    /// Starts `workers` threads that call `run` with a job and the number of its attempt, from 1. `capacity` bounds the jobs that were
    /// submitted and whose results were not taken.
    ///
    /// # Panics
    /// If one of both numbers is 0, or the system refuses a thread.
    pub fn new<F>(workers: usize, capacity: usize, run: F) -> Self
    where
        F: Fn(J, u32) -> Step<J, R> + Send + Sync + 'static,
    {
        assert!(
            workers > 0 && capacity > 0,
            "{workers} workers, room for {capacity} jobs: both must be above 0"
        );
        let scheduler = Scheduler::new(workers, 1);
        let shared = Arc::new(Shared { scheduler, state: Mutex::default(), room: Condvar::new(), capacity });
        let run = Arc::new(run);
        let work = |shared: Arc<Shared<J, R>>, run: Arc<F>| {
            move || {
                if let Err(bug) = catch_unwind(AssertUnwindSafe(|| shared.work(&*run))) {
                    shared.state.lock().panic.get_or_insert(bug);
                }
                shared.end(workers);
            }
        };
        let threads = (0..workers).map(|_| thread::spawn(work(shared.clone(), run.clone()))).collect();
        Self { shared, threads }
    }

    /// Adds a job behind all earlier ones of its key. Waits while the pool is full.
    ///
    /// # Errors
    /// Gives the job back if the pool is closed, or a job has panicked.
    pub fn submit<K: Hash>(&self, key: Option<K>, job: J) -> Result<(), J> {
        let mut state = self.shared.state.lock();
        while state.inside >= self.shared.capacity && !state.closed {
            self.shared.room.wait(&mut state);
        }
        if state.closed {
            return Err(job);
        }
        state.inside += 1;
        // Under the lock, so that jobs of one key are in the order of the calls.
        self.shared.scheduler.push([(key.map(hash), job)]);
        Ok(())
    }

    /// The results, as they come. Ends when the pool is closed and all results were taken.
    ///
    /// # Panics
    /// With the panic of a job, after the results that were there.
    pub fn results(&self) -> impl Iterator<Item = R> + '_ {
        let mut taken = Vec::new();
        std::iter::from_fn(move || {
            if !self.shared.scheduler.take_ready(0, 1, &Instant::now, &mut taken) {
                if let Some(panic) = self.shared.state.lock().panic.take() {
                    resume_unwind(panic);
                }
                return None;
            }
            self.shared.leave(1);
            taken.pop()
        })
    }

    /// No more jobs are accepted. Those inside are finished.
    pub fn close(&self) {
        self.shared.close();
    }
}

impl<J, R> Drop for Pool<J, R> {
    fn drop(&mut self) {
        self.shared.close();
        for thread in self.threads.drain(..) {
            // A worker catches the panics of jobs.
            let _ = thread.join();
        }
    }
}

impl<J, R> Shared<J, R> {
    fn close(&self) {
        self.state.lock().closed = true;
        self.room.notify_all();
        self.scheduler.close();
    }

    fn leave(&self, jobs: usize) {
        let mut state = self.state.lock();
        assert!(state.inside >= jobs, "{jobs} leave, and {} are inside", state.inside);
        state.inside -= jobs;
        drop(state);
        self.room.notify_one();
    }

    /// A worker's life.
    fn work(&self, run: &impl Fn(J, u32) -> Step<J, R>) {
        let (mut tasks, mut done, mut results) = (Vec::new(), Vec::new(), Vec::new());
        let mut pace = Pace::new(None);
        while self.scheduler.exchange(&mut done, pace.pick(), &Instant::now, &mut tasks) {
            let (count, begun) = (tasks.len(), Instant::now());
            let mut waiting = None;
            for task in tasks.drain(..) {
                let attempt = task.attempt;
                let lane = task.lane();
                let (held, job) = task.split();
                if lane.is_some() && waiting == lane {
                    // Behind one of its key that is to be run again.
                    done.push((held, Verdict::Untouched(job)));
                    continue;
                }
                match catch_unwind(AssertUnwindSafe(|| run(job, attempt))) {
                    Ok(Step::Done(result)) => {
                        results.push((0, result));
                        done.push((held, Verdict::Done));
                    }
                    Ok(Step::Again(job, pause)) => {
                        waiting = lane;
                        done.push((held, Verdict::Later(Instant::now() + pause, job)));
                    }
                    Err(panic) => {
                        done.push((held, Verdict::Done));
                        self.give_up(panic);
                    }
                }
            }
            pace.measure(count, begun.elapsed());
            // Before their keys are free, so that results of a key are in order.
            self.scheduler.push_ready(&mut results);
        }
    }

    /// The last worker that ends closes the results.
    fn end(&self, workers: usize) {
        let mut state = self.state.lock();
        state.ended += 1;
        if state.ended == workers {
            drop(state);
            self.scheduler.close_ready();
        }
    }

    /// A job has panicked: what waits is dropped, and no more is accepted.
    fn give_up(&self, panic: Box<dyn Any + Send>) {
        self.state.lock().panic.get_or_insert(panic);
        self.close();
        let (jobs, _) = self.scheduler.remove_if(0, |_| true, |_| false);
        self.leave(jobs.len() + 1);
    }
}

fn hash(key: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn results_of_a_key_are_in_order_though_jobs_are_retried() {
        let pool = Pool::new(4, 1_000, |(key, number): (u32, u32), attempt| match number % 7 {
            0 if attempt < 3 => Step::Again((key, number), Duration::from_millis(1)),
            _ => Step::Done((key, number)),
        });
        for number in 0..500 {
            pool.submit(Some(number % 5), (number % 5, number)).unwrap();
        }
        pool.close();
        let mut last = HashMap::new();
        let mut count = 0;
        for (key, number) in pool.results() {
            assert!(last.insert(key, number).is_none_or(|before| before < number), "{key}: {number}");
            count += 1;
        }
        assert_eq!(count, 500);
    }

    #[test]
    fn no_more_jobs_are_inside_than_there_is_room_for() {
        let pool = Arc::new(Pool::new(2, 3, |job: usize, _| Step::Done(job)));
        let submitted = Arc::new(AtomicUsize::new(0));
        let (feeder, fed) = (pool.clone(), submitted.clone());
        let feeding = thread::spawn(move || {
            for job in 0..50 {
                feeder.submit(None::<u8>, job).unwrap();
                fed.fetch_add(1, Ordering::SeqCst);
            }
            feeder.close();
        });
        let mut taken = 0;
        for _ in pool.results() {
            taken += 1;
            // One may have been submitted and not counted yet.
            assert!(submitted.load(Ordering::SeqCst) <= taken + 3);
        }
        feeding.join().unwrap();
        assert_eq!(taken, 50);
    }

    #[test]
    fn a_panic_reaches_whoever_takes_the_results_and_nobody_hangs() {
        let pool = Pool::new(2, 100, |job: u32, _| {
            assert!(job != 3, "job 3 panics");
            Step::Done(job)
        });
        for job in 0..10 {
            // Refused once the panic is known.
            let _ = pool.submit(Some(1), job);
        }
        let end = catch_unwind(AssertUnwindSafe(|| pool.results().collect::<Vec<_>>()));
        let text = end.expect_err("the panic is passed on");
        assert_eq!(text.downcast_ref::<&str>(), Some(&"job 3 panics"));
        assert_eq!(pool.submit(Some(1), 11), Err(11));
    }

    #[test]
    fn a_pool_that_is_dropped_has_finished_its_jobs() {
        let done = Arc::new(AtomicUsize::new(0));
        let counter = done.clone();
        let pool = Pool::new(3, 100, move |(): (), _| {
            counter.fetch_add(1, Ordering::SeqCst);
            Step::Done(())
        });
        (0..100).for_each(|_| pool.submit(None::<u8>, ()).unwrap());
        drop(pool);
        assert_eq!(done.load(Ordering::SeqCst), 100);
    }
}
