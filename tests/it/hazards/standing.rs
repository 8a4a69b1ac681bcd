//! Partitions of which nothing comes, and no client has an error to tell of: each is named once, with the cause, counted, and shown on the
//! page; its lag in seconds grows, and the others go on.

use crate::support::client::Sender;
use crate::support::kafka::Kafka;
use crate::support::page::{ANY_PORT, Pages};
use crate::support::process::Instance;
use crate::support::record::Input;
use crate::support::scenario::Scenario;
use crate::support::setup::{Mode, setup};
use crate::support::{admin, eventually, seconds};

/// Records in partition 0 before it stands.
const BEFORE: usize = 5;

fn some(s: &Scenario, count: usize, partition: i32) -> Vec<Input> {
    (0..count).map(|n| Input::valid(&s.id()).key(format!("key-{n}")).to(partition)).collect()
}

/// A running instance that has done what came before.
fn begin(s: &mut Scenario) -> (Instance, Pages) {
    let first = (0..4).flat_map(|partition| some(s, BEFORE, partition)).collect::<Vec<_>>();
    s.send(first);
    let instance = s.start_with(&[ANY_PORT]);
    let pages = Pages::of(&instance);
    s.wait_until_committed();
    (instance, pages)
}

fn named(instance: &Instance, level: &str, name: &str) -> usize {
    instance.log().lines().filter(|line| line.contains(level) && line.contains(name)).count()
}

/// Partition 0 stands, `why`; it is named `name`, and counted as `code`.
fn stands(s: &mut Scenario, (instance, pages): (&Instance, &Pages), why: &str, code: &str) {
    let name = format!("{}/0 stands: {why}", s.input);
    instance.wait_for_log(&name, seconds(60));
    let page = pages.get("/");
    let on_page =
        |line: &str| line.contains(&format!("{}/0", s.input)) && line.contains(&format!("stopped: {why}"));
    assert!(page.lines().any(on_page) && page.contains("last error"), "{page}");
    let counted = format!("processor_kafka_errors_total{{code=\"{code}\"}}");
    assert!(pages.get("/metrics").lines().any(|line| line.starts_with(&counted)), "it is counted");
    let others = (1..4).flat_map(|partition| some(s, 50, partition)).collect::<Vec<_>>();
    s.send(others);
    eventually(seconds(60), "the others go on", || s.is_committed(|sent| sent.partition != 0));
    let behind = || {
        let of_partition = format!("processor_consumer_lag_seconds{{topic=\"{}\",partition=\"0\"}}", s.input);
        let text = pages.get("/metrics");
        let line = text.lines().find(|line| line.starts_with(&of_partition));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    let mut now = None;
    eventually(seconds(20), "how far it is behind is known", || {
        now = behind();
        now.is_some()
    });
    eventually(seconds(20), "it falls behind", || behind() > now);
    assert_eq!(s.committed_of(0), BEFORE as i64, "nothing is passed over");
    assert_eq!(named(instance, "WARN", &name), 1, "it is said once\n{}", instance.log());
}

fn an_open_transaction(delivery: &str) {
    let kafka = Kafka::for_test();
    let mut s = setup().set("PROCESSOR_DELIVERY", delivery).on(&kafka);
    let (instance, pages) = begin(&mut s);
    let sender = Sender::transactional(&kafka, &s.group);
    sender.begin();
    let open = sender.send(&s.input, some(&s, 7, 0));
    let why = format!("a producer's transaction is open at offset {BEFORE}, and the high watermark is 7");
    stands(&mut s, (&instance, &pages), &why, "OpenTransaction");
    let advice = format!("abort --topic {} --partition 0 --start-offset {BEFORE}", s.input);
    assert!(instance.log().contains(&advice), "{}", instance.log());
    sender.commit();
    s.sent.extend(open);
    s.wait_until_committed();
    instance.wait_for_log(&format!("{}/0 goes on", s.input), seconds(30));
    eventually(seconds(20), "the page shows it no more", || {
        !pages.get("/").contains(&format!("stopped: {why}"))
    });
    s.finish(instance);
}

#[test]
fn an_open_transaction_is_named() {
    an_open_transaction("at-least-once");
}

#[test]
fn an_open_transaction_is_named_exactly_once() {
    an_open_transaction("exactly-once");
}

/// Nothing has ever been read of the partition, and the one that reads it begins while the transaction is open, which is aborted.
#[test]
fn an_open_transaction_that_was_there_before_and_is_aborted() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    let sender = Sender::transactional(&kafka, &s.group);
    sender.begin();
    sender.send(&s.input, some(&s, 7, 0));
    let instance = s.start();
    let name = format!("{}/0 stands: a producer's transaction is open at offset 0", s.input);
    instance.wait_for_log(&name, seconds(60));
    sender.abort();
    eventually(seconds(60), "the group is behind the transaction", || s.committed_of(0) == 8);
    instance.wait_for_log(&format!("{}/0 goes on", s.input), seconds(30));
    assert_eq!(named(&instance, "WARN", &name), 1, "it is said once\n{}", instance.log());
    let behind = some(&s, 3, 0);
    s.send(behind);
    s.finish(instance);
}

