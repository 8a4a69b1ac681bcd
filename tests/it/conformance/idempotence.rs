//! A batch that is sent again is written once: numbers, epochs, and how far back a broker remembers.

use super::topic;
use super::wire::{Batch, Identity, READ_UNCOMMITTED, Wire};
use crate::support::kafka::Kafka;

/// A producer of its own.
fn identity(wire: &mut Wire) -> Identity {
    let (code, who) = wire.init_producer(None, 60_000);
    assert_eq!((code, who.epoch), (0, 0), "a new producer");
    assert!(who.producer >= 0);
    who
}

/// A batch of so many records from this number on.
fn batch(who: Identity, sequence: i32, count: usize) -> Batch {
    Batch::sized(count).by(who.producer, who.epoch, sequence)
}

fn end(wire: &mut Wire, topic: &str, partition: i32) -> i64 {
    wire.list_offset(topic, partition, -1, READ_UNCOMMITTED).offset
}

#[test]
fn every_producer_gets_a_number_of_its_own() {
    let kafka = Kafka::for_test();
    let mut wire = Wire::to(&kafka);
    let (one, other) = (identity(&mut wire), identity(&mut wire));
    assert_ne!(one.producer, other.producer);
}

#[test]
fn the_same_batch_twice_is_written_once() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let who = identity(&mut wire);
    wire.produce(&name, 0, &Batch::sized(3));
    for time in 0..3 {
        let done = wire.produce(&name, 0, &batch(who, 0, 2));
        assert_eq!((done.code, done.base), (0, 3), "time {time}");
    }
    assert_eq!(end(&mut wire, &name, 0), 5);
    assert_eq!(wire.fetch(&name, 0, 3).batches.len(), 1);
}

#[test]
fn a_gap_in_the_numbers_is_refused() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let who = identity(&mut wire);
    assert_eq!(wire.produce(&name, 0, &batch(who, 0, 2)).code, 0);
    assert_eq!(wire.produce(&name, 0, &batch(who, 3, 1)).code, 45, "2 is missing");
    assert_eq!(wire.produce(&name, 0, &batch(who, 1, 1)).code, 45, "part of a batch that was written");
    assert_eq!(wire.produce(&name, 0, &batch(who, 2, 1)).base, 2);
    assert_eq!(end(&mut wire, &name, 0), 3);
}

#[test]
fn the_last_five_batches_are_recognised() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let who = identity(&mut wire);
    for number in 0..6 {
        assert_eq!(wire.produce(&name, 0, &batch(who, number, 1)).base, i64::from(number));
    }
    for number in 1..6 {
        let again = wire.produce(&name, 0, &batch(who, number, 1));
        assert_eq!((again.code, again.base), (0, i64::from(number)));
    }
    assert_eq!(wire.produce(&name, 0, &batch(who, 0, 1)).code, 45, "the sixth last is forgotten");
    assert_eq!(end(&mut wire, &name, 0), 6);
}

#[test]
fn an_old_epoch_is_refused_and_a_new_one_begins_at_zero() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let who = identity(&mut wire);
    let renewed = Identity { epoch: 1, ..who };
    assert_eq!(wire.produce(&name, 0, &batch(who, 0, 4)).code, 0);
    assert_eq!(wire.produce(&name, 0, &batch(renewed, 4, 1)).code, 45, "a new epoch begins at 0");
    assert_eq!(wire.produce(&name, 0, &batch(renewed, 0, 1)).base, 4);
    assert_eq!(wire.produce(&name, 0, &batch(who, 4, 1)).code, 47, "the old epoch is over");
    assert_eq!(end(&mut wire, &name, 0), 5);
}

#[test]
fn numbers_wrap_between_two_batches() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let who = identity(&mut wire);
    assert_eq!(wire.produce(&name, 0, &batch(who, i32::MAX - 1, 2)).code, 0);
    assert_eq!(wire.produce(&name, 0, &batch(who, 1, 1)).code, 45);
    assert_eq!(wire.produce(&name, 0, &batch(who, 0, 1)).base, 2);
}

#[test]
fn numbers_wrap_within_a_batch() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let who = identity(&mut wire);
    assert_eq!(wire.produce(&name, 0, &batch(who, i32::MAX, 3)).code, 0);
    assert_eq!(wire.produce(&name, 0, &batch(who, i32::MAX, 3)).base, 0, "again");
    assert_eq!(wire.produce(&name, 0, &batch(who, 2, 1)).base, 3);
}

#[test]
fn partitions_and_producers_count_for_themselves() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 2);
    let (one, other) = (identity(&mut wire), identity(&mut wire));
    assert_eq!(wire.produce(&name, 0, &batch(one, 0, 1)).base, 0);
    assert_eq!(wire.produce(&name, 1, &batch(one, 0, 1)).base, 0);
    assert_eq!(wire.produce(&name, 0, &batch(other, 0, 1)).base, 1);
    assert_eq!(wire.produce(&name, 0, &batch(one, 1, 1)).base, 2);
    assert_eq!(wire.produce(&name, 0, &batch(other, 0, 1)).base, 1, "again, though another wrote since");
}

#[test]
fn batches_of_nobody_are_not_compared() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let batch = Batch::sized(1);
    assert_eq!([0, 1, 2].map(|_| wire.produce(&name, 0, &batch).base), [0, 1, 2]);
}
