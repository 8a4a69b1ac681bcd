//! The model itself: time passes, waits end, and a wait that nothing ends is seen.

use std::sync::Arc;
use std::time::Duration;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn time_jumps_when_all_wait_and_deadlines_come_in_order() {
    check(|| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let threads: Vec<_> = [3, 1, 2]
            .map(|hours| {
                let log = log.clone();
                spawn(move || {
                    sleep(HOUR * hours);
                    log.lock().push(hours);
                    now()
                })
            })
            .into_iter()
            .map(JoinHandle::join)
            .collect();
        assert_eq!(*log.lock(), [1, 2, 3]);
        assert!(threads[0] >= world::base() + HOUR * 3);
        assert!(threads[0] < world::base() + HOUR * 4);
    });
}

#[test]
fn a_notification_is_in_time_or_is_not() {
    let seen = Arc::new([const { std::sync::atomic::AtomicUsize::new(0) }; 2]);
    let count = seen.clone();
    check(move || {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let other = shared.clone();
        let thread = spawn(move || {
            sleep(Duration::from_millis(1));
            *other.0.lock() = true;
            other.1.notify_one();
        });
        let mut done = shared.0.lock();
        let mut late = false;
        while !*done {
            late |= shared.1.wait_for(&mut done, Duration::from_millis(1)).timed_out();
        }
        drop(done);
        thread.join();
        count[usize::from(late)].fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    let seen = [0, 1].map(|late| seen[late].load(std::sync::atomic::Ordering::Relaxed));
    assert!(seen.iter().all(|times| *times > 0), "in time and late: {seen:?}");
}

#[test]
fn two_are_never_in_one_lock() {
    check(|| {
        let counter = Arc::new(Mutex::new(0));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let counter = counter.clone();
                spawn(move || {
                    for _ in 0..3 {
                        let mut guard = counter.lock();
                        let before = *guard;
                        pass();
                        *guard = before + 1;
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(JoinHandle::join);
        assert_eq!(*counter.lock(), 9);
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_wait_that_nothing_ends_is_a_failure() {
    check(|| {
        let shared = Arc::new((Mutex::new(()), Condvar::new()));
        let other = shared.clone();
        let thread = spawn(move || other.1.notify_one());
        // Nothing says that the notification has been: it may come before the wait.
        shared.1.wait(&mut shared.0.lock());
        thread.join();
    });
}
