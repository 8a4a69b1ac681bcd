//! Commits are refused, whatever the reason: the consumer's thread lives on, and what could not be committed is committed later.

use processor::embedded::Fault::Refuse;
use processor::embedded::Request;

use super::faults::{send_before, sensitive, start_known};
use crate::support::kafka::Kafka;
use crate::support::setup::Mode;
use crate::support::{eventually, seconds};

/// Every code that a broker gives for a commit and that does not say that the member is none any more.
const OF_THE_COMMIT: [i16; 14] = [-1, 3, 7, 12, 14, 15, 16, 24, 27, 28, 29, 30, 51, 88];
/// The member is none any more, it is told: it joins again, and what it had is lost.
const OF_THE_MEMBER: [i16; 2] = [22, 25];

fn refused_with(codes: &[i16], repeats: usize) {
    let kafka = Kafka::embedded();
    let mut s = sensitive(Mode::Key).set("PROCESSOR_MAX_IN_FLIGHT", 500).on(&kafka);
    let mut instance = start_known(&mut s);
    send_before(&mut s, &instance, 1_000, |script| {
        for code in codes {
            script.next(Request::OffsetCommit, Refuse(*code));
        }
    });
    eventually(seconds(60), &format!("commits are refused with {codes:?}"), || {
        assert!(instance.is_running(), "it goes on\n{}", instance.log());
        s.send_load(20);
        kafka.faults().injected() == codes.len() as u64
    });
    s.wait_until_committed();
    instance.stop_cleanly();
    s.judge(repeats);
}

#[test]
fn a_commit_is_refused_with_every_code() {
    refused_with(&OF_THE_COMMIT, 0);
}

#[test]
fn a_commit_is_refused_because_the_member_is_none_any_more() {
    for code in OF_THE_MEMBER {
        // What was in flight, and what was finished since the commit before.
        refused_with(&[code; 2], 2 * (500 + 1_000));
    }
}
