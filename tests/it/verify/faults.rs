//! One fault each, made by hand.

use std::ops::Range;
use std::thread;

use processor::checkpoint::note::Stamp;
use processor::checkpoint::{Note, OffsetMap};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::{KINDS, SOURCE, Verdict, World, run, with_header};
use crate::support::admin;
use crate::support::admin::Offsets;
use crate::support::client::Sender;
use crate::support::record::Input;
use crate::support::{holds_within, seconds};

#[test]
fn a_faultless_copy_is_good() {
    let world = World::new();
    world.write(world.results());
    let verdict = world.verify(&[]);
    verdict.assert(&[], true);
    assert_eq!(verdict.report["records"], serde_json::json!({"input": 40, "output": 35, "dead_letters": 5}));
    assert_eq!(verdict.report["matched"], serde_json::json!({"source": 35, "dead_letter": 5, "stamp": 0}));
    assert!(
        verdict.report["peak_memory_bytes"].as_u64() > Some(0)
            && verdict.report["seconds"].as_f64() > Some(0.0)
    );
}

#[test]
fn lost() {
    for index in [0, 7] {
        let world = World::new();
        let mut results = world.results();
        results.remove(index);
        world.write(results);
        let verdict = world.verify(&[]);
        verdict.assert(&[("lost", 1)], false);
        assert_eq!(verdict.example("lost")["of"], world.place(index));
        world.verify(&["--filtered", "1"]).assert(&[("lost", 1)], true);
    }
}

#[test]
fn repeated() {
    let world = World::new();
    let mut results = world.results();
    results.extend([world.result(3), world.result(7)]);
    world.write(results);
    let verdict = world.verify(&[]);
    verdict.assert(&[("repeated", 2)], false);
    assert_eq!(verdict.example("repeated")["of"], world.place(3));
    assert!(verdict.example("repeated")["at"].as_str().is_some_and(|at| at.starts_with(&world.topic("out"))));
    world.verify(&["--max-repeats", "1"]).assert(&[("repeated", 2)], false);
    world.verify(&["--max-repeats", "2"]).assert(&[("repeated", 2)], true);
    world.verify(&["--max-repeats", "any"]).assert(&[("repeated", 2)], true);
}

#[test]
fn out_of_order() {
    let world = World::new();
    let mut results = world.results();
    // Of one key, with one of it between them: two stand behind the later one.
    results.swap(5, 20);
    world.write(results);
    let verdict = world.verify(&[]);
    verdict.assert(&[("out_of_order", 2)], false);
    assert_eq!(verdict.example("out_of_order")["of"], world.place(10));
    world.verify(&["--order", "none"]).assert(&[], true);
}

#[test]
fn torn() {
    let world = World::new();
    let mut results = world.results();
    let part = |n| with_header(results[5].1.clone(), SOURCE, &format!("{}/{n}/3", world.place(5)));
    let (first, last) = (part(1), part(3));
    results[5].1 = first;
    results.insert(6, (world.topic("out"), last));
    world.write(results);
    let verdict = world.verify(&[]);
    verdict.assert(&[("torn", 1)], false);
    assert_eq!(verdict.example("torn")["of"], world.place(5));
    assert!(
        verdict.example("torn")["why"].as_str().is_some_and(|why| why.ends_with("missing: 2")),
        "{}",
        verdict.report
    );
}

#[test]
fn phantom() {
    let world = World::new();
    let mut results = world.results();
    let nowhere = with_header(results[0].1.clone(), SOURCE, &format!("{}/0/4711", world.topic("in")));
    results.push((world.topic("out"), nowhere));
    world.write(results);
    let verdict = world.verify(&[]);
    verdict.assert(&[("phantom", 1)], false);
    assert!(verdict.example("phantom")["why"].as_str().is_some_and(|why| why.contains("no such record")));
}

#[test]
fn unjudged() {
    let world = World::new();
    // As a program without PROCESSOR_SOURCE_HEADER writes them.
    let unmark = |(topic, mut input): (String, Input)| {
        input.headers.retain(|(name, _)| name != SOURCE);
        (topic, input)
    };
    world.write(world.results().into_iter().map(unmark).collect());
    let Verdict { code, report } = world.verify(&[]);
    assert_eq!((code, &report["good"]), (Some(65), &false.into()), "{report:#}");
    for kind in KINDS {
        assert_eq!(report[kind]["count"], 0, "{kind}: {report:#}");
    }
    assert_eq!(report["unjudged"]["count"], 35, "{report:#}");
}

