//! The output topic goes and comes.

use crate::support::client::read_topic;
use crate::support::kafka::Kafka;
use crate::support::record::{Expect, Input};
use crate::support::setup::setup;
use crate::support::{admin, eventually, holds_within, seconds};

#[test]
fn the_output_topic_deleted_in_the_middle_and_made_again() {
    let kafka = Kafka::for_test();
    // Fewer in flight than come in, and less patience of the group than the topic is away: the program must wait at
    // its bound and still be a member.
    let setup = setup().set("PROCESSOR_MAX_IN_FLIGHT", 100).set("KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS", 8_000);
    // The client says at once that the topic is gone; by itself it would wait for half a minute, and the program not notice.
    let mut s = setup.set("KAFKA_TOPIC_METADATA_PROPAGATION_MAX_MS", 500).on(&kafka);
    s.send_load(500);
    let mut instance = s.start();
    s.wait_until_committed();
    admin::delete_topic(&kafka, &s.output);
    // What was there is gone with the topic.
    let old = std::mem::take(&mut s.sent);
    s.send_load(1_000);
    eventually(seconds(60), "the log names the output topic", || instance.log().contains(&s.output));
    let valid = |s: &crate::support::record::Sent| s.input.expect == Expect::Output;
    let wrong = holds_within(seconds(14), || {
        let committed = s.committed();
        let is_early = |sent: &&crate::support::record::Sent| {
            committed.get(&(sent.topic.clone(), sent.partition)).is_some_and(|&next| sent.offset < next)
        };
        s.sent.iter().filter(|sent| valid(sent)).any(|sent| is_early(&sent)) || !instance.is_running()
    });
    assert!(!wrong, "it ended, or committed records that nobody has\n{}", instance.log());
    s.wait_for_members(2);
    admin::create_topic(&kafka, &s.output, 3, &[]);
    s.wait_until_committed();
    instance.stop_cleanly();
    s.judge_without(&old);
}

/// The output has no place for it: it waits, is named, and the others go on.
#[test]
fn a_partition_added_to_the_input_alone_waits_for_its_place_in_the_output() {
    let kafka = Kafka::for_test();
    let mut s = setup()
        .set("PROCESSOR_PARTITIONING", "same-partition")
        .set("KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS", 1_000)
        .input_partitions(3)
        .on(&kafka);
    let mut instance = s.start();
    s.send((0..30).map(|n| Input::valid(&s.id()).key(format!("old-{n}")).to(n % 3)).collect::<Vec<_>>());
    s.wait_until_committed();
    admin::add_partitions(&kafka, &s.input, 4);
    s.input_grew_to(4);
    s.send((0..400).map(|n| Input::valid(&s.id()).key(format!("new-{n}")).to(n % 4)).collect::<Vec<_>>());
    eventually(seconds(60), "the other partitions flow", || s.is_committed(|sent| sent.partition != 3));
    instance.wait_for_log(&format!("{}/3 is not read", s.input), seconds(60));
    assert_eq!(s.written(), 30 + 300);
    admin::add_partitions(&kafka, &s.output, 4);
    s.wait_until_committed();
    instance.stop_cleanly();
    let results = read_topic(&kafka, &s.output, 4);
    assert_eq!(results.iter().filter(|result| result.partition == 3).count(), 100);
    assert_eq!(results.len(), 30 + 400);
}
