//! A channel for each worker, the key decides which, and one for the results. A lane stays in order because one worker has it: a
//! slow one holds up all lanes that share its worker, which is why the program does not work like this.

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

use crate::course::{Contender, Job, Shape};

/// Anything that is sent as one.
trait Parcel: Send + 'static {
    fn pack(jobs: &mut Vec<Job>, send: &mut dyn FnMut(u64, Self));
    fn unpack(self, out: &mut Vec<Job>);
}

impl Parcel for Job {
    fn pack(jobs: &mut Vec<Job>, send: &mut dyn FnMut(u64, Self)) {
        jobs.drain(..).for_each(|job| send(job.lane, job));
    }

    fn unpack(self, out: &mut Vec<Job>) {
        out.push(self);
    }
}

/// So many lanes' worth of jobs go together: 64 groups, by the highest bits of the lane.
impl Parcel for Vec<Job> {
    fn pack(jobs: &mut Vec<Job>, send: &mut dyn FnMut(u64, Self)) {
        let mut groups: Vec<Self> = (0..64).map(|_| Self::new()).collect();
        jobs.drain(..).for_each(|job| groups[(job.lane >> 58) as usize].push(job));
        for group in groups {
            if let Some(first) = group.first() {
                send(first.lane, group);
            }
        }
    }

    fn unpack(mut self, out: &mut Vec<Job>) {
        out.append(&mut self);
    }
}

struct Channels<P> {
    to_workers: Mutex<Vec<Sender<P>>>,
    at_workers: Vec<Receiver<P>>,
    results: Mutex<Option<Sender<P>>>,
    taker: Receiver<P>,
}

/// A send a task.
pub(crate) fn singles(shape: &Shape) -> Box<dyn Contender> {
    make::<Job>(shape)
}

/// A send for all tasks of a batch that go to the same group of lanes.
pub(crate) fn batches(shape: &Shape) -> Box<dyn Contender> {
    make::<Vec<Job>>(shape)
}

fn make<P: Parcel>(shape: &Shape) -> Box<dyn Contender> {
    let (to_workers, at_workers) = (0..shape.workers).map(|_| unbounded()).unzip();
    let (results, taker) = unbounded::<P>();
    Box::new(Channels {
        to_workers: Mutex::new(to_workers),
        at_workers,
        results: Mutex::new(Some(results)),
        taker,
    })
}

impl<P: Parcel> Contender for Channels<P> {
    fn push(&self, jobs: &mut Vec<Job>) {
        let workers = self.to_workers.lock();
        P::pack(jobs, &mut |lane, parcel| {
            let worker = (lane >> 58) as usize % workers.len();
            workers[worker].send(parcel).expect("the worker is there");
        });
    }

    fn work(&self, worker: usize) {
        let results = self.results.lock().clone().expect("results are taken");
        for parcel in &self.at_workers[worker] {
            results.send(parcel).expect("results are taken");
        }
    }

    fn take(&self, out: &mut Vec<Job>) -> bool {
        self.taker.recv().map(|parcel| parcel.unpack(out)).is_ok()
    }

    fn close(&self) {
        self.to_workers.lock().clear();
    }

    fn close_results(&self) {
        self.results.lock().take();
    }
}
