//! The output topic goes and comes.

use crate::support::kafka::Kafka;
use crate::support::record::Expect;
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
    let mut evidence = s.evidence();
    evidence
        .dead_letters
        .retain(|letter| !old.iter().any(|sent| Some(&sent.input.id) == letter.id().as_ref()));
    s.judge_this(&evidence, 0);
}
