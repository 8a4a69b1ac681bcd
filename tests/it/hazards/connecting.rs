//! A broker that cannot be talked to: `check` and `run` say which of the many reasons it is, and what to do about it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Instant;

use processor::embedded::Fault::Refuse;
use processor::embedded::Request;

use crate::support::codes::COORDINATOR_NOT_AVAILABLE;
use crate::support::kafka::Kafka;
use crate::support::listeners::Listener::{self, *};
use crate::support::listeners::{Listeners, PASSWORD, text};
use crate::support::process::{Instance, processor};
use crate::support::scenario::Scenario;
use crate::support::setup::setup;
use crate::support::{eventually, holds_within, seconds};

/// What a user may have set, beside the address.
pub(super) type Variables = Vec<(&'static str, String)>;

pub(super) fn set(variables: &[(&'static str, &str)]) -> Variables {
    variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn tls(authority: &str) -> Variables {
    set(&[("KAFKA_SECURITY_PROTOCOL", "ssl"), ("KAFKA_SSL_CA_LOCATION", authority)])
}

fn sasl(mechanism: &str, password: &str) -> Variables {
    set(&[
        ("KAFKA_SECURITY_PROTOCOL", "sasl_plaintext"),
        ("KAFKA_SASL_MECHANISM", mechanism),
        ("KAFKA_SASL_USERNAME", "nobody"),
        ("KAFKA_SASL_PASSWORD", password),
    ])
}

/// `processor check` with these; its exit code and all it printed.
pub(super) fn check(servers: &str, variables: &Variables) -> (Option<i32>, String) {
    let common = [
        ("KAFKA_GROUP_ID", "nobody"),
        ("KAFKA_CONSUMER_TOPICS", "in"),
        ("KAFKA_OUTPUT_TOPIC", "out"),
        ("KAFKA_OFFSET_RESET", "earliest"),
    ];
    let done = Command::new(processor())
        .arg("check")
        .env_clear()
        .env("KAFKA_SERVERS", servers)
        .envs(common)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("the binary can be started");
    let said = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (done.status.code(), said)
}

/// The topics of a scenario, which exist.
fn topics_of(s: &Scenario) -> Variables {
    let names = ["KAFKA_CONSUMER_TOPICS", "KAFKA_OUTPUT_TOPIC", "KAFKA_DLQ_TOPIC"];
    names.iter().map(|name| (*name, s.variables[*name].clone())).collect()
}

/// All at once: each waits for an answer most of the time.
#[test]
fn each_misunderstanding_is_named() {
    let Some(listeners) = Listeners::get() else { return };
    let at = |listener: Listener| listeners.at(listener).servers;
    let (authority, other) = (listeners.file("authority.pem"), listeners.file("other.pem"));
    let (authority, other) = (text(&authority), text(&other));
    let s = setup().on(&listeners.at(Plain));
    let known = topics_of(&s);
    let secret = "a-password-that-nobody-may-see";
    let cases: Vec<(String, Variables, i32, &str, &str)> = vec![
        (at(Tls), vec![], 69, "wants TLS", "KAFKA_SECURITY_PROTOCOL to ssl"),
        (at(Login), vec![], 69, "wants SASL", "KAFKA_SECURITY_PROTOCOL to sasl_plaintext"),
        (at(Plain), tls(authority), 69, "does not speak TLS", "KAFKA_SECURITY_PROTOCOL to plaintext"),
        (at(Login), tls(authority), 69, "does not speak TLS", "KAFKA_SECURITY_PROTOCOL to plaintext"),
        (at(Tls), tls(other), 77, "an authority that we do not know", "KAFKA_SSL_CA_LOCATION"),
        (at(Expired), tls(authority), 77, "it has expired", "KAFKA_SSL_CA_LOCATION"),
        (at(Elsewhere), tls(authority), 77, "another IP address", "KAFKA_SSL_CA_LOCATION"),
        (at(Mutual), tls(authority), 77, "wants one and gets none", "KAFKA_SSL_CERTIFICATE_LOCATION"),
        (
            at(Plain),
            sasl("SCRAM-SHA-256", secret),
            77,
            "does not speak SASL",
            "KAFKA_SECURITY_PROTOCOL to plaintext",
        ),
        (at(Login), sasl("SCRAM-SHA-256", secret), 77, "refuses user or password", "KAFKA_SASL_PASSWORD"),
        (
            at(Login),
            sasl("SCRAM-SHA-512", secret),
            77,
            "supported mechanisms: SCRAM-SHA-256",
            "KAFKA_SASL_MECHANISM",
        ),
        ("kafka.invalid:9092".to_owned(), vec![], 69, "kafka.invalid:9092: the host is unknown", "DNS"),
        (
            "127.0.0.1:1".to_owned(),
            vec![],
            69,
            "127.0.0.1:1: the connection is refused",
            "port in KAFKA_SERVERS",
        ),
        (at(Advertised), known.clone(), 69, "127.0.0.1:1: the connection is refused", "advertised.listeners"),
        (at(Nameless), known, 69, "kafka.invalid:9092: the host is unknown", "advertised.listeners"),
    ];
    thread::scope(|scope| {
        for (servers, variables, exit, what, advice) in &cases {
            scope.spawn(move || {
                let (code, said) = check(servers, variables);
                assert_eq!(code, Some(*exit), "{what}\n{said}");
                assert!(said.contains(what) && said.contains(advice), "{what}, {advice}\n{said}");
                assert!(!said.contains(secret), "{said}");
            });
        }
    });
}

/// Nothing but the authorities of the machine is there to verify with: those that `SSL_CERT_FILE` names, as everywhere.
#[test]
fn the_machines_authorities_are_found() {
    let Some(listeners) = Listeners::get() else { return };
    let with = |authority: &str| {
        setup()
            .set("KAFKA_SERVERS", listeners.at(Tls).servers)
            .set("KAFKA_SECURITY_PROTOCOL", "ssl")
            .set("SSL_CERT_FILE", text(&listeners.file(authority)))
            .on(&listeners.at(Plain))
    };
    let mut trusting = with("authority.pem");
    let instance = trusting.start();
    trusting.send_load(100);
    trusting.finish(instance);

    let doubting = with("other.pem").start();
    doubting.wait_for_log("an authority that we do not know", seconds(60));
}

/// A listener that wants a certificate gets ours.
#[test]
fn a_certificate_of_our_own_lets_us_in() {
    let Some(listeners) = Listeners::get() else { return };
    let mut s = setup()
        .set("KAFKA_SERVERS", listeners.at(Mutual).servers)
        .set("KAFKA_SECURITY_PROTOCOL", "ssl")
        .set("KAFKA_SSL_CA_LOCATION", text(&listeners.file("authority.pem")))
        .set("KAFKA_SSL_KEYSTORE_LOCATION", text(&listeners.file("client.p12")))
        .set("KAFKA_SSL_KEYSTORE_PASSWORD", PASSWORD)
        .on(&listeners.at(Plain));
    let instance = s.start();
    s.send_load(100);
    s.finish(instance);
}

/// Code and body of a page of the instance, which says in its log where it listens.
pub(super) fn page(instance: &Instance, path: &str) -> (u16, String) {
    instance.wait_for_log("probes and metrics at http://", seconds(30));
    let log = instance.log();
    let (_, rest) = log.split_once("probes and metrics at http://").expect("it was waited for");
    let address: String = rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("HTTP");
    (code, answer)
}

fn wait_until_ready(instance: &Instance, code: u16, why: &str) {
    let mut last = (0, String::new());
    let so = holds_within(seconds(60), || {
        last = page(instance, "/readyz");
        last.0 == code && last.1.contains(why)
    });
    assert!(so, "/readyz is not {code} and says {why:?}: {last:?}");
}

const PROBES: (&str, &str) = ("PROCESSOR_HTTP_ADDR", "127.0.0.1:0");

/// Nothing is there to connect to: the log, the probe and the page say the same.
#[test]
fn a_start_that_waits_says_why() {
    let s = setup().set(PROBES.0, PROBES.1).on(&Kafka::embedded());
    for (servers, why) in
        [("127.0.0.1:1", "the connection is refused"), ("kafka.invalid", "the host is unknown")]
    {
        let mut instance = s.start_with(&[("KAFKA_SERVERS", servers)]);
        instance.wait_for_log(why, seconds(60));
        wait_until_ready(&instance, 503, why);
        let (code, text) = page(&instance, "/");
        assert!(code == 200 && text.contains(why), "{text}");
        assert!(instance.is_running(), "it waits for a broker");
    }
}

/// A member without partitions could take over none: it is ready again when the broker is.
#[test]
fn a_spare_without_a_broker_is_not_ready() {
    let kafka = Kafka::embedded();
    let s = setup().input_partitions(1).set("CONSUMERS_COUNT", 1).set(PROBES.0, PROBES.1).on(&kafka);
    let instances = [s.start(), s.start()];
    s.wait_for_members(2);
    let idle = |instance: &Instance| page(instance, "/readyz").1.contains("\"idle\"");
    eventually(seconds(60), "one of the two is idle", || instances.iter().any(idle));
    let spare = instances.iter().find(|one| idle(one)).expect("it was seen");
    kafka.broker().kill();
    wait_until_ready(spare, 503, "no broker answers");
    // The port is there, and nothing behind it.
    wait_until_ready(spare, 503, "closes the connection");
    kafka.broker().launch();
    wait_until_ready(spare, 200, "idle");
}

/// Brokers that answer, and a group that none of them keeps.
#[test]
fn a_group_without_a_coordinator_is_named() {
    let kafka = Kafka::embedded();
    let s = setup().set(PROBES.0, PROBES.1).on(&kafka);
    let refuse = || {
        (0..500)
            .for_each(|_| kafka.faults().next(Request::FindCoordinator, Refuse(COORDINATOR_NOT_AVAILABLE)))
    };
    refuse();
    let (code, said) = check(&kafka.servers, &topics_of(&s));
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("offsets.topic.replication.factor"), "{said}");
    refuse();
    let instance = s.start();
    wait_until_ready(&instance, 503, "offsets.topic.replication.factor");
    kafka.faults().clear();
    wait_until_ready(&instance, 200, "ready");
}

/// What the output takes, and how many brokers there must be for it, is known before anything is written.
#[test]
fn an_output_with_too_few_replicas_in_sync_is_named() {
    let kafka = Kafka::embedded();
    let mut s = setup().output("min.insync.replicas", "2").on(&kafka);
    let broker = kafka.broker();
    let check_says = |exit, what: &str| {
        let (code, said) = check(&kafka.servers, &topics_of(&s));
        assert!(code == Some(exit) && said.contains(what), "{code:?}, {what}\n{said}");
    };
    let what = "1 of its 3 replicas are in sync, and min.insync.replicas is 2";
    // Of a topic with one replica Kafka asks no more than that.
    check_says(0, "ready");
    broker.set_replicas_away(&s.output, true);
    check_says(69, what);
    // It is about outputs, the dead-letter topic among them; this one has the default of 1.
    broker.set_replicas_away(&s.output, false);
    broker.set_replicas_away(&s.dead_letters, true);
    check_says(0, "ready");

    let instance = s.start();
    s.wait_for_members(2);
    broker.set_replicas_away(&s.output, true);
    s.send_load(100);
    let sent = Instant::now();
    instance.wait_for_log(what, seconds(60));
    assert!(sent.elapsed() < seconds(10), "it is said within ten seconds: {:?}", sent.elapsed());
    broker.set_replicas_away(&s.output, false);
    s.finish(instance);
}

/// Rights that are there for all but one thing: which one, and the command, and nothing is said where all are there.
#[test]
fn a_right_that_is_missing_is_named() {
    let Some(listeners) = Listeners::get() else { return };
    let s = setup().on(&listeners.at(Plain));
    let servers = listeners.at(Login).servers;
    let user = "clerk";
    listeners.set_password(user, "secret");
    let mut variables = sasl("SCRAM-SHA-256", "secret");
    variables.extend(topics_of(&s));
    variables.extend([("KAFKA_SASL_USERNAME", user.to_owned()), ("KAFKA_GROUP_ID", s.group.clone())]);
    let lacks = |what: &str, command: &str| {
        let (code, said) = check(&servers, &variables);
        assert_eq!(code, Some(77), "{what}\n{said}");
        assert!(said.contains(what) && said.contains(command), "{what}, {command}\n{said}");
    };
    let all = [s.input.as_str(), &s.output, &s.dead_letters];
    let topics: Vec<&str> = all.iter().flat_map(|topic| ["--topic", *topic]).collect();
    listeners.allow(user, &[&["--operation", "Describe"], &topics[..]].concat());
    lacks(&format!("Read on group {}", s.group), &format!("--operation Read --group {}", s.group));
    listeners.allow(user, &["--operation", "Describe", "--group", &s.group]);
    lacks(&format!("Read on group {}", s.group), "--allow-principal User:clerk");
    lacks(&format!("Read on topic {}", s.input), &format!("--operation Read --topic {}", s.input));
    lacks(&format!("Write on topic {}", s.output), &format!("--operation Write --topic {}", s.output));
    lacks(&format!("Write on topic {}", s.dead_letters), "kafka-acls");
    listeners.allow(user, &["--operation", "Read", "--group", &s.group, "--topic", &s.input]);
    listeners.allow(user, &["--operation", "Write", "--topic", &s.output]);
    lacks(&format!("Write on topic {}", s.dead_letters), "kafka-acls");
    listeners.allow(user, &["--operation", "Write", "--topic", &s.dead_letters]);
    let (code, said) = check(&servers, &variables);
    assert_eq!(code, Some(0), "{said}");
}
