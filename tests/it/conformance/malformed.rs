//! What nobody should send: the broker hangs up or answers with an error, and goes on serving others.

use super::topic;
use super::wire::{Api, Body, FetchRequest, Wire, request};
use crate::support::kafka::Kafka;

/// A frame of these bytes, whatever they are.
fn frame(bytes: &[u8]) -> Vec<u8> {
    Body::new().bytes(bytes).done()
}

/// Sends bytes and nothing more; waits until the broker hangs up, which it has to within a minute.
fn hangs_up(kafka: &Kafka, what: &str, bytes: &[u8]) {
    let mut wire = Wire::to(kafka);
    wire.push(bytes);
    assert!(wire.frame().is_none(), "{what}: the broker hangs up");
    serves_others(kafka);
}

fn serves_others(kafka: &Kafka) {
    assert!(!Wire::to(kafka).metadata_by(4, Some(&[])).0.is_empty(), "the broker serves others");
}

#[test]
fn a_length_of_two_gigabytes_hangs_up() {
    let kafka = Kafka::for_test();
    hangs_up(&kafka, "2 GB", &i32::MAX.to_be_bytes());
}

#[test]
fn a_negative_length_hangs_up() {
    let kafka = Kafka::for_test();
    for length in [-1, i32::MIN] {
        hangs_up(&kafka, "a negative length", &length.to_be_bytes());
    }
}

#[test]
fn another_protocol_hangs_up() {
    let kafka = Kafka::for_test();
    hangs_up(&kafka, "HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    hangs_up(&kafka, "TLS", &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);
}

#[test]
fn an_empty_request_hangs_up() {
    let kafka = Kafka::for_test();
    hangs_up(&kafka, "nothing", &frame(b""));
    hangs_up(&kafka, "half a header", &frame(&[0, 3, 0]));
}

#[test]
fn a_request_that_nobody_knows_hangs_up() {
    let kafka = Kafka::for_test();
    for key in [-1_i16, 999, i16::MAX] {
        let bytes = Body::new().i16(key).i16(0).i32(1).text("conformance").done();
        hangs_up(&kafka, &format!("request {key}"), &frame(&bytes));
    }
}

#[test]
fn a_version_that_nobody_speaks_hangs_up() {
    let kafka = Kafka::for_test();
    hangs_up(&kafka, "Metadata 99", &request(Api::Metadata, 99, 1, Body::new().count(0).bool(false)));
    hangs_up(&kafka, "Metadata -1", &request(Api::Metadata, -1, 1, Body::new().count(0).bool(false)));
}

#[test]
fn a_body_that_ends_early_hangs_up() {
    let kafka = Kafka::for_test();
    let whole = FetchRequest::of("topic", 0, 0).body(11).done();
    for length in [0, 5, whole.len() / 2, whole.len() - 1] {
        let mut body = request(Api::Fetch, 11, 1, Body::new());
        body.drain(..4);
        body.extend_from_slice(&whole[..length]);
        hangs_up(&kafka, &format!("{length} bytes of {}", whole.len()), &frame(&body));
    }
}

#[test]
fn a_list_longer_than_the_request_hangs_up() {
    let kafka = Kafka::for_test();
    for count in [i32::MAX, 1_000_000, -7] {
        hangs_up(&kafka, &format!("{count} topics"), &request(Api::Metadata, 4, 1, Body::new().i32(count)));
    }
    let body = Body::new().i32(-1).i32(0).i32(0).i32(0).i8(0).i32(i32::MAX);
    hangs_up(&kafka, "2,147,483,647 topics", &request(Api::Fetch, 4, 1, body));
}

#[test]
fn a_text_longer_than_the_request_hangs_up() {
    let kafka = Kafka::for_test();
    for length in [i16::MAX, -2] {
        hangs_up(&kafka, "a text", &request(Api::FindCoordinator, 1, 1, Body::new().i16(length).i8(0)));
    }
}

#[test]
fn a_request_that_never_ends_disturbs_nobody() {
    let kafka = Kafka::for_test();
    let whole = request(Api::Metadata, 4, 1, Body::new().count(0).bool(false));
    let mut slow = Wire::to(&kafka);
    slow.push(&whole[..whole.len() - 1]);
    serves_others(&kafka);
    slow.push(&whole[whole.len() - 1..]);
    assert!(slow.frame().is_some(), "it is answered once it has ended");
    slow.push(&whole[..10]);
    slow.finish();
    assert!(slow.frame().is_none(), "cut off in the middle, it is over");
    serves_others(&kafka);
}

#[test]
fn records_that_are_no_batch_are_refused() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let good = super::wire::Batch::of(&["good"]).encode();
    for bytes in [&good[..20], &good[..good.len() - 1], &[0; 8], &[0xff; 100]] {
        let code = wire.produce_to(7, None, &name, &[(0, bytes.to_vec())])[0].code;
        assert_ne!(code, 0, "{} bytes", bytes.len());
    }
    assert_eq!(wire.produce_to(7, None, &name, &[(0, good)])[0].base, 0, "none of them was written");
}

#[test]
fn requests_with_wrong_bytes_end_no_broker() {
    let kafka = Kafka::for_test();
    let (_, name) = topic(&kafka, 1);
    let whole = request(Api::Fetch, 11, 1, FetchRequest::of(&name, 0, 0).body(11));
    let mut chance = fastrand::Rng::with_seed(4);
    for _ in 0..200 {
        let mut bytes = whole.clone();
        for _ in 0..chance.usize(1..4) {
            // The length and the kind of request stay: other kinds could change something.
            bytes[chance.usize(8..whole.len())] = chance.u8(..);
        }
        let mut wire = Wire::to(&kafka);
        wire.push(&bytes);
        wire.finish();
    }
    serves_others(&kafka);
}
