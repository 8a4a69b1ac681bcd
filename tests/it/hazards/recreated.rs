//! The input topic is deleted and made again under the same name: it is another topic, and all of it is to be read.

use std::time::Duration;

use processor::checkpoint::Note;
use processor::checkpoint::note::Stamp;
use processor::topic_id::TopicId;

use crate::conformance::wire::Wire;
use crate::support::admin::{self, Committed};
use crate::support::guarantees::{AtLeastOnce, NoMoreThan, NothingInvented, Unchanged, judge};
use crate::support::kafka::Kafka;
use crate::support::probe::Flag;
use crate::support::process::Instance;
use crate::support::record::Input;
use crate::support::scenario::Scenario;
use crate::support::setup::{Setup, setup};
use crate::support::{eventually, seconds};

const OLD: usize = 400;
/// More than the old topic had, so that the old offsets are offsets of the new one as well.
const MORE: usize = 900;
/// Fewer: the old offsets are beyond its end.
const FEWER: usize = 100;
const MOMENT: Duration = Duration::from_millis(500);

/// The members of a group that divide the partitions while the topic is away give some of them to nobody (librdkafka).
fn one_member(setup: Setup) -> Setup {
    setup.input_partitions(2).set("CONSUMERS_COUNT", 1)
}

fn load(s: &Scenario, count: usize) -> Vec<Input> {
    (0..count).map(|n| Input::valid(&s.id()).key(format!("k{n}")).to((n % 2) as i32)).collect()
}

fn topic_id(s: &Scenario) -> Option<TopicId> {
    TopicId::new(Wire::to(&s.kafka).topic_id(&s.input))
}

/// What the group has committed, with the topic that it says it is of.
fn committed(s: &Scenario) -> Vec<(i64, Option<TopicId>)> {
    let group = Committed::of(&s.kafka, &s.group);
    let all = group.with_metadata(&s.input, 2).unwrap_or_default();
    let read = |(partition, offset, metadata): (i32, i64, String)| {
        let stamp = Stamp { group: &s.group, topic: &s.input, partition, watermark: offset };
        (offset, Note::decode(metadata.as_bytes(), &stamp).ok().and_then(|note| note.topic_id))
    };
    all.into_iter().map(read).collect()
}

/// The topic goes, and comes back after `gone` with other records.
fn make_again(s: &mut Scenario, gone: Duration, count: usize) {
    let old = topic_id(s);
    admin::delete_topic(&s.kafka, &s.input);
    std::thread::sleep(gone);
    admin::create_topic(&s.kafka, &s.input, 2, &[]);
    s.input_changed();
    let new = load(s, count);
    s.send(new);
    assert_ne!(topic_id(s), old, "it is another topic");
}

/// Waits until the group has committed all of the new topic, as of that topic, and judges that both topics are in the output.
fn finish(s: &Scenario, mut instance: Instance, count: usize) {
    let id = topic_id(s);
    let end = i64::try_from(count / 2).expect("few");
    eventually(seconds(60), "all of the new topic is committed", || {
        committed(s) == [(end, id), (end, id)] || !instance.is_running()
    });
    instance.stop_cleanly();
    let evidence = s.evidence();
    // What was read of the new topic before its id was known is read again.
    judge(&evidence, &[&AtLeastOnce, &NothingInvented, &Unchanged, &NoMoreThan { repeats: count }]);
}

fn recreated(setup: Setup, gone: Duration, count: usize) {
    let kafka = Kafka::for_test();
    let mut s = one_member(setup).on(&kafka);
    let old = load(&s, OLD);
    s.send(old);
    let instance = s.start();
    s.wait_for_members(1);
    s.wait_until_committed();
    let id = topic_id(&s).expect("the cluster has ids");
    make_again(&mut s, gone, count);
    instance
        .wait_for_log(&format!("topic {} was deleted and made again: it had id {id}", s.input), seconds(30));
    finish(&s, instance, count);
}

#[test]
fn with_more_records_than_before() {
    recreated(setup(), MOMENT, MORE);
}

#[test]
fn with_more_records_than_before_exactly_once() {
    recreated(setup().exactly_once(), MOMENT, MORE);
}

#[test]
fn with_fewer_records_than_before() {
    recreated(setup(), Duration::ZERO, FEWER);
}

#[test]
fn with_fewer_records_than_before_exactly_once() {
    recreated(setup().exactly_once(), Duration::ZERO, FEWER);
}

/// A position cannot be set where the offset was not there: all partitions are assigned anew.
#[test]
fn with_fewer_records_than_before_eager() {
    recreated(setup().eager(), Duration::ZERO, FEWER);
}

#[test]
fn after_five_seconds() {
    recreated(setup(), seconds(5), MORE);
}

#[test]
fn with_work_of_the_old_topic_in_flight() {
    in_flight(setup());
}

#[test]
fn with_work_of_the_old_topic_in_flight_exactly_once() {
    in_flight(setup().exactly_once());
}

/// A record of the old topic is slow: its result is written, and its offset is not committed.
fn in_flight(setup: Setup) {
    let kafka = Kafka::for_test();
    let flag = Flag::raise();
    let setup = setup.probe().set("PROBE_HANG_WHILE", flag.path().display());
    let mut s = one_member(setup).on(&kafka);
    let instance = s.start();
    s.wait_for_members(1);
    let mut old = load(&s, 20);
    old.extend([0, 1].map(|n| Input::valid(&s.id()).key(format!("slow-{n}")).to(n).hanging()));
    s.send(old);
    let before = topic_id(&s);
    eventually(seconds(30), "all but the slow records are committed", || {
        committed(&s) == [(10, before), (10, before)]
    });
    make_again(&mut s, Duration::ZERO, 100);
    let id = topic_id(&s);
    eventually(seconds(30), "the group is told at once", || committed(&s) == [(0, id), (0, id)]);
    flag.lower();
    finish(&s, instance, 100);
}

#[test]
fn offsets_of_another_topic_are_not_believed_at_a_start() {
    let kafka = Kafka::for_test();
    let mut s = setup().input_partitions(2).on(&kafka);
    let inputs = load(&s, 40);
    s.send(inputs);
    let other = TopicId::new([9; TopicId::SIZE]).expect("an id");
    let group = Committed::of(&s.kafka, &s.group);
    let note = Note { topic_id: Some(other), ..Note::default() };
    for partition in 0..2 {
        let stamp = Stamp { group: &s.group, topic: &s.input, partition, watermark: 15 };
        group.commit(&s.input, partition, 15, &note.encode(&stamp));
    }
    for command in ["run", "check"] {
        let (code, log) = s.command_to_end(command);
        assert_eq!(code, Some(78), "{command}: the user has to choose\n{log}");
        let now = topic_id(&s).expect("the cluster has ids");
        let commands = format!("--group {} --topic {}:0,1 --reset-offsets --to-", s.group, s.input);
        assert_eq!(log.matches(&commands).count(), 2, "{command}\n{log}");
        for part in
            [&other.to_string(), &now.to_string(), "--to-earliest --execute", "--to-current --execute"]
        {
            assert!(log.contains(part), "{command}: {part}\n{log}");
        }
    }
    assert_eq!(s.written(), 0, "nothing was touched");
    assert_eq!(committed(&s), [(15, Some(other)), (15, Some(other))]);
    // As the command with --to-current does: the offsets stay, and say nothing of a topic.
    for partition in 0..2 {
        group.commit(&s.input, partition, 15, "");
    }
    s.sent.retain(|sent| sent.offset >= 15);
    s.finish(s.start());
    let id = topic_id(&s);
    assert_eq!(committed(&s), [(20, id), (20, id)]);
}
