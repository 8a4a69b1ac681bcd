//! The command line as a user meets it: exit codes, what goes where, and what is said about wrong input.

#[cfg(feature = "embedded-broker")]
mod broker;
mod custom;
#[cfg(feature = "embedded-broker")]
mod demo;
mod health;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const MINIMUM: [(&str, &str); 4] = [
    ("KAFKA_SERVERS", "localhost"),
    ("KAFKA_GROUP_ID", "group"),
    ("KAFKA_CONSUMER_TOPICS", "in"),
    ("KAFKA_CONSUMER_TOPIC", "out"),
];

/// Runs the binary with these arguments and nothing but these variables.
fn processor(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_processor"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the binary runs")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&out(output)).unwrap_or_else(|error| panic!("{error}: {}", out(output)))
}

#[test]
fn no_argument_shows_the_help_with_the_quick_start_on_top() {
    let output = processor(&[], &[]);
    assert_eq!((code(&output), out(&output).as_str()), (Some(2), ""));
    let help = err(&output);
    let (start, usage) = (help.find("Quick start:").unwrap(), help.find("Usage:").unwrap());
    assert!(start < usage && help.contains("config"), "{help}");
}

#[test]
fn help_is_data_and_shows_settings_but_no_values() {
    let output =
        processor(&["run", "--help"], &[("KAFKA_GROUP_ID", "canary"), ("KAFKA_SASL_PASSWORD", "canary")]);
    assert_eq!((code(&output), err(&output).as_str()), (Some(0), ""));
    let help = out(&output);
    assert!(help.contains("--kafka-group-id") && help.contains("[env: KAFKA_GROUP_ID]"), "{help}");
    assert!(help.contains("Failures:") && help.contains("[default: 200ms]"), "{help}");
    assert!(
        help.contains("--kafka-sasl-password-file") && !help.contains("--kafka-sasl-password "),
        "{help}"
    );
    assert!(!help.contains("canary"), "{help}");
    let version = processor(&["--version"], &[]);
    let start = concat!("processor ", env!("CARGO_PKG_VERSION"), " (librdkafka 2.");
    assert!(out(&version).starts_with(start), "{}", out(&version));
}

#[test]
fn an_unknown_flag_or_command_is_a_usage_error() {
    for arguments in [&["run", "--worker-pol", "6"][..], &["runn"], &["check", "--worker-pool"], &["--json"]]
    {
        let output = processor(arguments, &MINIMUM);
        assert_eq!(code(&output), Some(2), "{arguments:?}");
        assert!(out(&output).is_empty() && !err(&output).is_empty(), "{arguments:?}");
    }
}

#[test]
fn all_faults_are_said_at_once() {
    let variables = [("WORKER_POOL", "six"), ("KAFKA_SALS_USERNAME", "me"), ("KAFKA_BROKERS", "http://a")];
    for command in ["run", "check", "config"] {
        let output = processor(&[command, "--tasks-pick-up", "0"], &variables);
        assert_eq!(code(&output), Some(78), "{command}");
        let text = err(&output);
        assert!(text.starts_with("error: 6 settings are wrong\n"), "{text}");
        let said =
            ["WORKER_POOL=\"six\"", "--tasks-pick-up=\"0\"", "KAFKA_BROKERS=\"http://a\"", "KAFKA_GROUP_ID "];
        assert!(said.iter().all(|part| text.contains(part)), "{text}");
        assert!(text.contains("Did you mean KAFKA_SASL_USERNAME?"), "{text}");
    }
}

#[test]
fn check_offline_looks_at_the_settings_alone() {
    let good = processor(&["check", "--offline"], &MINIMUM);
    assert_eq!((code(&good), err(&good).as_str()), (Some(0), ""));
    assert!(out(&good).contains("from in to out"), "{}", out(&good));
    let doubtful = [&MINIMUM[..], &[("KAFKA_HOME", "/opt/kafka")]].concat();
    let warned = processor(&["check", "--offline", "--json"], &doubtful);
    assert_eq!(code(&warned), Some(0));
    assert_eq!(json(&warned)["warnings"][0]["name"], "KAFKA_HOME");
    let strict = processor(&["check", "--offline", "--strict", "--json"], &doubtful);
    assert_eq!(code(&strict), Some(78));
    assert_eq!(json(&strict)["faults"][0]["code"], "PC007");
}

