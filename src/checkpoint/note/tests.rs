//! A note comes back as it went, never grows beyond its bound, is not believed when it is not ours, and is smaller than the
//! one of Confluent's Parallel Consumer.

use proptest::prelude::*;

use super::*;
use crate::checkpoint::map::tests::{START, map, noise, pairs};

const STAMP: Stamp<'static> = Stamp { group: "g", topic: "t", partition: 3, watermark: START };

fn id(seed: u8) -> Option<TopicId> {
    TopicId::new([seed; TopicId::SIZE])
}

/// What version 1 wrote.
fn of_version_1(map: &OffsetMap, stamp: &Stamp<'_>, limit: usize) -> String {
    let Some((written, _)) = map.write(stamp.watermark, limit) else { return String::new() };
    let head = MAP_ONLY << 4 | written[0];
    text::encode(&[&[head], &checksum(stamp, head, &written[1..])[..], &written[1..]].concat())
}

/// Fields under a checksum that somebody computed.
fn forged(head: u8, stamp: &Stamp<'_>, fields: &[u8]) -> String {
    text::encode(&[&[head], &checksum(stamp, head, fields)[..], fields].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_is_read_is_what_was_written(pairs in pairs(200), touching in any::<bool>(), seed in 0u8..3) {
        let mut finished = map(&pairs);
        if touching && !finished.is_empty() {
            let end = finished.end().expect("not empty");
            finished = OffsetMap::default();
            finished.push(START..end);
        }
        let expected = Note { topic_id: id(seed), finished };
        let text = expected.encode(&STAMP);
        prop_assert!(text.len() <= LIMIT && text.is_ascii());
        prop_assert_eq!(Note::decode(text.as_bytes(), &STAMP), Ok(expected));
    }

    #[test]
    fn what_version_1_wrote_is_read(pairs in pairs(200)) {
        let expected = Note::from(map(&pairs));
        let text = of_version_1(&expected.finished, &STAMP, 3_000);
        prop_assert_eq!(Note::decode(text.as_bytes(), &STAMP), Ok(expected));
    }

    #[test]
    fn what_does_not_fit_is_left_out_at_the_end_and_the_id_last_of_all(
        pairs in pairs(300), characters in 0usize..200, seed in 0u8..3,
    ) {
        let note = Note { topic_id: id(seed), finished: map(&pairs) };
        let text = note.encode_within(&STAMP, characters);
        prop_assert!(text.len() <= characters, "{} of {characters}", text.len());
        let read = Note::decode(text.as_bytes(), &STAMP).expect("ours");
        let end = read.finished.end().unwrap_or(START);
        let mut cut = OffsetMap::default();
        note.finished.ranges().iter().for_each(|range| cut.push(range.start.min(end)..range.end.min(end)));
        prop_assert_eq!(read.finished, cut);
        let takes_an_id = characters >= Note { topic_id: id(9), ..Note::default() }.encode(&STAMP).len();
        prop_assert_eq!(read.topic_id, note.topic_id.filter(|_| takes_an_id));
    }

    #[test]
    fn fields_of_versions_to_come_are_skipped(
        pairs in pairs(50), tag in 3u64..1_000_000, field in prop::collection::vec(any::<u8>(), 0..300),
        place in 0usize..3,
    ) {
        let expected = Note { topic_id: id(7), finished: map(&pairs) };
        let mut fields = Vec::new();
        for at in 0..3 {
            if at == place {
                put(&mut fields, tag, &field);
            }
            match (at, expected.finished.write(START, 3_000)) {
                (0, _) => put(&mut fields, TOPIC_ID, &[7; TopicId::SIZE]),
                (1, Some((written, _))) => put(&mut fields, FINISHED, &written),
                _ => {}
            }
        }
        let text = forged(VERSION << 4, &STAMP, &fields);
        prop_assert_eq!(Note::decode_any(text.as_bytes(), &STAMP), Ok(expected));
    }

    #[test]
    fn any_text_is_read_without_a_panic_and_without_much_memory(
        bytes in prop::collection::vec(any::<u8>(), 0..300), tag in 0u64..4, method in 0u8..8, watermark in any::<i64>(),
    ) {
        let stamp = Stamp { watermark, ..STAMP };
        let _ = Note::decode(&bytes, &stamp);
        // The same with a checksum that somebody computed, as fields, as one field, and as version 1.
        let mut field = Vec::new();
        put(&mut field, tag, &[&[method], &bytes[..]].concat());
        for (head, fields) in [(VERSION << 4, &bytes), (VERSION << 4, &field), (MAP_ONLY << 4 | method, &bytes)] {
            let text = forged(head, &stamp, fields);
            if let Ok(note) = Note::decode(text.as_bytes(), &stamp) {
                let ranges = note.finished.ranges();
                prop_assert!(ranges.iter().all(|range| range.start >= watermark && !range.is_empty()));
                prop_assert!(ranges.windows(2).all(|two| two[0].end <= two[1].start));
            }
        }
    }

    #[test]
    fn one_changed_character_is_noticed(
        pairs in pairs(30), seed in 0u8..3, at in any::<prop::sample::Index>(), by in 1u8..85,
    ) {
        let text = Note { topic_id: id(seed), finished: map(&pairs) }.encode(&STAMP);
        prop_assume!(!text.is_empty());
        let mut changed = text.clone().into_bytes();
        let at = at.index(changed.len());
        changed[at] = 33 + (changed[at] - 33 + by) % 93;
        prop_assume!(changed != text.as_bytes());
        prop_assert!(Note::decode(&changed, &STAMP).is_err());
    }
}

#[test]
fn a_note_of_somebody_else_is_not_believed() {
    let text = Note { topic_id: id(1), finished: map(&[(1, 5), (2, 1)]) }.encode(&STAMP);
    assert!(Note::decode(text.as_bytes(), &STAMP).is_ok());
    for foreign in [
        Stamp { group: "h", ..STAMP },
        Stamp { topic: "u", ..STAMP },
        Stamp { partition: 4, ..STAMP },
        Stamp { watermark: 1001, ..STAMP },
        Stamp { group: "gt", topic: "", ..STAMP },
    ] {
        assert_eq!(Note::decode(text.as_bytes(), &foreign), Err(Unusable::Checksum), "{foreign:?}");
    }
    for other in ["some text of another tool", "x", "{\"a\":1}", "\u{0}\u{1}", "åäö"] {
        assert!(Note::decode(other.as_bytes(), &STAMP).is_err(), "{other:?}");
    }
    let longest = Note::decode(&[b'0'; LIMIT - 1], &STAMP);
    assert_eq!(longest, Err(Unusable::Checksum), "it might be one");
    assert_eq!(Note::decode(&[b'0'; LIMIT + 1], &STAMP), Err(Unusable::NotAMap), "no note is so long");
}

#[test]
fn a_newer_format_is_named() {
    let text = forged((VERSION + 1) << 4, &STAMP, b"new");
    assert_eq!(Note::decode(text.as_bytes(), &STAMP), Err(Unusable::Version(VERSION + 1)));
}

/// What another build wrote and this one reads otherwise would hide records that are open.
#[test]
fn what_is_written_is_the_same_as_ever() {
    let finished = map(&[(0, 2), (1, 5), (300, 7)]);
    assert_eq!(Note::decode(b"5Ya)?{/X<C/q!", &STAMP), Ok(finished.clone().into()), "by version 1");
    assert_eq!(of_version_1(&finished, &STAMP, 3_000), "5Ya)?{/X<C/q!");
    assert_eq!(Note { topic_id: id(5), finished }.encode(&STAMP), "aFR2Q5=&KE1Qb5k1Qb5k1Qb5k1Qb5h1{4)K2g])");
}

#[test]
fn a_map_fits_as_long_as_half_of_the_characters_hold_it() {
    let fits = |map: &OffsetMap| map.fits(START);
    assert!(fits(&OffsetMap::default()) && fits(&map(&[(1, 5_000_000)])));
    let (mut small, mut large) = (0, 40_000);
    while large - small > 1 {
        let middle = (small + large) / 2;
        if fits(&noise(7, middle, 500)) { small = middle } else { large = middle }
    }
    let characters = Note { topic_id: id(1), finished: noise(7, small, 500) }.encode(&STAMP).len();
    assert!((LIMIT / 2 - 20..=LIMIT / 2).contains(&characters), "the last that fits takes {characters}");
}

/// The size of the Parallel Consumer's metadata for the same state: the smallest of its encodings (bitset and run lengths,
/// with two-byte and four-byte numbers, each also with zstd), one byte that names it, in Base64.
fn parallel_consumer(map: &OffsetMap) -> usize {
    let Some(end) = map.end() else { return 0 };
    let mut bits = vec![0u8; usize::try_from(end - START).expect("small").div_ceil(8)];
    let mut runs: Vec<i64> = Vec::new();
    let mut at = START;
    for range in map.ranges() {
        runs.extend([range.start - at, range.end - range.start]);
        at = range.end;
        for offset in range.clone() {
            let place = usize::try_from(offset - START).expect("small");
            bits[place / 8] |= 1 << (place % 8);
        }
    }
    let length = end - START;
    let short = i64::from(i16::MAX);
    let mut encodings: Vec<Vec<u8>> = Vec::new();
    let bitset = |header: &[u8]| [header, &bits].concat();
    encodings.push(bitset(&i32::try_from(length).expect("small").to_be_bytes()));
    encodings.push(runs.iter().flat_map(|run| i32::try_from(*run).expect("small").to_be_bytes()).collect());
    if length <= short {
        encodings.push(bitset(&i16::try_from(length).expect("short").to_be_bytes()));
    }
    if runs.iter().all(|run| *run <= short) {
        encodings
            .push(runs.iter().flat_map(|run| i16::try_from(*run).expect("short").to_be_bytes()).collect());
    }
    let smallest = encodings.iter().flat_map(|bytes| [bytes.len(), packed(bytes)]).min().expect("several");
    (smallest + 1).div_ceil(3) * 4
}

/// The size of `bytes` packed by zstd, at its default level.
#[allow(unsafe_code)]
fn packed(bytes: &[u8]) -> usize {
    let mut out = vec![0u8; 64 + bytes.len() * 2];
    // SAFETY: both pointers come with the lengths of what they point to.
    let size = unsafe {
        zstd_sys::ZSTD_compress(out.as_mut_ptr().cast(), out.len(), bytes.as_ptr().cast(), bytes.len(), 3)
    };
    assert!(size <= out.len(), "zstd packs anything");
    size
}

/// States as they come about, and patterns; each with a name for the message.
fn states() -> Vec<(String, OffsetMap)> {
    let mut states: Vec<(String, OffsetMap)> = Vec::new();
    let mut add = |name: String, map: OffsetMap| states.push((name, map));
    for length in [100, 1_000, 5_000, 20_000] {
        for finished in [20, 100, 300, 500, 700, 900, 980, 999] {
            add(
                format!("{finished} of 1000 finished by chance, {length} offsets"),
                noise(7, length, finished),
            );
        }
        for (open, done) in [(1, 1), (1, 2), (3, 1), (1, 7), (1, 15), (5, 11), (1, 99)] {
            let count = usize::try_from(length / (open + done)).expect("small").max(1);
            add(
                format!("{open} open and {done} finished in turn, {length} offsets"),
                map(&vec![(open, done); count]),
            );
        }
    }
    for (open, done) in [(1, 1), (1, 40_000), (1, 3_000_000), (500, 10_000), (1, 100)] {
        add(format!("{open} open, then {done} finished"), map(&[(open, done)]));
    }
    let stuck: Vec<(i64, i64)> = (0..300).map(|number: i64| (1, 1 + number * number % 977)).collect();
    add("300 stuck records among finished ones".to_owned(), map(&stuck));
    let batches: Vec<(i64, i64)> = (0..60).map(|number| (64 - number % 7, 64 + number % 5)).collect();
    add("batches of 64 in turn".to_owned(), map(&batches));
    let pattern: Vec<(i64, i64)> = [(1, 2), (1, 5), (3, 1), (2, 2), (1, 9)].repeat(300);
    add("a pattern of five that repeats".to_owned(), map(&pattern));
    states
}

#[test]
fn it_is_smaller_than_the_map_of_the_parallel_consumer() {
    let (mut ours, mut theirs, mut fits) = (0, 0, [0, 0]);
    for (name, map) in states() {
        let text = Note::from(map.clone()).encode_within(&STAMP, 1 << 20);
        assert_eq!(Note::decode_any(text.as_bytes(), &STAMP), Ok(map.clone().into()), "{name}");
        let (own, other) = (text.len(), parallel_consumer(&map));
        println!("{own:>6} {other:>6}  {name}");
        // Ours carries a checksum of four bytes, theirs none: that shows in the smallest maps, and only there.
        let alone = of_version_1(&map, &STAMP, 1 << 20).len();
        assert!(
            alone < other || (other <= 12 && alone <= other + 6),
            "{name}: {alone} characters, theirs {other}"
        );
        assert!(own <= alone + 5, "{name}: {own} characters with tag and length, {alone} without");
        (ours, theirs) = (ours + own, theirs + other);
        fits = [fits[0] + usize::from(own <= LIMIT), fits[1] + usize::from(other <= LIMIT)];
    }
    println!("{ours} characters in all, theirs {theirs}; {} fit, of theirs {}", fits[0], fits[1]);
    assert!(ours * 10 < theirs * 9, "{ours} of {theirs} characters in all");
}
