//! The ready list: every result once, in order, and no producer that sleeps on one.

use std::collections::BTreeMap;

use super::*;

const SHARDS: usize = 2;

type Got = BTreeMap<(usize, u32), Vec<u32>>;

/// Takes results of one shard; some of what it takes comes again. A result is (who pushed it, its number).
fn produce(scheduler: &Scheduler<(), (u32, u32)>, shard: usize, got: &Board<(usize, Got)>) {
    let mut out = Vec::new();
    while scheduler.take_ready(shard, 2, &model::now, &mut out) {
        if model::random(3) == 0 {
            let keep = model::random(out.len() as u64) as usize;
            let back = out.drain(keep..).map(|result| (shard, result)).collect();
            scheduler.return_ready(back, |(_, number)| *number);
        }
        for (pusher, number) in out.drain(..) {
            got.change(|(count, got)| {
                *count += 1;
                got.entry((shard, pusher)).or_default().push(number);
            });
        }
    }
}

#[test]
fn every_result_reaches_its_producer_once_and_in_order() {
    check(|| {
        let scheduler = Arc::new(Scheduler::<(), (u32, u32)>::new(1, SHARDS));
        let got = Arc::new(Board::<(usize, Got)>::default());
        let start = |shard| {
            let (scheduler, got) = (scheduler.clone(), got.clone());
            spawn(move || produce(&scheduler, shard, &got))
        };
        let producers: Vec<_> = (0..SHARDS).map(start).collect();
        let push = |pusher| {
            let scheduler = scheduler.clone();
            spawn(move || {
                for number in 0..4 {
                    scheduler.push_ready(&mut vec![(number as usize % SHARDS, (pusher, number))]);
                }
            })
        };
        join((0..2).map(push).collect());
        got.wait(|(count, _)| *count == 8);
        scheduler.close_ready();
        join(producers);
        for ((shard, pusher), numbers) in got.look(|(_, got)| got.clone()) {
            let shard = shard as u32;
            assert_eq!(numbers, [shard, shard + 2], "pusher {pusher}, shard {shard}");
        }
    });
}

/// A producer that sleeps without an end, or until later, has to hear of a result that is put off.
#[test]
fn a_result_that_is_put_off_comes_in_its_time() {
    check(|| {
        let scheduler = Arc::new(Scheduler::<(), u64>::new(1, SHARDS));
        let got = Arc::new(Board::new(Vec::new()));
        let start = |shard| {
            let (scheduler, got) = (scheduler.clone(), got.clone());
            spawn(move || {
                let mut out = Vec::new();
                while scheduler.take_ready(shard, 2, &model::now, &mut out) {
                    out.drain(..).for_each(|result: u64| got.change(|got| got.push((result, model::now()))));
                }
            })
        };
        let producers: Vec<_> = (0..SHARDS).map(start).collect();
        let begin = model::now();
        let delays = [3600u64, 5, 9, 1];
        for (shard, seconds) in [0, 0, 1, 0].into_iter().zip(delays) {
            scheduler.delay_ready(shard, begin + Duration::from_secs(seconds), seconds);
        }
        got.wait(|got| got.len() == delays.len());
        scheduler.close_ready();
        join(producers);
        for (seconds, at) in got.look(Clone::clone) {
            let late = (at - begin).checked_sub(Duration::from_secs(seconds)).expect("not before its time");
            assert!(late < Duration::from_secs(1), "the result of {seconds} s came {late:?} late");
        }
    });
}

#[test]
fn closing_ends_every_producer_after_what_is_there() {
    check(|| {
        let scheduler = Arc::new(Scheduler::<(), u32>::new(1, SHARDS));
        let got = Arc::new(Board::new(0));
        let start = |shard| {
            let (scheduler, got) = (scheduler.clone(), got.clone());
            spawn(move || {
                let mut out = Vec::new();
                while scheduler.take_ready(shard, 1, &model::now, &mut out) {
                    out.drain(..).for_each(|number| got.change(|got| *got += number));
                }
            })
        };
        let producers: Vec<_> = (0..SHARDS).map(start).collect();
        scheduler.push_ready(&mut vec![(0, 1), (1, 2), (0, 4)]);
        scheduler.close_ready();
        join(producers);
        assert_eq!(got.look(|got| *got), 7);
    });
}
