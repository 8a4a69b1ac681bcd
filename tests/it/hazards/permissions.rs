//! Rights are taken away while the program runs, and given back.

use processor::embedded::Fault::Refuse;
use processor::embedded::Request;

use super::faults::{send_before, sensitive, start_known};
use crate::support::codes::{GROUP_AUTHORIZATION_FAILED, TOPIC_AUTHORIZATION_FAILED};
use crate::support::kafka::Kafka;
use crate::support::setup::{Mode, in_every_mode};
use crate::support::{eventually, seconds};

in_every_mode!(the_right_to_write_is_lost_and_regained);

/// What may not be written waits, and is written in its old order.
fn the_right_to_write_is_lost_and_regained(mode: Mode) {
    let mut s = sensitive(mode).on(&Kafka::embedded());
    let instance = start_known(&mut s);
    send_before(&mut s, &instance, 2_000, |script| {
        for _ in 0..12 {
            script.next(Request::Produce, Refuse(TOPIC_AUTHORIZATION_FAILED));
        }
    });
    instance.wait_for_log("cannot be written", seconds(30));
    s.finish(instance);
}

#[test]
fn the_right_to_read_the_topic_is_lost() {
    cannot_go_on(&[Request::Fetch], TOPIC_AUTHORIZATION_FAILED);
}

/// A heartbeat that is refused keeps nobody in the group: after the session it has to join again, and may not.
#[test]
fn the_right_to_read_with_the_group_is_lost() {
    cannot_go_on(&[Request::Heartbeat, Request::JoinGroup], GROUP_AUTHORIZATION_FAILED);
}

/// It ends and says so; what it had begun is finished, committed where the group lets it, and the next start goes on.
fn cannot_go_on(requests: &[Request], code: i16) {
    let mut s = sensitive(Mode::Key).set("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", 6_000).on(&Kafka::embedded());
    let mut instance = start_known(&mut s);
    send_before(&mut s, &instance, 2_000, |script| {
        for _ in 0..200 {
            requests.iter().for_each(|request| script.next(*request, Refuse(code)));
        }
    });
    let ended = instance.wait_exit(seconds(60));
    s.kafka.faults().clear();
    assert_eq!(ended, Some(77), "{requests:?}\n{}", instance.log());
    s.judge_so_far();
    s.finish(s.start());
}

#[test]
fn the_right_to_commit_is_lost_and_regained() {
    for code in [TOPIC_AUTHORIZATION_FAILED, GROUP_AUTHORIZATION_FAILED] {
        let mut s = sensitive(Mode::Key).on(&Kafka::embedded());
        let mut instance = start_known(&mut s);
        send_before(&mut s, &instance, 2_000, |script| {
            for _ in 0..10 {
                script.next(Request::OffsetCommit, Refuse(code));
            }
        });
        eventually(seconds(60), "ten commits are refused", || s.kafka.faults().injected() == 10);
        assert!(instance.is_running(), "{code}\n{}", instance.log());
        s.finish(instance);
    }
}
