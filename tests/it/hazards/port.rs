//! The port of probes and metrics is open to the network: who holds connections there takes nothing from the program.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::own_broker::OwnBroker;
use crate::support::process::{Instance, processor};
use crate::support::scenario::Scenario;
use crate::support::setup::setup;
use crate::support::{eventually, seconds};

/// Descriptors that the program may have, and connections that are held: a default of 1,024 and thousands, made smaller.
const DESCRIPTORS: usize = 192;
const HELD: usize = 300;

/// Records behind the outage.
const RECORDS: usize = 1_000;

/// A kubelet waits for a second; but this machine may have much else to do.
const PROMPT: Duration = seconds(30);

/// The program, with so few descriptors.
fn start(s: &Scenario) -> Instance {
    let mut variables = s.variables.clone();
    variables.insert("PROCESSOR_HTTP_ADDR".to_owned(), "127.0.0.1:0".to_owned());
    let program = processor();
    let limited = format!("ulimit -n {DESCRIPTORS} && exec {} run", program.display());
    Instance::spawn(&PathBuf::from("/bin/sh"), &["-c", &limited], &variables)
}

/// Where its port is, by its log.
fn address(instance: &Instance) -> String {
    instance.wait_for_log("probes and metrics at http://", seconds(30));
    let log = instance.log();
    let from = log.split("probes and metrics at http://").nth(1).unwrap_or_default();
    from.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect()
}

fn answers_promptly(address: &str) {
    for path in ["/livez", "/readyz", "/metrics"] {
        let begin = Instant::now();
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PROMPT)).expect("a bound");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("it takes a request");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        // Without a broker, or before it has its partitions back, an instance may not be ready, and says so.
        let not_ready = path == "/readyz" && text.starts_with("HTTP/1.1 503 ");
        assert!(text.starts_with("HTTP/1.1 200 OK") || not_ready, "{path}: {text}");
        assert!(begin.elapsed() < PROMPT, "{path} took {:?}", begin.elapsed());
    }
}

#[test]
fn half_sent_requests_keep_out_neither_probes_nor_a_broker_that_comes_back() {
    let Some(broker) = OwnBroker::borrow() else { return };
    let mut s = setup().on(&broker.kafka);
    let mut instance = start(&s);
    s.send_load(100);
    s.wait_until_committed();
    let address = address(&instance);
    broker.kill();
    let hold = |n: usize| {
        let mut stream = TcpStream::connect(&address).expect("it listens");
        // One sends nothing, one half a request, one asks and does not read.
        let sent: [&[u8]; 3] =
            [b"", b"GET /livez HTTP/1.1\r\nHost:", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"];
        stream.write_all(sent[n % 3]).expect("it takes some bytes");
        stream
    };
    let mut held: Vec<_> = (0..HELD).map(hold).collect();
    answers_promptly(&address);
    broker.launch();
    s.send_load(RECORDS);
    // As one does who keeps at it: what is closed is opened again.
    eventually(seconds(60), "what came after the outage is committed", || {
        held.rotate_left(HELD / 10);
        held.truncate(HELD - HELD / 10);
        held.extend((0..HELD / 10).map(hold));
        answers_promptly(&address);
        s.is_committed(|_| true)
    });
    drop(held);
    instance.stop_cleanly();
    // Where the group did without the instance meanwhile, what it had read by then comes again.
    s.judge(RECORDS);
}
