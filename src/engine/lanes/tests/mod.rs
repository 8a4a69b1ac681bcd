//! The scheduler with real threads. Nothing here waits for time to pass but for something to happen, within a deadline.

mod gate;
mod given_back;
mod results;
mod retries;
mod workers;

use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::testing::work_by;
use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

/// Fails instead of hanging: waits until `count` threads have said that they ended.
fn wait_for(ended: &Receiver<()>, count: usize) {
    for number in 0..count {
        let answer = ended.recv_timeout(DEADLINE);
        assert!(answer.is_ok(), "only {number} of {count} threads ended");
    }
}

/// Waits for a state that other threads bring about.
fn eventually(what: &str, reached: impl Fn() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !reached() {
        assert!(Instant::now() < until, "never: {what}");
        thread::yield_now();
    }
}

/// A thread that tells of its end unless it panics.
fn spawn(ended: &Sender<()>, life: impl FnOnce() + Send + 'static) {
    let ended = ended.clone();
    thread::spawn(move || {
        life();
        let _ = ended.send(());
    });
}

/// A worker on the machine's own time.
fn work<T, R>(scheduler: &Scheduler<T, R>, max: usize, job: impl FnMut(&T, u32) -> Option<Duration>) {
    work_by(&Instant::now, scheduler, max, job);
}
