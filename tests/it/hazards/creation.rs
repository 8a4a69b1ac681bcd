//! Brokers that make a topic for whoever asks for it, as Kafka's do by default: with one partition, which is worse than an error.
//! None of our clients may ask so. A topic that was made behind our back cannot be made by the test any more.

use crate::support::own_broker::OwnBroker;
use crate::support::record::Input;
use crate::support::scenario::Scenario;
use crate::support::setup::{Setup, setup};
use crate::support::{admin, eventually, holds_within, seconds};
use crate::verify;

/// Looks at its topics often, and says at once that one is gone.
fn attentive() -> Setup {
    setup()
        .set("KAFKA_TOPIC_METADATA_PROPAGATION_MAX_MS", 500)
        .set("KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS", 1_000)
}

/// Records of `partition` fail, those of the others do not.
fn fail_in(s: &mut Scenario, partition: i32) {
    let bad: Vec<_> = (0..7).map(|n| Input::invalid(&s.id()).key(format!("bad-{n}")).to(partition)).collect();
    let good = |n: usize| Input::valid(&s.id()).key(format!("good-{n}")).to(1 + n as i32 % 3);
    let good: Vec<_> = (0..300).map(good).collect();
    s.send(bad.into_iter().chain(good));
}

/// There is no such topic, and for a while nobody makes one.
fn stays_missing(s: &Scenario, topic: &str) {
    let made = holds_within(seconds(3), || admin::partition_count(&s.kafka, topic).is_some());
    assert!(!made, "{topic} was made with {:?} partitions", admin::partition_count(&s.kafka, topic));
}

fn a_missing_dead_letter_topic_is_waited_for(setup: Setup) {
    let Some(broker) = OwnBroker::borrow() else { return };
    let mut s = setup.on(&broker.kafka);
    let instance = s.start();
    instance.wait_for_log("running", seconds(30));
    admin::delete_topic(&s.kafka, &s.dead_letters);
    fail_in(&mut s, 0);
    eventually(seconds(60), "the other partitions flow", || s.is_committed(|sent| sent.partition != 0));
    instance.wait_for_log(&s.dead_letters, seconds(30));
    stays_missing(&s, &s.dead_letters);
    admin::create_topic(&s.kafka, &s.dead_letters, 2, &[]);
    s.finish(instance);
}

#[test]
fn a_dead_letter_topic_that_is_missing_is_not_made() {
    a_missing_dead_letter_topic_is_waited_for(attentive());
}

#[test]
fn a_dead_letter_topic_that_is_missing_is_not_made_by_a_transaction() {
    a_missing_dead_letter_topic_is_waited_for(attentive().exactly_once());
}

#[test]
fn an_output_topic_that_is_deleted_is_not_made_again() {
    let Some(broker) = OwnBroker::borrow() else { return };
    let mut s = attentive().on(&broker.kafka);
    s.send_load(200);
    let instance = s.start();
    s.wait_until_committed();
    admin::delete_topic(&s.kafka, &s.output);
    let old = std::mem::take(&mut s.sent);
    s.send_load(500);
    instance.wait_for_log(&format!("{} cannot be written", s.output), seconds(60));
    stays_missing(&s, &s.output);
    admin::create_topic(&s.kafka, &s.output, 3, &[]);
    s.wait_until_committed();
    let mut instance = instance;
    instance.stop_cleanly();
    s.judge_without(&old);
}

#[test]
fn no_command_makes_a_topic() {
    let Some(broker) = OwnBroker::borrow() else { return };
    let s = setup().on(&broker.kafka);
    let group = format!("{}.nobody", s.group);
    let [input, output, dead_letters] = ["in", "out", "dlq"].map(|kind| format!("{group}.{kind}"));
    let topics = ["--servers", &s.kafka.servers, "--input", &input, "--output", &output];
    for (arguments, more) in [
        (["verify", "--dlq"], vec![dead_letters.as_str(), "--group", &group]),
        (["generate", "--records"], vec!["10"]),
    ] {
        let topics = if arguments[0] == "generate" { &topics[..4] } else { &topics };
        let done = verify::run(&[&arguments[..], &more, topics].concat());
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(69), "{arguments:?}: {said}");
    }
    for topic in ["KAFKA_CONSUMER_TOPICS", "KAFKA_OUTPUT_TOPIC", "KAFKA_DLQ_TOPIC"] {
        let (name, changes) = (format!("{group}.{}", topic.to_lowercase()), s.variables.clone());
        let mut check = crate::support::process::Instance::spawn(
            &s.program,
            &["check"],
            &changes.into_iter().chain([(topic.to_owned(), name.clone())]).collect(),
        );
        assert_eq!(check.wait_exit(seconds(60)), Some(69), "{}", check.log());
        let (code, log) = s.run_to_end(&[(topic, &name)]);
        assert_eq!(code, Some(69), "{log}");
        assert_eq!(admin::partition_count(&s.kafka, &name), None, "{name} was made");
    }
    for topic in [input, output, dead_letters] {
        assert_eq!(admin::partition_count(&s.kafka, &topic), None, "{topic} was made");
    }
}
