//! Each kind of fault is found, named, and nothing else with it; what is no fault is none.

use super::report::Verdict;
use super::*;
use crate::cli::stamp;
use crate::policy::Order;
use crate::record::{Headers, Parts};
use crate::sink::Target::{self, DeadLetter, Output};

/// A topic's record, as the tests write it.
#[derive(Clone, Debug)]
struct Written {
    target: Target,
    partition: i32,
    key: &'static str,
    value: String,
    headers: Vec<(&'static str, String)>,
}

/// Two partitions of ten records: `a` and `b` by turns in the first, `c` and `d` in the second.
const KEYS: [[&str; 2]; 2] = [["a", "b"], ["c", "d"]];

fn key(partition: usize, offset: i64) -> &'static str {
    KEYS[partition][offset as usize % 2]
}

fn value(partition: usize, offset: i64) -> String {
    format!("value {partition} {offset}")
}

fn rules() -> Rules {
    Rules {
        output: "out".to_owned(),
        dead_letters: Some("dead".to_owned()),
        group: None,
        order: Order::Key,
        keys_stay: true,
        same: Same { value: true, ..Same::default() },
        repeated: Limit::default(),
        filtered: Limit::default(),
        unfinished: Limit::default(),
        split: Limit::default(),
        examples: 3,
    }
}

/// What comes of a record: every fifth dies.
fn result(partition: usize, offset: i64) -> Written {
    let (key, value) = (key(partition, offset), value(partition, offset));
    let place =
        [("topic", "in".to_owned()), ("partition", partition.to_string()), ("offset", offset.to_string())];
    let [topic, number, at] = place.map(|(_, value)| value);
    if offset % 5 == 4 {
        let headers = vec![
            ("__dlq.errors.topic", topic),
            ("__dlq.errors.partition", number),
            ("__dlq.errors.offset", at),
            ("__dlq.errors.group", "group".to_owned()),
        ];
        return Written { target: DeadLetter, partition: 0, key, value, headers };
    }
    let headers = vec![("processor.source", format!("in/{partition}/{offset}"))];
    Written { target: Output, partition: i32::from(matches!(key, "b" | "d")), key, value, headers }
}

fn faultless() -> Vec<Written> {
    (0..2).flat_map(|partition| (0..10).map(move |offset| result(partition, offset))).collect()
}

fn headers(all: &[(&str, String)]) -> Headers {
    let mut headers = Headers::new();
    all.iter().for_each(|(name, value)| headers.push(name.as_bytes(), Some(value.as_bytes())));
    headers
}

/// A judge who has seen the input.
fn judge(rules: Rules) -> Judge {
    let mut judge = Judge::new(rules);
    for partition in 0..2 {
        judge.partition("in", partition as i32, 0, 10);
        for offset in 0..10 {
            let value = value(partition, offset);
            let (key, value) = (Some(key(partition, offset).as_bytes()), Some(value.as_bytes()));
            judge.input("in", partition as i32, offset, &Parts { key, value, ..Parts::default() });
        }
    }
    judge
}

fn show(judge: &mut Judge, written: &[Written]) {
    for (offset, one) in (0..).zip(written) {
        let parts = Parts {
            key: Some(one.key.as_bytes()),
            value: Some(one.value.as_bytes()),
            headers: headers(&one.headers),
            timestamp: None,
        };
        judge.result(one.target, one.partition, offset, &parts);
    }
}

fn judged_by(rules: Rules, written: &[Written]) -> Report {
    let mut judge = judge(rules);
    show(&mut judge, written);
    judge.report()
}

fn judged(written: &[Written]) -> Report {
    judged_by(rules(), written)
}

/// The kinds of which something was found.
fn found(report: &Report) -> Vec<(&'static str, u64)> {
    let kinds = report.findings().into_iter().filter(|(_, finding)| finding.count > 0);
    kinds.map(|(name, finding)| (name, finding.count)).collect()
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let report = judged(&faultless());
    assert!(report.good, "{report}");
    assert_eq!(found(&report), []);
    assert_eq!(report.records, report::Records { input: 20, output: 16, dead_letters: 4 });
    assert_eq!(report.matched, report::Matched { source: 16, dead_letter: 4, stamp: 0 });
    assert!(report.notes.is_empty(), "{report}");
}

