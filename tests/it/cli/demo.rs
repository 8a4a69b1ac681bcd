//! `processor demo` as a newcomer meets it, and that its verdict can be a bad one.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{code, err, out, processor};
use crate::support::process::{self, Instance};
use crate::support::{eventually, seconds};

fn demo(arguments: &[&str]) -> Instance {
    let all = [&["demo"][..], arguments].concat();
    // None of the environment's settings is to reach the demo: this one would be a fault.
    let variables = BTreeMap::from([("KAFKA_SERVERS".to_owned(), "http://nobody".to_owned())]);
    Instance::spawn(&process::processor(), &all, &variables)
}

/// The number behind these words, in the last line that has them.
fn figure(log: &str, before: &str) -> u64 {
    let line =
        log.lines().rev().find(|line| line.contains(before)).unwrap_or_else(|| panic!("{before}: {log}"));
    number(line.split(before).nth(1).unwrap_or_default())
}

/// The number with which a text begins, its thousands apart.
fn number(text: &str) -> u64 {
    let digits =
        text.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',');
    digits.collect::<String>().parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

fn assert_faultless(log: &str) {
    assert!(log.contains("lost 0, repeated 0, out of order 0"), "{log}");
    assert!(log.contains("in = out + dead-lettered: "), "{log}");
    assert!(log.contains("group demo is at the end of demo.orders"), "{log}");
}

#[test]
fn the_first_line_comes_at_once_and_the_verdict_is_good() {
    let began = Instant::now();
    let mut demo = demo(&["--duration", "3s", "--rate", "2000", "--bad", "10%"]);
    eventually(seconds(20), "the first line", || demo.log().contains("an embedded broker"));
    assert_eq!(demo.wait_exit(seconds(60)), Some(0));
    let log = demo.log();
    assert_faultless(&log);
    let equation = log.lines().find(|line| line.contains("in = out + dead-lettered: ")).expect("an equation");
    let [input, output, dead] =
        [": ", " = ", " + "].map(|sign| number(equation.rsplit(sign).next().unwrap()));
    assert_eq!(input, output + dead, "{equation}");
    let most = 2_000 * (began.elapsed().as_secs() + 1);
    assert!((1..=most).contains(&input), "no more than 2,000 a second: {equation}");
    assert!((input / 20..=input / 5).contains(&dead), "a tenth is broken: {equation}");
    assert!(log.contains("2 s  in ") && log.contains("p99 "), "a line a second: {log}");
}

#[test]
fn ctrl_c_drains_what_is_under_way() {
    let mut demo = demo(&["--rate", "0"]);
    demo.wait_for_log("1 s  in ", seconds(60));
    demo.signal("INT");
    assert_eq!(demo.wait_exit(seconds(90)), Some(0));
    assert_faultless(&demo.log());
}

#[test]
fn with_chaos_it_is_all_the_same() {
    let mut demo = demo(&["--duration", "5s", "--chaos", "--seed", "7"]);
    assert_eq!(demo.wait_exit(seconds(120)), Some(0));
    let log = demo.log();
    assert_faultless(&log);
    assert!(log.contains("by chance from --seed 7"), "{log}");
    let faults = log
        .lines()
        .filter(|line| line.contains(" faults and "))
        .find_map(|line| line.strip_prefix("  chaos"));
    assert!(number(faults.expect("faults are counted")) > 0, "{log}");
}

/// Another instance, by the command that the demo prints.
fn join(demo: &Instance, more: &[(&str, &str)]) -> Instance {
    demo.wait_for_log("1 s  in ", seconds(60));
    let log = demo.log();
    let command =
        log.lines().find_map(|line| line.trim().strip_prefix("join ")).expect("how to join is said");
    let said = command.split_whitespace().filter_map(|word| word.split_once('='));
    let all = said.chain([("PROCESSOR_HTTP_ADDR", "off")]).chain(more.iter().copied());
    let variables = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let joined = Instance::spawn(&process::processor(), &["run"], &variables);
    joined.wait_for_log("partitions: demo.orders/", seconds(60));
    joined
}

#[test]
fn another_instance_can_join_and_what_it_repeats_when_it_is_killed_is_found() {
    let mut demo = demo(&[]);
    // It commits nothing, so that all it did has to be repeated.
    let joined = join(&demo, &[("PROCESSOR_COMMIT_INTERVAL", "10m"), ("KAFKA_SESSION_TIMEOUT_MS", "6000")]);
    let before = figure(&demo.log(), " s  in ");
    eventually(seconds(60), "the flow goes on", || figure(&demo.log(), " s  in ") > before + 20_000);
    joined.kill();
    eventually(seconds(90), "the repetition is found", || demo.log().contains("REPEATED"));
    demo.signal("INT");
    assert_eq!(demo.wait_exit(seconds(90)), Some(1), "a verdict that is not good");
    let log = demo.log();
    assert!(figure(&log, ", repeated ") > 0 && log.contains("lost 0, "), "{log}");
    assert!(log.contains("an instance that is killed may repeat"), "{log}");
}

#[test]
fn a_second_ctrl_c_ends_at_once_and_calls_nothing_lost() {
    let mut demo = demo(&[]);
    // Its partitions stand still, so that the drain cannot end.
    let joined = join(&demo, &[]);
    joined.signal("STOP");
    eventually(seconds(60), "something waits", || figure(&demo.log(), "lag ") > 5_000);
    demo.signal("INT");
    demo.wait_for_log("Ctrl-C again ends at once", seconds(40));
    demo.signal("INT");
    assert_eq!(demo.wait_exit(seconds(40)), Some(1));
    let log = demo.log();
    assert!(figure(&log, "not read back ") > 0 && !log.contains("lost"), "{log}");
}

#[test]
fn a_flag_that_makes_no_sense_is_a_usage_error_that_says_why() {
    let wrong = [
        (&["demo", "--rate", "fast"][..], "--rate"),
        (&["demo", "--bad", "101"], "not a percentage"),
        (&["demo", "--duration", "30"], "a number without its unit"),
        (&["demo", "--workers", "0"], "1..=1024"),
        (&["demo", "--kafka-servers", "a"], "--kafka-servers"),
    ];
    for (arguments, said) in wrong {
        let output = processor(arguments, &[]);
        assert_eq!((code(&output), out(&output).as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err(&output).contains(said), "{arguments:?}: {}", err(&output));
    }
}
