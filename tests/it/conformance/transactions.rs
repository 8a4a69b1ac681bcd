//! Transactions by their own requests: what readers see of them. Who may write and end one is in `fencing`, what librdkafka
//! makes of it all in `exactly_once`.

use super::topic;
use super::wire::{Batch, FetchRequest, Fetched, READ_COMMITTED, READ_UNCOMMITTED, Wire};
use super::writer::Writer;
use crate::support::kafka::Kafka;
use crate::support::setup::unique_name;
use crate::support::{eventually, seconds};

/// Waits until the markers of ended transactions are written: nothing holds readers back.
pub(super) fn until_stable(wire: &mut Wire, topic: &str, end: i64) -> Fetched {
    let mut got = wire.fetch_committed(topic, 0, 0);
    eventually(seconds(30), &format!("{topic} is stable at {end}"), || {
        got = wire.fetch_committed(topic, 0, 0);
        got.last_stable == end
    });
    assert_eq!(got.high_watermark, end);
    got
}

#[test]
fn committed_records_are_visible_and_their_marker_takes_an_offset() {
    let kafka = Kafka::for_test();
    let (mut reader, name) = topic(&kafka, 1);
    let mut writer = Writer::of(&kafka, &unique_name());
    assert_eq!(writer.write(&name, 0, &["a", "b"]), 0);
    assert!(reader.fetch_committed(&name, 0, 0).values().is_empty(), "not yet");
    assert_eq!(reader.fetch(&name, 0, 0).values(), ["a", "b"], "who does not mind sees them");
    assert_eq!(writer.end(true), 0);
    let got = until_stable(&mut reader, &name, 3);
    assert_eq!((got.values(), got.aborted.len()), (vec!["a".to_owned(), "b".to_owned()], 0));
    let marker = &got.batches[1];
    assert_eq!((marker.marker(), marker.records[0].offset), (Some(true), 2));
    assert_eq!((marker.producer, marker.epoch), (writer.who.producer, writer.who.epoch));
}

#[test]
fn aborted_records_are_named_to_readers_and_marked() {
    let kafka = Kafka::for_test();
    let (mut reader, name) = topic(&kafka, 1);
    reader.produce(&name, 0, &Batch::of(&["plain"]));
    let mut writer = Writer::of(&kafka, &unique_name());
    assert_eq!(writer.write(&name, 0, &["gone"]), 1);
    assert_eq!(writer.end(false), 0);
    let got = until_stable(&mut reader, &name, 3);
    assert_eq!(got.aborted, [(writer.who.producer, 1)]);
    assert_eq!(got.batches[2].marker(), Some(false));
    assert!(reader.fetch(&name, 0, 0).aborted.is_empty(), "who does not mind is told of none");
    reader.produce(&name, 0, &Batch::of(&["later"]));
    let behind = reader.fetch_committed(&name, 0, 3);
    assert_eq!(
        (behind.values(), behind.aborted),
        (vec!["later".to_owned()], vec![]),
        "behind it, it is over"
    );
}

#[test]
fn an_open_transaction_holds_back_what_comes_after_it() {
    let kafka = Kafka::for_test();
    let (mut reader, name) = topic(&kafka, 1);
    reader.produce(&name, 0, &Batch::of(&["before"]));
    let mut writer = Writer::of(&kafka, &unique_name());
    writer.write(&name, 0, &["within"]);
    reader.produce(&name, 0, &Batch::of(&["after"]));
    let got = reader.fetch_committed(&name, 0, 0);
    assert_eq!((got.last_stable, got.high_watermark), (1, 3));
    assert_eq!(got.values(), ["before"]);
    assert_eq!(reader.list_offset(&name, 0, -1, READ_COMMITTED).offset, 1);
    assert_eq!(reader.list_offset(&name, 0, -1, READ_UNCOMMITTED).offset, 3);
    let beyond = reader.fetch_committed(&name, 0, 2);
    assert_eq!((beyond.code, beyond.batches.len()), (0, 0), "the end that all may see is in range");
    assert_eq!(writer.end(true), 0);
    assert_eq!(until_stable(&mut reader, &name, 4).values(), ["before", "within", "after"]);
}

