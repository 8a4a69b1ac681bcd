//! The producer itself breaks, does not know what became of a write, or has no room: it is replaced or waited for, nothing
//! is lost, and what is written again is written in its old order.

use processor::embedded::Fault::{Delay, LoseAnswer, Refuse, Throttle};
use processor::embedded::{Fault, Request};

use super::faults::{BATCH, send_before, sensitive, start_known};
use crate::support::client::read_topic;
use crate::support::codes::{
    CLUSTER_AUTHORIZATION_FAILED, INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING, OUT_OF_ORDER_SEQUENCE,
    PRODUCER_FENCED, UNKNOWN_PRODUCER_ID,
};
use crate::support::guarantees::repeats;
use crate::support::kafka::Kafka;
use crate::support::record::Input;
use crate::support::say;
use crate::support::setup::{Mode, Setup, in_every_mode, setup};

/// What the client may have written and been told nothing of: five requests in flight to the only broker.
const IN_DOUBT: usize = 5 * BATCH * 3;

/// Requests after which the broker knows a producer in every partition. Before that it takes any batch, also the one behind a
/// refused one: order is not kept there (`docs/GUARANTEES.md`).
const KNOWN: usize = 20;

/// The program meets these one after the other, with some writes in between; returns what was written twice.
fn meets(setup: Setup, faults: &[Fault], at_most: usize) -> usize {
    let mut s = setup.on(&Kafka::embedded());
    let mut instance = start_known(&mut s);
    send_before(&mut s, &instance, 3_000, |script| {
        for fault in faults {
            (0..KNOWN).for_each(|_| script.spare(Request::Produce));
            script.next(Request::Produce, *fault);
        }
    });
    s.wait_until_committed();
    assert_eq!(s.kafka.faults().injected(), faults.len() as u64, "all of {faults:?} were met");
    assert!(instance.is_running(), "it goes on\n{}", instance.log());
    instance.stop_cleanly();
    let evidence = s.evidence();
    s.judge_this(&evidence, at_most);
    repeats(&evidence)
}

in_every_mode!(a_broken_producer_is_replaced, a_full_queue_is_waited_for);

/// Each of these ends an idempotent producer: a new one takes its place, several times in a row.
fn a_broken_producer_is_replaced(mode: Mode) {
    let codes = [INVALID_PRODUCER_EPOCH, PRODUCER_FENCED, INVALID_PRODUCER_ID_MAPPING];
    let repeated = meets(sensitive(mode), &codes.map(Refuse), IN_DOUBT);
    say(&format!("a broken producer, {mode:?}: {repeated} repeated"));
}

#[test]
fn a_producer_that_the_broker_does_not_know_any_more() {
    for code in [UNKNOWN_PRODUCER_ID, OUT_OF_ORDER_SEQUENCE] {
        meets(sensitive(Mode::Key), &[Refuse(code); 3], IN_DOUBT);
    }
}

#[test]
fn a_producer_that_may_not_be_idempotent_for_a_while() {
    meets(sensitive(Mode::Key), &[Refuse(CLUSTER_AUTHORIZATION_FAILED); 3], IN_DOUBT);
}

/// The records are in the log, nobody was told, and then the one who would ask again is gone.
#[test]
fn an_answer_is_lost_and_then_the_producer_breaks() {
    let faults = [LoseAnswer, Refuse(INVALID_PRODUCER_EPOCH), LoseAnswer, Refuse(PRODUCER_FENCED)];
    meets(sensitive(Mode::Key), &faults, 2 * IN_DOUBT);
}

/// Ten records have room in the client, and the broker takes its time.
fn a_full_queue_is_waited_for(mode: Mode) {
    let slow = Delay(std::time::Duration::from_millis(200));
    let full = sensitive(mode).set("KAFKA_PRODUCER_QUEUE_BUFFERING_MAX_MESSAGES", 10);
    assert_eq!(meets(full, &[slow; 8], 0), 0);
}

#[test]
fn quotas_slow_it_down_and_nothing_else() {
    for request in [Request::Produce, Request::Fetch, Request::OffsetCommit] {
        let throttle = Throttle(std::time::Duration::from_millis(300));
        super::faults::nothing_is_lost_or_repeated_by(Mode::Key, request, &[throttle; 4]);
    }
}

/// Without its value the dead letter still has its key and its headers, and they are too large too.
#[test]
fn a_dead_letter_whose_headers_are_too_large_for_the_topic() {
    let kafka = Kafka::for_test();
    let setup = setup().input_partitions(1).dead_letters("max.message.bytes", "20000");
    let mut s = setup.on(&kafka);
    let noise = |count| (0..count).map(|_| fastrand::alphanumeric()).collect::<String>();
    let (headers, key) = (noise(60_000), noise(60_000));
    let plain = |s: &crate::support::scenario::Scenario| Input::invalid(&s.id());
    let inputs = [
        plain(&s).key("a").header("large", Some(headers.as_bytes())),
        plain(&s).key(&key),
        plain(&s).key("b"),
    ];
    s.send(inputs);
    let mut instance = s.start();
    s.wait_until_committed();
    instance.stop_cleanly();
    let letters = read_topic(&kafka, &s.dead_letters, 2);
    let text = |name| letters.iter().filter(|letter| letter.text(name) == Some("true")).count();
    assert_eq!(letters.len(), 3, "each once");
    assert_eq!(text("processor.dlq.headers.truncated"), 2, "the two that are too large, and not the third");
    assert_eq!(text("processor.dlq.key.truncated"), 1, "only one key is too large");
    let mut places: Vec<_> = letters.iter().map(|letter| letter.text("__dlq.errors.offset")).collect();
    places.sort_unstable();
    assert_eq!(places, [Some("0"), Some("1"), Some("2")], "they say where the originals are");
}
