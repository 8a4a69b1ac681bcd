//! `processor health` finds the instance that runs here, wherever it listens.

use std::net::TcpListener;
use std::process::Output;

use super::{Waiting, code, err, out, processor};

const PROGRAM: &str = env!("CARGO_BIN_EXE_processor");

/// An address of this host at which nobody listens now.
pub(super) fn free(host: &str) -> String {
    TcpListener::bind((host, 0)).expect("a free port").local_addr().expect("a bound port").to_string()
}

/// What a health check of this environment says. The address tells the instances of other tests apart.
fn health(address: &str, more: &[&str]) -> Output {
    processor(&[&["health"], more].concat(), &[("PROCESSOR_HTTP_ADDR", address)])
}

#[test]
fn it_follows_the_environment_with_ipv4_and_ipv6() {
    for host in ["127.0.0.1", "::1"] {
        let address = free(host);
        let _instance = Waiting::start(PROGRAM, &["run"], &[("PROCESSOR_HTTP_ADDR", &address)]);
        let live = health(&address, &["--live"]);
        assert_eq!(
            (code(&live), out(&live).as_str()),
            (Some(0), "{\"status\":\"alive\"}\n"),
            "{}",
            err(&live)
        );
        let ready = health(&address, &[]);
        assert_eq!(code(&ready), Some(1), "no broker answers");
        assert!(out(&ready).contains("not_ready"), "{}", out(&ready));
    }
}

#[test]
fn it_follows_the_flags_of_the_instance_that_runs_here() {
    let (environment, flag) = (free("127.0.0.1"), free("127.0.0.1"));
    let instance = Waiting::start(
        PROGRAM,
        &["run", "--processor-http-addr", &flag],
        &[("PROCESSOR_HTTP_ADDR", &environment)],
    );
    let live = health(&environment, &["--live"]);
    assert_eq!(code(&live), Some(0), "{}", err(&live));
    // What this call itself is told goes before.
    let elsewhere = health(&environment, &["--live", "--processor-http-addr", &environment]);
    assert_eq!(code(&elsewhere), Some(1));
    assert!(err(&elsewhere).contains(&environment), "{}", err(&elsewhere));
    drop(instance);
    let gone = health(&environment, &["--live"]);
    assert_eq!(code(&gone), Some(1), "{}", out(&gone));
}

#[test]
fn without_a_listener_an_instance_that_runs_counts_as_alive() {
    let environment = free("127.0.0.1");
    let arguments = ["run", "--processor-http-addr=off"];
    let _instance = Waiting::start(PROGRAM, &arguments, &[("PROCESSOR_HTTP_ADDR", &environment)]);
    assert_eq!(code(&health(&environment, &["--live"])), Some(0));
    let ready = health(&environment, &[]);
    assert_eq!(code(&ready), Some(1));
    assert!(err(&ready).contains("PROCESSOR_HTTP_ADDR is off"), "{}", err(&ready));
    let other = processor(&["health", "--live"], &[("PROCESSOR_HTTP_ADDR", "OFF")]);
    assert_eq!(code(&other), Some(1), "nobody was started like this: {}", out(&other));
}

#[test]
fn two_instances_that_look_alike_are_not_guessed_about() {
    let addresses = [free("127.0.0.1"), free("127.0.0.1")];
    let environment = free("127.0.0.1");
    let _instances = addresses.each_ref().map(|address| {
        let arguments = ["run", "--processor-http-addr", address];
        Waiting::start(PROGRAM, &arguments, &[("PROCESSOR_HTTP_ADDR", &environment)])
    });
    let which = health(&environment, &["--live"]);
    assert_eq!(code(&which), Some(1));
    assert!(addresses.iter().all(|address| err(&which).contains(address)), "{}", err(&which));
    let one = health(&environment, &["--live", "--url", &addresses[1]]);
    assert_eq!(code(&one), Some(0), "{}", err(&one));
}

#[test]
fn a_port_that_is_taken_is_a_fault() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("a bound port").to_string();
    let variables = [&super::MINIMUM[..], &[("PROCESSOR_HTTP_ADDR", address.as_str())]].concat();
    let output = processor(&["run"], &variables);
    assert_eq!(code(&output), Some(78), "{}", out(&output));
    assert!(
        err(&output).contains(&format!("PROCESSOR_HTTP_ADDR={address}: the port is in use")),
        "{}",
        err(&output)
    );
}
