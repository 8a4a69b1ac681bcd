//! Bits that change where a partition is stored: only the checksum tells. Its partition stops before the batch, the others go on, and
//! when the batch is as it was all goes on by itself.

use crate::support::client::Sender;
use crate::support::own_broker::OwnBroker;
use crate::support::page::{ANY_PORT, Pages};
use crate::support::process::Instance;
use crate::support::record::{Input, Seen, Sent};
use crate::support::scenario::Scenario;
use crate::support::setup::{Setup, setup};
use crate::support::{eventually, holds_within, seconds};

/// Records in a batch of partition 0.
const BATCH: usize = 10;

/// One member: a partition that moves is named again.
fn alone() -> Setup {
    setup().set("CONSUMERS_COUNT", 1)
}

fn batch(s: &Scenario) -> Vec<Input> {
    (0..BATCH).map(|n| Input::valid(&s.id()).key(format!("key-{n}")).to(0)).collect()
}

/// What a disk makes of the identity of the record at this place in partition 0: one bit is another.
fn rotten(s: &Scenario, offset: i64) -> (String, String) {
    let sent = s.sent.iter().find(|sent| (sent.partition, sent.offset) == (0, offset)).expect("it was sent");
    let good = format!(r#""id":"{}""#, sent.input.id);
    let bad = good.replacen('r', "s", 1);
    (good, bad)
}

/// Partition 0 stands at `offset`; nothing of what is there or behind it is written, and nothing is passed over.
fn stands_at(s: &Scenario, instance: &mut Instance, offset: i64) {
    eventually(seconds(60), "the other partitions flow", || s.is_committed(|sent| sent.partition != 0));
    eventually(seconds(60), "what is before it is committed", || s.committed_of(0) == offset);
    let name = format!("{}/0: the batch at offset {offset} cannot be read", s.input);
    instance.wait_for_log(&name, seconds(60));
    let wrong = || s.committed_of(0) != offset || !instance.is_running();
    assert!(!holds_within(seconds(4), wrong), "{}", instance.log());
    let behind = |sent: &&Sent| sent.partition == 0 && sent.offset >= offset;
    let behind: Vec<_> = s.sent.iter().filter(behind).map(|sent| sent.input.id.clone()).collect();
    let output = s.evidence().output;
    assert!(
        !output.iter().filter_map(Seen::id).any(|id| behind.contains(&id)),
        "nothing behind it is written"
    );
    let lines = instance.log().lines().filter(|line| line.contains("ERROR") && line.contains(&name)).count();
    assert_eq!(lines, 1, "it is said once\n{}", instance.log());
}

fn shows_it(s: &Scenario, pages: &Pages, offset: i64) {
    assert!(pages.metric("processor_kafka_errors_total").iter().sum::<f64>() > 0.0, "it is counted");
    let page = pages.get("/");
    let why = format!("stopped: the batch at offset {offset} cannot be read");
    let of_partition =
        page.lines().find(|line| line.contains(&format!("{}/0", s.input)) && line.contains(&why));
    assert!(of_partition.is_some() && page.contains("last error"), "{page}");
    let behind = || pages.metric("processor_consumer_lag_seconds").into_iter().fold(0.0, f64::max);
    let now = behind();
    assert!(now > 0.0, "it is behind");
    eventually(seconds(10), "it falls behind", || behind() > now);
}

fn stops_before_a_rotten_batch(setup: Setup) {
    stops_before(setup, &[], |broker, s, is_to_be_bad| {
        let (good, bad) = rotten(s, BATCH as i64 + 4);
        let (old, new) = if is_to_be_bad { (&good, &bad) } else { (&bad, &good) };
        broker.overwrite(&s.input, 0, old, new);
    });
}

/// Batches are written by a producer with these settings; `damage` makes the second one bad, or good again.
fn stops_before(setup: Setup, producer: &[(&str, &str)], damage: impl Fn(&OwnBroker, &Scenario, bool)) {
    let Some(broker) = OwnBroker::borrow() else { return };
    let mut s = setup.set(ANY_PORT.0, ANY_PORT.1).on(&broker.kafka);
    s.send_with(producer);
    for _ in 0..3 {
        s.send(batch(&s));
    }
    let others: Vec<_> = (0..300).map(|n| Input::valid(&s.id()).to(1 + n % 3)).collect();
    s.send(others);
    damage(&broker, &s, true);
    let mut instance = s.start();
    let pages = Pages::of(&instance);
    stands_at(&s, &mut instance, BATCH as i64);
    shows_it(&s, &pages, BATCH as i64);
    damage(&broker, &s, false);
    s.finish(instance);
}

#[test]
fn a_rotten_batch_stops_its_partition_and_no_other_until_it_is_whole_again() {
    stops_before_a_rotten_batch(alone());
}

#[test]
fn a_rotten_batch_stops_its_partition_in_transactions_too() {
    stops_before_a_rotten_batch(alone().exactly_once());
}

/// In this protocol all partitions are assigned anew, to begin one anew: none of the others may lose or repeat anything.
#[test]
fn a_rotten_batch_stops_its_partition_in_the_older_protocol_too() {
    stops_before_a_rotten_batch(alone().eager());
}

/// The others are in full flow each time that the rotten one is begun anew.
#[test]
fn a_rotten_batch_is_begun_anew_while_others_flow_in_the_older_protocol() {
    let Some(broker) = OwnBroker::borrow() else { return };
    let mut s = alone().eager().set(ANY_PORT.0, ANY_PORT.1).on(&broker.kafka);
    (0..3).for_each(|_| s.send(batch(&s)));
    let (good, bad) = rotten(&s, BATCH as i64 + 4);
    broker.overwrite(&s.input, 0, &good, &bad);
    let mut instance = s.start();
    let pages = Pages::of(&instance);
    eventually(seconds(60), "it is begun anew several times", || {
        s.send((0..500).map(|n| Input::valid(&s.id()).to(1 + n % 3)).collect::<Vec<_>>());
        pages.metric("processor_kafka_errors_total").iter().sum::<f64>() >= 5.0
    });
    stands_at(&s, &mut instance, BATCH as i64);
    broker.overwrite(&s.input, 0, &bad, &good);
    s.finish(instance);
}

/// A codec that there is not, with a checksum that is right.
#[test]
fn a_batch_of_an_unknown_codec_stops_its_partition() {
    stops_before(alone(), &[], |broker, s, _| {
        broker.rewrite(&s.input, 0, BATCH as i64, |batch| batch[22] ^= 7)
    });
}

/// What cannot be unpacked, with a checksum that is right.
fn cannot_be_unpacked(codec: &str) {
    stops_before(alone(), &[("compression.type", codec)], |broker, s, _| {
        broker.rewrite(&s.input, 0, BATCH as i64, |batch| {
            batch[61..].iter_mut().for_each(|byte| *byte ^= 0xff)
        });
    });
}

#[test]
fn a_batch_that_cannot_be_unpacked_stops_its_partition() {
    ["gzip", "snappy", "lz4", "zstd"].into_iter().for_each(cannot_be_unpacked);
}

/// Behind it is a marker only: whoever looks for records behind the watermark finds none, and yet it is not the end.
#[test]
fn a_rotten_batch_is_the_last_before_a_marker() {
    let Some(broker) = OwnBroker::borrow() else { return };
    let mut s = alone().on(&broker.kafka);
    s.send(batch(&s));
    let sent = Sender::transactional(&s.kafka, &s.group).send_transaction(&s.input, batch(&s), true);
    s.sent.extend(sent);
    let (good, bad) = rotten(&s, 2 * BATCH as i64 - 1);
    broker.overwrite(&s.input, 0, &good, &bad);
    let mut instance = s.start();
    stands_at(&s, &mut instance, BATCH as i64);
    broker.overwrite(&s.input, 0, &bad, &good);
    s.finish(instance);
}

/// A start in the middle of it, and a batch larger than what is in flight before it.
#[test]
fn a_rotten_batch_is_begun_in_the_middle() {
    let Some(broker) = OwnBroker::borrow() else { return };
    let mut s = alone().set("PROCESSOR_MAX_IN_FLIGHT", 4).on(&broker.kafka);
    s.send(batch(&s));
    s.send(batch(&s));
    crate::support::admin::reset_offsets(
        &s.kafka,
        &s.group,
        &[((s.input.clone(), 0), BATCH as i64 - 5)].into_iter().collect(),
    );
    s.sent.retain(|sent| sent.offset >= BATCH as i64 - 5);
    s.forget_committed();
    let (good, bad) = rotten(&s, BATCH as i64 - 2);
    broker.overwrite(&s.input, 0, &good, &bad);
    let instance = s.start();
    instance.wait_for_log(&format!("{}/0: the batch at offset 0 cannot be read", s.input), seconds(60));
    let moved = holds_within(seconds(3), || s.committed_of(0) != BATCH as i64 - 5 || s.written() > 0);
    assert!(!moved, "{}", instance.log());
    broker.overwrite(&s.input, 0, &bad, &good);
    s.finish(instance);
}