#[test]
fn a_lost_record_is_named() {
    for index in [0, 4, 13, 19] {
        let mut written = faultless();
        written.remove(index);
        let report = judged(&written);
        assert_eq!(found(&report), [("lost", 1)], "{index}");
        let of = format!("in/{}/{}", index / 10, index % 10);
        assert_eq!(report.lost.examples[0].of, Some(of));
        assert!(!report.good && report.to_string().contains("NOT GOOD"));
    }
}

#[test]
fn a_repeated_record_is_named_wherever_its_copies_are_and_may_be_allowed() {
    for index in [0, 4, 13] {
        let mut written = faultless();
        written.push(written[index].clone());
        let report = judged(&written);
        assert_eq!(found(&report), [("repeated", 1)], "{index}");
        let at = |topic| format!("{topic}/{}/20", written[index].partition);
        let expected = if index == 4 { at("dead") } else { at("out") };
        assert_eq!(report.repeated.examples[0].at, Some(expected));
        assert!(!report.good);
        for allowed in [Limit::UpTo(1), Limit::Any] {
            assert!(judged_by(Rules { repeated: allowed, ..rules() }, &written).good);
        }
    }
    let mut both = faultless();
    both.push(Written { target: DeadLetter, headers: result(0, 4).headers, ..result(0, 0) });
    both[20].headers[2].1 = "0".to_owned();
    assert_eq!(found(&judged(&both)), [("repeated", 1)], "in the output, and a dead letter too");
}

#[test]
fn a_record_out_of_order_is_named_and_one_of_another_lane_is_none() {
    let mut written = faultless();
    written.swap(0, 2);
    let report = judged(&written);
    assert_eq!(found(&report), [("out of order", 1)]);
    assert_eq!(report.out_of_order.examples[0].of.as_deref(), Some("in/0/0"));
    let mut written = faultless();
    written.swap(2, 3);
    assert_eq!(found(&judged(&written)), [], "of different keys");
    let by_partition = judged_by(Rules { order: Order::Partition, keys_stay: false, ..rules() }, &written);
    assert_eq!(found(&by_partition), [], "in different partitions of the output nobody can tell");
    written.iter_mut().for_each(|one| one.partition = 0);
    let rules = |order| Rules { order, ..rules() };
    assert_eq!(found(&judged_by(rules(Order::Partition), &written)), [("out of order", 1)]);
    written.swap(5, 7);
    assert_eq!(found(&judged_by(rules(Order::Unordered), &written)), []);
}

#[test]
fn a_copy_behind_later_ones_is_a_repetition_and_no_disorder() {
    let mut written = faultless();
    written.push(written[0].clone());
    written.push(written[2].clone());
    assert_eq!(found(&judged(&written)), [("repeated", 2)]);
}

/// The results of one record in three parts.
fn parts() -> Vec<Written> {
    let part =
        |index| Written { headers: vec![("processor.source", format!("in/0/0/{index}/3"))], ..result(0, 0) };
    (1..4).map(part).chain(faultless().into_iter().skip(1)).collect()
}

#[test]
fn a_torn_record_is_named_with_what_is_missing() {
    assert_eq!(found(&judged(&parts())), []);
    let mut written = parts();
    written.remove(1);
    let report = judged(&written);
    assert_eq!(found(&report), [("torn", 1)]);
    let why = report.torn.examples[0].why.as_deref().unwrap_or_default();
    assert!(why.contains("of 3 results") && why.ends_with(": 2"), "{why}");
    let mut again = parts();
    again.push(again[1].clone());
    assert_eq!(found(&judged(&again)), [("repeated", 1)]);
    let mut swapped = parts();
    swapped.swap(0, 1);
    assert_eq!(found(&judged(&swapped)), [("out of order", 1)]);
    let mut otherwise = parts();
    otherwise[2].headers[0].1 = "in/0/0/3/4".to_owned();
    assert_eq!(found(&judged(&otherwise)), [("torn", 1), ("corrupt", 1)]);
    otherwise[2].headers[0].1 = format!("in/0/0/3/{}", u32::MAX);
    assert_eq!(found(&judged(&otherwise)), [("torn", 1), ("corrupt", 1)], "and no memory is spent on it");
}

#[test]
fn a_phantom_is_named() {
    for source in ["in/0/10", "in/7/0"] {
        let mut written = faultless();
        written.push(Written { headers: vec![("processor.source", source.to_owned())], ..result(0, 0) });
        let report = judged(&written);
        assert_eq!(found(&report), [("phantom", 1)], "{source}");
        assert_eq!(report.phantom.examples[0].at.as_deref(), Some("out/0/20"));
    }
}

