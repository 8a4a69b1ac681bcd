//! What goes through unharmed: the odd records that Kafka allows.

use crate::support::kafka::Kafka;
use crate::support::record::Input;
use crate::support::scenario::Scenario;
use crate::support::setup::setup;

fn goes_through(make: impl Fn(&Scenario) -> Vec<Input>) {
    let kafka = Kafka::for_test();
    let mut s = setup().on(&kafka);
    let inputs = make(&s);
    s.send(inputs);
    s.finish(s.start());
}

#[test]
fn null_and_empty_keys_are_two_things() {
    goes_through(|s| {
        vec![Input::valid(&s.id()), Input::valid(&s.id()).key(""), Input::valid(&s.id()).key("").stamped()]
    });
}

#[test]
fn null_and_empty_values_are_two_things() {
    goes_through(|s| {
        let input = || Input::valid(&s.id()).key("key");
        vec![input().value(None).dead("tombstone"), input().value(Some(Vec::new())).dead("invalid_json")]
    });
}

#[test]
fn keys_and_header_values_that_are_not_utf8() {
    goes_through(|s| {
        let bytes = |n: u8| vec![0xff, n, 0x00, 0xfe];
        (0..50).map(|n| Input::valid(&s.id()).key(bytes(n)).header("h", Some(&bytes(n)))).collect()
    });
}

/// What stands behind the value in the batch says whether there are headers, and is looked at first.
#[test]
fn headers_and_none_behind_values_of_every_kind() {
    for codec in ["uncompressed", "gzip", "zstd"] {
        let kafka = Kafka::for_test();
        let mut s = setup().input("compression.type", codec).on(&kafka);
        let broken = |value: &[u8]| Input::valid(&s.id()).value(Some(value.to_vec())).dead("invalid_json");
        let inputs: Vec<_> = (0..4)
            .flat_map(|n| {
                let with = move |input: Input| match n {
                    0 => input,
                    1 => input.header("", None),
                    2 => input.header("name", Some(b"")),
                    _ => input.header("a", Some(b"\0")).header("a", Some(&[0; 300])),
                };
                let tombstone = Input::valid(&s.id()).key("key").value(None).dead("tombstone");
                let values = [b"".as_slice(), b"\0", b"x\0", b"{\0\0", &[0; 200]].map(broken);
                values
                    .into_iter()
                    .chain([tombstone, Input::valid(&s.id()), Input::invalid(&s.id()).key("")])
                    .map(with)
            })
            .collect();
        s.send(inputs);
        s.finish(s.start());
    }
}

#[test]
fn a_thousand_headers_with_duplicates_in_order() {
    goes_through(|s| {
        let many = |input: Input| {
            (0..1_000).fold(input, |input, n: usize| {
                let value = n.to_string();
                input.header(&format!("h{}", n % 10), (!n.is_multiple_of(7)).then_some(value.as_bytes()))
            })
        };
        vec![many(Input::valid(&s.id())), many(Input::invalid(&s.id()))]
    });
}

#[test]
fn short_data_is_invalid_and_long_data_valid() {
    goes_through(|s| {
        let with = |data: &str| {
            let input = Input::valid(&s.id());
            let text = String::from_utf8(input.value.clone().unwrap_or_default()).expect("JSON is text");
            Input { value: Some(text.replace("more than ten characters", data).into_bytes()), ..input }
        };
        ["", "0123456789", "01234567890", "éééééééééé", "ééééééééééé"].map(with).to_vec()
    });
}

#[test]
fn old_and_missing_looking_timestamps_are_kept() {
    goes_through(|s| {
        let at = |timestamp| Input { timestamp, ..Input::valid(&s.id()) };
        vec![at(1), at(1_000_000_000_000), at(crate::support::record::now_ms() + 60_000)]
    });
}

#[test]
fn a_record_of_almost_a_mebibyte() {
    goes_through(|s| {
        let input = Input::valid(&s.id()).key("large");
        let text = String::from_utf8(input.value.clone().unwrap_or_default()).expect("JSON is text");
        let value = text.replace("more than ten characters", &"x".repeat(990_000)).into_bytes();
        vec![Input { value: Some(value), ..input }, Input::valid(&s.id()).key("large")]
    });
}
