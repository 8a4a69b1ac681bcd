//! Single requests go wrong: refused, done without an answer, late, cut off, throttled. Only an embedded broker does that on
//! request, so these tests have one whatever `KAFKA_TEST_SERVERS` says.

use std::time::Duration;

use processor::embedded::Fault::{Cut, Delay, LoseAnswer, Refuse, Throttle};
use processor::embedded::{Fault, Faults, Mix, Request};

use crate::support::codes::{
    COORDINATOR_LOADING, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, NOT_ENOUGH_REPLICAS, NOT_LEADER,
    REBALANCE_IN_PROGRESS, REQUEST_TIMED_OUT, UNKNOWN_TOPIC_OR_PARTITION,
};
use crate::support::guarantees::{AtLeastOnce, Guarantee, PerKeyOrder, repeats};
use crate::support::kafka::Kafka;
use crate::support::process::Instance;
use crate::support::record::Input;
use crate::support::scenario::Scenario;
use crate::support::seed::seed;
use crate::support::setup::{Mode, Setup, in_every_mode, setup};
use crate::support::{eventually, say, seconds};

/// Records in a batch of the program's.
pub(super) const BATCH: usize = 20;

/// Small batches, so that there are requests enough. Connections that are cut this often are to come back soon: by itself a
/// client waits for up to ten seconds. Nobody dies here, so nobody need be thought dead: the session is as long as it ships.
pub(super) fn sensitive(mode: Mode) -> Setup {
    let setup = setup().mode(mode).set("KAFKA_PRODUCER_BATCH_NUM_MESSAGES", BATCH);
    let setup = setup.set("KAFKA_RECONNECT_BACKOFF_MS", 20).set("KAFKA_RECONNECT_BACKOFF_MAX_MS", 200);
    setup.set("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", 45_000)
}

/// Starts the program, and returns when it has written to all partitions: from then on the broker knows its producer. Why that
/// matters: [`the_very_first_batch_is_refused_and_the_next_is_taken`].
pub(super) fn start_known(s: &mut Scenario) -> Instance {
    let instance = s.start();
    s.send_load(500);
    s.wait_until_committed();
    instance
}

/// Sends a load while the program stands still, so that the test's own producer meets none of the faults that begin then.
pub(super) fn send_before(s: &mut Scenario, instance: &Instance, count: usize, begin: impl FnOnce(&Faults)) {
    instance.signal("STOP");
    s.send_load(count);
    begin(s.kafka.faults());
    instance.signal("CONT");
}

/// The program meets these faults, one in three requests of the kind, and in the end everything is there once and in order.
pub(super) fn nothing_is_lost_or_repeated_by(mode: Mode, request: Request, faults: &[Fault]) {
    let mut s = sensitive(mode).on(&Kafka::embedded());
    let mut instance = start_known(&mut s);
    send_before(&mut s, &instance, 3_000, |script| {
        for fault in faults {
            script.spare(request);
            script.spare(request);
            script.next(request, *fault);
        }
    });
    let met = |s: &Scenario| s.kafka.faults().injected() == faults.len() as u64;
    s.wait_until_committed();
    eventually(seconds(60), &format!("{request:?} meets {faults:?}"), || {
        // What the group does goes on by itself; what concerns records needs some.
        if request != Request::Produce && !met(&s) {
            s.send_load(20);
        }
        met(&s)
    });
    s.wait_until_committed();
    assert!(instance.is_running(), "it goes on\n{}", instance.log());
    s.finish(instance);
}

in_every_mode!(an_answer_to_a_write_is_lost, a_write_is_refused, connections_are_cut, faults_by_chance);

/// The records are in the log, and the producer does not know: it writes them again, and the broker knows them.
fn an_answer_to_a_write_is_lost(mode: Mode) {
    nothing_is_lost_or_repeated_by(mode, Request::Produce, &[LoseAnswer; 8]);
}

fn a_write_is_refused(mode: Mode) {
    let codes = [NOT_LEADER, REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS, UNKNOWN_TOPIC_OR_PARTITION];
    nothing_is_lost_or_repeated_by(mode, Request::Produce, &codes.map(Refuse));
}

fn connections_are_cut(mode: Mode) {
    for request in [Request::Produce, Request::Fetch, Request::OffsetCommit, Request::Heartbeat] {
        nothing_is_lost_or_repeated_by(mode, request, &[Cut; 3]);
    }
}

