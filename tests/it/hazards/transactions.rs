//! Exactly once, and what can go wrong with a transaction: whatever it is, a reader with `read_committed` sees each effect once.

use processor::embedded::Fault::{Cut, Delay, LoseAnswer, Refuse};
use processor::embedded::{Fault, Request};

use super::faults::{BATCH, send_before};
use crate::conformance::wire::Wire;
use crate::support::client::Sender;
use crate::support::codes::{
    CONCURRENT_TRANSACTIONS, COORDINATOR_LOADING, COORDINATOR_NOT_AVAILABLE, ILLEGAL_GENERATION,
    INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING, INVALID_TXN_STATE, NOT_COORDINATOR,
    NOT_ENOUGH_REPLICAS, PRODUCER_FENCED, REBALANCE_IN_PROGRESS, TOPIC_AUTHORIZATION_FAILED,
    UNKNOWN_MEMBER_ID,
};
use crate::support::kafka::Kafka;
use crate::support::probe::Flag;
use crate::support::record::Input;
use crate::support::scenario::Scenario;
use crate::support::setup::{Setup, setup};
use crate::support::{admin, eventually, holds_within, seconds};

fn keyed(s: &Scenario, n: usize) -> Input {
    Input::valid(&s.id()).key(format!("key-{}", n % 20))
}

/// Connections that are cut come back soon, and there are requests enough.
fn sensitive() -> Setup {
    let setup = setup().exactly_once().set("KAFKA_PRODUCER_BATCH_NUM_MESSAGES", BATCH);
    let setup = setup.set("KAFKA_RECONNECT_BACKOFF_MS", 20).set("KAFKA_RECONNECT_BACKOFF_MAX_MS", 200);
    setup.set("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", 45_000).set("PROCESSOR_MAX_IN_FLIGHT", 1_000)
}

/// The program meets these, one in three requests of the kind; in the end everything is there once and in order.
fn once_whatever_befalls(request: Request, faults: &[Fault]) {
    let mut s = sensitive().on(&Kafka::embedded());
    let mut instance = s.start();
    s.send_load(500);
    s.wait_until_committed();
    send_before(&mut s, &instance, 3_000, |script| {
        for fault in faults {
            (0..2).for_each(|_| script.spare(request));
            script.next(request, *fault);
        }
    });
    s.wait_until_committed();
    eventually(seconds(90), &format!("{request:?} meets {faults:?}"), || {
        s.send_load(20);
        s.kafka.faults().injected() == faults.len() as u64
    });
    s.wait_until_committed();
    assert!(instance.is_running(), "it goes on\n{}", instance.log());
    s.finish(instance);
}

/// It had committed, and nobody was told.
#[test]
fn the_answer_to_a_commit_is_lost() {
    once_whatever_befalls(Request::EndTxn, &[LoseAnswer; 4]);
}

/// It had not.
#[test]
fn a_commit_does_not_arrive() {
    once_whatever_befalls(Request::EndTxn, &[Cut; 4]);
}

#[test]
fn a_commit_is_refused_for_now() {
    let codes = [COORDINATOR_LOADING, NOT_COORDINATOR, CONCURRENT_TRANSACTIONS, COORDINATOR_NOT_AVAILABLE];
    once_whatever_befalls(Request::EndTxn, &codes.map(Refuse));
}

/// The client is broken by the answer to its commit, and nobody knows whether that was done: with these it was not.
#[test]
fn a_commit_ends_the_client_and_was_not_done() {
    for code in [INVALID_PRODUCER_EPOCH, PRODUCER_FENCED, INVALID_TXN_STATE] {
        once_whatever_befalls(Request::EndTxn, &[Refuse(code)]);
    }
}

/// The commit is done, its answer is lost, and the question again breaks the client: the records must not be written again.
#[test]
fn a_commit_ends_the_client_and_was_done() {
    let mut s = sensitive().on(&Kafka::embedded());
    let instance = s.start();
    s.send_load(500);
    s.wait_until_committed();
    for code in [PRODUCER_FENCED, INVALID_TXN_STATE, INVALID_PRODUCER_EPOCH] {
        send_before(&mut s, &instance, 1_000, |script| {
            script.next(Request::EndTxn, LoseAnswer);
            script.next(Request::EndTxn, Refuse(code));
        });
        s.wait_until_committed();
    }
    assert!(instance.log().contains("the outcome of a commit was unknown"), "{}", instance.log());
    s.finish(instance);
}

