//! `PROCESSOR_SOURCE_HEADER`: each result says which record it was made of.

use processor::engine::Policy;
use processor::record::Headers;
use processor::sink::Target;
use processor::sink::origin::NAME;
use processor::transform::{Field, Outcome, Output};

use super::rig::{Rig, With, policy};

/// One result, two, one that forges the header, one that fails: by the offset.
fn transform() -> With<impl Fn(&processor::record::Record, &processor::transform::Context) -> Outcome> {
    With(|record: &processor::record::Record, _: &processor::transform::Context| match record.offset() {
        0 => Outcome::Emit(Output::default()),
        1 => Outcome::EmitMany(vec![Output::default(), Output::default()]),
        2 => {
            let mut headers = Headers::new();
            headers.push(b"mine", Some(b"1"));
            headers.push(NAME.as_bytes(), Some(b"forged/0/0"));
            Outcome::Emit(Output { headers: Field::New(headers), ..Output::default() })
        }
        _ => Outcome::reject("bad", "never"),
    })
}

/// What each record that was written says of its source, by topic.
fn said(source_header: bool) -> Vec<(Target, Option<String>)> {
    let rig = Rig::new(Policy { source_header, ..policy() }, transform());
    let slot = rig.assign(1);
    rig.feed(slot, 1, &["a"; 4]);
    rig.wait_until_idle();
    let text =
        |headers: &Headers| headers.last(NAME).map(|value| String::from_utf8_lossy(value).into_owned());
    let said = rig.written().iter().map(|one| (one.target, text(&one.headers))).collect();
    rig.end();
    said
}

#[test]
fn each_result_names_its_record_and_its_place_among_several() {
    let said = said(true);
    let texts: Vec<_> = said.iter().filter_map(|(_, text)| text.as_deref()).collect();
    let topic = texts[0].split('/').next().unwrap();
    let expected = ["1/0", "1/1/1/2", "1/1/2/2", "1/2"].map(|place| format!("{topic}/{place}"));
    assert_eq!(texts, expected, "in order, and nothing forged");
    let letters: Vec<_> = said.iter().filter(|(target, _)| *target == Target::DeadLetter).collect();
    assert_eq!(letters, [&(Target::DeadLetter, None)], "a dead letter has headers of its own for that");
    assert_eq!(said.len(), 5);
}

#[test]
fn without_the_setting_nothing_is_added() {
    let texts: Vec<_> = said(false).into_iter().filter_map(|(_, text)| text).collect();
    assert_eq!(texts, ["forged/0/0"], "what a transform writes is its own business");
}
