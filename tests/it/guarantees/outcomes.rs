//! What a transform may say of a record, and what then becomes of it: later, never, nothing, several.

use crate::support::evidence::Evidence;
use crate::support::kafka::Kafka;
use crate::support::record::{Input, Seen};
use crate::support::scenario::Scenario;
use crate::support::setup::{Mode, in_every_mode, setup};

in_every_mode!(retries_keep_the_place_of_their_record, filtered_and_split_records_are_counted_right);

fn keyed(s: &Scenario, n: usize) -> Input {
    Input::valid(&s.id()).key(format!("key-{}", n % 20))
}

fn retries_keep_the_place_of_their_record(mode: Mode) {
    let kafka = Kafka::for_test();
    let setup = setup().mode(mode).probe().set("PROCESSOR_RETRY_BACKOFF", "40ms").set("TASKS_PICK_UP", 8);
    let mut s = setup.on(&kafka);
    let retries = |n: usize| if n.is_multiple_of(7) { 1 + n % 2 } else { 0 };
    let inputs: Vec<_> = (0..600)
        .map(|n| match retries(n) {
            0 => keyed(&s, n),
            times => keyed(&s, n).retried(times as u32),
        })
        .collect();
    s.send(inputs);
    s.finish(s.start());
    let evidence = s.evidence();
    for (n, sent) in s.sent.iter().enumerate() {
        assert_eq!(evidence.runs_of(&sent.input.id).len(), 1 + retries(n), "runs of {}", sent.input.id);
    }
}

/// Its dead letter, and what two of its headers say: how often it was delivered, and whether it could be tried again.
fn letter<'a>(evidence: &'a Evidence, id: &str) -> (&'a Seen, Option<&'a str>, Option<&'a str>) {
    let letter = evidence.dead_letters.iter().find(|letter| letter.id().as_deref() == Some(id));
    let letter = letter.unwrap_or_else(|| panic!("no dead letter of {id}"));
    (letter, letter.text("__dlq.errors.delivery.count"), letter.text("processor.dlq.retryable"))
}

#[test]
fn retries_that_run_out_become_dead_letters() {
    let kafka = Kafka::for_test();
    let setup = setup().probe().set("PROCESSOR_RETRY_ATTEMPTS", 4).set("PROCESSOR_RETRY_BACKOFF", "40ms");
    let mut s = setup.on(&kafka);
    // Of fewer keys than make an outage.
    let exhausted: Vec<_> = (0..30).map(|n| keyed(&s, n % 7).retried(4).dead("probe_retry")).collect();
    s.send(exhausted);
    let last_chance: Vec<_> = (0..30).map(|n| keyed(&s, n).retried(3)).collect();
    s.send(last_chance);
    let rejected: Vec<_> = (0..30).map(|n| keyed(&s, n).rejected()).collect();
    s.send(rejected);
    s.finish(s.start());
    let evidence = s.evidence();
    for sent in &s.sent[..30] {
        let (letter, count, retryable) = letter(&evidence, &sent.input.id);
        assert_eq!((count, retryable), (Some("4"), Some("true")), "{letter:?}");
        assert_eq!(evidence.runs_of(&sent.input.id).len(), 4, "runs of {}", sent.input.id);
        let time = |name| letter.text(name).and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let (first, last) = (time("processor.dlq.first-failed-at"), time("processor.dlq.failed-at"));
        assert!(first.is_some() && first <= last, "{letter:?}");
    }
    for sent in &s.sent[60..] {
        let (letter, count, retryable) = letter(&evidence, &sent.input.id);
        assert_eq!((count, retryable), (Some("1"), Some("false")), "{letter:?}");
    }
}

#[test]
fn a_panic_costs_its_record_and_no_other() {
    let kafka = Kafka::for_test();
    let setup = setup().probe().set("WORKER_POOL", 2).set("PROCESSOR_RETRY_BACKOFF", "40ms");
    let mut s = setup.on(&kafka);
    // More than there are workers, at the first attempt or at the second, and of fewer keys than make an outage.
    let inputs: Vec<_> = (0..400)
        .map(|n| match n % 8 {
            3 => keyed(&s, 3).panicking(),
            5 => keyed(&s, 5).retried(1).panicking(),
            _ => keyed(&s, n),
        })
        .collect();
    s.send(inputs);
    let mut instance = s.start();
    s.wait_until_committed();
    assert!(instance.is_running(), "a transform that panics ends nothing but its record");
    assert!(!instance.log().contains("asked to panic"), "what a panic says may be of the record: not logged");
    let more: Vec<_> = (0..100).map(|n| keyed(&s, n)).collect();
    s.send(more);
    s.finish(instance);
    let evidence = s.evidence();
    for (n, sent) in s.sent.iter().enumerate().filter(|(n, _)| *n < 400 && matches!(n % 8, 3 | 5)) {
        let (letter, count, retryable) = letter(&evidence, &sent.input.id);
        let tries = if n % 8 == 3 { "1" } else { "2" };
        assert_eq!((count, retryable), (Some(tries), Some("false")), "{letter:?}");
        let message = letter.text("__dlq.errors.message").unwrap_or_default();
        assert!(message.contains("panicked"), "{message}");
    }
}

fn filtered_and_split_records_are_counted_right(mode: Mode) {
    let kafka = Kafka::for_test();
    let mut s = setup().mode(mode).probe().on(&kafka);
    let inputs: Vec<_> = (0..400)
        .map(|n| match n % 4 {
            0 => keyed(&s, n).filtered(),
            1 => keyed(&s, n).split(3),
            2 => keyed(&s, n).split(0),
            _ => keyed(&s, n),
        })
        .collect();
    s.send(inputs);
    // Nothing is written behind these: their offsets must be committed all the same.
    let last: Vec<_> = (0..40).map(|n| keyed(&s, n).to(n as i32 % 4).filtered()).collect();
    s.send(last);
    s.finish(s.start());
    assert_eq!(s.written(), 100 * 3 + 100, "split in three, and whole");
}

#[test]
fn a_split_record_that_the_output_refuses_is_one_dead_letter() {
    let kafka = Kafka::for_test();
    let mut s = setup().probe().output("max.message.bytes", "20000").on(&kafka);
    let good: Vec<_> = (0..100).map(|n| keyed(&s, n).split(2)).collect();
    s.send(good);
    let large = keyed(&s, 1).split(3).large().dead("too_large");
    s.send([large]);
    let good: Vec<_> = (0..100).map(|n| keyed(&s, n).split(2)).collect();
    s.send(good);
    let mut instance = s.start();
    s.wait_until_committed();
    instance.stop_cleanly();
    // The client breaks where others were sent behind what is refused; of a record that was split one result may have arrived
    // then, and it is written again as a whole.
    s.judge(200);
}