#[test]
fn a_commit_is_done_and_its_answer_lost() {
    nothing_is_lost_or_repeated_by(Mode::Key, Request::OffsetCommit, &[LoseAnswer; 4]);
}

#[test]
fn a_commit_is_refused() {
    let codes = [COORDINATOR_LOADING, NOT_COORDINATOR, REBALANCE_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE];
    nothing_is_lost_or_repeated_by(Mode::Key, Request::OffsetCommit, &codes.map(Refuse));
}

#[test]
fn the_coordinator_moves() {
    let kafka = Kafka::embedded();
    let mut s = sensitive(Mode::Key).on(&kafka);
    let instance = s.start();
    s.send_load(100);
    s.wait_until_committed();
    for request in [Request::Heartbeat, Request::OffsetCommit, Request::FindCoordinator] {
        for code in [NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR] {
            kafka.faults().next(request, Refuse(code));
        }
    }
    eventually(seconds(60), "all nine are met", || {
        s.send_load(20);
        kafka.faults().injected() == 9
    });
    s.finish(instance);
}

#[test]
fn fetches_are_late() {
    nothing_is_lost_or_repeated_by(Mode::Key, Request::Fetch, &[Delay(seconds(2)); 2]);
}

#[test]
fn writes_are_throttled() {
    nothing_is_lost_or_repeated_by(Mode::Key, Request::Produce, &[Throttle(Duration::from_millis(300)); 5]);
}

/// A broker that knows nothing of a producer accepts any first sequence. So the batch behind one that was refused is taken, and
/// librdkafka believes that both were (`src/kafka/ffi.rs`, `delivered`). The order of the two cannot be kept: mode unordered.
#[test]
fn the_very_first_batch_is_refused_and_the_next_is_taken() {
    for code in [UNKNOWN_TOPIC_OR_PARTITION, NOT_ENOUGH_REPLICAS] {
        let kafka = Kafka::embedded();
        let setup = sensitive(Mode::Unordered).probe().input_partitions(1).set("TASKS_PICK_UP", 1);
        let mut s = setup.set("WORKER_POOL", 6).on(&kafka);
        let input = |_| Input::valid(&s.id()).key("key");
        // The producer is ready, and the broker knows it in the dead-letter topic only.
        let (known, late) = (Input::invalid(&s.id()), Input::invalid(&s.id()));
        // A dead letter's answer is late. Behind it on the same connection wait a batch of one record (behind more than four
        // librdkafka sends no other), and then the batches of those that come when all workers have slept.
        let first = input(0).slow(300);
        let slow: Vec<_> = (0..6).map(input).map(|input| input.slow(1_500)).collect();
        let rest: Vec<_> = (0..500).map(input).collect();
        s.send([known]);
        let instance = s.start();
        s.wait_until_committed();
        instance.signal("STOP");
        s.send([late, first].into_iter().chain(slow).chain(rest));
        kafka.faults().next(Request::Produce, Delay(seconds(3)));
        kafka.faults().next(Request::Produce, Refuse(code));
        instance.signal("CONT");
        s.finish(instance);
        assert_eq!(kafka.faults().injected(), 2, "of {code}");
    }
}

fn faults_by_chance(mode: Mode) {
    const COUNT: usize = 20_000;
    let (seed, kafka) = (seed(), Kafka::embedded());
    let mut s = sensitive(mode).on(&kafka);
    let mut instance = start_known(&mut s);
    send_before(&mut s, &instance, COUNT, |faults| {
        faults.by_chance(seed, Mix { refuse: 20, lose_answer: 20, delay: 20, cut: 20, throttle: 20 });
    });
    s.wait_until_committed();
    kafka.faults().clear();
    instance.stop_cleanly();
    let evidence = s.evidence();
    let (lost, swapped) = (AtLeastOnce.violations(&evidence).len(), PerKeyOrder.violations(&evidence).len());
    let swapped = if mode == Mode::Unordered {
        "no order asked for".to_owned()
    } else {
        format!("{swapped} out of order")
    };
    let (faults, repeated) = (kafka.faults().injected() as usize, repeats(&evidence));
    say(&format!(
        "faults by chance, {mode:?}: {COUNT} in, {faults} faults, {repeated} repeated, {lost} lost, {swapped}, seed {seed}"
    ));
    assert!(faults > 20, "hardly anything went wrong: this proves nothing");
    // A batch whose fate is not known is written again.
    s.judge_this(&evidence, faults * BATCH);
}
