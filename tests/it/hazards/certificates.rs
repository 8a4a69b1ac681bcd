//! Certificates that change while the program runs: ours, and the authority that signed the broker's.

use std::fs;
use std::path::PathBuf;

use super::connecting;
use crate::support::listeners::Listener::{Certified, Plain, Trusting};
use crate::support::listeners::{Door, Listeners, PASSWORD, text};
use crate::support::process::Instance;
use crate::support::scenario::Scenario;
use crate::support::setup::{Setup, setup};
use crate::support::{eventually, seconds};

const ANEW: &str = "beginning anew with them";

fn copy(listeners: &Listeners, from: &str, to: &PathBuf) {
    // In one step, as a secret of Kubernetes is replaced.
    let beside = to.with_extension("new");
    fs::copy(listeners.file(from), &beside).expect("it can be copied");
    fs::rename(beside, to).expect("it can be renamed");
}

/// Waits until a listener does not accept these any more: what is altered is known to the broker a moment later.
fn wait_until_refused(door: &Door, variables: &[(&'static str, &str)]) {
    let variables = connecting::set(&[&[("KAFKA_SECURITY_PROTOCOL", "ssl")], variables].concat());
    eventually(seconds(60), "the listener has changed", || {
        connecting::check(&door.servers, &variables).0 == Some(77)
    });
}

/// One who comes with a certificate of the first authority, in a file of its own.
struct Visitor {
    keystore: PathBuf,
    s: Scenario,
    instance: Instance,
}

impl Visitor {
    fn start(listeners: &Listeners, door: &Door, name: &str, setup: Setup) -> Self {
        let keystore = listeners.file(&format!("{name}.keystore"));
        copy(listeners, "client.p12", &keystore);
        let mut s = setup
            .set("KAFKA_SERVERS", &door.servers)
            .set("KAFKA_SECURITY_PROTOCOL", "ssl")
            .set("KAFKA_SSL_CA_LOCATION", text(&listeners.file("authority.pem")))
            .set("KAFKA_SSL_KEYSTORE_LOCATION", text(&keystore))
            .set("KAFKA_SSL_KEYSTORE_PASSWORD", PASSWORD)
            .set("PROCESSOR_HTTP_ADDR", "127.0.0.1:0")
            .on(&listeners.at(Plain));
        let instance = s.start();
        s.send_load(200);
        Self { keystore, s, instance }
    }

    fn goes_on(mut self) {
        self.s.send_load(200);
        self.instance.wait_for_log(ANEW, seconds(60));
        self.s.finish(self.instance);
    }
}

/// The broker trusts another authority from now on. Who has a certificate of it goes on within the process, whether it came before or
/// after; who gets one that does not help begins anew once, and ends with 77.
#[test]
fn a_certificate_of_ours_that_is_rotated_takes_over() {
    let Some(listeners) = Listeners::get() else { return };
    let door = listeners.door(Trusting);
    let visitor = |name, setup| Visitor::start(listeners, &door, name, setup);
    let early = visitor("early", setup());
    let late = visitor("late", setup().exactly_once());
    let mut left_behind = visitor("left-behind", setup());
    for one in [&early, &late, &left_behind] {
        one.s.wait_until_committed();
    }
    // What has changed is of no interest while connections live.
    copy(listeners, "client-of-other.p12", &early.keystore);
    listeners.alter(Trusting, "ssl.truststore.location", text(&listeners.file("trust-of-other.p12")));
    let (authority, client) = (listeners.file("authority.pem"), listeners.file("client.p12"));
    wait_until_refused(
        &door,
        &[
            ("KAFKA_SSL_CA_LOCATION", text(&authority)),
            ("KAFKA_SSL_KEYSTORE_LOCATION", text(&client)),
            ("KAFKA_SSL_KEYSTORE_PASSWORD", PASSWORD),
        ],
    );
    assert!(!early.instance.log().contains(ANEW), "its connections live");
    door.cut();
    for one in [&late, &left_behind] {
        one.instance.wait_for_log("the broker does not let us in", seconds(60));
    }
    assert!(!late.instance.log().contains(ANEW), "nothing of its has changed");
    copy(listeners, "client-of-other.p12", &late.keystore);
    copy(listeners, "elsewhere.p12", &left_behind.keystore);
    early.goes_on();
    late.goes_on();
    left_behind.s.send_load(200);
    let instance = &mut left_behind.instance;
    instance.wait_for_log(ANEW, seconds(60));
    eventually(seconds(60), "it is not ready, and says why", || {
        let (code, said) = connecting::page(instance, "/readyz");
        code == 503 && said.contains("does not accept our certificate")
    });
    assert_eq!(instance.wait_exit(seconds(180)), Some(77));
    assert_eq!(instance.log().matches(ANEW).count(), 1, "it begins anew once for each change");
    left_behind.s.judge_so_far();
}

/// The broker's certificate is of another authority from now on, with records in flight.
#[test]
fn an_authority_that_is_rotated_takes_over() {
    let Some(listeners) = Listeners::get() else { return };
    let door = listeners.door(Certified);
    let authority = listeners.file("rotated.pem");
    copy(listeners, "authority.pem", &authority);
    let mut s = setup()
        .set("KAFKA_SERVERS", &door.servers)
        .set("KAFKA_SECURITY_PROTOCOL", "ssl")
        .set("KAFKA_SSL_CA_LOCATION", text(&authority))
        .on(&listeners.at(Plain));
    let mut instance = s.start();
    s.send_load(200);
    s.wait_until_committed();
    listeners.alter(Certified, "ssl.keystore.location", text(&listeners.file("good-of-other.p12")));
    wait_until_refused(&door, &[("KAFKA_SSL_CA_LOCATION", text(&listeners.file("authority.pem")))]);
    s.send_load(2_000);
    door.cut();
    instance.wait_for_log("certificate is not accepted", seconds(60));
    // Half of it, as if it was being written: clients cannot be made of that.
    fs::write(&authority, "-----BEGIN CERTIFICATE-----\nMIIB").expect("it can be written");
    s.send_load(200);
    copy(listeners, "other.pem", &authority);
    instance.wait_for_log(ANEW, seconds(60));
    s.wait_until_committed();
    instance.stop_cleanly();
    // What was answered and not committed yet is repeated, as after a crash.
    s.judge(2_000);
}
