//! Reading a partition: waiting, where to begin, how much, and which offset belongs to a time.

use std::time::Instant;

use super::topic;
use super::wire::{Api, Batch, FetchRequest, Listed, READ_COMMITTED, READ_UNCOMMITTED};
use crate::support::kafka::Kafka;
use crate::support::record::now_ms;
use crate::support::seconds;
use crate::support::setup::unique_name;

#[test]
fn a_fetch_waits_as_long_as_it_was_told() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let begin = Instant::now();
    let got = wire.fetch_by(&FetchRequest { max_wait_ms: 700, ..FetchRequest::of(&name, 0, 0) }).remove(0);
    assert_eq!((got.code, got.batches.len(), got.high_watermark), (0, 0, 0));
    assert!(begin.elapsed().as_millis() >= 690, "{:?}", begin.elapsed());
}

#[test]
fn a_waiting_fetch_is_woken_by_a_record() {
    let kafka = Kafka::for_test();
    let ((mut reader, name), (mut writer, _)) = (topic(&kafka, 2), topic(&kafka, 1));
    let request =
        FetchRequest { max_wait_ms: 50_000, ..FetchRequest::several(&[(&name, 0, 0), (&name, 1, 0)]) };
    let begin = Instant::now();
    reader.send(Api::Fetch, 11, request.body(11));
    writer.produce(&name, 1, &Batch::of(&["wake up"]));
    let got = reader.fetched(11).1;
    assert!(begin.elapsed() < seconds(20), "{:?}", begin.elapsed());
    let values: Vec<_> = got.iter().flat_map(super::wire::Fetched::values).collect();
    assert_eq!(values, ["wake up"]);
}

#[test]
fn a_fetch_waits_for_as_many_bytes_as_it_was_told() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    wire.produce(&name, 0, &Batch::of(&["few bytes"]));
    let begin = Instant::now();
    let request = FetchRequest { max_wait_ms: 700, min_bytes: 100_000, ..FetchRequest::of(&name, 0, 0) };
    assert_eq!(wire.fetch_by(&request)[0].values(), ["few bytes"], "after the wait it gets what there is");
    assert!(begin.elapsed().as_millis() >= 690, "{:?}", begin.elapsed());
}

#[test]
fn an_offset_within_a_batch_gets_the_whole_batch() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    for _ in 0..3 {
        wire.produce(&name, 0, &Batch::sized(10));
    }
    for (offset, first) in [(0, 0), (9, 0), (10, 10), (15, 10), (29, 20)] {
        let got = wire.fetch(&name, 0, offset);
        assert_eq!((got.code, got.batches[0].base), (0, first), "from {offset}");
        assert_eq!(got.high_watermark, 30);
    }
}

#[test]
fn the_end_is_in_range_and_what_is_beyond_is_not() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    wire.produce(&name, 0, &Batch::sized(10));
    let end = wire.fetch(&name, 0, 10);
    assert_eq!((end.code, end.batches.len()), (0, 0));
    assert_eq!((end.high_watermark, end.last_stable, end.log_start), (10, 10, 0));
    for offset in [11, 1_000_000, -1] {
        let got = wire.fetch(&name, 0, offset);
        assert_eq!((got.code, got.batches.len()), (1, 0), "from {offset}");
    }
}

#[test]
fn an_error_does_not_wait() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 2);
    let missing = unique_name();
    let from = [(name.as_str(), 0, 99), (&name, 1, 0), (&missing, 0, 0), (&name, 7, 0)];
    let begin = Instant::now();
    let mut got = wire.fetch_by(&FetchRequest { max_wait_ms: 50_000, ..FetchRequest::several(&from) });
    assert!(begin.elapsed() < seconds(20), "{:?}", begin.elapsed());
    got.sort_by_key(|f| (f.topic == missing, f.partition));
    let codes: Vec<_> = got.iter().map(|f| (f.topic.as_str(), f.partition, f.code)).collect();
    assert_eq!(codes, [(name.as_str(), 0, 1), (&name, 1, 0), (&name, 7, 3), (&missing, 0, 3)]);
}

#[test]
fn the_first_batch_comes_however_large_it_is() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 2);
    let batch = Batch::of(&["x".repeat(5_000)]);
    for partition in [0, 0, 1] {
        wire.produce(&name, partition, &batch);
    }
    let mut request = FetchRequest::several(&[(&name, 0, 0), (&name, 1, 0)]);
    request.max_bytes = 100;
    let got = wire.fetch_by(&request);
    let counts: Vec<_> = got.iter().map(|f| (f.code, f.batches.len())).collect();
    assert_eq!(counts, [(0, 1), (0, 0)], "one batch of all, or a reader would never get past it");
    request.max_bytes = 1 << 20;
    request.from[0].3 = 100;
    let got = wire.fetch_by(&request);
    assert_eq!((got[0].batches.len(), got[1].batches.len()), (1, 1), "one batch of its partition");
}

