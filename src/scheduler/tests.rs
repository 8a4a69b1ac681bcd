//! The scheduler with real threads. Nothing here waits for time to pass but for something to happen, within a deadline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

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

/// A worker: runs `job` on what it takes, until the scheduler is closed. `None` is done, else it runs again that much
/// later.
fn work<T, R>(scheduler: &Scheduler<T, R>, max: usize, mut job: impl FnMut(&T, u32) -> Option<Duration>) {
    let (mut tasks, mut results) = (Vec::new(), Vec::new());
    while scheduler.exchange(&mut results, max, &Instant::now, &mut tasks) {
        let mut blocked = None;
        for task in tasks.drain(..) {
            let (lane, attempt) = (task.lane(), task.attempt);
            let (held, value) = task.split();
            let verdict = if lane.is_some() && lane == blocked {
                Verdict::Untouched(value)
            } else if let Some(delay) = job(&value, attempt) {
                blocked = lane;
                Verdict::Later(Instant::now() + delay, value)
            } else {
                Verdict::Done
            };
            results.push((held, verdict));
        }
    }
}

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

/// Whoever takes work must see to it that somebody watches the clock for the retry it has just handed back.
#[test]
fn an_idle_worker_takes_a_retry_whose_first_worker_is_busy() {
    let scheduler = Arc::new(Scheduler::<&str, ()>::new(2, 1));
    let (retried, retry_done) = unbounded();
    let (ended, all_ended) = unbounded();
    let (mut tasks, mut results) = (Vec::new(), Vec::new());
    scheduler.push([(None, "fails"), (Some(1), "quick"), (Some(1), "takes long")]);
    for max in [1, 1] {
        assert!(scheduler.exchange(&mut results, max, &Instant::now, &mut tasks));
    }
    let other = scheduler.clone();
    spawn(&ended, move || {
        work(&other, 1, |job, attempt| {
            let _ = retried.send((*job, attempt));
            None
        });
    });
    eventually("the other sleeps", || scheduler.pending.lock().idle == 1);
    // This worker hands back a retry and a success, and is busy with the lane's next job before anybody else wakes up.
    let due = Instant::now() + Duration::from_millis(20);
    for task in tasks.drain(..) {
        let (held, job) = task.split();
        let verdict = if job == "fails" { Verdict::Later(due, job) } else { Verdict::Done };
        results.push((held, verdict));
    }
    assert!(scheduler.exchange(&mut results, 1, &Instant::now, &mut tasks));
    assert_eq!(tasks[0].job, "takes long");
    assert_eq!(retry_done.recv_timeout(DEADLINE), Ok(("fails", 2)), "while this worker is still busy");
    results.extend(tasks.drain(..).map(|task| (task.split().0, Verdict::Done)));
    scheduler.close();
    assert!(!scheduler.exchange(&mut results, 1, &Instant::now, &mut tasks));
    wait_for(&all_ended, 1);
}