#[test]
fn the_oldest_open_transaction_decides() {
    let kafka = Kafka::for_test();
    let (mut reader, name) = topic(&kafka, 1);
    let [mut one, mut other] = [(), ()].map(|()| Writer::of(&kafka, &unique_name()));
    assert_eq!(one.write(&name, 0, &["one"]), 0);
    assert_eq!(other.write(&name, 0, &["other"]), 1);
    assert_eq!(other.end(false), 0);
    eventually(seconds(30), "the marker is written", || reader.fetch(&name, 0, 0).high_watermark == 3);
    assert_eq!(reader.fetch_committed(&name, 0, 0).last_stable, 0, "the first is still open");
    assert_eq!(one.end(true), 0);
    let got = until_stable(&mut reader, &name, 4);
    assert_eq!(got.aborted, [(other.who.producer, 1)]);
    let markers: Vec<_> = got.batches.iter().filter_map(super::wire::Stored::marker).collect();
    assert_eq!(markers, [false, true]);
}

#[test]
fn a_waiting_reader_is_woken_by_the_end_of_a_transaction() {
    let kafka = Kafka::for_test();
    let (mut reader, name) = topic(&kafka, 1);
    let mut writer = Writer::of(&kafka, &unique_name());
    writer.write(&name, 0, &["a"]);
    let request =
        FetchRequest { isolation: READ_COMMITTED, max_wait_ms: 50_000, ..FetchRequest::of(&name, 0, 0) };
    let begin = std::time::Instant::now();
    reader.send(super::wire::Api::Fetch, 11, request.body(11));
    assert_eq!(writer.end(true), 0);
    assert_eq!(reader.fetched(11).1[0].values(), ["a"]);
    assert!(begin.elapsed() < seconds(20), "{:?}", begin.elapsed());
}

#[test]
fn one_transaction_spans_partitions_and_topics() {
    let kafka = Kafka::for_test();
    let ((mut reader, one), (_, other)) = (topic(&kafka, 2), topic(&kafka, 1));
    let mut writer = Writer::of(&kafka, &unique_name());
    for (topic, partition) in [(&one, 0), (&one, 1), (&other, 0)] {
        writer.write(topic, partition, &["a"]);
    }
    assert_eq!(writer.end(true), 0);
    for (topic, partition) in [(&one, 0), (&one, 1), (&other, 0)] {
        eventually(seconds(30), "committed everywhere", || {
            reader.fetch_committed(topic, partition, 0).values() == ["a"]
        });
    }
}

#[test]
fn a_producer_goes_on_with_its_next_transaction() {
    let kafka = Kafka::for_test();
    let (mut reader, name) = topic(&kafka, 1);
    let mut writer = Writer::of(&kafka, &unique_name());
    for (value, commit) in [("a", true), ("b", false), ("c", true)] {
        writer.write(&name, 0, &[value]);
        assert_eq!(writer.end(commit), 0);
    }
    let got = until_stable(&mut reader, &name, 6);
    assert_eq!(got.aborted, [(writer.who.producer, 2)], "b");
    assert_eq!(got.values(), ["a", "b", "c"], "to leave b out is the reader's part");
}

#[test]
fn a_batch_that_is_sent_again_within_its_transaction_is_written_once() {
    let kafka = Kafka::for_test();
    let (mut reader, name) = topic(&kafka, 1);
    let mut writer = Writer::of(&kafka, &unique_name());
    assert_eq!(writer.add(&name, 0), 0);
    let batch = Batch::of(&["once"]).by(writer.who.producer, writer.who.epoch, 0).transactional();
    for time in 0..2 {
        let done = reader.produce_in(&writer.id, &name, 0, &batch);
        assert_eq!((done.code, done.base), (0, 0), "time {time}");
    }
    assert_eq!(writer.end(true), 0);
    assert_eq!(until_stable(&mut reader, &name, 2).values(), ["once"]);
}

#[test]
fn a_transaction_is_ended_in_all_its_partitions_even_without_records() {
    let kafka = Kafka::for_test();
    let (mut reader, name) = topic(&kafka, 1);
    let mut writer = Writer::of(&kafka, &unique_name());
    assert_eq!(writer.add(&name, 0), 0);
    assert_eq!(writer.end(true), 0);
    assert_eq!(until_stable(&mut reader, &name, 1).batches[0].marker(), Some(true));
}
