//! Who may write and end a transaction: epochs, timeouts, and requests that come in the wrong order.

use super::topic;
use super::transactions::until_stable;
use super::wire::{Batch, Identity, Wire};
use super::writer::Writer;
use crate::support::kafka::Kafka;
use crate::support::setup::unique_name;

#[test]
fn the_next_of_an_id_ends_what_the_last_left_open_and_fences_it() {
    let kafka = Kafka::for_test();
    let ((mut reader, name), id) = (topic(&kafka, 1), unique_name());
    let mut zombie = Writer::of(&kafka, &id);
    zombie.write(&name, 0, &["left open"]);
    let next = Writer::of(&kafka, &id);
    assert_eq!(next.who.producer, zombie.who.producer);
    assert!(next.who.epoch > zombie.who.epoch, "{:?} {:?}", next.who, zombie.who);
    let got = until_stable(&mut reader, &name, 2);
    assert_eq!(got.aborted, [(zombie.who.producer, 0)]);
    assert_eq!(zombie.put(&name, 0, &["late"]).code, 47);
    assert_eq!(zombie.add(&name, 0), 90);
    assert_eq!(zombie.end(true), 90);
    assert_eq!(zombie.end(false), 90);
    assert_eq!(zombie.renew(), 47, "this request has the code's older name");
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_epoch_over() {
    let kafka = Kafka::for_test();
    let (mut reader, name) = topic(&kafka, 1);
    let mut writer = Writer::with_timeout(&kafka, &unique_name(), 1_000);
    writer.write(&name, 0, &["slow"]);
    reader.produce(&name, 0, &Batch::of(&["held back"]));
    let got = until_stable(&mut reader, &name, 3);
    assert_eq!(got.aborted, [(writer.who.producer, 0)]);
    assert_eq!(writer.end(true), 90, "it is too late");
    assert_eq!(writer.put(&name, 0, &["late"]).code, 47);
    let before = writer.who;
    assert_eq!(writer.renew(), 0, "it may go on under a new epoch");
    assert!(writer.who.epoch > before.epoch);
    assert_eq!(writer.write(&name, 0, &["new"]), 3);
    assert_eq!(writer.end(true), 0);
}

#[test]
fn a_timeout_beyond_the_brokers_limit_is_refused() {
    let kafka = Kafka::for_test();
    let id = unique_name();
    let mut wire = Wire::to_transactions(&kafka, &id);
    for timeout in [900_001, 0, -1] {
        assert_eq!(wire.init_producer(Some(&id), timeout).0, 50, "{timeout} ms");
    }
    assert_eq!(wire.init_producer(Some(&id), 900_000).0, 0);
    assert_eq!(wire.init_producer(Some(""), 60_000).0, 42, "an empty id");
}

#[test]
fn a_partition_that_was_not_added_cannot_be_written_to() {
    let kafka = Kafka::for_test();
    let (mut reader, name) = topic(&kafka, 2);
    let mut writer = Writer::of(&kafka, &unique_name());
    assert_eq!(writer.put(&name, 0, &["a"]).code, 48, "no transaction is open");
    writer.write(&name, 1, &["b"]);
    assert_eq!(writer.put(&name, 0, &["a"]).code, 48, "the transaction is of other partitions");
    assert_eq!(reader.fetch(&name, 0, 0).high_watermark, 0);
    assert_eq!(writer.end(true), 0);
}

#[test]
fn what_does_not_exist_cannot_be_added() {
    let kafka = Kafka::for_test();
    let (_, name) = topic(&kafka, 1);
    let mut writer = Writer::of(&kafka, &unique_name());
    assert_eq!(writer.add(&unique_name(), 0), 3);
    let codes = writer.wire.add_partitions(&writer.id, writer.who, &name, &[7, 0]);
    assert_eq!(codes, [3, 55], "all or none: OPERATION_NOT_ATTEMPTED");
    assert_eq!(writer.add(&name, 0), 0);
}

#[test]
fn an_end_may_be_said_twice_but_not_otherwise() {
    let kafka = Kafka::for_test();
    let (_, name) = topic(&kafka, 1);
    let mut writer = Writer::of(&kafka, &unique_name());
    assert_eq!(writer.end(true), 48, "there was no transaction");
    for commit in [true, false] {
        writer.write(&name, 0, &["a"]);
        assert_eq!(writer.end(commit), 0);
        assert_eq!(writer.end(commit), 0, "the answer was lost perhaps");
        assert_eq!(writer.end(!commit), 48);
    }
}

#[test]
fn who_has_no_such_id_is_told_so() {
    let kafka = Kafka::for_test();
    let (_, name) = topic(&kafka, 1);
    let mut writer = Writer::of(&kafka, &unique_name());
    let stranger = Identity { producer: writer.who.producer + 1_000_000, ..writer.who };
    assert_eq!(writer.wire.add_partitions(&writer.id, stranger, &name, &[0]), [49]);
    assert_eq!(writer.wire.end_transaction(&writer.id, stranger, true), 49);
    let id = unique_name();
    let mut wire = Wire::to_transactions(&kafka, &id);
    assert_eq!(wire.add_partitions(&id, writer.who, &name, &[0]), [49]);
    assert_eq!(wire.end_transaction(&id, writer.who, true), 49);
}

#[test]
fn a_producer_renews_itself_and_begins_at_zero() {
    let kafka = Kafka::for_test();
    let (mut reader, name) = topic(&kafka, 1);
    let mut writer = Writer::of(&kafka, &unique_name());
    let before = writer.who;
    writer.write(&name, 0, &["aborted by it"]);
    assert_eq!(writer.renew(), 0);
    assert_eq!(writer.who.producer, before.producer);
    assert!(writer.who.epoch > before.epoch);
    until_stable(&mut reader, &name, 2);
    assert_eq!(writer.write(&name, 0, &["new"]), 2);
    assert_eq!(writer.end(true), 0);
    assert_eq!(until_stable(&mut reader, &name, 4).aborted, [(before.producer, 0)]);
}

#[test]
fn renewing_may_be_said_twice() {
    let kafka = Kafka::for_test();
    let mut writer = Writer::of(&kafka, &unique_name());
    let before = writer.who;
    assert_eq!(writer.renew(), 0);
    let (code, again) = writer.wire.renew_producer(&writer.id, before);
    assert_eq!((code, again), (0, writer.who), "the answer was lost perhaps");
}

#[test]
fn a_zombie_writes_to_no_partition_that_its_successor_does_not_know() {
    let kafka = Kafka::for_test();
    let ((mut reader, name), id) = (topic(&kafka, 1), unique_name());
    let mut zombie = Writer::of(&kafka, &id);
    let _next = Writer::of(&kafka, &id);
    assert_eq!(zombie.put(&name, 0, &["late"]).code, 47);
    assert_eq!(reader.fetch(&name, 0, 0).high_watermark, 0);
}

#[test]
fn a_plain_batch_of_a_producer_with_an_open_transaction_is_refused() {
    let kafka = Kafka::for_test();
    let (mut reader, name) = topic(&kafka, 1);
    let mut writer = Writer::of(&kafka, &unique_name());
    writer.write(&name, 0, &["within"]);
    let plain = Batch::of(&["plain"]).by(writer.who.producer, writer.who.epoch, 1);
    assert_eq!(reader.produce(&name, 0, &plain).code, 48);
    assert_eq!(writer.end(true), 0);
    assert_eq!(until_stable(&mut reader, &name, 2).values(), ["within"]);
}

#[test]
fn a_transactional_batch_needs_an_id() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let writer = Writer::of(&kafka, &unique_name());
    let batch = Batch::of(&["a"]).by(writer.who.producer, writer.who.epoch, 0).transactional();
    assert_eq!(wire.produce(&name, 0, &batch).code, 53);
}

#[test]
fn a_marker_within_a_transaction_is_refused_too() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let mut writer = Writer::of(&kafka, &unique_name());
    assert_eq!(writer.add(&name, 0), 0);
    let batch = Batch::of(&["a"]).by(writer.who.producer, writer.who.epoch, 0).transactional().control();
    assert_eq!(wire.produce_in(&writer.id, &name, 0, &batch).code, 87);
    assert_eq!(writer.end(false), 0);
}

#[test]
fn a_zombie_is_fenced_without_a_transaction_too() {
    let kafka = Kafka::for_test();
    let ((mut reader, name), id) = (topic(&kafka, 1), unique_name());
    let mut zombie = Writer::of(&kafka, &id);
    zombie.write(&name, 0, &["left open"]);
    let _next = Writer::of(&kafka, &id);
    until_stable(&mut reader, &name, 2);
    let plain = Batch::of(&["plain"]).by(zombie.who.producer, zombie.who.epoch, 1);
    assert_eq!(reader.produce(&name, 0, &plain).code, 47, "the marker has told the partition");
}
