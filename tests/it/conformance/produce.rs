//! What is written is what is read, and what cannot be written is refused with the code that clients act on.

use super::wire::{Batch, Wire};
use super::{topic, topic_with};
use crate::support::client::{Sender, read_topic};
use crate::support::kafka::Kafka;
use crate::support::record::{Input, Seen, Sent, now_ms};
use crate::support::setup::unique_name;
use crate::support::{eventually, seconds};

/// Sends records with these settings of the producer, and reads them back in the order sent.
fn round_trip(kafka: &Kafka, settings: &[(&str, &str)], inputs: Vec<Input>) {
    let (_, name) = topic(kafka, 1);
    let sent = Sender::with(kafka, settings).send(&name, inputs);
    assert_same(&sent, &read_topic(kafka, &name, 1));
}

fn assert_same(sent: &[Sent], seen: &[Seen]) {
    assert_eq!(sent.len(), seen.len());
    for (sent, seen) in sent.iter().zip(seen) {
        let id = &sent.input.id;
        assert_eq!((sent.partition, sent.offset), (seen.partition, seen.offset), "{id}");
        assert_eq!((&sent.input.key, &sent.input.value), (&seen.key, &seen.value), "{id}");
        assert_eq!(sent.input.headers, seen.headers, "{id}");
        assert_eq!(Some(sent.input.timestamp), seen.timestamp, "{id}");
    }
}

fn valid(count: usize) -> Vec<Input> {
    (0..count).map(|n| Input::valid(&format!("record {n}")).stamped().key(format!("key {n}"))).collect()
}

fn reads_back(codec: &str) {
    let kafka = Kafka::for_test();
    round_trip(&kafka, &[("compression.type", codec), ("linger.ms", "20")], valid(300));
}

#[test]
fn uncompressed_records_read_back() {
    reads_back("none");
}

#[test]
fn gzip_records_read_back() {
    reads_back("gzip");
}

#[test]
fn snappy_records_read_back() {
    reads_back("snappy");
}

#[test]
fn lz4_records_read_back() {
    reads_back("lz4");
}

#[test]
fn zstd_records_read_back() {
    reads_back("zstd");
}

#[test]
fn headers_come_back_in_order_with_repeats_and_nulls() {
    let kafka = Kafka::for_test();
    let record = Input::valid("headers").header("b", Some(b"1")).header("a", None).header("b", Some(b"2"));
    let record =
        record.header("", Some(b"no name")).header("empty", Some(b"")).header("raw", Some(&[0, 255, 128]));
    round_trip(&kafka, &[], vec![record, Input::valid("no headers")]);
}

#[test]
fn null_and_empty_keys_and_values_are_two_things() {
    let kafka = Kafka::for_test();
    let (some, empty) = (|| Some(b"some".to_vec()), || Some(Vec::new()));
    let cases = [(None, some()), (empty(), some()), (some(), None), (some(), empty()), (None, None)];
    let mut records = Vec::new();
    for (key, value) in cases {
        records.push(Input { key, value, ..Input::valid("null or empty") });
    }
    round_trip(&kafka, &[], records);
}

#[test]
fn timestamps_are_kept_even_out_of_order() {
    let kafka = Kafka::for_test();
    let (now, day) = (now_ms(), 86_400_000);
    let at = |timestamp| Input { timestamp, ..Input::valid(&timestamp.to_string()) };
    round_trip(&kafka, &[("linger.ms", "20")], [now, now - day, now - 1, now - 2 * day].map(at).to_vec());
}

#[test]
fn a_topic_by_append_time_has_the_brokers_time() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic_with(&kafka, 1, &[("message.timestamp.type", "LogAppendTime")]);
    let before = now_ms();
    let done = wire.produce(&name, 0, &Batch::sized(2).at(&[1_000, 2_000]));
    assert_eq!(done.code, 0);
    assert!((before..=now_ms()).contains(&done.append_time), "{} is now", done.append_time);
    let records = wire.fetch(&name, 0, 0).batches.remove(0).records;
    assert_eq!(records.iter().map(|r| r.timestamp).collect::<Vec<_>>(), [done.append_time; 2]);
    let seen = read_topic(&kafka, &name, 1);
    assert!(seen.iter().all(|s| s.timestamp == Some(done.append_time)), "librdkafka sees the same");
}

