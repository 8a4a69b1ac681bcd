//! The lag is what the brokers say: of a partition from which nothing is read too, and nothing where no broker says anything.

use processor::embedded::Broker;

use crate::support::client::Sender;
use crate::support::kafka::Kafka;
use crate::support::page::{ANY_PORT, Pages};
use crate::support::record::Input;
use crate::support::setup::setup;
use crate::support::{admin, eventually, holds_within, seconds};

const LAG: &str = "processor_consumer_lag_records";
const AGE: &str = "processor_consumer_lag_age_seconds";

fn wait_for_lag(pages: &Pages, lag: usize) {
    eventually(seconds(60), &format!("the lag is {lag}"), || pages.metric(LAG) == [lag as f64]);
    let ages = pages.metric(AGE);
    assert!(ages.len() == 1 && (0.0..=10.0).contains(&ages[0]), "{ages:?}");
}

/// Its share is used up by what cannot be written: after a second nothing more is fetched, and the client's own count stands still.
#[test]
fn a_partition_that_is_held_has_all_of_its_lag() {
    let kafka = Kafka::for_test();
    let setup = setup().input_partitions(1).set("KAFKA_TOPIC_METADATA_PROPAGATION_MAX_MS", 500);
    let mut s = setup.set("PROCESSOR_MAX_IN_FLIGHT", 200).set("CONSUMERS_COUNT", 1).on(&kafka);
    let instance = s.start_with(&[ANY_PORT]);
    let pages = Pages::of(&instance);
    wait_for_lag(&pages, 0);
    admin::delete_topic(&kafka, &s.dead_letters);
    let failures = |s: &crate::support::scenario::Scenario, count: usize| -> Vec<Input> {
        (0..count).map(|n| Input::invalid(&s.id()).key(format!("key-{n}"))).collect()
    };
    let first = failures(&s, 301);
    s.send(first);
    wait_for_lag(&pages, 301);
    eventually(seconds(30), "the partition is held", || {
        pages.get("/").contains("stopped: the limit of records in flight")
    });
    for more in 1..=6 {
        let next = failures(&s, 100);
        s.send(next);
        wait_for_lag(&pages, 301 + 100 * more);
    }
    admin::create_topic(&kafka, &s.dead_letters, 2, &[]);
    wait_for_lag(&pages, 0);
    s.finish(instance);
}

/// What is written and not committed stands in the topic, and is to be done once it is: a transaction that never ends does not hide.
#[test]
fn an_open_transaction_counts_as_lag() {
    let kafka = Kafka::for_test();
    let mut s = setup().input_partitions(1).set("CONSUMERS_COUNT", 1).on(&kafka);
    let instance = s.start_with(&[ANY_PORT]);
    let pages = Pages::of(&instance);
    wait_for_lag(&pages, 0);
    let sender = Sender::transactional(&kafka, &s.group);
    let inputs: Vec<_> = (0..5).map(|_| Input::valid(&s.id())).collect();
    sender.begin();
    s.sent.extend(sender.send(&s.input, inputs));
    wait_for_lag(&pages, 5);
    sender.commit();
    wait_for_lag(&pages, 0);
    s.finish(instance);
}

/// Neither frozen nor 0: absent, until a broker says it again.
fn unknown_while(stop: fn(&Broker), go_on: fn(&Broker)) {
    let kafka = Kafka::embedded();
    // The partition stays ours meanwhile.
    let patient = setup().set("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", 120_000);
    let mut s = patient.input_partitions(1).set("CONSUMERS_COUNT", 1).on(&kafka);
    s.send_load(50);
    let instance = s.start_with(&[ANY_PORT]);
    let pages = Pages::of(&instance);
    wait_for_lag(&pages, 0);
    stop(kafka.broker());
    eventually(seconds(60), "the lag is not known any more", || pages.metric(LAG).is_empty());
    assert!(!holds_within(seconds(3), || !pages.metric(LAG).is_empty()), "nobody has said anything");
    assert!(pages.get("/").contains("lag unknown"), "{}", pages.get("/"));
    go_on(kafka.broker());
    wait_for_lag(&pages, 0);
    s.finish(instance);
}

#[test]
fn the_lag_is_unknown_while_the_broker_is_dead() {
    unknown_while(Broker::kill, Broker::launch);
}

#[test]
fn the_lag_is_unknown_while_the_broker_stands_still() {
    unknown_while(Broker::pause, Broker::resume);
}