/// A retry that is due before the one that the watching worker sleeps for.
#[test]
fn an_earlier_retry_moves_the_alarm() {
    let scheduler = Arc::new(Scheduler::<&str, ()>::new(3, 1));
    let (retried, retry_done) = unbounded();
    let (ended, all_ended) = unbounded();
    scheduler.push([(None, "tomorrow"), (None, "soon"), (Some(1), "quick"), (Some(1), "takes long")]);
    let (mut tasks, mut results) = (Vec::new(), Vec::new());
    while tasks.len() < 3 {
        assert!(scheduler.exchange(&mut results, 1, &Instant::now, &mut tasks));
    }
    let soon = tasks.remove(1);
    let far = Instant::now() + Duration::from_secs(24 * 3600);
    let tomorrow = tasks.remove(0).split();
    scheduler.pending.lock().list.finish(&mut vec![(tomorrow.0, Verdict::Later(far, tomorrow.1))]);
    for _ in 0..2 {
        let (other, retried) = (scheduler.clone(), retried.clone());
        spawn(&ended, move || {
            work(&other, 1, |job, attempt| {
                let _ = retried.send((*job, attempt));
                None
            });
        });
    }
    eventually("both sleep, one until tomorrow", || {
        let side = scheduler.pending.lock();
        side.idle == 2 && side.alarm == Some(far)
    });
    let soon = soon.split();
    results.push((soon.0, Verdict::Later(Instant::now() + Duration::from_millis(20), soon.1)));
    results.extend(tasks.drain(..).map(|task| (task.split().0, Verdict::Done)));
    assert!(scheduler.exchange(&mut results, 1, &Instant::now, &mut tasks));
    assert_eq!(retry_done.recv_timeout(DEADLINE), Ok(("soon", 2)));
    results.extend(tasks.drain(..).map(|task| (task.split().0, Verdict::Done)));
    assert_eq!(scheduler.remove_if(|_| true, |()| true).0, ["tomorrow"]);
    scheduler.close();
    assert!(!scheduler.exchange(&mut results, 1, &Instant::now, &mut tasks));
    wait_for(&all_ended, 2);
}

#[test]
fn what_is_given_back_is_the_suffix_that_nobody_has_begun() {
    const WORKERS: usize = 3;
    const JOBS: u64 = 400;
    for round in 0..30 {
        let scheduler = Arc::new(Scheduler::<u64, ()>::new(WORKERS, 1));
        let begun = Arc::new(Mutex::new(Vec::new()));
        let (ended, all_ended) = unbounded();
        for _ in 0..WORKERS {
            let (scheduler, begun) = (scheduler.clone(), begun.clone());
            spawn(&ended, move || {
                work(&scheduler, 3, |&job, _| {
                    begun.lock().push(job);
                    thread::yield_now();
                    None
                });
            });
        }
        // Odd lanes are long: their jobs wait while later ones of other lanes are begun.
        scheduler.push((0..JOBS).map(|job| ((job % 2 == 1).then_some(job % 3), job)));
        eventually("some are begun", || begun.lock().len() > round * 5);
        let mut given_back = scheduler.remove_unbegun(|&job| Some(job), JOBS);
        given_back.sort_unstable();
        scheduler.close();
        wait_for(&all_ended, WORKERS);
        let mut begun = begun.lock().clone();
        begun.sort_unstable();
        let end = JOBS - given_back.len() as u64;
        assert_eq!(given_back, (end..JOBS).collect::<Vec<_>>(), "a suffix without gaps");
        assert_eq!(begun, (0..end).collect::<Vec<_>>(), "the rest is done, each once");
    }
}

#[test]
fn what_is_given_back_ends_behind_a_job_that_is_finished_or_at_a_worker() {
    let scheduler = Scheduler::<u64, ()>::new(1, 1);
    let (mut tasks, mut results) = (Vec::new(), Vec::new());
    scheduler.push([(Some(1), 0), (Some(1), 1), (None, 2), (Some(1), 3), (None, 4)]);
    // 0 finishes, 2 is at a worker, 1, 3 and 4 wait.
    assert!(scheduler.exchange(&mut results, 1, &Instant::now, &mut tasks));
    results.extend(tasks.drain(..).map(|task| (task.split().0, Verdict::Done)));
    assert!(scheduler.exchange(&mut results, 1, &Instant::now, &mut tasks));
    assert_eq!(tasks[0].job, 2);
    let mut given_back = scheduler.remove_unbegun(|&job| Some(job), 5);
    given_back.sort_unstable();
    assert_eq!(given_back, [3, 4], "1 was not begun, but 2 behind it was");
    assert!(scheduler.remove_unbegun(|_| None, 5).is_empty(), "others are left alone");
}

