//! Writes whose answer never comes, while the broker answers all else: they are named, and another client writes them again.
//! Only an embedded broker does that on request, so these tests have one whatever `KAFKA_TEST_SERVERS` says.

use std::ops::Range;

use super::faults::{BATCH, send_before, sensitive, start_known};
use crate::support::guarantees::repeats;
use crate::support::kafka::Kafka;
use crate::support::scenario::Scenario;
use crate::support::seconds;
use crate::support::setup::{Mode, Setup, in_every_mode};

/// How much of it the client may have on its way at once: a thousand records are in flight, and wait in the client; what
/// stands in the log and has no answer is written again.
const IN_FLIGHT: usize = 1_000;

/// Two seconds for a try of the client's, and one for the broker.
fn impatient(mode: Mode) -> Setup {
    let setup = sensitive(mode).set("PROCESSOR_MAX_IN_FLIGHT", IN_FLIGHT).set("PRODUCERS_COUNT", 2);
    setup.set("KAFKA_PRODUCER_SOCKET_TIMEOUT_MS", 2_000).set("KAFKA_PRODUCER_REQUEST_TIMEOUT_MS", 1_000)
}

in_every_mode!(no_write_is_answered);

/// By whichever connection the client comes, it hears nothing of what it writes: its budget is full, and the program would stand
/// still.
fn no_write_is_answered(mode: Mode) {
    let mut s = impatient(mode).on(&Kafka::embedded());
    let instance = start_known(&mut s);
    send_before(&mut s, &instance, 3_000, |faults| faults.leave_writes_unanswered(None));
    ends_well(&s, instance, 1..IN_FLIGHT + 1);
}

/// Others are answered all the while.
#[test]
fn no_write_to_one_partition_is_answered() {
    let mut s = impatient(Mode::Key).on(&Kafka::embedded());
    let instance = start_known(&mut s);
    send_before(&mut s, &instance, 3_000, |faults| faults.leave_writes_unanswered(Some(1)));
    ends_well(&s, instance, 1..IN_FLIGHT + 1);
}

/// Nothing else is in flight, and nothing follows: no queue fills up, nobody waits for room.
#[test]
fn a_few_records_that_are_never_answered() {
    let mut s = impatient(Mode::Key).on(&Kafka::embedded());
    let instance = start_known(&mut s);
    send_before(&mut s, &instance, 5, |faults| faults.leave_writes_unanswered(None));
    ends_well(&s, instance, 1..BATCH);
}

fn ends_well(s: &Scenario, mut instance: crate::support::process::Instance, repeated: Range<usize>) {
    instance.wait_for_log("are not answered for", seconds(30));
    s.wait_until_committed();
    assert!(instance.is_running(), "it goes on\n{}", instance.log());
    let log = instance.log();
    assert!(log.contains(&format!("of {}/1", s.output)), "the partitions are named\n{log}");
    instance.stop_cleanly();
    let evidence = s.evidence();
    s.judge_this(&evidence, repeated.end);
    let count = repeats(&evidence);
    assert!(repeated.contains(&count), "{count} repeated, and not {repeated:?}");
}
