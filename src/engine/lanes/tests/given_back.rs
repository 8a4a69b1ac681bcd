//! What is taken out of the lists again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::unbounded;

use super::*;

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
        let mut given_back = scheduler.remove_unbegun(0, |&job| Some(job), JOBS);
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
    let mut given_back = scheduler.remove_unbegun(0, |&job| Some(job), 5);
    given_back.sort_unstable();
    assert_eq!(given_back, [3, 4], "1 was not begun, but 2 behind it was");
    assert!(scheduler.remove_unbegun(0, |_| None, 5).is_empty(), "others are left alone");
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
    let mut removed = scheduler.remove_if(0, |_| true, |()| true).0;
    removed.sort_unstable();
    assert_eq!(removed, [1, 2]);
    wait_for(&all_ended, 2);
}

#[test]
fn what_nobody_has_is_looked_at_and_all_of_it_may_be_given_back() {
    let scheduler = Scheduler::<u64, ()>::new(1, 1);
    let (mut tasks, mut results) = (Vec::new(), Vec::new());
    scheduler.push([(None, 9), (None, 0), (Some(1), 1), (Some(1), 2)]);
    assert!(scheduler.exchange(&mut results, 1, &Instant::now, &mut tasks));
    let mut waiting = scheduler.waiting(0, |&job| (job != 1).then_some(job));
    waiting.sort_unstable();
    assert_eq!(
        (tasks[0].job, waiting),
        (9, vec![0, 2]),
        "not what is at a worker, and not what is not asked for"
    );
    let mut given_back = scheduler.remove_unbegun(0, |&job| (job < 9).then_some(job), 3);
    given_back.sort_unstable();
    assert_eq!(given_back, [0, 1, 2]);
}
