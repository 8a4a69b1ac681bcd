//! The scheduler under many schedules of its threads: see [`crate::sync::model`]. A scenario closes the scheduler only when
//! everything has happened, so a wake-up that is lost is a deadlock.

mod given_back;
mod lanes;
mod results;
mod retries;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use super::testing::work_by;
use super::*;
use crate::sync::model::{self, Board, JoinHandle, check, pass, spawn};

/// A worker on model time.
fn work<T, R>(scheduler: &Scheduler<T, R>, max: usize, job: impl Fn(&T, u32) -> Option<Duration>) {
    work_by(&model::now, scheduler, max, job);
}

/// So many of them.
fn workers<T: Send + 'static, R: Send + 'static>(
    count: usize,
    max: usize,
    scheduler: &Arc<Scheduler<T, R>>,
    job: impl Fn(&T, u32) -> Option<Duration> + Clone + Send + 'static,
) -> Vec<JoinHandle<()>> {
    let start = |_| {
        let (scheduler, job) = (scheduler.clone(), job.clone());
        spawn(move || work(&scheduler, max, job))
    };
    (0..count).map(start).collect()
}

fn join(threads: Vec<JoinHandle<()>>) {
    threads.into_iter().for_each(JoinHandle::join);
}
