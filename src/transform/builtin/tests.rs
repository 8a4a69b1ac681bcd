//! Each code, both sides of each bound, and properties: what goes in comes out, but for the status.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::record::Parts;

/// 2024-05-01T12:00:00Z
const NOW: i64 = 1_714_564_800_000;
const TIME: &str = "2024-05-01T12:00:00Z";

fn run(value: Option<&[u8]>) -> Result<String, Failure> {
    let record = Record::new("input".into(), 0, 0, Parts { value, ..Parts::default() });
    match Validate.apply(&record, &Context { now_ms: NOW, attempt: 1 }) {
        Outcome::Reject(failure) => Err(*failure),
        Outcome::Emit(output) => {
            let super::super::Field::New(Some(value)) = output.value else { panic!("no new value") };
            Ok(String::from_utf8(value).unwrap())
        }
        other => panic!("neither written nor rejected: {other:?}"),
    }
}

fn accepted(value: &str) -> String {
    run(Some(value.as_bytes())).unwrap_or_else(|failure| panic!("{value}: {failure:?}"))
}

#[track_caller]
fn rejected(value: impl AsRef<[u8]>, code: &str, path: Option<&str>) {
    let value = value.as_ref();
    let failure = run(Some(value)).expect_err("rejected");
    assert_eq!(failure.code, code, "{}", String::from_utf8_lossy(value));
    assert_eq!(failure.path.as_deref(), path, "{}", String::from_utf8_lossy(value));
    assert!(!failure.message.contains("sesame"), "the message repeats the record: {}", failure.message);
}