#[test]
fn without_append_time_the_answer_has_none() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    assert_eq!(wire.produce(&name, 0, &Batch::sized(1)).append_time, -1);
}

#[test]
fn a_large_record_passes() {
    let kafka = Kafka::for_test();
    let record = Input { value: Some(b"0123456789".repeat(90_000)), ..Input::valid("large") };
    round_trip(&kafka, &[], vec![record.clone(), Input::valid("small"), record]);
}

#[test]
fn a_batch_larger_than_the_topic_takes_is_refused() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic_with(&kafka, 1, &[("max.message.bytes", "1000")]);
    assert_eq!(wire.produce(&name, 0, &Batch::of(&["x".repeat(1_000)])).code, 10);
    assert_eq!(wire.produce(&name, 0, &Batch::of(&["x".repeat(800)])).base, 0);
}

#[test]
fn the_limit_is_of_the_batch_with_all_its_bytes() {
    let kafka = Kafka::for_test();
    let batch = Batch::of(&["x".repeat(500)]);
    let size = batch.encode().len();
    let (mut wire, name) = topic_with(&kafka, 1, &[("max.message.bytes", &size.to_string())]);
    assert_eq!(wire.produce(&name, 0, &batch).code, 0);
    assert_eq!(wire.produce(&name, 0, &Batch::of(&["x".repeat(501)])).code, 10);
}

/// Nothing of the batch is written, and from version 8 on the answer says whose fault it is.
#[test]
fn a_batch_is_refused_for_some_of_its_records_and_they_are_named() {
    let kafka = Kafka::for_test();
    let (now, hour) = (now_ms(), 3_600_000);
    let early = Batch::sized(4).at(&[now, now + 2 * hour, now, now + 3 * hour]);
    let late = Batch::sized(2).at(&[now - 2 * hour, now]);
    let bound = ("message.timestamp.before.max.ms", "3600000");
    let cases = [
        (&[][..], &early, 32, &[1, 3][..]),
        (&[bound][..], &late, 32, &[0][..]),
        (&[("cleanup.policy", "compact")][..], &Batch::sized(3), 87, &[0, 1, 2][..]),
    ];
    for (settings, batch, code, at_fault) in cases {
        let (mut wire, name) = topic_with(&kafka, 1, settings);
        let done = wire.produce_to(8, None, &name, &[(0, batch.encode())]).remove(0);
        assert_eq!((done.code, done.at_fault.as_slice(), done.base), (code, at_fault, -1), "{settings:?}");
        assert_eq!(wire.produce(&name, 0, batch).code, code, "the same without the names");
        assert_eq!(read_topic(&kafka, &name, 1).len(), 0);
    }
}

#[test]
fn a_topic_takes_what_its_bounds_of_time_say() {
    let kafka = Kafka::for_test();
    let (mut wire, name) =
        topic_with(&kafka, 1, &[("message.timestamp.after.max.ms", "9223372036854775807")]);
    assert_eq!(wire.produce(&name, 0, &Batch::sized(1).at(&[now_ms() + 1_000_000_000])).code, 0);
    assert_eq!(wire.produce(&name, 0, &Batch::sized(1).at(&[1])).code, 0);
}

#[test]
fn what_does_not_exist_cannot_be_written_to() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    for (topic, partition) in [(name.as_str(), 1), (&name, -1), (&unique_name(), 0)] {
        let done = wire.produce(topic, partition, &Batch::sized(1));
        assert_eq!((done.code, done.base), (3, -1), "{topic}/{partition}");
    }
}

#[test]
fn a_batch_that_was_damaged_on_the_way_is_refused() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let good = Batch::of(&["not to be damaged"]).encode();
    for at in [21, 30, 60, good.len() - 3] {
        let mut bad = good.clone();
        bad[at] ^= 4;
        assert_eq!(wire.produce_to(7, None, &name, &[(0, bad)])[0].code, 2, "byte {at} of {}", good.len());
    }
    assert_eq!(wire.produce_to(7, None, &name, &[(0, good)])[0].base, 0, "none of them was written");
}

