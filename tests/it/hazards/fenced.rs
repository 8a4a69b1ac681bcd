//! A broker that its controller has not heard of for a while, because it was frozen, say: it answers, and names no broker at all.
//! Only an embedded broker does that on request, so this test has one whatever `KAFKA_TEST_SERVERS` says.

use super::faults::{sensitive, start_known};
use crate::support::kafka::Kafka;
use crate::support::setup::Mode;
use crate::support::{eventually, seconds};

/// How often, each time for all clients: librdkafka's own way back is a race, which most clients lose.
const TIMES: usize = 4;
/// Answers that name no broker, where no client says that it has lost them all.
const ANSWERS: u64 = 40;

#[test]
fn a_broker_that_names_no_broker_for_a_moment() {
    no_client_is_left_without_brokers("at-least-once");
}

#[test]
fn a_broker_that_names_no_broker_for_a_moment_exactly_once() {
    no_client_is_left_without_brokers("exactly-once");
}

/// One of those asks nobody, and says nothing.
fn no_client_is_left_without_brokers(delivery: &str) {
    let setup = sensitive(Mode::Key).set("PROCESSOR_DELIVERY", delivery);
    let setup = setup.set("KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS", 100).set("RUST_LOG", "debug");
    let mut s = setup.on(&Kafka::embedded());
    let instance = start_known(&mut s);
    let lost = || instance.log().matches("AllBrokersDown").count();
    for time in 1..=TIMES {
        s.send_load(200);
        let (before, answers) = (lost(), || s.kafka.faults().injected());
        let enough = answers() + ANSWERS;
        s.kafka.faults().fence(true);
        // Where the clients have bootstrap servers left, none says so.
        eventually(seconds(20), "it is met", || lost() > before || answers() >= enough);
        s.kafka.faults().fence(false);
        eventually(seconds(60), &format!("time {time}: all is committed"), || s.is_committed(|_| true));
    }
    s.finish(instance);
}
