//! What is taken out of the lists while workers run.

use super::*;

const JOBS: u64 = 6;
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn what_is_given_back_is_the_suffix_that_nobody_has_begun() {
    check(|| {
        let scheduler = Arc::new(Scheduler::<u64, ()>::new(2, 1));
        let begun = Arc::new(Board::new(Vec::new()));
        let board = begun.clone();
        let workers = workers(2, 2, &scheduler, move |&job, attempt| {
            let fails = job == 1 && attempt == 1;
            if !fails {
                board.change(|begun| begun.push(job));
            }
            fails.then_some(Duration::from_millis(1))
        });
        // Odd jobs wait in one lane, while later ones may be begun.
        scheduler.push((0..JOBS).map(|job| ((job % 2 == 1).then_some(1), job)));
        let wanted = model::random(JOBS) as usize;
        begun.wait(|begun| begun.len() >= wanted);
        let mut given_back = scheduler.remove_unbegun(0, |&job| Some(job), JOBS);
        given_back.sort_unstable();
        scheduler.close();
        join(workers);
        let mut begun = begun.look(Clone::clone);
        begun.sort_unstable();
        let end = JOBS - given_back.len() as u64;
        assert_eq!(given_back, (end..JOBS).collect::<Vec<_>>(), "a suffix without gaps");
        assert_eq!(begun, (0..end).collect::<Vec<_>>(), "the rest is done, each once");
    });
}

/// A retry that nobody would wait for otherwise: what is removed may be all that keeps the workers of a closed scheduler.
#[test]
fn what_is_removed_is_not_done_and_ends_the_workers_of_a_closed_scheduler() {
    check(|| {
        let scheduler = Arc::new(Scheduler::<u64, ()>::new(2, 1));
        let done = Arc::new(Board::new(Vec::new()));
        let board = done.clone();
        let workers = workers(2, 1, &scheduler, move |&job, attempt| {
            if job < 2 && attempt < 100 {
                return Some(HOUR);
            }
            board.change(|done| done.push(job));
            None
        });
        let begin = model::now();
        scheduler.push([(Some(1), 0), (Some(1), 2), (None, 1), (None, 3)]);
        let closer = {
            let scheduler = scheduler.clone();
            spawn(move || scheduler.close())
        };
        let mut removed = Vec::new();
        while removed.iter().filter(|job| **job < 2).count() < 2 {
            removed.extend(scheduler.remove_if(0, |_| true, |()| true).0);
            model::sleep(Duration::from_millis(1));
        }
        closer.join();
        join(workers);
        let late = model::now() - begin;
        assert!(late < HOUR, "the workers ended after {late:?}");
        let mut all = [removed, done.look(Clone::clone)].concat();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3], "each once, removed or done");
    });
}
