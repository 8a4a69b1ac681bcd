//! A transform that waits: one thread takes what may run, and a runtime of few threads runs it as futures. Lanes, bounds, retries and
//! the way out are those of the workers; a record is alone here, so none is in another's hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::batch::Running;
use super::execute::{Try, caught};
use super::stuck::Said;
use super::{Batch, Job, Pipeline};
use crate::engine::lanes::pending::{Task, Verdict};
use crate::sync::Mutex;
use crate::transform::{Context, DynAsyncTransform, Handler, Outcome};

/// The records whose futures are not done, the oldest first.
#[derive(Default)]
pub(super) struct Begun(Mutex<BTreeMap<u64, Since>>);

struct Since {
    running: Running,
    at: Instant,
    said: Said,
}

impl Begun {
    /// Those that have been at it for so long.
    pub(super) fn longer_than(&self, time: Duration, now: Instant) -> Vec<(Running, Duration)> {
        let begun = self.0.lock();
        let times = begun.values().map(|since| (since.running, now.saturating_duration_since(since.at)));
        times.take_while(|(_, so_far)| *so_far >= time).collect()
    }

    /// Of those that have been at it for so long, those of which that is to be said: then, and at each doubling.
    pub(super) fn to_be_said(&self, first: Duration, now: Instant) -> Vec<(Running, Duration)> {
        let mut say = Vec::new();
        for since in self.0.lock().values_mut() {
            let time = now.saturating_duration_since(since.at);
            if time < first {
                break;
            }
            if since.said.is_due(time, first) {
                say.push((since.running, time));
            }
        }
        say
    }
}

impl Pipeline {
    /// In place of the workers, for a transform that waits: gives `runtime` what may run, until the scheduler is closed and empty.
    pub fn dispatch(self: &Arc<Self>, runtime: &Handle) {
        let Handler::Async(transform) = &self.transform else {
            unreachable!("workers run a transform that does not wait");
        };
        let (mut tasks, mut number) = (Vec::new(), 0);
        loop {
            while self.scheduler.exchange(&mut Vec::new(), 1, &|| self.clock.now(), &mut tasks) {
                for task in tasks.drain(..) {
                    number += 1;
                    let (pipeline, transform) = (self.clone(), transform.clone());
                    runtime.spawn(async move { pipeline.run_alone(task, number, &*transform).await });
                }
            }
            if !self.scheduler.wait_for_more() {
                return;
            }
        }
    }

    /// A worker's round for one record, see [`Pipeline::work`].
    async fn run_alone(&self, task: Task<Arc<Job>>, number: u64, transform: &dyn DynAsyncTransform) {
        let at = self.clock.now();
        self.begun.0.lock().insert(number, Since { running: Running::of(&task), at, said: Said::default() });
        let mut batch = Batch { now_ms: self.clock.unix_ms(), ..Batch::default() };
        let (this, probe, mark) = (Try { lane: task.lane(), attempt: task.attempt }, task.probe, task.mark);
        let (held, job) = task.split();
        self.metrics.waited([at.duration_since(job.admitted)]);
        let verdict = match self.before(job, mark, &mut batch) {
            Err(verdict) => verdict,
            Ok(job) => {
                let context = Context { now_ms: batch.now_ms, attempt: this.attempt };
                let outcome = self.outcome(&job, &context, transform).await;
                self.after(job, this, outcome, &mut batch)
            }
        };
        self.note(this.lane, &verdict, probe, &mut batch);
        self.begun.0.lock().remove(&number);
        self.metrics.transformed(self.transform.name(), [self.clock.now().duration_since(at)]);
        self.count(&mut batch);
        self.put_out(&mut batch.ready, &batch.finished);
        let mut results: Vec<(_, Verdict<_>)> = vec![(held, verdict)];
        self.give_back_retries(&mut results);
        self.scheduler.give_back(&mut results);
    }

    /// Its future's, which may panic whenever it is polled.
    async fn outcome(
        &self,
        job: &Job,
        context: &Context,
        transform: &dyn DynAsyncTransform,
    ) -> std::thread::Result<Outcome> {
        // In a block of its own, so that what panics before there is a future does so in here too.
        let mut future = std::pin::pin!(async { transform.call(job.record(), context).await });
        std::future::poll_fn(|waker| {
            self.busy.fetch_add(1, Ordering::Relaxed);
            let polled = caught(|| future.as_mut().poll(waker));
            self.busy.fetch_sub(1, Ordering::Relaxed);
            match polled {
                Ok(poll) => poll.map(Ok),
                Err(panic) => std::task::Poll::Ready(Err(panic)),
            }
        })
        .await
    }
}
