//! `processor broker`: a client can work with it, and it says where it is and what it is not.

use std::collections::BTreeMap;
use std::net::TcpListener;

use super::{code, err, out, processor};
use crate::support::client::{self, Sender};
use crate::support::kafka::Kafka;
use crate::support::process::{self, Instance};
use crate::support::record::Input;
use crate::support::{admin, seconds};

fn broker(arguments: &[&str]) -> (Instance, Kafka) {
    let all = [&["broker", "--port", "0"][..], arguments].concat();
    let broker = Instance::spawn(&process::processor(), &all, &BTreeMap::new());
    broker.wait_for_log("Ctrl-C ends it", seconds(40));
    let log = broker.log();
    let servers = log.lines().find_map(|line| line.strip_prefix("embedded broker at ")).expect("an address");
    (broker, Kafka::at(servers.to_owned()))
}

#[test]
fn a_client_makes_a_topic_writes_and_reads() {
    let (mut broker, kafka) = broker(&["--topics", "orders:2,orders.valid", "--partitions", "3"]);
    assert!(broker.log().contains("not durable"), "{}", broker.log());
    assert_eq!(admin::partition_count(&kafka, "orders"), Some(2));
    assert_eq!(admin::partition_count(&kafka, "orders.valid"), Some(3));
    admin::create_topic(&kafka, "mine", 4, &[]);
    let inputs: Vec<_> = (0..100).map(|n| Input::valid(&n.to_string()).key("key")).collect();
    Sender::new(&kafka).send("mine", inputs);
    assert_eq!(client::read_topic(&kafka, "mine", 4).len(), 100);
    broker.signal("INT");
    assert_eq!(broker.wait_exit(seconds(40)), Some(0));
}

/// A bounded memory is no reason to lose records in silence: whoever watches the broker is told.
#[test]
fn what_it_removes_for_want_of_room_it_says_loudly() {
    let (broker, kafka) = broker(&[]);
    admin::create_topic(&kafka, "small", 1, &[("retention.bytes", "1000")]);
    let sender = Sender::new(&kafka);
    for n in 0..20 {
        sender.send("small", vec![Input::valid(&n.to_string())]);
    }
    assert!(client::read_topic(&kafka, "small", 1).len() < 20, "a thousand bytes are no room for all");
    broker.wait_for_log("records of topic small were removed", seconds(40));
    broker.wait_for_log("Whoever has not read them will not", seconds(40));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    for command in ["broker", "demo"] {
        let output = processor(&[command, "--port", &port], &[]);
        assert_eq!((code(&output), out(&output).as_str()), (Some(69), ""), "{command}");
        assert!(
            err(&output).contains(&port) && err(&output).contains("--port"),
            "{command}: {}",
            err(&output)
        );
    }
}

#[test]
fn a_topic_that_makes_no_sense_is_a_usage_error() {
    for topics in ["orders:0", "or/ders", "orders:many"] {
        let output = processor(&["broker", "--port", "0", "--topics", topics], &[]);
        assert_eq!(code(&output), Some(2), "{topics}");
        assert!(err(&output).contains(topics.split(':').next().unwrap()), "{}", err(&output));
    }
}
