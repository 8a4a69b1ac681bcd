//! A password that changes while the program runs.

use std::fs;
use std::time::Instant;

use crate::support::listeners::Listener::{Login, Plain};
use crate::support::listeners::{Listeners, text};
use crate::support::process::Instance;
use crate::support::scenario::Scenario;
use crate::support::setup::{Setup, setup};
use crate::support::{eventually, seconds};

/// A user of its own, whose password stands in a file, and who may do everything that this scenario needs.
fn login(listeners: &Listeners, user: &'static str, setup: Setup) -> Scenario {
    let file = listeners.file(&format!("{user}.password"));
    fs::write(&file, "first-secret\n").expect("it can be written");
    listeners.set_password(user, "first-secret");
    let s = setup
        .set("KAFKA_SERVERS", listeners.at(Login).servers)
        .set("KAFKA_SECURITY_PROTOCOL", "sasl_plaintext")
        .set("KAFKA_SASL_MECHANISM", "SCRAM-SHA-256")
        .set("KAFKA_SASL_USERNAME", user)
        .set("KAFKA_SASL_PASSWORD_FILE", text(&file))
        .set("PROCESSOR_HTTP_ADDR", "127.0.0.1:0")
        .set("PROCESSOR_DRAIN_TIMEOUT", "1s")
        .on(&listeners.at(Plain));
    let all = ["--operation", "All", "--topic", "*", "--group", "*", "--transactional-id", "*"];
    listeners.allow(user, &all);
    wait_until_allowed(&s);
    s
}

/// What was granted is known to the broker a moment later.
fn wait_until_allowed(s: &Scenario) {
    eventually(seconds(60), "the broker knows the rights", || s.command_to_end("check").0 == Some(0));
}

/// Brokers ask for the password again every three seconds here. The program goes on with what the file has now, and as the same members.
fn goes_on(user: &'static str, setup: Setup) {
    let Some(listeners) = Listeners::get() else { return };
    let mut s = login(listeners, user, setup);
    let instance = s.start();
    s.send_load(200);
    s.wait_until_committed();
    listeners.set_password(user, "second-secret");
    instance.wait_for_log("the broker does not let us in", seconds(60));
    fs::write(listeners.file(&format!("{user}.password")), "second-secret\n").expect("it can be written");
    instance.wait_for_log("the file of the SASL password has changed", seconds(30));
    s.send_load(200);
    let log = instance.log();
    assert!(!log.contains("first-secret") && !log.contains("second-secret"), "{log}");
    s.finish(instance);
}

#[test]
fn a_password_that_is_rotated_is_read_again() {
    goes_on("rotating", setup());
}

#[test]
fn a_password_that_is_rotated_is_read_again_by_transactional_clients() {
    goes_on("rotating-exactly-once", setup().exactly_once());
}

/// Only the consumers' user has another password: the process begins anew with it.
#[test]
fn a_password_of_the_consumers_alone_that_is_rotated_takes_over() {
    let Some(listeners) = Listeners::get() else { return };
    let (user, other) = ("rotating-consumer", "staying-producer");
    let file = listeners.file(&format!("{user}.own.password"));
    fs::write(&file, "first-secret\n").expect("it can be written");
    let own = setup()
        .set("KAFKA_CONSUMER_SASL_USERNAME", user)
        .set("KAFKA_CONSUMER_SASL_PASSWORD_FILE", text(&file));
    listeners.set_password(user, "first-secret");
    listeners.allow(user, &["--operation", "All", "--topic", "*", "--group", "*"]);
    let mut s = login(listeners, other, own);
    let instance = s.start();
    s.send_load(200);
    s.wait_until_committed();
    listeners.set_password(user, "second-secret");
    instance.wait_for_log("the broker does not let us in", seconds(60));
    fs::write(&file, "second-secret\n").expect("it can be written");
    instance.wait_for_log("beginning anew with them", seconds(60));
    s.send_load(200);
    let log = instance.log();
    assert!(!log.contains("first-secret") && !log.contains("second-secret"), "{log}");
    s.finish(instance);
}

/// What was refused for a while is let in again with what it has: it is ready soon, and not only when the refusal is forgotten.
#[test]
fn who_is_let_in_again_is_ready_again() {
    let Some(listeners) = Listeners::get() else { return };
    let user = "pardoned";
    let mut s = login(listeners, user, setup());
    let instance = s.start();
    let is_ready = |wanted| super::connecting::page(&instance, "/readyz").0 == wanted;
    eventually(seconds(60), "it is ready", || is_ready(200));
    listeners.set_password(user, "second-secret");
    eventually(seconds(60), "it is not ready", || is_ready(503));
    listeners.set_password(user, "first-secret");
    let begun = Instant::now();
    eventually(seconds(60), "it is ready again", || is_ready(200));
    assert!(begun.elapsed() < seconds(30), "it took {:?}", begun.elapsed());
    s.send_load(200);
    s.finish(instance);
}

/// The file never gets the new password: it is not ready, and ends after a minute of refusals.
#[test]
fn a_password_that_stays_wrong_ends_it() {
    let Some(listeners) = Listeners::get() else { return };
    let user = "left-behind";
    let mut s = login(listeners, user, setup());
    let mut instance: Instance = s.start();
    s.send_load(200);
    s.wait_until_committed();
    listeners.set_password(user, "second-secret");
    eventually(seconds(60), "it is not ready, and says why", || {
        let (code, said) = super::connecting::page(&instance, "/readyz");
        code == 503 && said.contains("refuses user or password")
    });
    assert_eq!(instance.wait_exit(seconds(180)), Some(77));
    s.judge_so_far();
}
