//! `verify` on what the program itself wrote, with `generate` and with any data.

use super::{World, run};
use crate::support::setup::setup;
use crate::support::{eventually, seconds};

/// The topics of a scenario, for the command line.
fn topics(world: &crate::support::scenario::World) -> [String; 10] {
    let [servers, input, output] = [&world.kafka.servers, &world.input, &world.output].map(String::clone);
    let [dead, group] = [&world.dead_letters, &world.group].map(String::clone);
    let flags = ["--servers", "--input", "--output", "--dlq", "--group"].map(str::to_owned);
    let [a, b, c, d, e] = flags;
    [a, servers, b, input, c, output, d, dead, e, group]
}

fn verify(world: &crate::support::scenario::World, more: &[&str]) -> serde_json::Value {
    let topics = topics(world);
    let arguments: Vec<_> =
        ["verify", "--json"].into_iter().chain(topics.iter().map(String::as_str)).collect();
    let output = run(&[&arguments, more].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let report: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(output.status.code(), Some(i32::from(report["good"] != true)), "{report:#}");
    report
}

#[test]
fn generated_records_come_out_as_verify_wants_them() {
    let kafka = crate::support::kafka::Kafka::for_test();
    let s = setup().on(&kafka);
    let into = ["--servers", &kafka.servers, "--input", &s.input, "--json"];
    let generated =
        run(&[&["generate", "--records", "3000", "--bad", "10%", "--keys", "50", "--seed", "7"][..], &into]
            .concat());
    assert_eq!(generated.status.code(), Some(0), "{}", String::from_utf8_lossy(&generated.stderr));
    let said: serde_json::Value = serde_json::from_slice(&generated.stdout).expect("JSON");
    let broken = said["broken"].as_u64().expect("a number");
    assert!(said["records"] == 3000 && (200..400).contains(&broken), "{said}");
    assert_eq!(verify(&s, &[])["unfinished"]["count"], 3000, "nobody has begun");
    let mut instance = s.start();
    eventually(seconds(60), "all is finished", || verify(&s, &[])["unfinished"]["count"] == 0);
    instance.stop_cleanly();
    let report = verify(&s, &[]);
    assert!(report["good"] == true && report["uncommitted"] == 0, "{report:#}");
    assert_eq!(
        (&report["matched"]["stamp"], &report["records"]["dead_letters"]),
        (&(3000 - broken).into(), &broken.into())
    );
}

#[test]
fn any_data_is_judged_where_results_name_their_source() {
    let kafka = crate::support::kafka::Kafka::for_test();
    let mut s = setup().set("PROCESSOR_SOURCE_HEADER", "true").on(&kafka);
    s.send_load(500);
    let mut instance = s.start();
    s.wait_until_committed();
    instance.stop_cleanly();
    let report = verify(&s, &[]);
    assert!(report["good"] == true, "{report:#}");
    assert_eq!(report["matched"]["stamp"], 0);
    assert_eq!(report["matched"]["source"], report["records"]["output"]);
}

#[test]
fn generate_says_why_it_cannot_write() {
    let world = World::empty();
    let servers = world.kafka.servers.as_str();
    let cases: [(&[&str], i32, &str); 4] = [
        (&["--servers", "127.0.0.1:1", "--input", "t", "--timeout", "1s"], 69, "no answer within 1s"),
        (&["--servers", servers, "--input", "not-there"], 69, "no topic not-there"),
        (&["--servers", servers], 78, "KAFKA_INPUT_TOPICS"),
        (&["--servers", servers, "--input", "t", "--bad", "101"], 2, "not a percentage"),
    ];
    for (arguments, code, said) in cases {
        let output = run(&[&["generate"], arguments].concat());
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(said) && output.stdout.is_empty(), "{text}");
    }
}

/// What the README's own command says of a correct run with the settings that it ships with.
#[test]
fn a_run_without_marks_is_unjudged_and_not_condemned() {
    let kafka = crate::support::kafka::Kafka::for_test();
    let mut s = setup().on(&kafka);
    s.send_load(500);
    let mut instance = s.start();
    s.wait_until_committed();
    instance.stop_cleanly();
    let output = run(&[&["verify"][..], &topics(&s).each_ref().map(String::as_str)].concat());
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(
        said.contains("lost          unjudged") && said.contains("PROCESSOR_SOURCE_HEADER=true"),
        "{said}"
    );
}