#[test]
fn results_that_do_not_say_whose_they_are_condemn_nobody() {
    // All of them, some of them, one of them.
    for unmarked in [16, 7, 1] {
        let mut written = faultless();
        let results = written.iter_mut().filter(|one| one.target == Output).take(unmarked);
        results.for_each(|one| one.headers.clear());
        let mut judge = judge(Rules { group: Some("group".to_owned()), ..rules() });
        judge.committed("in", 0, 10);
        show(&mut judge, &written);
        let report = judge.report();
        assert_eq!(found(&report), [("unjudged", unmarked as u64)], "{report}");
        assert_eq!((report.good, report.verdict()), (false, Verdict::Unjudged), "{report}");
        let text = report.to_string();
        assert!(text.contains("lost          unjudged\n") && text.ends_with("UNJUDGED"), "{text}");
    }
}

#[test]
fn what_is_wrong_beside_unmarked_results_is_still_said() {
    let mut written = faultless();
    written[0].headers.clear();
    written.push(written[1].clone());
    let report = judged(&written);
    assert_eq!(found(&report), [("repeated", 1), ("unjudged", 1)]);
    assert_eq!(report.verdict(), Verdict::NotGood);
}

#[test]
fn what_cannot_be_judged_is_said() {
    let mut written = faultless();
    written.iter_mut().for_each(|one| one.headers.clear());
    let report = judged(&written);
    assert!(report.notes[0].contains("PROCESSOR_SOURCE_HEADER=true"), "{report}");
    let mut written = faultless();
    written.push(Written { headers: vec![("processor.source", "other/0/0".to_owned())], ..result(0, 0) });
    let mut of_another_group = result(0, 4);
    of_another_group.headers[3].1 = "somebody".to_owned();
    written.push(of_another_group);
    let report =
        judged_by(Rules { group: Some("group".to_owned()), unfinished: Limit::Any, ..rules() }, &written);
    assert_eq!((found(&report), report.aside.foreign), (vec![], 2), "{report}");
}

#[test]
fn what_the_input_no_longer_has_is_not_judged() {
    let mut judge = Judge::new(rules());
    judge.partition("in", 0, 5, 5);
    show(&mut judge, &[result(0, 3)]);
    let report = judge.report();
    assert_eq!((found(&report), report.aside.removed), (vec![], 1));
}

#[test]
fn a_corrupt_record_is_named_with_what_differs() {
    type Harm = fn(&mut Written);
    let harms: [(usize, Harm, &str); 5] = [
        (0, |one| one.key = "x", "another key"),
        (0, |one| one.value.push('x'), "another value"),
        (0, |one| one.headers.push(("more", "1".to_owned())), "other headers"),
        (4, |one| one.value.push('x'), "another value"),
        (4, |one| one.key = "x", "another key"),
    ];
    for (index, harm, said) in harms {
        let mut written = faultless();
        harm(&mut written[index]);
        let report = judged_by(Rules { keys_stay: false, ..rules() }, &written);
        assert_eq!(found(&report), [("corrupt", 1)], "{said}");
        assert!(report.corrupt.examples[0].why.as_deref().is_some_and(|why| why.contains(said)), "{report}");
    }
    let mut written = faultless();
    written[0].value.push('x');
    assert_eq!(
        found(&judged_by(Rules { same: Same::default(), ..rules() }, &written)),
        [],
        "a transform may do that"
    );
}

#[test]
fn a_dead_letter_without_its_value_is_held_against_its_hash() {
    let letter = |text: &str| {
        let hash = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
        let mut letter = Written { value: String::new(), ..result(0, 4) };
        letter.headers.push(("processor.dlq.value.truncated", "true".to_owned()));
        letter.headers.push(("processor.dlq.value.xxh3", format!("{hash:016x}")));
        letter
    };
    let mut written = faultless();
    written[4] = letter(&value(0, 4));
    assert_eq!(found(&judged(&written)), []);
    written[4] = letter("something else");
    assert_eq!(found(&judged(&written)), [("corrupt", 1)]);
}

