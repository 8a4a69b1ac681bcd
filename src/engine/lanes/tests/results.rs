//! The ready list: every result once, in order, and no producer that sleeps on one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::unbounded;

use super::*;

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
                    // What was not written comes again, the older before the newer.
                    let keep = random.usize(..out.len());
                    let back = out.drain(keep..).map(|result| (shard, result)).collect();
                    scheduler.return_ready(back, |(_, number)| *number);
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

/// What a producer of each shard takes, with its shard, and their ends.
fn two_producers(scheduler: &Arc<Scheduler<(), u32>>) -> (Receiver<(usize, u32)>, Receiver<()>) {
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
    (all, all_ended)
}

#[test]
fn a_result_that_was_put_off_wakes_a_producer_that_sleeps_without_end() {
    let scheduler = Arc::new(Scheduler::<(), u32>::new(1, 2));
    let (all, all_ended) = two_producers(&scheduler);
    eventually("both sleep", || scheduler.ready.lock().idle == [true, true]);
    let due = Instant::now() + Duration::from_millis(20);
    scheduler.delay_ready(1, due, 7);
    assert_eq!(all.recv_timeout(DEADLINE), Ok((1, 7)));
    assert!(Instant::now() >= due, "not before its time");
    scheduler.close_ready();
    wait_for(&all_ended, 2);
}

#[test]
fn a_result_wakes_the_producer_that_sleeps_for_it() {
    let scheduler = Arc::new(Scheduler::<(), u32>::new(1, 2));
    let (all, all_ended) = two_producers(&scheduler);
    let both_sleep = || scheduler.ready.lock().idle == [true, true];
    eventually("both sleep", both_sleep);
    scheduler.push_ready(&mut vec![(1, 7)]);
    assert_eq!(all.recv_timeout(DEADLINE), Ok((1, 7)));
    eventually("both sleep again", both_sleep);
    scheduler.return_ready(vec![(0, 8)], |number| *number);
    assert_eq!(all.recv_timeout(DEADLINE), Ok((0, 8)));
    scheduler.close_ready();
    wait_for(&all_ended, 2);
}

/// A producer may hold a batch that it took before the flow was halted. It gives it back when the older ones that failed
/// are back already; handing it back to the front would write a key's newer record first.
#[test]
fn what_is_put_back_late_does_not_overtake_what_is_older() {
    let scheduler = Scheduler::<(), u32>::new(1, 1);
    scheduler.push_ready(&mut (0..4).map(|number| (0, number)).collect());
    let take = |count| {
        let mut out = Vec::new();
        assert!(scheduler.take_ready(0, count, &Instant::now, &mut out));
        out
    };
    let (failed, held) = (take(2), take(2));
    let back = |numbers: Vec<u32>| {
        scheduler.return_ready(numbers.into_iter().map(|number| (0, number)).collect(), |number| *number);
    };
    scheduler.push_ready(&mut vec![(0, 4)]);
    back(failed);
    back(held);
    assert_eq!(take(5), [0, 1, 2, 3, 4]);
}