#[test]
fn offsets_are_refused() {
    let codes =
        [COORDINATOR_LOADING, NOT_COORDINATOR, ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS];
    once_whatever_befalls(Request::TxnOffsetCommit, &codes.map(Refuse));
    once_whatever_befalls(Request::TxnOffsetCommit, &[LoseAnswer, Cut, LoseAnswer]);
    let codes = [COORDINATOR_LOADING, INVALID_PRODUCER_ID_MAPPING, CONCURRENT_TRANSACTIONS];
    once_whatever_befalls(Request::AddOffsetsToTxn, &codes.map(Refuse));
}

#[test]
fn partitions_are_not_taken_into_the_transaction() {
    let codes = [COORDINATOR_LOADING, NOT_COORDINATOR, INVALID_PRODUCER_ID_MAPPING, CONCURRENT_TRANSACTIONS];
    once_whatever_befalls(Request::AddPartitionsToTxn, &codes.map(Refuse));
    once_whatever_befalls(Request::AddPartitionsToTxn, &[LoseAnswer, Cut]);
}

#[test]
fn writes_go_wrong() {
    once_whatever_befalls(Request::Produce, &[LoseAnswer; 4]);
    once_whatever_befalls(
        Request::Produce,
        &[NOT_ENOUGH_REPLICAS, INVALID_PRODUCER_EPOCH, PRODUCER_FENCED].map(Refuse),
    );
}

/// What is given up may be written already, under sequence numbers that the client would use again: the broker would take what
/// comes next for the same, and not write it.
#[test]
fn a_write_whose_answer_was_lost_is_aborted() {
    // One record a batch, so that any two look alike; and time, before it is sent again and before the transaction ends.
    let setup = sensitive().set("KAFKA_PRODUCER_BATCH_NUM_MESSAGES", 1).set("CONSUMERS_COUNT", 1);
    let setup = setup.set("KAFKA_PRODUCER_RETRY_BACKOFF_MS", 1_000).set("PROCESSOR_COMMIT_INTERVAL", "4s");
    let mut s = setup.on(&Kafka::embedded());
    let instance = s.start();
    s.send_load(500);
    s.wait_until_committed();
    for round in 0..2 {
        instance.signal("STOP");
        let lost: Vec<_> = (0..10).map(|_| keyed(&s, 0)).collect();
        s.send(lost);
        s.kafka.faults().next(Request::Produce, LoseAnswer);
        instance.signal("CONT");
        eventually(seconds(60), "an answer is lost", || s.kafka.faults().injected() == 2 * round + 1);
        send_before(&mut s, &instance, 100, |script| {
            script.next(Request::AddPartitionsToTxn, Refuse(TOPIC_AUTHORIZATION_FAILED));
        });
        s.wait_until_committed();
        assert_eq!(s.kafka.faults().injected(), 2 * round + 2, "the transaction was not aborted");
    }
    s.finish(instance);
}

/// It is aborted by the broker then, which shuts the client out; the records are written again by another one.
#[test]
fn a_write_takes_longer_than_the_transaction_may() {
    let setup = sensitive().set("KAFKA_TRANSACTION_TIMEOUT_MS", 2_000);
    let mut s = setup.on(&Kafka::embedded());
    let instance = s.start();
    s.send_load(500);
    s.wait_until_committed();
    send_before(&mut s, &instance, 1_000, |script| {
        script.next(Request::Produce, Delay(seconds(5)));
        script.next(Request::TxnOffsetCommit, Delay(seconds(5)));
    });
    s.wait_until_committed();
    s.finish(instance);
}

/// One record of a transaction is refused: the others are written again, once, and it becomes a dead letter in its place.
#[test]
fn a_record_that_the_output_refuses() {
    let kafka = Kafka::for_test();
    let mut s = setup().exactly_once().output("max.message.bytes", "20000").on(&kafka);
    for _ in 0..3 {
        s.send_load(500);
        let large = keyed(&s, 1).large().dead("too_large");
        s.send([large]);
    }
    s.send_load(500);
    s.finish(s.start());
}

#[test]
fn dead_letters_only() {
    let kafka = Kafka::for_test();
    let mut s = setup().exactly_once().on(&kafka);
    let failures: Vec<_> = (0..400).map(|n| Input::invalid(&s.id()).key(format!("key-{}", n % 20))).collect();
    s.send(failures);
    s.finish(s.start());
}

#[test]
fn nothing_to_write_at_all() {
    let kafka = Kafka::for_test();
    let mut s = setup().probe().exactly_once().on(&kafka);
    let filtered: Vec<_> = (0..1_000).map(|n| keyed(&s, n).filtered()).collect();
    s.send(filtered);
    s.finish(s.start());
    assert_eq!(s.evidence().output.len(), 0);
}

