//! A lane is at one worker, and in its order.

use std::collections::BTreeMap;

use super::*;

#[derive(Default)]
struct Log {
    done: BTreeMap<u64, Vec<u32>>,
    at_work: BTreeMap<u64, u32>,
    count: usize,
}

/// Two lanes, batches, retries in the middle of a batch, and pushes that come meanwhile.
#[test]
fn a_lane_is_at_one_worker_and_in_its_order_whatever_is_tried_again() {
    check(|| {
        let scheduler = Arc::new(Scheduler::<(u64, u32), ()>::new(3, 1));
        let log = Arc::new(Board::<Log>::default());
        let board = log.clone();
        let workers = workers(3, 3, &scheduler, move |&(lane, number), attempt| {
            let before = board.change(|log| log.at_work.insert(lane, number));
            assert_eq!(before, None, "two at work in lane {lane}");
            pass();
            let fails = attempt < 3 && model::random(4) == 0;
            board.change(|log| {
                log.at_work.remove(&lane);
                if !fails {
                    log.done.entry(lane).or_default().push(number);
                    log.count += 1;
                }
            });
            fails.then(|| Duration::from_micros(model::random(3000)))
        });
        for number in 0..4 {
            scheduler.push([(Some(1), (1, number)), (Some(2), (2, number))]);
        }
        log.wait(|log| log.count == 8);
        scheduler.close();
        join(workers);
        let done = log.look(|log| log.done.clone());
        assert_eq!(done, BTreeMap::from([(1, vec![0, 1, 2, 3]), (2, vec![0, 1, 2, 3])]));
    });
}
