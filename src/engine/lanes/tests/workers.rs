//! Every job once and in the order of its lane, and an end for every worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::unbounded;

use super::*;

/// Which jobs of which lane are done, in order; and that nobody else is at the lane meanwhile.
#[derive(Default)]
struct Log {
    done: Mutex<BTreeMap<u64, Vec<u32>>>,
    at_work: Mutex<BTreeMap<u64, u32>>,
}

impl Log {
    fn run(&self, lane: u64, number: u32, fails: bool) {
        let before = self.at_work.lock().insert(lane, number);
        assert_eq!(before, None, "two at work in lane {lane}");
        if !fails {
            self.done.lock().entry(lane).or_default().push(number);
        }
        thread::yield_now();
        self.at_work.lock().remove(&lane);
    }
}

#[test]
fn every_job_is_done_once_and_in_the_order_of_its_lane() {
    const PUSHERS: u64 = 3;
    const WORKERS: usize = 4;
    const JOBS: u32 = 3000;
    let scheduler = Arc::new(Scheduler::<(u64, u32), ()>::new(WORKERS, 1));
    let log = Arc::new(Log::default());
    let (pushed, all_pushed) = unbounded();
    let (ended, all_ended) = unbounded();
    for worker in 0..WORKERS {
        let (scheduler, log) = (scheduler.clone(), log.clone());
        spawn(&ended, move || {
            let mut random = fastrand::Rng::with_seed(worker as u64);
            work(&scheduler, 1 + worker * 3, |&(lane, number), attempt| {
                let fails = attempt < 4 && random.u8(..10) == 0;
                log.run(lane, number, fails);
                fails.then(|| Duration::from_micros(random.u64(..500)))
            });
        });
    }
    for pusher in 0..PUSHERS {
        let scheduler = scheduler.clone();
        spawn(&pushed, move || {
            let jobs: Vec<u32> = (0..JOBS).collect();
            for (batch, number) in jobs.chunks(7).zip(0u32..) {
                scheduler.push(batch.iter().map(|&job| {
                    let lane = pusher * 100 + u64::from(job % 5);
                    (Some(lane), (lane, job))
                }));
                if number % 50 == 0 {
                    // Lets the workers fall asleep now and then.
                    eventually("all caught up", || scheduler.depth().pending == 0);
                }
            }
        });
    }
    wait_for(&all_pushed, PUSHERS as usize);
    scheduler.close();
    wait_for(&all_ended, WORKERS);
    let done = log.done.lock();
    assert_eq!(done.len(), PUSHERS as usize * 5);
    for (lane, numbers) in &*done {
        let expected: Vec<u32> = (0..JOBS).filter(|job| u64::from(job % 5) == lane % 100).collect();
        assert_eq!(*numbers, expected, "lane {lane}");
    }
    assert_eq!(scheduler.depth(), Depth::default());
}

#[test]
fn a_closed_scheduler_ends_every_worker_once_the_retries_are_done() {
    for _ in 0..20 {
        const WORKERS: usize = 4;
        let scheduler = Arc::new(Scheduler::<u64, ()>::new(WORKERS, 1));
        let done = Arc::new(AtomicUsize::new(0));
        let (ended, all_ended) = unbounded();
        for _ in 0..WORKERS {
            let (scheduler, done) = (scheduler.clone(), done.clone());
            spawn(&ended, move || {
                work(&scheduler, 2, |_, attempt| {
                    if attempt == 3 {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    (attempt < 3).then_some(Duration::from_millis(5))
                });
            });
        }
        // Some alone, some behind others of their lane.
        scheduler.push((0..12).map(|job| ((job % 2 == 0).then_some(job % 3), job)));
        scheduler.close();
        wait_for(&all_ended, WORKERS);
        assert_eq!(done.load(Ordering::Relaxed), 12);
    }
}

#[test]
fn a_closed_scheduler_ends_workers_that_sleep_without_work() {
    let scheduler = Arc::new(Scheduler::<(), ()>::new(3, 1));
    let (ended, all_ended) = unbounded();
    for _ in 0..3 {
        let scheduler = scheduler.clone();
        spawn(&ended, move || work(&scheduler, 1, |(), _| None));
    }
    eventually("all asleep", || scheduler.pending.lock().idle == 3);
    scheduler.close();
    wait_for(&all_ended, 3);
}

#[test]
fn what_a_worker_gives_back_another_takes() {
    let scheduler = Arc::new(Scheduler::<u32, ()>::new(2, 1));
    let (done, all_done) = unbounded();
    let (ended, all_ended) = unbounded();
    let (mut tasks, mut results) = (Vec::new(), Vec::new());
    scheduler.push([(Some(1), 7)]);
    assert!(scheduler.exchange(&mut results, 1, &Instant::now, &mut tasks));
    let other = scheduler.clone();
    spawn(&ended, move || {
        work(&other, 1, |job, _| {
            let _ = done.send(*job);
            None
        })
    });
    eventually("the other sleeps", || scheduler.pending.lock().idle == 1);
    results.extend(tasks.drain(..).map(|task| {
        let (held, job) = task.split();
        (held, Verdict::Untouched(job))
    }));
    scheduler.give_back(&mut results);
    assert_eq!(all_done.recv_timeout(DEADLINE), Ok(7));
    scheduler.close();
    wait_for(&all_ended, 1);
}