#[test]
fn a_key_in_two_partitions_is_named_where_keys_have_to_stay() {
    let mut written = faultless();
    written[8].partition = 1;
    let report = judged(&written);
    assert_eq!(found(&report), [("split", 1)]);
    assert!(judged_by(Rules { keys_stay: false, ..rules() }, &written).good);
    assert!(judged_by(Rules { split: Limit::UpTo(1), ..rules() }, &written).good);
}

/// The report of a group that has committed these offsets.
fn committed(offsets: [Option<i64>; 2], claims: &[i64], written: &[Written], rules: Rules) -> Report {
    let mut judge = judge(Rules { group: Some("group".to_owned()), ..rules });
    for (number, offset) in (0..).zip(offsets) {
        offset.into_iter().for_each(|offset| judge.committed("in", number, offset));
    }
    claims.iter().for_each(|offset| judge.claimed("in", 0, *offset));
    show(&mut judge, written);
    judge.report()
}

#[test]
fn a_watermark_beyond_the_truth_is_named() {
    let mut written = faultless();
    written.remove(6);
    let report = committed([Some(7), Some(10)], &[], &written, rules());
    assert_eq!(found(&report), [("lost", 1), ("watermark", 1)]);
    let why = report.watermark.examples[0].why.as_deref().unwrap_or_default();
    assert!(why.contains("committed 7") && why.contains("offset 6"), "{why}");
    assert_eq!((report.uncommitted, report.partitions[0].first_unfinished), (Some(3), Some(6)));
    let report = committed([Some(6), Some(10)], &[], &written, rules());
    assert_eq!(found(&report), [("unfinished", 1)], "it will be read again");
    assert!(!report.good);
    let at_work = Rules { unfinished: Limit::Any, ..rules() };
    assert!(committed([Some(6), None], &[], &written, at_work).good);
    let report = committed([Some(10), Some(11)], &[], &faultless(), rules());
    assert_eq!(found(&report), [("watermark", 1)], "beyond the end of the log");
    let report = committed([Some(10), Some(10)], &[], &faultless(), rules());
    assert!(report.good && report.uncommitted == Some(0));
}

#[test]
fn a_false_claim_of_the_metadata_is_named() {
    let mut written = faultless();
    written.remove(6);
    let lenient = Rules { unfinished: Limit::Any, ..rules() };
    let report = committed([Some(5), Some(10)], &[7, 8], &written, lenient.clone());
    let first = &report.partitions[0];
    assert!(report.good && (first.uncommitted, first.claimed) == (4, 2), "{report}");
    let report = committed([Some(5), Some(10)], &[6, 8], &written, lenient);
    assert_eq!(found(&report), [("unfinished", 1), ("watermark", 1)]);
}

#[test]
fn what_is_filtered_cannot_be_told_from_what_is_lost_and_that_is_said() {
    let mut written = faultless();
    written.remove(6);
    let filtering = |limit| Rules { filtered: limit, ..rules() };
    for limit in [Limit::UpTo(1), Limit::Any] {
        let report = committed([Some(10), Some(10)], &[], &written, filtering(limit));
        assert!(report.good && report.lost.count == 1, "{report}");
        assert!(report.notes.iter().any(|note| note.contains("cannot be told apart")), "{report}");
    }
    written.remove(6);
    assert!(!judged_by(filtering(Limit::UpTo(1)), &written).good);
}

/// Value and headers of a record of key `k`.
type Stamped = (Vec<u8>, Headers);

/// Three records, of which the second is broken, and their results.
fn stamped() -> (Vec<Stamped>, Vec<(Target, Stamped)>) {
    let mut stamper = stamp::Stamper::new(stamp::SIZE);
    let mut order = |number| stamper.fill(number, 1).1.to_vec();
    let valid = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).replace(r#""status":"""#, r#""status":"valid""#);
        (Output, (text.into_bytes(), Headers::new()))
    };
    let broken = (b"{".to_vec(), headers(&[("stamp", "1".to_owned())]));
    let (first, last) = (order(0), order(2));
    let results = vec![valid(&first), (DeadLetter, broken.clone()), valid(&last)];
    (vec![(first, Headers::new()), broken, (last, Headers::new())], results)
}