fn at(time: &str) -> String {
    format!(r#"{{"id":"1","timestamp":"{time}","data":""}}"#)
}

fn with_data(raw: &str) -> String {
    format!(r#"{{"id":"1","timestamp":"{TIME}","data":{raw}}}"#)
}

#[test]
fn its_name_is_what_the_configuration_calls_it() {
    assert_eq!(Validate.name(), "builtin:validate");
}

#[test]
fn status_is_set_where_it_stands_and_appended_where_it_is_missing() {
    let head = format!(r#""id":"1","timestamp":"{TIME}""#);
    for old in ["\"new\"", "null", "17", "[1, 2]", "{\"a\": 1}", "\"\\ud800\""] {
        let text = format!(r#"{{"status":{old},{head},"data":"12345678901","x":1}}"#);
        assert_eq!(accepted(&text), format!(r#"{{"status":"valid",{head},"data":"12345678901","x":1}}"#));
        let text = format!(r#"{{{head},"data":"1234567890","status":{old}}}"#);
        assert_eq!(accepted(&text), format!(r#"{{{head},"data":"1234567890","status":"invalid"}}"#));
    }
    let text = format!(r#"{{{head},"data":"12345678901"}}"#);
    assert_eq!(accepted(&text), format!(r#"{{{head},"data":"12345678901","status":"valid"}}"#));
}

#[test]
fn data_is_counted_in_characters_after_unescaping() {
    let is_valid = |raw: &str| accepted(&with_data(raw)).ends_with(r#""status":"valid"}"#);
    assert!(!is_valid(r#""""#));
    assert!(!is_valid(r#""1234567890""#));
    assert!(is_valid(r#""12345678901""#));
    assert!(!is_valid(r#""éééééééééé""#));
    assert!(is_valid(r#""ééééééééééé""#));
    assert!(!is_valid(r#""\u0031\u0032\u0033\u0034\u0035""#), "five characters in thirty bytes");
    assert!(!is_valid(r#""\ud83d\ude00123456789""#), "a pair of surrogates is one character");
    assert!(is_valid(r#""\ud83d\ude001234567890""#));
}

#[test]
fn every_other_field_survives_as_it_was_written() {
    let text = format!(
        "\n{{ \"b\" : 1.50e+02 , \"id\":\"\\u0031\",\"a\":[ 1,\t2 ],\"timestamp\":\"{TIME}\", \
         \"\\ud800\":\"\\udead\",\"big\":123456789012345678901234567890,\"data\":\"x\\/y\", \
         \"b\":{{ \"status\" : -0 }}}}\r\n "
    );
    let expected = format!(
        "{{\"b\":1.50e+02,\"id\":\"\\u0031\",\"a\":[ 1,\t2 ],\"timestamp\":\"{TIME}\",\"\\ud800\":\"\\udead\",\
         \"big\":123456789012345678901234567890,\"data\":\"x\\/y\",\"b\":{{ \"status\" : -0 }},\"status\":\"invalid\"}}"
    );
    assert_eq!(accepted(&text), expected);
}

#[test]
fn an_escaped_name_is_the_same_name() {
    let text = format!(r#"{{"\u0069d":"1","timestamp":"{TIME}","data":"","stat\u0075s":0}}"#);
    assert_eq!(accepted(&text), text.replace(":0}", ":\"invalid\"}"));
}

#[test]
fn the_value_as_a_whole() {
    assert_eq!(run(None).unwrap_err().code, "tombstone");
    rejected(b"{\"id\":\"sesame\xff\"}", "invalid_json", None);
    let broken =
        ["", " ", "sesame", "{\"sesame\":}", "{\"id\":\"sesame\"", "{} {}", "[\"sesame\",", "nul", "01"];
    for text in
        broken.into_iter().chain(["{\"sesame\":1,}", "{sesame:1}", "\u{feff}{}", "\"sesame\n\"", "\"\\x\""])
    {
        rejected(text, "invalid_json", None);
    }
    for text in ["[\"sesame\"]", "\"sesame\"", "17", "-1.5e3", "null", "true", " [] "] {
        rejected(text, "not_an_object", None);
    }
}

#[test]
fn the_fields_one_by_one() {
    let time = format!(r#""timestamp":"{TIME}""#);
    rejected("{}", "id_missing", Some("/id"));
    for id in ["1", "null", "[\"sesame\"]", "\"\\ud800sesame\""] {
        rejected(format!(r#"{{"id":{id},{time},"data":""}}"#), "id_invalid", Some("/id"));
    }
    rejected(format!(r#"{{"id":"",{time},"data":""}}"#), "id_empty", Some("/id"));
    rejected(r#"{"id":"1","data":""}"#, "timestamp_missing", Some("/timestamp"));
    for time in ["1714564800000", "null", "\"\"", "\"sesame\"", "\"2024-05-01\"", "\"2024-05-01T12:00:00\""] {
        let text = format!(r#"{{"id":"1","timestamp":{time},"data":""}}"#);
        rejected(text, "timestamp_invalid", Some("/timestamp"));
    }
    rejected(format!(r#"{{"id":"1",{time}}}"#), "data_missing", Some("/data"));
    for data in ["1", "null", "{\"sesame\":1}", "\"sesame\\udc00\""] {
        rejected(with_data(data), "data_invalid", Some("/data"));
    }
}

#[test]
fn a_known_field_that_stands_twice_is_rejected_and_an_unknown_one_kept() {
    for name in ["id", "timestamp", "data", "status"] {
        let text = format!(r#"{{"id":"1","timestamp":"{TIME}","data":"","status":"","{name}":"sesame"}}"#);
        rejected(text, "duplicate_field", Some(&format!("/{name}")));
    }
    rejected(r#"{"id":"1","\u0069d":"1"}"#, "duplicate_field", Some("/id"));
}

#[test]
fn the_bounds_of_the_timestamp_are_inclusive() {
    accepted(&at("2024-04-30T12:00:00Z"));
    accepted(&at("2024-04-30t08:00:00.000000000-04:00"));
    rejected(at("2024-04-30T11:59:59.999999999Z"), "too_old", Some("/timestamp"));
    accepted(&at("2024-05-01T12:05:00Z"));
    accepted(&at("2024-05-01T14:05:00.000+02:00"));
    rejected(at("2024-05-01T12:05:00.000000001Z"), "in_future", Some("/timestamp"));
    rejected(at("0000-01-01T00:00:00+23:59"), "too_old", Some("/timestamp"));
    rejected(at("9999-12-31T23:59:59-23:59"), "in_future", Some("/timestamp"));
}

#[test]
fn a_clock_gone_wrong_does_not_overflow() {
    for now in [i64::MIN, i64::MAX] {
        assert!(validate(Some(at(TIME).as_bytes()), now).is_err());
    }
}

#[test]
fn nesting_of_any_depth_is_kept_and_does_not_overflow_the_stack() {
    let deep = format!("{}1{}", "[{\"a\":".repeat(200_000), "}]".repeat(200_000));
    let text = format!(r#"{{"id":"1","timestamp":"{TIME}","data":"","deep":{deep},"status":0}}"#);
    assert_eq!(accepted(&text), text.replace("\"status\":0", "\"status\":\"invalid\""));
    rejected("[".repeat(200_000), "invalid_json", None);
    rejected(&deep, "not_an_object", None);
}

/// A JSON value as somebody might write it.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?",
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<String>().prop_map(|s| Value::from(s).to_string()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(" ,\n"))),
            prop::collection::vec((any::<String>(), inner), 0..4).prop_map(|all| {
                let fields: Vec<_> =
                    all.iter().map(|(k, v)| format!("{}: {v}", Value::from(k.as_str()))).collect();
                format!("{{ {} }}", fields.join(","))
            }),
        ]
    })
}

/// The fields of a record that is accepted, shuffled among others, and what `status` has to become.
fn fields() -> impl Strategy<Value = (Vec<(String, String)>, &'static str)> {
    let others = prop::collection::vec(("[a-z]{0,3}", json()), 0..5);
    (any::<String>(), prop::option::of(json()), others).prop_flat_map(|(data, status, others)| {
        let right = if data.chars().count() > SHORT { "valid" } else { "invalid" };
        let mut all: Vec<_> = others.into_iter().filter(|(name, _)| name != "id").collect();
        all.push(("id".to_owned(), "\"7\"".to_owned()));
        all.push(("timestamp".to_owned(), format!("\"{TIME}\"")));
        all.push(("data".to_owned(), Value::from(data).to_string()));
        all.extend(status.map(|status| ("status".to_owned(), status)));
        (Just(all).prop_shuffle(), Just(right))
    })
}

fn write(fields: &[(String, String)], colon: &str, comma: &str) -> String {
    let all: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\"{colon}{value}")).collect();
    format!("{{{}}}", all.join(comma))
}

proptest! {
    #[test]
    fn only_the_status_changes((mut fields, right) in fields()) {
        let output = accepted(&write(&fields, " :\t", " ,\n"));
        match fields.iter_mut().find(|(name, _)| name == "status") {
            Some((_, value)) => *value = format!("\"{right}\""),
            None => fields.push(("status".to_owned(), format!("\"{right}\""))),
        }
        prop_assert_eq!(&output, &write(&fields, ":", ","));
        prop_assert!(serde_json::from_str::<IgnoredAny>(&output).is_ok(), "the output does not parse");
        prop_assert_eq!(accepted(&output), output, "a second time changes nothing");
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = run(Some(&bytes));
    }

    #[test]
    fn a_damaged_record_never_panics((fields, _) in fields(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = write(&fields, ":", ",").into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(output) = run(Some(&bytes)) {
            prop_assert!(serde_json::from_str::<IgnoredAny>(&output).is_ok());
        }
    }
}

/// As a user runs it, whenever that is.
#[test]
fn the_sample_records_of_the_documents_never_grows_too_old() {
    let pages =
        [include_str!("../../../README.md"), include_str!("../../../docs/getting-started.md")].concat();
    let samples = pages.lines().filter_map(|line| line.strip_suffix(" |")?.strip_prefix("echo "));
    let samples: Vec<_> = samples.filter(|sample| sample.contains("timestamp")).collect();
    assert_eq!(
        samples.len(),
        3,
        "in the README for kcat, in getting started for kcat and for Kafka's own tools"
    );
    for sample in samples {
        let said = std::process::Command::new("sh").args(["-c", &format!("printf %s {sample}")]).output();
        let value = said.expect("sh can be run").stdout;
        let record = Record::new("input".into(), 0, 0, Parts { value: Some(&value), ..Parts::default() });
        let context = Context { now_ms: jiff::Timestamp::now().as_millisecond(), attempt: 1 };
        let outcome = Validate.apply(&record, &context);
        assert!(matches!(outcome, Outcome::Emit(_)), "{sample}: {outcome:?}");
    }
    assert!(!pages.contains(r#""timestamp":"2"#), "a record with a time of its own is too old a day later");
}