#[test]
fn config_shows_values_with_their_source() {
    let variables = [&MINIMUM[..], &[("KAFKA_LINGER_MS", "7"), ("WORKER_POOL", "")]].concat();
    let output = processor(&["config", "--json", "--consumers-count", "3"], &variables);
    assert_eq!(code(&output), Some(0), "{}", err(&output));
    let shown = json(&output);
    let row = |name: &str| {
        let rows = shown["settings"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name}: {shown}")).clone()
    };
    let of = |name: &str| (row(name)["value"].clone(), row(name)["source"].clone());
    assert_eq!(of("KAFKA_SERVERS"), ("localhost:9092".into(), "environment".into()));
    assert_eq!(of("CONSUMERS_COUNT"), ("3".into(), "flag --consumers-count".into()));
    assert_eq!(of("KAFKA_DLQ_TOPIC"), ("dlq.group".into(), "default".into()));
    assert_eq!(of("TASKS_PICK_UP"), ("auto".into(), "default".into()));
    assert_eq!(of("WORKER_POOL"), ("6".into(), "environment (empty, default used)".into()));
    assert_eq!(of("KAFKA_LINGER_MS"), ("7".into(), "environment".into()));
    let changed = out(&processor(&["config", "--changed"], &variables));
    assert_eq!(changed.lines().count(), 1 + 5, "{changed}");
    let wrong = processor(&["config", "--json"], &[("WORKER_POOL", "six")]);
    assert_eq!((code(&wrong), json(&wrong)["faults"].as_array().unwrap().len()), (Some(78), 5));
}

#[test]
fn a_secret_is_masked_everywhere() {
    let secret = [("KAFKA_SASL_PASSWORD", "canary"), ("KAFKA_SALS_PASSWORD", "canary")];
    let variables = [&MINIMUM[..], &secret].concat();
    for arguments in [&["config"][..], &["config", "--json"], &["check", "--json"], &["run"]] {
        let output = processor(arguments, &variables);
        assert_eq!(code(&output), Some(78));
        assert!(!out(&output).contains("canary") && !err(&output).contains("canary"), "{arguments:?}");
    }
}

#[test]
fn service_links_of_kubernetes_do_no_harm() {
    let links = [
        ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
        ("KAFKA_PORT_9092_TCP", "tcp://10.0.0.1:9092"),
        ("KAFKA_PORT_9092_TCP_PROTO", "tcp"),
        ("KAFKA_SERVICE_HOST", "10.0.0.1"),
        ("KAFKA_SERVICE_PORT", "9092"),
        ("PROCESSOR_SERVICE_PORT_HTTP", "8890"),
    ];
    let output = processor(&["check", "--offline", "--strict"], &[&MINIMUM[..], &links].concat());
    assert_eq!((code(&output), err(&output).as_str()), (Some(0), ""));
}

/// An instance that finds no broker, so that nothing is read; killed when dropped.
struct Waiting(Child);

impl Waiting {
    /// `PROGRAM ARGUMENTS` with these variables, once it has said its first word: it handles signals and has its port then.
    fn start(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(MINIMUM)
            .env("KAFKA_SERVERS", "127.0.0.1:1")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it can be started");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("text");
        Self(child)
    }

    /// The signals that it ignores, as Linux says them.
    fn ignored_signals(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("it runs");
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("Linux tells");
        u64::from_str_radix(mask.trim(), 16).expect("a mask")
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.kill().expect("a child can be killed");
        self.0.wait().expect("a killed child ends");
    }
}

#[test]
fn a_hangup_is_a_stop_unless_it_was_to_be_ignored() {
    for (started_with, ignored) in [("--default-signal=HUP", 0), ("--ignore-signal=HUP", 1)] {
        let arguments = [started_with, env!("CARGO_BIN_EXE_processor"), "run"];
        let instance = Waiting::start("/usr/bin/env", &arguments, &[("PROCESSOR_HTTP_ADDR", "off")]);
        assert_eq!(instance.ignored_signals() & 1, ignored, "{started_with}");
    }
}

#[test]
fn variables_of_somebody_else_are_warned_about_and_no_more() {
    let others = [("KAFKA_BROKER", "elsewhere:1"), ("KAFKA_DEBUG", "true"), ("CONSUMER_COUNT", "3")];
    let variables = [&MINIMUM[..], &others].concat();
    let output = processor(&["check", "--offline"], &variables);
    assert_eq!(code(&output), Some(0), "{}", err(&output));
    assert!(err(&output).starts_with("warning: 3 settings to look at\n"), "{}", err(&output));
    assert!(err(&output).contains("Did you mean CONSUMERS_COUNT?"), "{}", err(&output));
    assert_eq!(code(&processor(&["check", "--offline", "--strict"], &variables)), Some(78));
}
