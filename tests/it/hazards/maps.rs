//! What is finished beyond the watermark stands in the commit's metadata: nothing of it is repeated, and metadata that is
//! something else does no harm.

use processor::checkpoint::note::Stamp;
use processor::checkpoint::{Note, OffsetMap};
use processor::embedded::{Fault, Request};

use super::retries::{OFTEN, SOON, bad, behind_the_first_failure, good, never, stuck, wait_for_failures};
use crate::support::admin::Committed;
use crate::support::codes::OFFSET_METADATA_TOO_LARGE;
use crate::support::kafka::Kafka;
use crate::support::scenario::Scenario;
use crate::support::setup::setup;
use crate::support::{eventually, seconds};

fn stamp(s: &Scenario, partition: i32, watermark: i64) -> Stamp<'_> {
    Stamp { group: &s.group, topic: &s.input, partition, watermark }
}

/// The maps that the group has committed.
fn maps(s: &Scenario) -> Vec<OffsetMap> {
    let committed = Committed::of(&s.kafka, &s.group).with_metadata(&s.input, s.partitions[0]);
    let map = |(partition, offset, metadata): &(i32, i64, String)| {
        Note::decode(metadata.as_bytes(), &stamp(s, *partition, *offset)).expect("a note of ours").finished
    };
    committed.iter().flatten().map(map).collect()
}

fn finished_beyond(s: &Scenario) -> u64 {
    maps(s).iter().map(OffsetMap::count).sum()
}

#[test]
fn a_crash_repeats_nothing_that_the_map_names() {
    let kafka = Kafka::for_test();
    let mut s = never(setup().probe()).on(&kafka);
    let instance = stuck(&mut s);
    eventually(seconds(30), "the maps are committed", || finished_beyond(&s) == 200);
    the_command_shows_it(&s);
    instance.kill();
    let mut next = s.start_with(&SOON);
    s.wait_until_committed();
    next.stop_cleanly();
    s.judge(0);
    assert_eq!(finished_beyond(&s), 0, "nothing is open, nothing has to be said");
}

/// `processor offsets` says of the maps what they say.
fn the_command_shows_it(s: &Scenario) {
    let arguments = ["offsets", "--servers", &s.kafka.servers, "--input", &s.input, "--group", &s.group];
    let text = run(&arguments);
    let json: serde_json::Value =
        serde_json::from_str(&run(&[&arguments[..], &["--json"]].concat())).expect("JSON");
    for (partition, map) in maps(s).iter().enumerate() {
        let shown = &json["partitions"][partition];
        let ranges: Vec<[i64; 2]> = map.ranges().iter().map(|range| [range.start, range.end]).collect();
        assert_eq!(shown["finished_ranges"], serde_json::json!(ranges), "{json:#}");
        assert_eq!(shown["finished_beyond"], map.count());
        assert_eq!(shown["committed"], s.committed_of(partition as i32));
        let line = text.lines().nth(2 + partition).expect("a line a partition");
        let first = map.ranges()[0].start;
        assert!(line.contains(&format!("{}: {first}", map.count())), "{text}");
    }
}

fn run(arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(crate::support::process::processor());
    let output = command.args(arguments).env_clear().output().expect("the binary can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn an_assignment_without_news_says_again_what_it_was_told() {
    let kafka = Kafka::for_test();
    let mut s = never(setup().probe()).on(&kafka);
    let instance = stuck(&mut s);
    eventually(seconds(30), "the maps are committed", || finished_beyond(&s) == 200);
    instance.kill();
    // The second one finishes nothing of its own: what it commits at its end is what it was told at its start.
    let mut second = s.start();
    s.wait_for_members(2);
    wait_for_failures(&second, 40);
    second.stop_cleanly();
    assert_eq!(finished_beyond(&s), 200);
    let mut third = s.start_with(&SOON);
    s.wait_until_committed();
    third.stop_cleanly();
    s.judge(0);
}

#[test]
fn metadata_of_somebody_else_is_left_out_of_account() {
    let kafka = Kafka::for_test();
    let mut s = never(setup().probe()).on(&kafka);
    let mut instance = stuck(&mut s);
    instance.stop_cleanly();
    s.wait_for_members(0);
    let group = Committed::of(&s.kafka, &s.group);
    let committed = group.with_metadata(&s.input, s.partitions[0]).expect("the cluster tells");
    let offset = |partition: usize| committed[partition].1;
    let mut beyond = OffsetMap::default();
    beyond.push(offset(2) + 1..offset(2) + 1_000);
    let forged = Note::from(beyond).encode(&stamp(&s, 2, offset(2)));
    let texts = ["a note of the operator's", &committed[0].2, &forged];
    for (partition, text) in (0..).zip(texts) {
        group.commit(&s.input, partition, offset(partition as usize), text);
    }
    let mut next = s.start_with(&SOON);
    s.wait_until_committed();
    next.stop_cleanly();
    s.judge(behind_the_first_failure(&s));
    let log = next.log();
    for (partition, reason) in [
        (0, "it is not an offset map"),
        (1, "its checksum does not match"),
        (2, "the partition ends before it"),
    ] {
        let line = log.lines().find(|line| line.contains(&format!("{}/{partition} is not used", s.input)));
        assert!(line.is_some_and(|line| line.contains(reason)), "{partition}: {reason}\n{log}");
    }
    assert!(!log.contains(&format!("{}/3 is not used", s.input)), "{log}");
}

#[test]
fn a_broker_that_takes_less_metadata_gets_less() {
    let mut s = never(setup().probe()).on(&Kafka::embedded());
    let mut instance = s.start();
    s.wait_for_members(2);
    for _ in 0..4 {
        s.kafka.faults().next(Request::OffsetCommit, Fault::Refuse(OFFSET_METADATA_TOO_LARGE));
    }
    let inputs: Vec<_> = bad(&s, 40, OFTEN).into_iter().chain(good(&s, 200)).collect();
    s.send(inputs);
    instance.wait_for_log("takes less metadata", seconds(30));
    eventually(seconds(30), "the maps are committed all the same", || finished_beyond(&s) == 200);
    instance.stop_cleanly();
    s.finish(s.start_with(&SOON));
}