/// Dead letters that cannot be written hold their partition back, and nobody else's.
#[test]
fn the_dead_letter_topic_is_missing_for_a_while() {
    let kafka = Kafka::for_test();
    let setup = setup().exactly_once().set("KAFKA_TOPIC_METADATA_PROPAGATION_MAX_MS", 500);
    let mut s = setup.on(&kafka);
    let instance = s.start();
    instance.wait_for_log("running", seconds(30));
    admin::delete_topic(&kafka, &s.dead_letters);
    let failures: Vec<_> = (0..3).map(|n| Input::invalid(&s.id()).key(format!("bad-{n}")).to(0)).collect();
    s.send(failures);
    let good: Vec<_> = (0..400).map(|n| keyed(&s, n).key(format!("good-{n}")).to(n as i32 % 4)).collect();
    s.send(good);
    eventually(seconds(60), "the other partitions flow", || s.is_committed(|sent| sent.partition != 0));
    assert!(!holds_within(seconds(3), || s.committed_of(0) > 0), "committed beyond a record that is nowhere");
    admin::create_topic(&kafka, &s.dead_letters, 2, &[]);
    s.finish(instance);
}

/// The transaction does not wait for them: others are committed all the time.
#[test]
fn retries_take_longer_than_a_transaction_may() {
    let kafka = Kafka::for_test();
    let setup = setup().probe().exactly_once().set("KAFKA_TRANSACTION_TIMEOUT_MS", 2_000);
    let mut s = setup
        .set("PROCESSOR_RETRY_ATTEMPTS", 12)
        .set("PROCESSOR_RETRY_BACKOFF", "1s")
        .set("PROCESSOR_RETRY_BACKOFF_MAX", "3s")
        .on(&kafka);
    let stubborn = keyed(&s, 0).to(0).retried(10);
    s.send([stubborn]);
    let others: Vec<_> = (0..1_000).map(|n| keyed(&s, n).to(n as i32 % 4)).collect();
    s.send(others);
    let instance = s.start();
    // The stubborn one takes 27 s.
    eventually(seconds(25), "the other partitions are committed", || {
        s.is_committed(|sent| sent.partition != 0)
    });
    assert!(s.committed_of(0) == 0 || s.is_committed(|_| true), "committed while it is tried again");
    s.wait_until_committed();
    assert!(!instance.log().contains("a transaction of"), "one was open for too long: {}", instance.log());
    s.finish(instance);
}

/// Held back, and bounded: the partition stops at its share of the bound, the others go on.
#[test]
fn ten_thousand_are_held_back_behind_a_slow_one() {
    let kafka = Kafka::for_test();
    let hang = Flag::raise();
    let setup = setup().probe().set("PROBE_HANG_WHILE", hang.path().display());
    let mut s = setup.exactly_once().input_partitions(2).on(&kafka);
    let slow = keyed(&s, 0).to(0).hanging();
    s.send([slow]);
    let held: Vec<_> = (0..12_000).map(|n| keyed(&s, 1 + n % 19).to(0)).collect();
    s.send(held);
    let others: Vec<_> = (0..12_000).map(|n| keyed(&s, n).to(1)).collect();
    s.send(others);
    let instance = s.start();
    eventually(seconds(60), "the other partition is done", || s.is_committed(|sent| sent.partition == 1));
    assert_eq!(s.committed_of(0), 0, "nothing passes the slow one");
    eventually(seconds(30), "the slow one is named", || {
        instance.log().contains("stuck: the transform has not returned")
    });
    hang.lower();
    s.finish(instance);
}

/// Somebody else takes the name in the middle, once: that is no reason to end.
#[test]
fn fenced_once_in_the_middle() {
    let kafka = Kafka::for_test();
    let mut s = setup().exactly_once().set("PROCESSOR_INSTANCE", "same").set("CONSUMERS_COUNT", 1).on(&kafka);
    s.send_load(500);
    let instance = s.start();
    s.wait_until_committed();
    let id = format!("{}-same-0", s.group);
    s.while_sending(|s| {
        eventually(seconds(30), "it is at work", || s.written() > 1_000);
        drop(Sender::transactional(&s.kafka, &id));
        let before = s.written();
        eventually(seconds(60), "it goes on", || s.written() > before + 1_000);
    });
    s.wait_until_committed();
    s.finish(instance);
}

