//! The course that every contender runs: see the crate's header.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::perf::Counter;
use crate::usage;

/// What is scheduled: as large as a record's handle in the program.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub lane: u64,
    pub number: u64,
    /// Only its size matters.
    #[allow(dead_code)]
    pub rest: [u64; 5],
}

/// How it is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub workers: usize,
    pub in_flight: usize,
    pub keys: usize,
    /// Tasks that are pushed at once, and that a worker takes at once.
    pub push: usize,
    pub pick: usize,
}

impl Shape {
    pub(crate) fn with_in_flight(self, in_flight: usize) -> Self {
        Self { in_flight, ..self }
    }

    pub(crate) fn with_keys(self, keys: usize) -> Self {
        Self { keys, ..self }
    }
}

/// A way from pushed to taken in which the tasks of a lane stay in order.
pub(crate) trait Contender: Sync {
    /// Adds jobs; empties `jobs`. One thread calls it.
    fn push(&self, jobs: &mut Vec<Job>);
    /// A worker's life, until it is closed and empty.
    fn work(&self, worker: usize);
    /// Waits for results and moves some into `out`; `false` when there will be none any more. One thread calls it.
    fn take(&self, out: &mut Vec<Job>) -> bool;
    /// No more jobs come.
    fn close(&self);
    /// No more results come: all workers have ended.
    fn close_results(&self);
}

/// What a task cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub cpu_ns: f64,
    pub wall_ns: f64,
    pub instructions: Option<f64>,
}

/// Who has come how far.
struct Progress {
    taken: AtomicU64,
    pusher: Thread,
    pusher_waits: AtomicBool,
}

struct Pusher<'a> {
    contender: &'a dyn Contender,
    shape: &'a Shape,
    batch: Vec<Job>,
    pushed: u64,
    chance: fastrand::Rng,
}

impl Pusher<'_> {
    fn push(&mut self) {
        for _ in 0..self.shape.push {
            let key = self.chance.u64(..self.shape.keys as u64);
            let lane = key.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            self.batch.push(Job { lane, number: self.pushed, rest: [key; 5] });
            self.pushed += 1;
        }
        self.contender.push(&mut self.batch);
    }

    /// Keeps as many in flight as the shape says until so many are taken.
    fn keep_full(&mut self, progress: &Progress, until: u64) {
        loop {
            let taken = progress.taken.load(Ordering::Acquire);
            if taken >= until {
                return;
            }
            if self.pushed - taken < self.shape.in_flight as u64 {
                self.push();
                continue;
            }
            progress.pusher_waits.store(true, Ordering::SeqCst);
            if progress.taken.load(Ordering::SeqCst) == taken {
                thread::park_timeout(Duration::from_millis(5));
            }
            progress.pusher_waits.store(false, Ordering::SeqCst);
        }
    }
}

fn take_all(contender: &dyn Contender, progress: &Progress, mut look: impl FnMut(&Job)) {
    let mut out = Vec::new();
    while contender.take(&mut out) {
        out.iter().for_each(&mut look);
        progress.taken.fetch_add(out.len() as u64, Ordering::SeqCst);
        out.clear();
        if progress.pusher_waits.swap(false, Ordering::SeqCst) {
            progress.pusher.unpark();
        }
    }
}

fn run(
    contender: &dyn Contender,
    shape: &Shape,
    tasks: u64,
    look: impl FnMut(&Job) + Send,
    mark: impl FnMut(),
) {
    let progress = Progress {
        taken: AtomicU64::new(0),
        pusher: thread::current(),
        pusher_waits: AtomicBool::new(false),
    };
    let chance = fastrand::Rng::with_seed(1);
    let mut pusher = Pusher { contender, shape, batch: Vec::new(), pushed: 0, chance };
    let mut mark = mark;
    while pusher.pushed < shape.in_flight as u64 {
        pusher.push();
    }
    thread::scope(|scope| {
        mark();
        let taker = scope.spawn(|| take_all(contender, &progress, look));
        let workers: Vec<_> =
            (0..shape.workers).map(|worker| scope.spawn(move || contender.work(worker))).collect();
        pusher.keep_full(&progress, tasks);
        mark();
        contender.close();
        workers.into_iter().for_each(|worker| worker.join().expect("no worker panics"));
        contender.close_results();
        taker.join().expect("the taker does not panic");
    });
    let taken = progress.taken.load(Ordering::SeqCst);
    assert_eq!(taken, pusher.pushed, "everything pushed comes out");
}

/// Runs the course once.
pub(crate) fn measure(
    contender: &dyn Contender,
    shape: &Shape,
    tasks: u64,
    counter: Option<&Counter>,
) -> Measured {
    let mut marks = Vec::with_capacity(2);
    let mark = || marks.push((Instant::now(), usage::cpu_seconds(), counter.map(Counter::read)));
    run(contender, shape, tasks, |job| _ = std::hint::black_box(job), mark);
    let [(began, cpu, counted), (ended, cpu_then, counted_then)] = marks[..] else {
        panic!("two marks are set")
    };
    let tasks = tasks as f64;
    Measured {
        cpu_ns: (cpu_then - cpu) * 1e9 / tasks,
        wall_ns: (ended - began).as_nanos() as f64 / tasks,
        instructions: counted.zip(counted_then).map(|(before, after)| (after - before) as f64 / tasks),
    }
}

/// A contender that loses the order of a lane is none.
pub(crate) fn check_order(contender: &dyn Contender, shape: &Shape) {
    let shape = Shape { in_flight: shape.in_flight.min(10_000), keys: shape.keys.min(100), ..*shape };
    let mut last: HashMap<u64, u64> = HashMap::new();
    let look = |job: &Job| {
        let before = last.insert(job.lane, job.number);
        assert!(before.is_none_or(|before| before < job.number), "a lane is out of order");
    };
    run(contender, &shape, 50_000, look, || ());
}
