//! A hand that is relieved while its worker runs.

use std::time::Duration;

use super::*;
use crate::checkpoint::tracker::Times;
use crate::checkpoint::{Beginning, Budget, Ledger};
use crate::engine::lanes::pending::Pending;
use crate::record::{Parts, Record};

/// Tasks of these lanes, as a worker takes them.
fn tasks(lanes: &[Lane]) -> Vec<Task<Arc<Job>>> {
    let now = Instant::now();
    let mut ledger = Ledger::new(Budget { records: 100, bytes: 1 << 20 });
    let slot = ledger.assign(0, "in".into(), 0, Beginning::default());
    let mut pending = Pending::default();
    for (lane, offset) in lanes.iter().zip(0..) {
        let ticket =
            ledger.deliver(slot, offset, Times { timestamp: 0, admitted: now }, 1).expect("it is new");
        let record = Record::new("in".into(), 0, offset, Parts::default());
        pending.push(0, *lane, Arc::new(Job::new(record, ticket, 0, now)));
    }
    let mut tasks = Vec::new();
    pending.take(now, usize::MAX, usize::MAX, &mut tasks);
    tasks
}

/// The worker has done one of its three tasks, of lane 1, and runs the second of it.
fn at_work() -> WorkerBatch {
    let (hand, mut batch) = (WorkerBatch::new("worker-7".to_owned()), Batch::default());
    hand.take(&mut tasks(&[Some(1), Some(1), Some(2)]));
    let (held, job) = hand.next(None, &mut batch).expect("the first").split();
    batch.ready.push((0.into(), job));
    assert!(hand.next(Some((held, Verdict::Done)), &mut batch).is_some());
    hand
}

#[test]
fn what_has_to_wait_for_the_running_record_stays_in_the_hand() {
    let hand = at_work();
    let made = hand.relieve().expect("there is something to take");
    assert_eq!((made.ready.len(), made.verdicts.len()), (1, 1), "a result, and the task of lane 2");
    assert!(
        made.verdicts
            .iter()
            .all(|(held, verdict)| { held.lane() == Some(2) && matches!(verdict, Verdict::Untouched(_)) })
    );
    hand.returned();
    assert!(hand.relieve().is_none(), "nothing is left to take");
    let left = hand.put_down();
    assert_eq!((left.ready.len(), left.verdicts.len()), (0, 1), "its lane is the worker's to give back");
}

/// Else the worker's next result of that lane could overtake the one that the look-out has taken.
#[test]
fn a_worker_hands_over_nothing_while_the_look_out_has_results_of_its_lane() {
    let hand = at_work();
    let _made = hand.relieve().expect("there is something to take");
    let (done, is_done) = crossbeam_channel::unbounded();
    std::thread::scope(|scope| {
        scope.spawn(|| done.send(hand.put_down().verdicts.len()));
        assert!(is_done.recv_timeout(Duration::from_millis(100)).is_err(), "it waits");
        hand.returned();
        assert_eq!(is_done.recv_timeout(Duration::from_secs(30)), Ok(1));
    });
}
