//! Somebody always watches the clock.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// The jobs that take long end only when the retry has run: whoever leaves with one must not take the alarm along.
#[test]
fn a_retry_runs_while_those_who_watched_the_clock_are_busy() {
    check(|| {
        let scheduler = Arc::new(Scheduler::<&str, ()>::new(3, 1));
        let retried = Arc::new(Board::new(0));
        let board = retried.clone();
        let workers = workers(3, 1, &scheduler, move |job, attempt| match (*job, attempt) {
            ("fails", 1) => Some(Duration::from_millis(model::random(3))),
            ("fails", _) => {
                board.change(|retried| *retried += 1);
                None
            }
            ("takes long", _) => {
                board.wait(|retried| *retried == 1);
                None
            }
            _ => None,
        });
        scheduler.push([(None, "fails"), (Some(1), "quick"), (Some(1), "takes long")]);
        scheduler.push([(None, "takes long")]);
        retried.wait(|retried| *retried == 1);
        scheduler.close();
        join(workers);
    });
}

#[test]
fn a_retry_that_is_due_earlier_moves_the_alarm() {
    check(|| {
        let scheduler = Arc::new(Scheduler::<&str, ()>::new(2, 1));
        let soon = Arc::new(Board::new(None));
        let board = soon.clone();
        let workers = workers(2, 1, &scheduler, move |job, attempt| match (*job, attempt) {
            ("much later", 1) => Some(24 * HOUR),
            ("soon", 1) => Some(Duration::from_millis(1)),
            ("soon", _) => {
                board.change(|soon| *soon = Some(model::now()));
                None
            }
            _ => None,
        });
        let begin = model::now();
        scheduler.push([(None, "much later")]);
        scheduler.push([(None, "soon")]);
        soon.wait(Option::is_some);
        let late = soon.look(|soon| soon.expect("it waited for that")) - begin;
        assert!(late < HOUR, "it ran after {late:?}");
        scheduler.close();
        join(workers);
        assert!(model::now() - begin >= 24 * HOUR);
    });
}