#[test]
fn corrupt() {
    type Harm = fn(Input) -> Input;
    let harms: [(usize, Harm, &str); 3] = [
        (3, |input| Input { value: Some(b"{}".to_vec()), ..input }, "another value"),
        (3, |input| input.header("more", None), "other headers"),
        (7, |input| Input { value: Some(b"{}".to_vec()), ..input }, "another value"),
    ];
    for (index, harm, said) in harms {
        let world = World::new();
        let mut results = world.results();
        results[index].1 = harm(results[index].1.clone());
        world.write(results);
        let verdict = world.verify(&[]);
        verdict.assert(&[("corrupt", 1)], false);
        let example = verdict.example("corrupt");
        assert_eq!(example["of"], world.place(index));
        assert!(example["why"].as_str().is_some_and(|why| why.contains(said)), "{example}");
    }
}

#[test]
fn split() {
    let world = World::new();
    let mut results = world.results();
    let written = world.sender.send(&world.topic("out"), vec![results.remove(0).1]);
    let elsewhere = (written[0].partition + 1) % 3;
    results[4].1.partition = Some(elsewhere);
    world.write(results);
    let verdict = world.verify(&[]);
    verdict.assert(&[("split", 1)], false);
    world.verify(&["--max-split", "any"]).assert(&[("split", 1)], true);
}

/// Commits these offsets for a group, and verifies with it.
fn with_commits(world: &World, offsets: [i64; 2], more: &[&str]) -> Verdict {
    let numbered = (0..).zip(offsets);
    let offsets: Offsets = numbered.map(|(number, offset)| ((world.topic("in"), number), offset)).collect();
    admin::reset_offsets(&world.kafka, &world.name, &offsets);
    world.verify(&[&["--group", &world.name], more].concat())
}

/// How many records each partition of the input has.
fn lengths(world: &World) -> [i64; 2] {
    [0, 1].map(|number| world.sent.iter().filter(|sent| sent.partition == number).count() as i64)
}

#[test]
fn a_watermark_too_high() {
    let world = World::new();
    let mut results = world.results();
    let missing = results.len() - 3;
    results.remove(missing);
    world.write(results);
    let ends = lengths(&world);
    let verdict = with_commits(&world, ends, &[]);
    verdict.assert(&[("lost", 1), ("watermark", 1)], false);
    let place = format!("{}/{}", world.topic("in"), world.sent[missing].partition);
    assert_eq!(verdict.example("watermark")["of"], place);
}

#[test]
fn a_watermark_before_what_is_not_finished_is_none_too_high() {
    let world = World::new();
    let mut results = world.results();
    let missing = results.len() - 3;
    results.remove(missing);
    world.write(results);
    let mut offsets = lengths(&world);
    let gap = &world.sent[missing];
    offsets[gap.partition as usize] = gap.offset;
    with_commits(&world, offsets, &[]).assert(&[("unfinished", 1)], false);
    let verdict = with_commits(&world, offsets, &["--max-unfinished", "any"]);
    verdict.assert(&[("unfinished", 1)], true);
    let behind = world.sent.iter().filter(|sent| sent.partition == gap.partition && sent.offset > gap.offset);
    assert_eq!(verdict.report["uncommitted"], behind.count());
}

/// Commits one partition's offset with this metadata, the other's at its end, and verifies with it.
fn with_metadata(world: &World, partition: i32, offset: i64, metadata: &str) -> Verdict {
    let mut list = TopicPartitionList::new();
    for (number, end) in (0..).zip(lengths(world)) {
        let ours = number == partition;
        list.add_partition_offset(
            &world.topic("in"),
            number,
            Offset::Offset(if ours { offset } else { end }),
        )
        .expect("a valid offset");
        if let Some(mut element) = list.find_partition(&world.topic("in"), number).filter(|_| ours) {
            element.set_metadata(metadata);
        }
    }
    let mut config = admin::settings(&world.kafka);
    config.set("group.id", &world.name).set("enable.auto.commit", "false");
    let member: BaseConsumer = config.create().expect("a consumer");
    member.commit(&list, CommitMode::Sync).expect("an empty group's offsets can be set");
    world.verify(&["--group", &world.name, "--max-unfinished", "any"])
}