/// Only an embedded broker has a partition without a leader on request.
fn without_a_leader(delivery: &str) {
    let kafka = Kafka::embedded();
    let mut s = setup().set("PROCESSOR_DELIVERY", delivery).on(&kafka);
    let (instance, pages) = begin(&mut s);
    kafka.broker().set_leader_away(&s.input, 0, true);
    stands(&mut s, (&instance, &pages), "no broker leads it", "LeaderNotAvailable");
    kafka.broker().set_leader_away(&s.input, 0, false);
    let more = some(&s, 50, 0);
    s.send(more);
    s.wait_until_committed();
    instance.wait_for_log(&format!("{}/0 goes on", s.input), seconds(30));
    eventually(seconds(20), "the page shows it no more", || !pages.get("/").contains("stopped: no broker"));
    s.finish(instance);
}

#[test]
fn a_partition_without_a_leader_is_named() {
    without_a_leader("at-least-once");
}

#[test]
fn a_partition_without_a_leader_is_named_exactly_once() {
    without_a_leader("exactly-once");
}

/// Nobody knows where it begins, and what is assigned is accepted as a whole.
#[test]
fn a_partition_without_a_leader_at_the_start_is_named() {
    let kafka = Kafka::embedded();
    let mut s = setup().set("CONSUMERS_COUNT", 1).on(&kafka);
    let first = (0..4).flat_map(|partition| some(&s, BEFORE, partition)).collect::<Vec<_>>();
    s.send(first);
    kafka.broker().set_leader_away(&s.input, 0, true);
    let instance = s.start();
    instance.wait_for_log("one of them may have no leader", seconds(60));
    kafka.broker().set_leader_away(&s.input, 0, false);
    s.finish(instance);
}

/// One of two input topics goes while the program runs, and comes back.
#[test]
fn an_input_topic_that_is_missing_is_named() {
    let kafka = Kafka::for_test();
    let mut s = setup()
        .set("KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS", 500)
        .set("KAFKA_TOPIC_METADATA_PROPAGATION_MAX_MS", 500)
        .set("CONSUMERS_COUNT", 1)
        .on(&kafka);
    let other = format!("{}.other", s.input);
    admin::create_topic(&kafka, &other, 1, &[]);
    let both = format!("{},{other}", s.input);
    let instance = s.start_with(&[ANY_PORT, ("KAFKA_CONSUMER_TOPICS", &both)]);
    let pages = Pages::of(&instance);
    s.send_load(100);
    s.wait_until_committed();
    admin::delete_topic(&kafka, &other);
    eventually(seconds(60), "the log names the topic", || named(&instance, "WARN", &other) > 0);
    let page = pages.get("/");
    assert!(page.lines().any(|line| line.contains("last error") && line.contains(&other)), "{page}");
    assert!(
        pages.get("/metrics").contains("processor_kafka_errors_total{code=\"UnknownTopic"),
        "it is counted"
    );
    s.send_load(100);
    s.wait_until_committed();
    assert_eq!(named(&instance, "WARN", &other), 1, "it is said once\n{}", instance.log());
    admin::create_topic(&kafka, &other, 1, &[]);
    instance.wait_for_log(&format!("{other}/0"), seconds(60));
    s.finish(instance);
}

/// The client that looks behind the last record loses all its brokers, and is told them again: no other one sees an abort.
#[test]
fn a_transaction_is_aborted_after_the_broker_named_no_broker() {
    let kafka = Kafka::embedded();
    let mut s = super::faults::sensitive(Mode::Key)
        .set("KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS", 100)
        .set("RUST_LOG", "debug")
        .on(&kafka);
    let (instance, _) = begin(&mut s);
    for time in 0..2 {
        let sender = Sender::transactional(&kafka, &s.group);
        sender.begin();
        sender.send(&s.input, some(&s, 7, 0));
        let name = format!("{}/0 stands: a producer's transaction is open", s.input);
        eventually(seconds(60), "the client is there", || named(&instance, "WARN", &name) > time);
        let (enough, answers) = (kafka.faults().injected() + 40, || kafka.faults().injected());
        kafka.faults().fence(true);
        eventually(seconds(20), "all clients meet it", || answers() >= enough);
        kafka.faults().fence(false);
        sender.abort();
        let end = BEFORE as i64 + 8 * (time as i64 + 1);
        eventually(seconds(60), "the group is behind the transaction", || s.committed_of(0) == end);
    }
    s.finish(instance);
}