#[test]
fn a_partition_gives_no_more_than_it_was_asked_for() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let batch = Batch::of(&["x".repeat(1_000)]);
    for _ in 0..10 {
        wire.produce(&name, 0, &batch);
    }
    let size = i32::try_from(batch.encode().len()).expect("small");
    let mut request = FetchRequest::of(&name, 0, 0);
    request.from[0].3 = 3 * size + size / 2;
    assert_eq!(wire.fetch_by(&request)[0].batches.len(), 3);
    request.from[0].3 = 1 << 20;
    request.max_bytes = 4 * size + size / 2;
    assert_eq!(wire.fetch_by(&request)[0].batches.len(), 4);
}

#[test]
fn a_session_that_the_broker_does_not_know_is_refused() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let request = FetchRequest { session: (12_345, 1), ..FetchRequest::of(&name, 0, 0) };
    wire.send(Api::Fetch, 11, request.body(11));
    let (code, partitions) = wire.fetched(11);
    assert_eq!((code, partitions.len()), (70, 0));
}

#[test]
fn one_who_asks_for_a_session_gets_all_partitions() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 2);
    wire.produce(&name, 1, &Batch::of(&["here"]));
    let request = FetchRequest { session: (0, 0), ..FetchRequest::several(&[(&name, 0, 0), (&name, 1, 0)]) };
    wire.send(Api::Fetch, 11, request.body(11));
    let (code, partitions) = wire.fetched(11);
    assert_eq!((code, partitions.len()), (0, 2));
    assert_eq!(partitions[1].values(), ["here"]);
}

#[test]
fn the_beginning_and_the_end_have_offsets() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    wire.produce(&name, 0, &Batch::sized(10));
    for isolation in [READ_UNCOMMITTED, READ_COMMITTED] {
        let at = |offset| Listed { code: 0, timestamp: -1, offset };
        assert_eq!(wire.list_offset(&name, 0, -2, isolation), at(0));
        assert_eq!(wire.list_offset(&name, 0, -1, isolation), at(10));
    }
    assert_eq!(wire.list_offset(&name, 5, -1, READ_UNCOMMITTED).code, 3);
    assert_eq!(wire.list_offset(&unique_name(), 0, -1, READ_UNCOMMITTED).code, 3);
}

#[test]
fn a_time_finds_the_first_record_that_is_not_older() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let t = now_ms() - 60_000;
    wire.produce(&name, 0, &Batch::sized(3).at(&[t, t + 10, t + 20]));
    // Out of order within the batch, and older than the batch before.
    wire.produce(&name, 0, &Batch::sized(3).at(&[t + 5, t + 40, t + 30]));
    let cases = [
        (0, t, 0),
        (t, t, 0),
        (t + 1, t + 10, 1),
        (t + 20, t + 20, 2),
        (t + 21, t + 40, 4),
        (t + 40, t + 40, 4),
    ];
    for (asked, timestamp, offset) in cases {
        let found = wire.list_offset(&name, 0, asked, READ_UNCOMMITTED);
        assert_eq!(found, Listed { code: 0, timestamp, offset }, "{} ms after t", asked - t);
    }
    let none = Listed { code: 0, timestamp: -1, offset: -1 };
    assert_eq!(wire.list_offset(&name, 0, t + 41, READ_UNCOMMITTED), none, "all are older");
}

#[test]
fn a_time_finds_nothing_in_an_empty_partition() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let none = Listed { code: 0, timestamp: -1, offset: -1 };
    assert_eq!(wire.list_offset(&name, 0, 0, READ_UNCOMMITTED), none);
}

#[test]
fn a_time_finds_no_record_that_was_deleted() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    let t = now_ms() - 60_000;
    wire.produce(&name, 0, &Batch::sized(3).at(&[t + 5, t + 9, t]));
    wire.produce(&name, 0, &Batch::sized(1).at(&[t + 8]));
    assert_eq!(wire.delete_records(&name, 0, 2), (0, 2));
    let at = |timestamp, offset| Listed { code: 0, timestamp, offset };
    assert_eq!(wire.list_offset(&name, 0, t, READ_UNCOMMITTED), at(t, 2));
    assert_eq!(wire.list_offset(&name, 0, t + 1, READ_UNCOMMITTED), at(t + 8, 3));
    assert_eq!(wire.list_offset(&name, 0, t + 9, READ_UNCOMMITTED), at(-1, -1));
}