#[test]
fn metadata_that_says_more_than_is_true() {
    let world = World::new();
    let mut results = world.results();
    let of_one = |index: &usize| world.sent[*index].partition == world.sent[20].partition;
    let missing = (0..30).rev().find(of_one).expect("a record");
    results.remove(missing);
    world.write(results);
    let (gap, topic) = (world.sent[missing].clone(), world.topic("in"));
    let (partition, watermark) = (gap.partition, gap.offset);
    let end = lengths(&world)[partition as usize];
    let stamp = |group| Stamp { group, topic: &topic, partition, watermark };
    let map = |range: Range<i64>| {
        let mut map = OffsetMap::default();
        map.push(range);
        Note::from(map)
    };
    let honest =
        with_metadata(&world, partition, watermark, &map(watermark + 1..end).encode(&stamp(&world.name)));
    honest.assert(&[("unfinished", 1)], true);
    let claimed = &honest.report["partitions"][partition as usize]["claimed"];
    assert_eq!(*claimed, end - watermark - 1, "{:#}", honest.report);
    assert_eq!(honest.report["uncommitted"], *claimed, "all that is finished is in the map");

    let early = watermark - 1;
    let stamp = Stamp { watermark: early, ..stamp(&world.name) };
    let lie = with_metadata(&world, partition, early, &map(watermark..end).encode(&stamp));
    lie.assert(&[("unfinished", 1), ("watermark", 1)], false);
    assert!(
        lie.example("watermark")["why"].as_str().is_some_and(|why| why.contains("metadata")),
        "{}",
        lie.report
    );

    let forged = with_metadata(&world, partition, watermark, "nonsense");
    forged.assert(&[("unfinished", 1)], true);
    assert!(
        forged.report["notes"][0].as_str().is_some_and(|note| note.contains("of no use")),
        "{}",
        forged.report
    );
}

/// Behind the last record of each partition stands a transaction's marker, and offsets have holes.
#[test]
fn transactions_leave_holes_that_are_no_records() {
    let mut world = World::empty();
    let sender = Sender::transactional(&world.kafka, &world.name);
    let inputs =
        |keys: &[usize]| keys.iter().map(|n| Input::valid(&format!("r{n}")).key(format!("{n}"))).collect();
    for (keys, commit) in
        [(&[1, 2, 3, 4][..], true), (&[5, 6, 7], false), (&[8, 9], true), (&[1, 2, 3], false)]
    {
        world.sent.extend(sender.send_transaction(&world.topic("in"), inputs(keys), commit));
    }
    assert_eq!(world.sent.len(), 6);
    world.write(world.results());
    world.verify(&[]).assert(&[], true);
}

/// What is in it, and all behind, cannot be read before it ends. One that does not end is named.
#[test]
fn a_transaction_that_is_open_is_waited_for() {
    let mut world = World::new();
    world.sender = Sender::transactional(&world.kafka, &world.name);
    world.sender.begin();
    world.write(world.results());
    let impatient = world.verify(&["--timeout", "1s"]);
    assert_eq!(impatient.code, Some(69), "{}", impatient.report);
    let error = impatient.report["error"].as_str().unwrap_or_default();
    assert!(error.contains(&world.topic("out")) && error.contains("transaction"), "{error}");
    let verdict = thread::scope(|scope| {
        let patient = scope.spawn(|| world.verify(&[]));
        assert!(!holds_within(seconds(1), || patient.is_finished()), "it judges what it cannot read");
        world.sender.commit();
        patient.join().expect("it does not panic")
    });
    verdict.assert(&[], true);
}

#[test]
fn what_cannot_be_asked_has_its_own_exit_code() {
    let world = World::empty();
    let (servers, topic) = (world.kafka.servers.as_str(), world.topic("in"));
    let both = ["--input", &topic, "--output", "out-that-is-not-there"];
    let nobody = [&["verify", "--servers", "127.0.0.1:1", "--timeout", "1s"][..], &both].concat();
    let missing = [&["verify", "--servers", servers][..], &both].concat();
    let loops = ["verify", "--servers", servers, "--input", &topic, "--output", &topic];
    let incomplete = ["verify", "--servers", servers];
    let usage = ["verify", "--max-repeats", "few"];
    let cases: [(&[&str], i32, &str); 5] = [
        (&nobody, 69, "no answer within 1s"),
        (&missing, 69, "no topic out-that-is-not-there"),
        (&loops, 78, "PC009"),
        (&incomplete, 78, "KAFKA_INPUT_TOPICS"),
        (&usage, 2, "neither a number nor any"),
    ];
    for (arguments, code, said) in cases {
        let output = run(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(said) && output.stdout.is_empty(), "{text}");
    }
    let json = run(&[&nobody[..], &["--json"]].concat());
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert!(value["error"].as_str().is_some_and(|text| text.contains("no answer")), "{value}");
}
