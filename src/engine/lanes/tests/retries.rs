//! Who watches the clock for a retry.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::unbounded;

use super::*;

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
    assert_eq!(scheduler.remove_if(0, |_| true, |()| true).0, ["tomorrow"]);
    scheduler.close();
    assert!(!scheduler.exchange(&mut results, 1, &Instant::now, &mut tasks));
    wait_for(&all_ended, 2);
}