#[test]
fn acks_none_gets_no_answer_and_the_record_is_there() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    wire.produce_unanswered(&name, 0, &Batch::of(&["unanswered"]));
    // The next answer on this connection is to the next request, which `Wire` checks.
    eventually(seconds(30), "it is there", || wire.fetch(&name, 0, 0).values() == ["unanswered"]);
}

#[test]
fn acks_none_to_nowhere_hangs_up() {
    let kafka = Kafka::for_test();
    let mut wire = Wire::to(&kafka);
    wire.produce_unanswered(&unique_name(), 0, &Batch::of(&["to nowhere"]));
    assert!(wire.frame().is_none(), "there is no other way to tell the client");
}

#[test]
fn acks_of_the_leader_and_of_all_are_the_same_record() {
    let kafka = Kafka::for_test();
    for acks in ["1", "all"] {
        round_trip(&kafka, &[("enable.idempotence", "false"), ("acks", acks)], valid(20));
    }
}

#[test]
fn each_partition_of_a_request_has_its_own_result() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 3);
    let mut bad = Batch::sized(1).encode();
    bad[40] ^= 1;
    let batches = [
        (2, Batch::of(&["c", "d"]).encode()),
        (0, Batch::of(&["a"]).encode()),
        (1, bad),
        (9, Batch::sized(1).encode()),
    ];
    let mut done = wire.produce_to(7, None, &name, &batches);
    done.sort_unstable_by_key(|d| d.partition);
    let codes: Vec<_> = done.iter().map(|d| (d.partition, d.code, d.base)).collect();
    assert_eq!(codes, [(0, 0, 0), (1, 2, -1), (2, 0, 0), (9, 3, -1)]);
    assert_eq!(wire.fetch(&name, 0, 0).values(), ["a"]);
    assert_eq!(wire.fetch(&name, 2, 0).values(), ["c", "d"]);
}

#[test]
fn offsets_have_no_holes_without_transactions() {
    let kafka = Kafka::for_test();
    let (_, name) = topic(&kafka, 3);
    let inputs = (0..300).map(|n| Input::valid(&n.to_string()).to(n % 3)).collect();
    Sender::new(&kafka).send(&name, inputs);
    let seen = read_topic(&kafka, &name, 3);
    for partition in 0..3 {
        let offsets: Vec<_> = seen.iter().filter(|s| s.partition == partition).map(|s| s.offset).collect();
        assert_eq!(offsets, (0..100).collect::<Vec<_>>(), "partition {partition}");
    }
}

#[test]
fn a_partition_takes_one_batch_a_request() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let two = [Batch::sized(1).encode(), Batch::sized(1).encode()].concat();
    assert_eq!(wire.produce_to(7, None, &name, &[(0, two)])[0].code, 87);
    assert_eq!(wire.fetch(&name, 0, 0).high_watermark, 0);
}

#[test]
fn markers_are_the_brokers_own() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    assert_eq!(wire.produce(&name, 0, &Batch::sized(1).control()).code, 87);
}

#[test]
fn acks_are_none_one_or_all() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    for (acks, code) in [(1, 0), (-1, 0), (2, 21), (-2, 21)] {
        assert_eq!(wire.produce_with_acks(acks, &name, 0, &Batch::sized(1)).code, code, "acks {acks}");
    }
    assert_eq!(wire.fetch(&name, 0, 0).high_watermark, 2);
}

#[test]
fn a_record_from_the_future_is_refused() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let (soon, later) = (now_ms() + 600_000, now_ms() + 2 * 3_600_000);
    assert_eq!(wire.produce(&name, 0, &Batch::sized(1).at(&[soon])).code, 0);
    assert_eq!(wire.produce(&name, 0, &Batch::sized(2).at(&[soon, later])).code, 32, "beyond an hour");
    assert_eq!(wire.fetch(&name, 0, 0).high_watermark, 1);
}
