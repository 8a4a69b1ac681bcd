//! The scheduler alone, as a pool for any work: jobs in, results out, without Kafka. What must stay in order shares a
//! lane; a job that fails comes again later and holds no thread meanwhile.
//!
//! `cargo run --example universal_pool`

use std::thread;
use std::time::{Duration, Instant};

use processor::scheduler::Scheduler;
use processor::scheduler::pending::Verdict;

const WORKERS: usize = 4;

fn main() {
    let pool: Scheduler<u64, String> = Scheduler::new(WORKERS, 1);
    // Three lanes: the sums of each keep their order among themselves.
    pool.push((1..=12).map(|number| (Some(number % 3), number * 100_000)));
    pool.close();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|worker| scope.spawn(work(&pool, worker))).collect();
        scope.spawn(|| {
            let mut results = Vec::new();
            while pool.take_ready(0, 16, &Instant::now, &mut results) {
                results.drain(..).for_each(|line| println!("{line}"));
            }
        });
        workers.into_iter().for_each(|worker| worker.join().expect("no job panics"));
        pool.close_ready();
    });
}

/// A worker's life: takes jobs until the pool is closed and empty.
fn work(pool: &Scheduler<u64, String>, worker: usize) -> impl FnOnce() + Send {
    move || {
        let (mut tasks, mut done) = (Vec::new(), Vec::new());
        while pool.exchange(&mut done, 1, &Instant::now, &mut tasks) {
            for task in tasks.drain(..) {
                let attempt = task.attempt;
                let (held, limit) = task.split();
                if limit % 500_000 == 0 && attempt == 1 {
                    let due = Instant::now() + Duration::from_millis(50);
                    done.push((held, Verdict::Later(due, limit)));
                    continue;
                }
                let sum: u64 = (1..=limit).sum();
                let line = format!("1 + 2 + … + {limit} = {sum} (worker {worker}, attempt {attempt})");
                pool.push_ready(&mut vec![(0, line)]);
                done.push((held, Verdict::Done));
            }
        }
    }
}
