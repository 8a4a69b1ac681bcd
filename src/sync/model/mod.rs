//! Threads, locks and time of a model: one operating-system thread runs them all, `shuttle` decides at each lock, wait and
//! notification who goes on, and the time is ours. The same schedule gives the same execution.
//!
//! # Time
//! It stands still but for two things. When every thread waits it jumps to the first deadline, so an hour costs nothing;
//! and at a lock, now and then, it moves by a small step, so a deadline may also pass while others are at work. If every
//! thread waits and no deadline is left, that is a deadlock, and `shuttle` reports it.
//!
//! # Limits
//! - A thread that waits for a lock counts as one at work. Who waits for the time with a lock held, and others want that
//!   lock, stops the time: a deadlock here, a stall in real life. The engine holds no lock while it waits.
//! - A notification wakes a waiter at random, as the standard promises no more; nobody is woken for no reason, as
//!   `parking_lot` promises.
//! - Outside of an execution locks are plain locks (so that tests that need no threads run), and waits panic.

mod board;
mod check;
mod lock;
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use board::Board;
pub use check::{check, run_seed};
pub use lock::{AtomicBool, Condvar, Mutex, MutexGuard, WaitTimeoutResult};
use world::Waiter;

/// What the model's time is now.
pub fn now() -> Instant {
    world::base() + world::now()
}

/// Model time, for whoever asks for a [`crate::clock::Clock`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl crate::clock::Clock for Clock {
    fn now(&self) -> Instant {
        now()
    }

    fn unix_ms(&self) -> i64 {
        const START: i64 = 1_700_000_000_000;
        START + i64::try_from(world::now().as_millis()).unwrap_or(i64::MAX - START)
    }
}

/// Waits for that much model time.
pub fn sleep(time: Duration) {
    Waiter::new().wait(Some(world::now() + time));
}

/// Lets others go on, if `shuttle` will.
pub fn pass() {
    shuttle::thread::sleep(Duration::ZERO);
}

/// A number that belongs to the execution: the same when its schedule is run again.
pub fn random(below: u64) -> u64 {
    world::random(below)
}

/// A thread of the model.
#[derive(Debug)]
pub struct JoinHandle<T> {
    thread: shuttle::thread::JoinHandle<T>,
    ended: Arc<Waiter>,
}

impl<T> JoinHandle<T> {
    /// Waits for its end; what it panics with ends the execution.
    pub fn join(self) -> T {
        self.ended.wait(None);
        self.thread.join().expect("a thread that panics ends the execution")
    }
}

/// Starts a thread. It must end, or be waited for, before the execution does.
pub fn spawn<T: Send + 'static>(life: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let ended = Arc::new(Waiter::new());
    let end = End(ended.clone());
    world::thread_begins();
    let thread = shuttle::thread::spawn(move || {
        let _end = end;
        life()
    });
    JoinHandle { thread, ended }
}

/// Tells of a thread's end, also of one by a panic.
struct End(Arc<Waiter>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.wake();
        world::thread_ends();
    }
}

#[cfg(test)]
mod schedules;
