//! A member leaves the group while the group's word waits for its answer.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};

use processor::kafka::context::Context;
use processor::kafka::link::Link;
use processor::ops::Metrics;
use processor::ops::metrics::About;
use processor::source::client::Client;
use processor::source::librdkafka::GroupMember;

use crate::support::kafka::Kafka;
use crate::support::process::Instance;
use crate::support::setup::setup;
use crate::support::{admin, eventually, seconds};

/// It was given partitions and was told to give them up by leaving: two words, and librdkafka waits for one answer. After that
/// one it may be gone, and a call that answers the second one would wait for ever. A static member sends no farewell, so it is
/// gone at once.
#[test]
fn what_waits_for_an_answer_is_answered_once() {
    let kafka = Kafka::embedded();
    admin::create_topic(&kafka, "in", 4, &[]);
    for n in 0..20 {
        let group = format!("group-{n}");
        let mut properties = admin::settings(&kafka);
        properties.set("group.id", &group).set("group.instance.id", "one");
        properties.set("partition.assignment.strategy", "cooperative-sticky");
        properties.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        let context = Context::new(Arc::new(Link::default()), Arc::new(Metrics::new(About::default())));
        let mut member = GroupMember::new(&properties, context).expect("a member can be made");
        member.subscribe(&["in".to_owned()]).expect("it can subscribe");
        eventually(seconds(30), "it is a member", || admin::members(&kafka, &group) == Some(1));
        let (gone, wait) = channel();
        std::thread::spawn(move || {
            member.leave(false, seconds(5));
            gone.send(()).expect("the test waits");
        });
        assert_ne!(wait.recv_timeout(seconds(20)), Err(RecvTimeoutError::Timeout), "it does not come back");
    }
}

/// Properties that the guards have not seen, or that were changed after: librdkafka would commit what is not finished.
#[test]
fn a_member_that_would_commit_by_itself_is_not_made() {
    let made = |more: &[(&str, &str)]| {
        let mut properties = rdkafka::ClientConfig::new();
        properties.set("bootstrap.servers", "127.0.0.1:1").set("group.id", "group");
        more.iter().for_each(|(name, value)| {
            properties.set(*name, *value);
        });
        let context = Context::new(Arc::new(Link::default()), Arc::new(Metrics::new(About::default())));
        GroupMember::new(&properties, context).map(drop).map_err(|error| error.to_string())
    };
    let off = [("enable.auto.commit", "false"), ("enable.auto.offset.store", "false")];
    assert_eq!(made(&off), Ok(()));
    for wrong in [
        &off[..1],
        &off[1..],
        &[off[0], ("enable.auto.offset.store", "true")],
        &[("enable.auto.commit", "true"), off[1]],
    ] {
        assert!(made(wrong).is_err_and(|error| error.contains("loses records")), "{wrong:?}");
    }
}

/// The group hears of it at once; it would wait for the session of a member that is gone with its next rebalance.
#[test]
fn one_that_has_no_partition() {
    let kafka = Kafka::for_test();
    for eager in [false, true] {
        let setup = if eager { setup().eager() } else { setup() };
        let setup = setup.input_partitions(1).set("CONSUMERS_COUNT", 1);
        let mut s = setup.set("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", 45_000).on(&kafka);
        s.send_load(100);
        let mut instances = vec![s.start()];
        s.wait_for_members(1);
        instances.push(s.start());
        s.wait_for_members(2);
        // A cooperative member that has it keeps it, and is told of what is new alone; else chance decides.
        let candidates = if eager { 0..2 } else { 1..2 };
        let has_none = |instance: &Instance| {
            let log = instance.log();
            log.lines()
                .rev()
                .find(|line| line.contains("assigned "))
                .is_some_and(|line| line.contains("no partition"))
        };
        let idle = || candidates.clone().find(|index| has_none(&instances[*index]));
        eventually(seconds(60), "one has no partition", || idle().is_some());
        let idle = idle().expect("it was waited for");
        instances.remove(idle).stop_cleanly();
        eventually(seconds(30), "the group knows", || admin::members(&kafka, &s.group) == Some(1));
        s.finish(instances.remove(0));
    }
}
