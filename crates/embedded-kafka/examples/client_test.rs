//! How a program that is a Kafka client is tested with this broker: a record there and back, and a write that fails first.
//!
//! ```sh
//! cargo run -p embedded-kafka --example client_test     # or, as tests: cargo test -p embedded-kafka --examples
//! ```

use std::time::{Duration, Instant};

use embedded_kafka::{Broker, Fault, Options, Request};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

const LONG: Duration = Duration::from_secs(30);

/// A broker with one topic, on a port of its own, so that tests can run at the same time.
fn broker() -> Broker {
    let broker = Broker::start(Options::default()).expect("a port of loopback is free");
    assert!(broker.create_topic("orders", 1), "no topic has this name yet");
    broker
}

fn config(broker: &Broker) -> ClientConfig {
    ClientConfig::new().set("bootstrap.servers", broker.servers()).clone()
}

/// Writes a record, and waits until the broker has acknowledged it.
fn write(broker: &Broker, value: &str) {
    let producer: BaseProducer =
        config(broker).set("enable.idempotence", "true").create().expect("a producer");
    producer.send(BaseRecord::<str, str>::to("orders").key("k").payload(value)).expect("the queue has room");
    producer.flush(LONG).expect("the record is acknowledged");
}

/// Reads the next record as a member of a group.
fn read(broker: &Broker) -> String {
    let consumer: BaseConsumer = config(broker)
        .set("group.id", "readers")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    consumer.subscribe(&["orders"]).expect("a topic can be subscribed to");
    let deadline = Instant::now() + LONG;
    loop {
        // Nothing may come of a poll: it was an event of the group's.
        if let Some(record) = consumer.poll(Duration::from_millis(100)) {
            let record = record.expect("no error");
            return String::from_utf8_lossy(record.payload().unwrap_or_default()).into_owned();
        }
        assert!(Instant::now() < deadline, "no record within {LONG:?}");
    }
}

#[cfg_attr(test, test)]
fn a_record_is_written_and_read() {
    let broker = broker();
    write(&broker, "hello");
    assert_eq!(read(&broker), "hello");
}

#[cfg_attr(test, test)]
fn a_write_that_is_refused_and_one_without_an_answer_are_sent_again() {
    const NOT_LEADER: i16 = 6;
    let broker = broker();
    broker.faults().next(Request::Produce, Fault::Refuse(NOT_LEADER));
    broker.faults().next(Request::Produce, Fault::LoseAnswer);
    write(&broker, "hello");
    assert_eq!(broker.faults().injected(), 2, "both faults were met");
    assert_eq!(read(&broker), "hello");
}

fn main() {
    a_record_is_written_and_read();
    a_write_that_is_refused_and_one_without_an_answer_are_sent_again();
    println!("a record was written and read, and another although its write failed twice");
}