#[test]
fn every_result_reaches_its_producer_once_and_in_order() {
    const PUSHERS: u32 = 3;
    const SHARDS: usize = 3;
    const RESULTS: u32 = 3000;
    let scheduler = Arc::new(Scheduler::<(), (u32, u32)>::new(1, SHARDS));
    let (pushed, all_pushed) = unbounded();
    let (ended, all_ended) = unbounded();
    let (got, all) = unbounded();
    for shard in 0..SHARDS {
        let (scheduler, got) = (scheduler.clone(), got.clone());
        spawn(&ended, move || {
            let mut random = fastrand::Rng::with_seed(shard as u64);
            let mut out = Vec::new();
            while scheduler.take_ready(shard, 16, &Instant::now, &mut out) {
                if random.u8(..8) == 0 {
                    // What was not written comes again before all others.
                    let keep = random.usize(..out.len());
                    scheduler.return_ready(out.drain(keep..).map(|result| (shard, result)).collect());
                }
                for result in out.drain(..) {
                    let _ = got.send((shard, result));
                }
            }
        });
    }
    for pusher in 0..PUSHERS {
        let scheduler = scheduler.clone();
        spawn(&pushed, move || {
            for number in 0..RESULTS {
                scheduler.push_ready(&mut vec![(number as usize % SHARDS, (pusher, number))]);
            }
        });
    }
    wait_for(&all_pushed, PUSHERS as usize);
    scheduler.close_ready();
    wait_for(&all_ended, SHARDS);
    let mut seen: BTreeMap<(usize, u32), Vec<u32>> = BTreeMap::new();
    all.try_iter()
        .for_each(|(shard, (pusher, number))| seen.entry((shard, pusher)).or_default().push(number));
    assert_eq!(seen.len(), SHARDS * PUSHERS as usize);
    for ((shard, _), numbers) in seen {
        assert_eq!(
            numbers,
            (0..RESULTS).filter(|number| *number as usize % SHARDS == shard).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_result_that_was_put_off_wakes_a_producer_that_sleeps_without_end() {
    let scheduler = Arc::new(Scheduler::<(), u32>::new(1, 2));
    let (ended, all_ended) = unbounded();
    let (got, all) = unbounded();
    for shard in 0..2 {
        let (scheduler, got) = (scheduler.clone(), got.clone());
        spawn(&ended, move || {
            let mut out = Vec::new();
            while scheduler.take_ready(shard, 16, &Instant::now, &mut out) {
                out.drain(..).for_each(|result| _ = got.send((shard, result)));
            }
        });
    }
    eventually("both sleep", || scheduler.ready.lock().idle == [true, true]);
    let due = Instant::now() + Duration::from_millis(20);
    scheduler.delay_ready(1, due, 7);
    assert_eq!(all.recv_timeout(DEADLINE), Ok((1, 7)));
    assert!(Instant::now() >= due, "not before its time");
    scheduler.close_ready();
    wait_for(&all_ended, 2);
}

#[test]
fn removing_what_is_left_ends_the_workers_of_a_closed_scheduler() {
    let scheduler = Arc::new(Scheduler::<u32, ()>::new(2, 1));
    let (ended, all_ended) = unbounded();
    let failed = Arc::new(AtomicBool::new(false));
    for _ in 0..2 {
        let (scheduler, failed) = (scheduler.clone(), failed.clone());
        spawn(&ended, move || {
            work(&scheduler, 1, |_, _| {
                failed.store(true, Ordering::Relaxed);
                Some(Duration::from_secs(3600))
            });
        });
    }
    scheduler.push([(Some(1), 1), (Some(1), 2)]);
    eventually("it waits for its retry", || {
        failed.load(Ordering::Relaxed) && scheduler.depth() == Depth { pending: 2, running: 0, ready: 0 }
    });
    scheduler.close();
    assert!(all_ended.try_recv().is_err());
    let mut removed = scheduler.remove_if(|_| true, |()| true).0;
    removed.sort_unstable();
    assert_eq!(removed, [1, 2]);
    wait_for(&all_ended, 2);
}
