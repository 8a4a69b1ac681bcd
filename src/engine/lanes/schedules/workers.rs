//! Nobody sleeps on work, and everybody ends.

use super::*;

#[test]
fn a_push_finds_a_worker_also_one_that_just_goes_to_sleep() {
    check(|| {
        let scheduler = Arc::new(Scheduler::<u32, ()>::new(2, 1));
        let done = Arc::new(Board::new(Vec::new()));
        let log = done.clone();
        let workers = workers(2, 2, &scheduler, move |job, _| {
            log.change(|done| done.push(*job));
            None
        });
        let pushers: Vec<_> = [[1, 2], [3, 4]]
            .map(|jobs| {
                let scheduler = scheduler.clone();
                spawn(move || jobs.into_iter().for_each(|job| scheduler.push([(None, job)])))
            })
            .into();
        join(pushers);
        done.wait(|done| done.len() == 4);
        scheduler.push([(Some(1), 5), (Some(1), 6), (None, 7)]);
        done.wait(|done| done.len() == 7);
        scheduler.close();
        join(workers);
        let mut done = done.look(Clone::clone);
        done.sort_unstable();
        assert_eq!(done, [1, 2, 3, 4, 5, 6, 7]);
    });
}

/// Both jobs must be at work at the same time: a worker that leaves one behind has to wake the other.
#[test]
fn a_worker_that_leaves_work_behind_wakes_another() {
    check(|| {
        let scheduler = Arc::new(Scheduler::<u32, ()>::new(2, 1));
        let at_work = Arc::new(Board::new(0));
        let board = at_work.clone();
        let workers = workers(2, 8, &scheduler, move |_, _| {
            board.change(|at_work| *at_work += 1);
            board.wait(|at_work| *at_work >= 2);
            None
        });
        scheduler.push([(None, 1), (None, 2)]);
        at_work.wait(|at_work| *at_work == 2);
        scheduler.close();
        join(workers);
    });
}

#[test]
fn closing_ends_every_worker_and_only_after_the_retries() {
    check(|| {
        let scheduler = Arc::new(Scheduler::<u32, ()>::new(3, 1));
        let done = Arc::new(Board::new(Vec::new()));
        let log = done.clone();
        let workers = workers(3, 1, &scheduler, move |job, attempt| {
            let again = *job == 1 && attempt < 3;
            if !again {
                log.change(|done| done.push((*job, attempt)));
            }
            again.then_some(Duration::from_millis(1))
        });
        scheduler.push([(Some(7), 1), (Some(7), 2), (None, 3)]);
        scheduler.close();
        join(workers);
        let mut done = done.look(Clone::clone);
        done.sort_unstable();
        assert_eq!(done, [(1, 3), (2, 1), (3, 1)]);
    });
}

/// As whoever runs tasks as futures: they come back by themselves, one at a time.
#[test]
fn whoever_hands_tasks_on_ends_after_all_of_them_and_their_retries() {
    check(|| {
        let scheduler = Arc::new(Scheduler::<u32, ()>::new(1, 1));
        let done = Arc::new(Board::new(Vec::new()));
        let (own, log) = (scheduler.clone(), done.clone());
        let dispatcher = spawn(move || {
            let (mut tasks, mut running) = (Vec::new(), Vec::new());
            loop {
                while own.exchange(&mut Vec::new(), 1, &model::now, &mut tasks) {
                    for task in tasks.drain(..) {
                        let (scheduler, log) = (own.clone(), log.clone());
                        running.push(spawn(move || run_elsewhere(&scheduler, &log, task)));
                    }
                }
                if !own.wait_for_more() {
                    break;
                }
            }
            join(running);
        });
        scheduler.push([(Some(7), 1), (Some(7), 2), (None, 3)]);
        scheduler.close();
        join(vec![dispatcher]);
        assert_eq!(scheduler.depth(), Depth::default());
        let done = done.look(Clone::clone);
        let of_the_lane: Vec<_> = done.iter().filter(|job| **job != 3).collect();
        assert_eq!((done.len(), of_the_lane), (3, vec![&1, &2]));
    });
}

fn run_elsewhere(scheduler: &Scheduler<u32, ()>, done: &Board<Vec<u32>>, task: Task<u32>) {
    let again = task.job != 2 && task.attempt < 2;
    let (held, job) = task.split();
    let verdict = if again {
        Verdict::Later(model::now() + Duration::from_millis(1), job)
    } else {
        done.change(|done| done.push(job));
        Verdict::Done
    };
    scheduler.give_back(&mut vec![(held, verdict)]);
}
