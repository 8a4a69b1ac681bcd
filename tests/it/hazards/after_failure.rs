//! What stands behind a failed record in its key: held, or sent after it.

use crate::support::kafka::Kafka;
use crate::support::record::Input;
use crate::support::setup::{Mode, in_every_mode, setup};
use crate::support::{admin, seconds};

in_every_mode!(a_held_record_is_given_up_by_nobody_and_keeps_its_place);

/// Tried twice as often as there are attempts: with `hold` it arrives even so, and what is behind it behind it.
fn a_held_record_is_given_up_by_nobody_and_keeps_its_place(mode: Mode) {
    let kafka = Kafka::for_test();
    let setup = setup().mode(mode).probe().set("PROCESSOR_AFTER_FAILURE", "hold");
    let setup = setup.set("PROCESSOR_RETRY_ATTEMPTS", 2).set("PROCESSOR_RETRY_BACKOFF", "20ms");
    let mut s = setup.set("PROCESSOR_RETRY_BACKOFF_MAX", "100ms").on(&kafka);
    let input = |n: i32| Input::valid(&s.id()).key(format!("key-{}", n % 20)).to(n % 4);
    let inputs: Vec<_> = (0..400).map(|n| if n % 97 == 5 { input(n).retried(6) } else { input(n) }).collect();
    s.send(inputs);
    let instance = s.start();
    s.wait_until_committed();
    assert!(instance.log().contains("held: what is behind it"));
    s.finish(instance);
}

/// The dead-letter topic is made only when all of them have been refused for want of it.
#[test]
fn what_follows_a_failed_record_is_in_order_though_its_topic_comes_late() {
    let kafka = Kafka::for_test();
    let setup = setup().probe().set("PROCESSOR_AFTER_FAILURE", "run");
    let mut s = setup.set("KAFKA_TOPIC_METADATA_PROPAGATION_MAX_MS", 500).on(&kafka);
    let instance = s.start();
    instance.wait_for_log("running", seconds(30));
    s.wait_for_members(2);
    admin::delete_topic(&kafka, &s.dead_letters);
    let on = |key: &str| Input::valid(&s.id()).key(key).to(0);
    // The rest of its key is there when it fails.
    let mut inputs = vec![on("bad").slow(2_000).rejected()];
    inputs.extend((0..100).map(|_| on("bad").dead("predecessor_failed")));
    s.send(inputs);
    instance.wait_for_log(&format!("{} cannot be written", s.dead_letters), seconds(60));
    let good: Vec<_> = (0..50).map(|_| Input::valid(&s.id()).key("good").to(1)).collect();
    s.send(good);
    admin::create_topic(&kafka, &s.dead_letters, 2, &[]);
    s.wait_until_committed();
    let letters = s.evidence().dead_letters;
    let offsets: Vec<i64> = letters
        .iter()
        .filter_map(|letter| letter.text("__dlq.errors.offset").and_then(|text| text.parse().ok()))
        .collect();
    assert_eq!(offsets, (0..101).collect::<Vec<_>>(), "in order");
    s.finish(instance);
}
