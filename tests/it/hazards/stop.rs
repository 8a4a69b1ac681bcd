//! A stop that cannot be clean: bounded in time, honest in its exit code, and nothing is lost by it.

use crate::support::kafka::Kafka;
use crate::support::process::hangup_is_ignored;
use crate::support::scenario::Scenario;
use crate::support::setup::setup;
use crate::support::{admin, eventually, holds_within, seconds};

/// Records in flight that cannot be finished: their output topic is gone.
fn stuck(s: &mut Scenario, drain: &str) -> crate::support::process::Instance {
    // The client gives a missing topic half a minute unless told otherwise.
    let soon = ("KAFKA_TOPIC_METADATA_PROPAGATION_MAX_MS", "500");
    let instance = s.start_with(&[("PROCESSOR_DRAIN_TIMEOUT", drain), soon]);
    instance.wait_for_log("running", seconds(30));
    s.wait_for_members(2);
    admin::delete_topic(&s.kafka, &s.output);
    s.send_load(300);
    let missing = format!("{} cannot be written", s.output);
    eventually(seconds(60), "the log names the missing output topic", || instance.log().contains(&missing));
    instance
}

fn goes_on_after(s: &Scenario) {
    admin::create_topic(&s.kafka, &s.output, 3, &[]);
    let mut next = s.start();
    s.wait_until_committed();
    next.stop_cleanly();
    // Dead letters were written meanwhile; with them a partition could not be committed past its unwritten records.
    s.judge(300 / 40);
}

#[test]
fn a_drain_that_runs_out_of_time() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    let mut instance = stuck(&mut s, "3s");
    instance.terminate();
    assert_eq!(instance.wait_exit(seconds(40)), Some(75), "records are left\n{}", instance.log());
    goes_on_after(&s);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    let mut instance = stuck(&mut s, "60s");
    instance.terminate();
    instance.wait_for_log("drain", seconds(40));
    instance.terminate();
    let code = instance.wait_exit(seconds(40));
    assert!(matches!(code, Some(75 | 130)), "records are left: {code:?}\n{}", instance.log());
    goes_on_after(&s);
}

/// Its next owner does not wait until the session of one that is gone is over: neither where the time ran out, nor where nobody
/// wanted to wait for that.
#[test]
fn a_stop_that_leaves_records_behind_leaves_the_group_all_the_same() {
    let kafka = Kafka::for_test();
    for signals in [1, 2] {
        let mut s = setup().set("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", "45000").on(&kafka);
        let mut instance = stuck(&mut s, if signals == 1 { "1s" } else { "60s" });
        instance.terminate();
        if signals == 2 {
            instance.wait_for_log("drain", seconds(10));
            instance.terminate();
        }
        assert_eq!(instance.wait_exit(seconds(15)), Some(75), "records are left\n{}", instance.log());
        let left = holds_within(seconds(10), || admin::members(&kafka, &s.group) == Some(0));
        assert!(left, "{signals}: its members are still in the group, long before their session ends");
        goes_on_after(&s);
    }
}

/// The shell and the system may both say that a terminal has gone.
#[test]
fn a_second_hangup_does_not_cut_the_drain_short() {
    if hangup_is_ignored() {
        return;
    }
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    let drain = seconds(3);
    let mut instance = stuck(&mut s, "3s");
    let since = std::time::Instant::now();
    instance.signal("HUP");
    instance.wait_for_log("drain", seconds(10));
    instance.signal("HUP");
    assert_eq!(instance.wait_exit(seconds(15)), Some(75), "records are left\n{}", instance.log());
    assert!(since.elapsed() >= drain, "it did not use its time: {:?}", since.elapsed());
    goes_on_after(&s);
}
