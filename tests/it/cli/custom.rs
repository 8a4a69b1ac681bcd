//! A program of ten lines around a transform of its own has every command, and its `run` applies that transform.

use std::process::{Command, Output};

use super::{MINIMUM, code, err, out};
use crate::support::client::read_topic;
use crate::support::process;
use crate::support::record::Input;
use crate::support::setup::setup;
use crate::support::{eventually, seconds};

fn custom(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(process::example("custom_transform"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the example runs")
}

#[test]
fn it_has_every_command() {
    let help = custom(&["--help"], &[]);
    assert_eq!((code(&help), err(&help).as_str()), (Some(0), ""));
    for command in ["run", "check", "config", "health", "offsets", "verify", "generate", "demo", "broker"] {
        assert!(out(&help).contains(&format!("\n  {command} ")), "{command}: {}", out(&help));
        let about = custom(&[command, "--help"], &[]);
        assert_eq!((code(&about), err(&about).as_str()), (Some(0), ""), "{command}");
    }
    let good = custom(&["check", "--offline"], &MINIMUM);
    assert!(code(&good) == Some(0) && out(&good).contains("from in to out"), "{}", err(&good));
    let shown = custom(&["config"], &MINIMUM);
    assert!(code(&shown) == Some(0) && out(&shown).contains("WORKER_POOL"), "{}", err(&shown));
    let wrong = custom(&["run"], &[]);
    assert!(code(&wrong) == Some(78) && err(&wrong).contains("KAFKA_SERVERS"), "{}", err(&wrong));
}

#[test]
fn its_run_applies_its_own_transform_and_health_and_verify_look_at_it() {
    let kafka = crate::support::kafka::Kafka::for_test();
    // An address of its own, by which health tells it from the instances of other tests.
    let address = super::health::free("127.0.0.1");
    let s = setup()
        .example("custom_transform")
        .set("PROCESSOR_HTTP_ADDR", &address)
        .set("PROCESSOR_SOURCE_HEADER", "true")
        .on(&kafka);
    let text = |value: &[u8]| Input::valid("r").key("k").value(Some(value.to_vec()));
    let inputs: Vec<_> =
        (0..99).map(|n| text(format!("value {n}").as_bytes())).chain([text(b"\xff")]).collect();
    crate::support::client::Sender::new(&kafka).send(&s.input, inputs);
    let mut instance = s.start();
    let about = [("PROCESSOR_HTTP_ADDR", address.as_str())];
    eventually(seconds(60), "it is ready", || code(&custom(&["health"], &about)) == Some(0));
    eventually(seconds(60), "all is written", || s.written() == 100);
    instance.stop_cleanly();
    let [_, output, dead_letters] = s.partitions;
    let written = read_topic(&kafka, &s.output, output);
    assert!(
        written.iter().all(|seen| seen.value.as_deref().is_some_and(|value| value.starts_with(b"VALUE ")))
    );
    assert_eq!((written.len(), read_topic(&kafka, &s.dead_letters, dead_letters).len()), (99, 1));
    let topics = ["--input", &s.input, "--output", &s.output, "--dlq", &s.dead_letters, "--group", &s.group];
    let verdict = custom(&[&["verify", "--servers", &kafka.servers][..], &topics].concat(), &[]);
    assert_eq!(code(&verdict), Some(0), "{}{}", out(&verdict), err(&verdict));
}
