//! SIGKILL: nothing is said, nothing is flushed, nothing is committed. The next instance has only Kafka to go by.

use crate::support::kafka::Kafka;
use crate::support::setup::{Mode, Setup, in_every_mode, setup};

/// What one crash may repeat: what was in flight, and what was finished since the last commit.
const REPEATS: usize = 500 + 2_500;

/// Outputs wait a little in the producer, so that every crash finds some that are not acknowledged; and commits come so
/// often that one which is ahead of them is there too.
fn crashing(mode: Mode) -> Setup {
    let slow = setup().mode(mode).set("KAFKA_PRODUCER_LINGER_MS", 100);
    slow.set("PROCESSOR_MAX_IN_FLIGHT", 500).set("PROCESSOR_COMMIT_INTERVAL", "20ms")
}

in_every_mode!(kill_nine_and_restart, kill_nine_with_a_survivor);

fn kill_nine_and_restart(mode: Mode) {
    let kafka = Kafka::for_test();
    let mut s = crashing(mode).on(&kafka);
    for round in 0..2 {
        let before = s.written();
        s.while_sending(|s| {
            let instance = s.start();
            s.wait_until_written(before + 1_500);
            instance.kill();
        });
        assert!(!s.sent.is_empty(), "round {round} sent something");
        s.judge_so_far();
    }
    let mut last = s.start();
    s.wait_until_committed();
    last.stop_cleanly();
    s.judge(2 * REPEATS);
}

fn kill_nine_with_a_survivor(mode: Mode) {
    let kafka = Kafka::for_test();
    let mut s = crashing(mode).on(&kafka);
    let mut survivor = s.while_sending(|s| {
        let (survivor, victim) = (s.start(), s.start());
        s.wait_for_members(4);
        s.wait_until_written(s.written() + 500);
        victim.kill();
        s.wait_for_members(2);
        survivor
    });
    s.judge_so_far();
    s.wait_until_committed();
    survivor.stop_cleanly();
    s.judge(REPEATS);
}