fn judged_by_stamp(change: impl FnOnce(&mut Vec<(Target, Stamped)>), twice: bool) -> Report {
    let (mut inputs, mut results) = stamped();
    change(&mut results);
    if twice {
        inputs.push(inputs[0].clone());
        results.push(results[0].clone());
    }
    let mut judge = Judge::new(Rules { same: Same::default(), ..rules() });
    judge.partition("in", 0, 0, inputs.len() as i64);
    for (offset, (value, headers)) in (0..).zip(inputs) {
        let parts = Parts { key: Some(b"k"), value: Some(&value), headers, timestamp: None };
        judge.input("in", 0, offset, &parts);
    }
    for (offset, (target, (value, headers))) in (0..).zip(results) {
        let parts = Parts { key: Some(b"k"), value: Some(&value), headers, timestamp: None };
        judge.result(target, 0, offset, &parts);
    }
    judge.report()
}

#[test]
fn stamped_records_are_known_without_the_programs_help() {
    let report = judged_by_stamp(|_| {}, false);
    assert!(report.good && report.matched.stamp == 3, "{report}");
    assert_eq!(found(&judged_by_stamp(|results| _ = results.remove(2), false)), [("lost", 1)]);
    assert_eq!(found(&judged_by_stamp(|results| results.push(results[1].clone()), false)), [("repeated", 1)]);
    assert_eq!(found(&judged_by_stamp(|results| results.swap(0, 2), false)), [("out of order", 1)]);
    assert_eq!(found(&judged_by_stamp(|results| results[0].1.0[100] ^= 1, false)), [("corrupt", 1)]);
    let stranger = (Output, (br#"{"id":"o-000000000009","x":1}"#.to_vec(), Headers::new()));
    assert_eq!(found(&judged_by_stamp(|results| results.push(stranger), false)), [("phantom", 1)]);
}

#[test]
fn a_record_that_its_writer_repeated_is_not_the_programs_fault() {
    let report = judged_by_stamp(|_| {}, true);
    assert_eq!((found(&report), report.aside.twice_in_input), (vec![], 1), "{report}");
}

#[test]
fn holes_in_the_input_are_no_records() {
    let mut judge = Judge::new(rules());
    judge.partition("in", 0, 0, 10);
    for offset in [0, 3, 4, 9] {
        let value = value(0, offset);
        let parts =
            Parts { key: Some(key(0, offset).as_bytes()), value: Some(value.as_bytes()), ..Parts::default() };
        judge.input("in", 0, offset, &parts);
    }
    show(&mut judge, &[0, 3, 4, 9, 5].map(|offset| result(0, offset)));
    assert_eq!(found(&judge.report()), [("phantom", 1)], "the one at 5");
}

#[test]
fn the_json_is_stable() {
    let mut written = faultless();
    written.remove(0);
    let json = serde_json::to_value(judged(&written)).unwrap();
    let fields: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "aside",
        "corrupt",
        "good",
        "lost",
        "matched",
        "notes",
        "out_of_order",
        "partitions",
        "phantom",
        "records",
        "repeated",
        "split",
        "torn",
        "uncommitted",
        "unfinished",
        "unjudged",
        "version",
        "watermark",
    ];
    let mut sorted = fields.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    let lost = serde_json::json!({"count": 1, "allowed": 0, "ok": false, "examples": [{"of": "in/0/0"}]});
    assert_eq!(json["lost"], lost);
    assert_eq!(json["records"], serde_json::json!({"input": 20, "output": 15, "dead_letters": 4}));
    assert_eq!(json["aside"], serde_json::json!({"removed": 0, "foreign": 0, "twice_in_input": 0}));
    assert_eq!(json["partitions"][0]["first_unfinished"], 0);
    assert_eq!((&json["version"], &json["good"]), (&1.into(), &false.into()));
}

/// A judge of topics that grow, shown in this order: `None` is a record of the input. Keys by the remainder by ten, as offsets are
/// numbers of one partition.
fn growing(shown: &[(Option<Target>, i64)]) -> Judge {
    let mut judge = Judge::forgetting(Rules { keys_stay: false, ..rules() });
    judge.growing_partition("in", 0);
    for (at, (target, number)) in (0..).zip(shown) {
        let (key, value) = ((number % 10).to_string(), number.to_string());
        let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
        let said = match target {
            None => vec![],
            Some(Output) => vec![("processor.source", format!("in/0/{number}"))],
            Some(DeadLetter) => vec![
                ("__dlq.errors.topic", "in".to_owned()),
                ("__dlq.errors.partition", "0".to_owned()),
                ("__dlq.errors.offset", number.to_string()),
            ],
        };
        let parts = Parts { key, value, headers: headers(&said), timestamp: None };
        match target {
            None => judge.input("in", 0, *number, &parts),
            Some(target) => _ = judge.result(*target, 0, at, &parts),
        }
    }
    judge
}

/// Each number in the input, and its result in the same order.
fn all_hundred() -> Vec<(Option<Target>, i64)> {
    let result = |number| if number % 7 == 0 { DeadLetter } else { Output };
    let results = (0..100).map(|number| (Some(result(number)), number));
    (0..100).map(|number| (None, number)).chain(results).collect()
}

/// Results missing, repeated, out of order.
fn wrong(judge: &Judge) -> (u64, u64, u64) {
    let counts = judge.counts();
    (counts.unfinished(), counts.repeated, counts.out_of_order)
}

#[test]
fn topics_that_grow_may_be_shown_in_any_order_and_what_is_finished_is_forgotten() {
    let expected = Counts { input: 100, output: 85, dead_lettered: 15, ..Counts::default() };
    let mut results_first = all_hundred();
    results_first.rotate_left(100);
    let by_turns = (0..100).flat_map(|index| [results_first[index], results_first[index + 100]]).collect();
    for shown in [all_hundred(), results_first, by_turns] {
        let mut judge = growing(&shown);
        assert_eq!(judge.counts(), expected);
        assert_eq!(judge.remembered(), 0, "what is finished takes no room");
        judge.ends("in", 0, 100);
        let report = judge.report();
        assert!(report.good, "{report}");
        assert_eq!(report.partitions[0].records, 100);
    }
}

#[test]
fn in_topics_that_grow_a_lost_record_is_found() {
    for number in [0, 1, 7, 63, 64, 99] {
        let mut shown = all_hundred();
        shown.remove(100 + number);
        let judge = growing(&shown);
        assert_eq!(wrong(&judge), (1, 0, 0), "{number}");
        let report = judge.report();
        assert_eq!((report.lost.count, report.good), (1, false), "{number}");
    }
}

#[test]
fn in_topics_that_grow_a_repeated_record_is_found_also_when_the_first_is_forgotten() {
    let again = [(Output, 1), (Output, 7), (DeadLetter, 1), (DeadLetter, 7), (Output, 99)];
    for (target, number) in again {
        let judge = growing(&[&all_hundred()[..], &[(Some(target), number)]].concat());
        assert_eq!(wrong(&judge), (0, 1, 0), "{number} again in {target:?}");
        assert_eq!(judge.report().repeated.examples[0].of, Some(format!("in/0/{number}")));
    }
}

#[test]
fn in_topics_that_grow_a_record_out_of_order_is_found_and_one_of_another_key_is_none() {
    for (change, expected) in [((15, 25), 1), ((15, 16), 0), ((15, 55), 3)] {
        let mut shown = all_hundred();
        shown.swap(100 + change.0, 100 + change.1);
        assert_eq!(growing(&shown).counts().out_of_order, expected, "{change:?}");
    }
    let copy = [&all_hundred()[..], &[(Some(Output), 15)]].concat();
    assert_eq!(growing(&copy).counts().out_of_order, 0, "a copy is a repetition, and no disorder");
}

#[test]
fn in_topics_that_grow_a_result_of_nothing_is_found_at_the_end() {
    let mut shown = all_hundred();
    shown.remove(99);
    let judge = growing(&shown);
    assert_eq!((judge.counts().finished(), judge.counts().unfinished()), (99, 0));
    assert_eq!(judge.report().phantom.count, 1);
}

/// Records that wait for one that is missing are forgotten with it, before they are too many.
#[test]
fn a_missing_record_holds_up_no_more_than_so_many() {
    let most = inputs::MOST_HELD_UP as i64;
    let mut judge = Judge::forgetting(rules());
    judge.growing_partition("in", 0);
    for number in 0..=most + 10 {
        let said = format!("in/0/{number}");
        let record = Parts { key: Some(b"k"), value: Some(b"v"), ..Parts::default() };
        judge.input("in", 0, number, &record);
        if number != 3 {
            let headers = headers(&[("processor.source", said)]);
            judge.result(Output, 0, number, &Parts { headers, ..record });
        }
        assert!(judge.remembered() <= inputs::MOST_HELD_UP);
    }
    assert_eq!((judge.remembered(), wrong(&judge)), (0, (1, 0, 0)));
    assert_eq!(judge.report().lost.count, 1);
}