/// Each client of a name has an epoch of its own, and there are 32,766 of them: then the broker gives the name a new producer.
#[test]
fn no_epoch_is_left() {
    let setup = setup().exactly_once().set("PROCESSOR_INSTANCE", "same").set("CONSUMERS_COUNT", 1);
    let mut s = setup.on(&Kafka::embedded());
    let id = format!("{}-same-0", s.group);
    let mut wire = Wire::to_transactions(&s.kafka, &id);
    let mut next = || match wire.init_producer(Some(&id), 10_000) {
        (0, identity) => identity,
        (code, _) => panic!("no epoch: {code}"),
    };
    let first = next().producer;
    while next().epoch < i16::MAX - 3 {}
    let instance = s.start();
    s.while_sending(|s| {
        for _ in 0..3 {
            let before = s.written();
            eventually(seconds(60), "it is at work", || s.written() > before + 500);
            next();
        }
    });
    s.wait_until_committed();
    assert_ne!(next().producer, first, "there were epochs enough");
    s.finish(instance);
}

/// Two processes of one name shut each other out: one of them says so and ends.
#[test]
fn two_processes_of_one_name() {
    let kafka = Kafka::for_test();
    let mut s = setup().exactly_once().set("PROCESSOR_INSTANCE", "same").set("CONSUMERS_COUNT", 1).on(&kafka);
    let mut instances = vec![s.start(), s.start()];
    let first = s.while_sending(|_| {
        let mut first = None;
        eventually(seconds(90), "one of them ends", || {
            first = instances.iter_mut().position(|one| !one.is_running());
            first.is_some()
        });
        first.expect("it was waited for")
    });
    let (mut ended, other) = (instances.remove(first), instances.remove(0));
    assert_eq!(ended.wait_exit(seconds(30)), Some(75), "{}", ended.log());
    assert!(ended.log().contains("PROCESSOR_INSTANCE"), "{}", ended.log());
    s.finish(other);
}

/// The group is part of the name.
#[test]
fn two_groups_with_instances_of_one_name() {
    let kafka = Kafka::for_test();
    // One member each: a rebalance ends a transaction too.
    let setup = || setup().exactly_once().set("PROCESSOR_INSTANCE", "same").set("CONSUMERS_COUNT", 1);
    let (mut one, mut two) = (setup().on(&kafka), setup().on(&kafka));
    let (first, second) = (one.start(), two.start());
    for _ in 0..5 {
        one.send_load(500);
        two.send_load(500);
        one.wait_until_committed();
        two.wait_until_committed();
    }
    for instance in [&first, &second] {
        assert!(!instance.log().contains("a transaction of"), "{}", instance.log());
    }
    one.finish(first);
    two.finish(second);
}

/// What is in flight of a partition that is to be given up is committed in the generation that takes it away.
#[test]
fn a_rebalance_waits_for_no_time_out() {
    let kafka = Kafka::for_test();
    let mut s = setup().patient().exactly_once().on(&kafka);
    let first = s.start();
    let mut second = s.while_sending(|s| {
        eventually(seconds(60), "the first is at work", || s.written() > 2_000);
        let second = s.start();
        second.wait_for_log("assigned 1 partition", seconds(15));
        second
    });
    s.wait_until_committed();
    second.stop_cleanly();
    s.finish(first);
}

/// Stopped for longer than its session and its transaction: it has been replaced when it wakes up, and must not add anything.
#[test]
fn a_zombie_wakes_up() {
    let kafka = Kafka::for_test();
    let setup = setup().exactly_once().set("KAFKA_TRANSACTION_TIMEOUT_MS", 3_000);
    let mut s = setup.on(&kafka);
    let (zombie, other) = (s.start(), s.start());
    s.wait_for_members(4);
    s.while_sending(|s| {
        for _ in 0..2 {
            eventually(seconds(60), "both are at work", || s.written() > 2_000);
            zombie.signal("STOP");
            eventually(seconds(60), "the other one has it all", || {
                admin::members(&s.kafka, &s.group) == Some(2)
            });
            let before = s.written();
            eventually(seconds(60), "the other one goes on", || s.written() > before + 3_000);
            zombie.signal("CONT");
            s.wait_for_members(4);
        }
    });
    s.wait_until_committed();
    let mut zombie = zombie;
    zombie.stop_cleanly();
    s.finish(other);
}

/// What a killed instance left open ends after its timeout, or when one of its name comes back: that one must not wait for it before
/// it has come to that.
#[test]
fn a_start_does_not_wait_for_a_transaction_that_was_left_open() {
    let kafka = Kafka::for_test();
    let mut s = setup().exactly_once().set("PROCESSOR_INSTANCE", "same").set("CONSUMERS_COUNT", 1).on(&kafka);
    s.send_load(100);
    // As long as this lives its transaction does: a minute.
    let killed = Sender::transactional(&kafka, &format!("{}-same-0", s.group));
    killed.leave_open(&kafka, &s.group, &s.input);
    let instance = s.start();
    eventually(seconds(40), "the next of its name goes on", || s.written() >= 100);
    s.wait_until_committed();
    s.finish(instance);
}
