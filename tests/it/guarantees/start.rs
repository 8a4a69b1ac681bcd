//! A start that cannot succeed ends at once, with the code and the words that help.

use std::collections::BTreeMap;

use crate::support::kafka::Kafka;
use crate::support::process::{Instance, processor};
use crate::support::setup::setup;

#[test]
fn a_group_without_offsets_is_told_both_choices() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    s.send_load(10);
    let (code, log) = s.run_to_end(&[("KAFKA_OFFSET_RESET", "error")]);
    assert!(code.is_some_and(|code| code != 0), "it must not go on: {code:?}\n{log}");
    assert!(log.contains("earliest") && log.contains("latest"), "both choices are spelled out\n{log}");
    assert_eq!((s.written(), s.committed().len()), (0, 0), "nothing was touched");
}

#[test]
fn a_check_fails_where_a_start_would_end_at_once() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    s.send_load(10);
    let check = |variables: &BTreeMap<String, String>, reset: &str| {
        let mut variables = variables.clone();
        variables.insert("KAFKA_OFFSET_RESET".to_owned(), reset.to_owned());
        let mut said = (None, String::new());
        // It gives a cluster five seconds, which a machine with much else to do may need.
        crate::support::eventually(crate::support::seconds(60), "a check that finds the cluster", || {
            let mut check = Instance::spawn(&processor(), &["check"], &variables);
            said = (check.wait_exit(crate::support::seconds(30)), check.log());
            said.0 != Some(69)
        });
        said
    };
    let (code, log) = check(&s.variables, "error");
    assert_eq!(code, Some(78), "{log}");
    assert!(log.contains("earliest") && log.contains("latest") && log.contains(&s.input), "{log}");
    assert_eq!(check(&s.variables, "earliest").0, Some(0));
    // A group that is at work need not choose.
    let mut instance = s.start();
    s.wait_until_committed();
    instance.stop_cleanly();
    let (code, log) = check(&s.variables, "error");
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn latest_begins_with_what_comes() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    s.send_load(300);
    let old = std::mem::take(&mut s.sent);
    let instance = s.start_with(&[("KAFKA_OFFSET_RESET", "latest")]);
    instance.wait_for_log("running", crate::support::seconds(30));
    // Which record is the first to come is the broker's affair: keep sending until one goes through.
    crate::support::eventually(crate::support::seconds(60), "new records go through", || {
        s.send_load(10);
        s.written() > 0
    });
    let evidence = s.evidence();
    let seen: Vec<_> = evidence.output.iter().filter_map(crate::support::record::Seen::id).collect();
    assert!(old.iter().all(|sent| !seen.contains(&sent.input.id)), "what was there before stays unread");
}

#[test]
fn debug_lines_are_there_when_they_are_asked_for_and_only_then() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    s.send_load(10);
    let mut quiet = s.start();
    s.wait_until_committed();
    quiet.stop_cleanly();
    assert!(!quiet.log().contains("DEBUG"), "{}", quiet.log());
    // One facility of the consumers, one of the producer; whatever else is logged.
    for (variable, facility) in [("KAFKA_DEBUG", "cgrp"), ("KAFKA_PRODUCER_DEBUG", "eos")] {
        let mut instance = s.start_with(&[(variable, facility), ("RUST_LOG", "warn")]);
        instance.wait_for_log("\"target\":\"librdkafka\"", crate::support::seconds(30));
        instance.terminate();
        assert_eq!(instance.wait_exit(crate::support::seconds(35)), Some(0));
        assert!(!instance.log().contains("\"INFO\""), "{variable}\n{}", instance.log());
    }
}

#[test]
fn each_missing_topic_is_named() {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    s.send_load(10);
    for variable in ["KAFKA_CONSUMER_TOPICS", "KAFKA_OUTPUT_TOPIC", "KAFKA_DLQ_TOPIC"] {
        let (code, log) = s.run_to_end(&[(variable, "a.topic.that.is.not.there")]);
        assert_eq!(code, Some(69), "{variable} names a topic that does not exist\n{log}");
        assert!(log.contains("a.topic.that.is.not.there"), "the missing topic of {variable} is named\n{log}");
    }
    assert_eq!((s.written(), s.committed().len()), (0, 0), "nothing was touched");
}

#[test]
fn every_fault_of_the_configuration_is_reported_at_once() {
    let kafka = Kafka::for_test();
    let s = setup().on(&kafka);
    let faults = [("WORKER_POOL", "six"), ("KAFKA_GROUP_ID", ""), ("KAFKA_AUTO_OFFSET_STORE", "true")];
    let (code, log) = s.run_to_end(&faults);
    assert_eq!(code, Some(78), "configuration\n{log}");
    for (variable, _) in faults {
        assert!(log.contains(variable), "{variable} is reported\n{log}");
    }
}

#[test]
fn an_output_with_fewer_partitions_than_the_input_is_no_place_for_same_partition() {
    let kafka = Kafka::for_test();
    let mut s = setup().set("PROCESSOR_PARTITIONING", "same-partition").on(&kafka);
    s.send_load(10);
    for command in ["check", "run"] {
        let (code, log) = s.command_to_end(command);
        assert_eq!(code, Some(78), "{command}\n{log}");
        let counts = format!("{} has 4 partitions, but {} only 3", s.input, s.output);
        let advice = format!("--alter --topic {} --partitions 4", s.output);
        assert!(log.contains(&counts) && log.contains(&advice), "{command}\n{log}");
    }
    assert_eq!((s.written(), s.committed().len()), (0, 0), "nothing was touched");
    crate::support::admin::add_partitions(&kafka, &s.output, 4);
    let (code, log) = s.command_to_end("check");
    assert_eq!(code, Some(0), "as the advice says\n{log}");
}
