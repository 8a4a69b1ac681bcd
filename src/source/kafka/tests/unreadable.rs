//! A batch that cannot be read.

use std::collections::HashMap;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::{Bench, Event, Misread, NOTHING, RebalanceEvent, Trouble, partition};

impl Bench {
    /// An error in place of a partition's records.
    pub(super) fn misread(&self, number: i32, offset: i64, code: Code) {
        let misread = Misread { partition: Some(partition(number)), offset, code, text: "bad".to_owned() };
        self.client.0.lock().misread.push(misread);
    }

    /// Time passes, and the topics stay what they are: an offset that is gone is one of this topic.
    fn is_ended_by_what_is_gone(&mut self) -> bool {
        for _ in 0..2 {
            self.client.tell(Event::TopicIds(Ok(HashMap::new())));
            self.after(3_000);
        }
        matches!(self.trouble.try_recv(), Ok(Trouble::Failed(_)))
    }
}

/// One that was given 3 and 4, an error at 5, and what is behind it.
fn before_a_bad_batch(code: Code) -> Bench {
    let mut bench = Bench::at_work(20);
    bench.misread(0, 5, code);
    bench.feed(3..8);
    bench
}

#[test]
fn what_is_before_a_bad_batch_is_taken_and_nothing_behind_it() {
    for code in [
        Code::BadMessage,
        Code::InvalidMessage,
        Code::BadCompression,
        Code::NotImplemented,
        Code::MessageSizeTooLarge,
    ] {
        let mut bench = before_a_bad_batch(code);
        bench.feed(8..9);
        assert_eq!(*bench.desk.admitted.lock(), [3, 4], "{code:?}");
        assert_eq!(bench.client.done(), ["park 0@5"], "{code:?}");
        assert!(
            bench.desk.stands.lock()[0].contains("the batch at offset 5 cannot be read: bad"),
            "{code:?}"
        );
        assert!(bench.trouble.is_empty(), "{code:?}: it is no reason to end");
    }
}

/// librdkafka's position is anywhere after a bad batch.
#[test]
fn what_is_said_of_the_position_behind_a_bad_batch_means_nothing() {
    let mut bench = before_a_bad_batch(Code::BadMessage);
    bench.misread(0, 1 << 60, Code::NotImplemented);
    bench.misread(0, 1 << 60, Code::AutoOffsetReset);
    bench.feed(9..10);
    assert!(bench.trouble.is_empty());
    assert_eq!(bench.desk.stands.lock().len(), 1);
}

#[test]
fn it_is_begun_anew_after_a_pause_that_doubles_and_goes_on_where_it_stood() {
    let mut bench = before_a_bad_batch(Code::BadMessage);
    assert_eq!(bench.after(499), ["park 0@5"]);
    assert_eq!(bench.after(1), ["restart 0 of 0@5"]);
    bench.misread(0, 5, Code::BadMessage);
    assert_eq!(bench.after(0), ["park 0@5"]);
    assert_eq!(bench.after(999), NOTHING);
    assert_eq!(bench.after(1), ["restart 0 of 0@5"]);
    bench.feed(5..8);
    assert_eq!(*bench.desk.admitted.lock(), [3, 4, 5, 6, 7]);
    bench.misread(0, 9, Code::BadMessage);
    bench.feed(8..9);
    assert_eq!(bench.client.done(), ["park 0@9"], "and as at first when there is another one");
    assert_eq!(bench.after(500), ["restart 0 of 0@9"]);
}

#[test]
fn it_is_begun_anew_once_more_if_nothing_is_heard_of_it() {
    let mut bench = before_a_bad_batch(Code::BadMessage);
    bench.after(500);
    assert_eq!(bench.after(29_999), NOTHING);
    assert_eq!(bench.after(1), NOTHING);
    assert_eq!(bench.after(0), ["park 0@5", "restart 0 of 0@5"]);
}

#[test]
fn a_start_in_the_middle_of_it_is_kept_and_another_partition_goes_on() {
    let mut bench = Bench::new(10);
    bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Assigned(vec![partition(0), partition(1)])));
    bench.source.round();
    bench.client.done();
    bench.misread(0, 1, Code::BadMessage);
    bench.fetch(1, 3..6);
    bench.fetch(0, 9..10);
    assert_eq!(bench.after(0), ["park 0@3"]);
    assert_eq!(*bench.desk.admitted.lock(), [3, 4, 5]);
    assert_eq!(bench.after(500), ["restart 0 of 0@3 1@6"]);
}

/// The group would take it for the answer.
#[test]
fn it_is_not_begun_anew_while_the_group_waits_for_an_answer() {
    let mut bench = before_a_bad_batch(Code::BadMessage);
    bench.client.done();
    bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Revoked(vec![partition(0)])));
    assert_eq!(bench.after(500), NOTHING, "two records are in flight");
}

#[test]
fn an_error_that_librdkafka_deals_with_is_shown_and_stops_nothing() {
    let mut bench = Bench::at_work(10);
    bench.misread(0, 3, Code::UnknownTopicOrPartition);
    bench.feed(3..5);
    assert_eq!(*bench.desk.admitted.lock(), [3, 4]);
    assert_eq!(*bench.desk.stands.lock(), ["bad"]);
    assert_eq!(bench.client.done(), NOTHING);
    bench.misread(0, 5, Code::AutoOffsetReset);
    bench.source.round();
    assert!(bench.is_ended_by_what_is_gone());
}

/// Once that may be an old answer to a position that was nowhere.
#[test]
fn an_offset_out_of_the_log_ends_it_the_second_time() {
    let mut bench = before_a_bad_batch(Code::BadMessage);
    bench.after(500);
    bench.misread(0, 5, Code::AutoOffsetReset);
    bench.source.round();
    assert!(bench.trouble.is_empty());
    bench.client.done();
    assert_eq!(bench.after(500), ["restart 0 of 0@5"]);
    bench.misread(0, 5, Code::AutoOffsetReset);
    bench.source.round();
    assert!(bench.is_ended_by_what_is_gone());
}
