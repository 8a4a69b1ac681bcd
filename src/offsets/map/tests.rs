//! The map comes back as it went, never grows beyond its bound, is not believed when it is not ours, and is smaller than the
//! one of Confluent's Parallel Consumer.

use proptest::prelude::*;

use super::*;

const STAMP: Stamp<'static> = Stamp { group: "g", topic: "t", partition: 3, watermark: 1000 };

/// Ranges from pairs of a gap and a length; the first gap may be none.
fn map(pairs: &[(i64, i64)]) -> OffsetMap {
    let mut map = OffsetMap::default();
    let mut at = STAMP.watermark;
    for (gap, length) in pairs {
        map.push(at + gap..at + gap + length);
        at += gap + length;
    }
    map
}

fn pairs(most: usize) -> impl Strategy<Value = Vec<(i64, i64)>> {
    let run = prop_oneof![4 => 1i64..4, 2 => 1i64..300, 1 => 1i64..5_000_000];
    prop::collection::vec((run.clone(), run), 0..most)
}

/// Bits that look like chance, from a seed: `finished` in a thousand are set.
fn noise(seed: u64, length: i64, finished: u64) -> OffsetMap {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut map = OffsetMap::default();
    for offset in STAMP.watermark + 1..STAMP.watermark + length {
        if random.u64(..1000) < finished {
            map.push(offset..offset + 1);
        }
    }
    map
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_is_read_is_what_was_written(pairs in pairs(200), touching in any::<bool>()) {
        let mut expected = map(&pairs);
        if touching && !expected.is_empty() {
            let end = expected.end().expect("not empty");
            expected.push(STAMP.watermark..end);
        }
        let text = expected.encode(&STAMP);
        prop_assert!(text.len() <= LIMIT && text.is_ascii());
        prop_assert_eq!(OffsetMap::decode(text.as_bytes(), &STAMP), Ok(expected));
    }

    #[test]
    fn each_method_reads_what_it_wrote(pairs in pairs(60)) {
        let expected = map(&pairs);
        for method in Method::ALL {
            if method == Method::Bitset && expected.end().is_some_and(|end| end > STAMP.watermark + 100_000) {
                continue;
            }
            let (bytes, covered) = method.write(STAMP.watermark, expected.ranges(), 1 << 20);
            prop_assert_eq!(covered, expected.end().unwrap_or(STAMP.watermark));
            prop_assert_eq!(method.read(STAMP.watermark, &bytes), Some(expected.ranges().to_vec()), "{:?}", method);
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_at_the_end(pairs in pairs(300), characters in 0usize..200) {
        let expected = map(&pairs);
        let text = expected.encode_within(&STAMP, characters);
        prop_assert!(text.len() <= characters, "{} of {characters}", text.len());
        let read = OffsetMap::decode(text.as_bytes(), &STAMP).expect("ours");
        let end = read.end().unwrap_or(STAMP.watermark);
        let mut cut = OffsetMap::default();
        expected.ranges().iter().for_each(|range| cut.push(range.start.min(end)..range.end.min(end)));
        prop_assert_eq!(read, cut);
    }

    #[test]
    fn any_text_is_read_without_a_panic_and_without_much_memory(
        bytes in prop::collection::vec(any::<u8>(), 0..300), head in 0u8..8, watermark in any::<i64>(),
    ) {
        let stamp = Stamp { watermark, ..STAMP };
        let _ = OffsetMap::decode(&bytes, &stamp);
        // The same with a checksum that somebody computed.
        let head = VERSION << 4 | head;
        let mut forged = vec![head];
        forged.extend(checksum(&stamp, head, &bytes));
        forged.extend(&bytes);
        if let Ok(map) = OffsetMap::decode(text::encode(&forged).as_bytes(), &stamp) {
            prop_assert!(map.ranges().iter().all(|range| range.start >= watermark && !range.is_empty()));
            prop_assert!(map.ranges().windows(2).all(|two| two[0].end <= two[1].start));
        }
    }

    #[test]
    fn one_changed_character_is_noticed(pairs in pairs(30), at in any::<prop::sample::Index>(), by in 1u8..85) {
        let text = map(&pairs).encode(&STAMP);
        prop_assume!(!text.is_empty());
        let mut changed = text.clone().into_bytes();
        let at = at.index(changed.len());
        changed[at] = 33 + (changed[at] - 33 + by) % 93;
        prop_assume!(changed != text.as_bytes());
        prop_assert!(OffsetMap::decode(&changed, &STAMP).is_err());
    }
}

#[test]
fn a_map_of_somebody_else_is_not_believed() {
    let text = map(&[(1, 5), (2, 1)]).encode(&STAMP);
    assert!(OffsetMap::decode(text.as_bytes(), &STAMP).is_ok());
    for foreign in [
        Stamp { group: "h", ..STAMP },
        Stamp { topic: "u", ..STAMP },
        Stamp { partition: 4, ..STAMP },
        Stamp { watermark: 1001, ..STAMP },
        Stamp { group: "gt", topic: "", ..STAMP },
    ] {
        assert_eq!(OffsetMap::decode(text.as_bytes(), &foreign), Err(Unusable::Checksum), "{foreign:?}");
    }
    for other in ["some text of another tool", "x", "{\"a\":1}", "\u{0}\u{1}", "åäö"] {
        assert!(OffsetMap::decode(other.as_bytes(), &STAMP).is_err(), "{other:?}");
    }
    let longest = OffsetMap::decode(&[b'0'; LIMIT - 1], &STAMP);
    assert_eq!(longest, Err(Unusable::Checksum), "it might be one");
    assert_eq!(OffsetMap::decode(&[b'0'; LIMIT + 1], &STAMP), Err(Unusable::NotAMap), "no map is so long");
}

#[test]
fn a_newer_format_is_named() {
    let head = (VERSION + 1) << 4;
    let mut bytes = vec![head];
    bytes.extend(checksum(&STAMP, head, b"new"));
    bytes.extend(b"new");
    let read = OffsetMap::decode(text::encode(&bytes).as_bytes(), &STAMP);
    assert_eq!(read, Err(Unusable::Version(VERSION + 1)));
}

#[test]
fn a_map_that_names_records_which_are_not_there_is_not_used() {
    let map = map(&[(1, 5)]);
    assert!(map.clone().within(1006).is_ok());
    assert_eq!(map.within(1005), Err(Unusable::BeyondTheEnd(1005)));
}

#[test]
fn what_is_below_the_next_offset_is_forgotten() {
    let mut map = map(&[(1, 5), (2, 4)]);
    map.forget_below(1003);
    assert_eq!(map.ranges(), [1003..1006, 1008..1012]);
    map.forget_below(1006);
    assert_eq!((map.count(), map.end()), (4, Some(1012)));
    map.forget_below(2000);
    assert!(map.is_empty());
}

#[test]
fn what_is_too_long_to_be_said_is_left_out_and_what_would_overflow_is_not_read() {
    for (ranges, covered) in [(vec![1..2, 1 << 49..(1 << 49) + 1], 2), (vec![1..2, 3..1 << 50], 2)] {
        assert_eq!(Method::Runs(0).write(0, &ranges, 1_000).1, covered, "{ranges:?}");
    }
    assert_eq!(Method::Bitset.read(i64::MAX - 20, &[0xff; 3]), None);
}

/// A map that another build wrote and that this one reads otherwise would hide records that are open. Whoever changes what is
/// written raises [`VERSION`].
#[test]
fn what_is_written_is_the_same_as_ever() {
    let states: [Vec<(i64, i64)>; 4] = [
        (0..400).map(|n: i64| (1 + n * n % 5, 1 + n * n % 3)).collect(),
        (0..300).map(|n: i64| (1 + n * n % 97, 1 + n * n * 7 % 1013)).collect(),
        (0..6_000).map(|n: i64| (1, 1 + i64::from(n % 1_000 == 0))).collect(),
        (0..40).map(|n: i64| (1 << n, 3 << n)).collect(),
    ];
    let mut hash = Xxh3::new();
    for (state, method) in states.iter().flat_map(|state| Method::ALL.map(|method| (state, method))) {
        // Where little fits it shows which range is the last one.
        for limit in (40..60).chain([3_000]) {
            let (bytes, _) = method.write(STAMP.watermark, map(state).ranges(), limit);
            hash.update(&bytes);
        }
    }
    assert_eq!(hash.digest(), 8_559_435_461_114_244_584);
    let text = map(&[(0, 2), (1, 5), (300, 7)]).encode(&STAMP);
    assert_eq!(text, "5Ya)?{/X<C/q!");
}

#[test]
fn a_map_fits_as_long_as_half_of_the_characters_hold_it() {
    let fits = |map: &OffsetMap| map.fits(STAMP.watermark);
    assert!(fits(&OffsetMap::default()) && fits(&map(&[(1, 5_000_000)])));
    let (mut small, mut large) = (0, 40_000);
    while large - small > 1 {
        let middle = (small + large) / 2;
        if fits(&noise(7, middle, 500)) { small = middle } else { large = middle }
    }
    let characters = noise(7, small, 500).encode(&STAMP).len();
    assert!((LIMIT / 2 - 20..=LIMIT / 2).contains(&characters), "the last that fits takes {characters}");
}

/// The size of the Parallel Consumer's metadata for the same state: the smallest of its encodings (bitset and run lengths,
/// with two-byte and four-byte numbers, each also with zstd), one byte that names it, in Base64.
fn parallel_consumer(map: &OffsetMap) -> usize {
    let Some(end) = map.end() else { return 0 };
    let mut bits = vec![0u8; usize::try_from(end - STAMP.watermark).expect("small").div_ceil(8)];
    let mut runs: Vec<i64> = Vec::new();
    let mut at = STAMP.watermark;
    for range in map.ranges() {
        runs.extend([range.start - at, range.end - range.start]);
        at = range.end;
        for offset in range.clone() {
            let place = usize::try_from(offset - STAMP.watermark).expect("small");
            bits[place / 8] |= 1 << (place % 8);
        }
    }
    let length = end - STAMP.watermark;
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
        let text = map.encode_within(&STAMP, 1 << 20);
        assert_eq!(OffsetMap::decode_any(text.as_bytes(), &STAMP), Ok(map.clone()), "{name}");
        let (own, other) = (text.len(), parallel_consumer(&map));
        println!("{own:>6} {other:>6}  {name}");
        // Ours carries a checksum of four bytes, theirs none: that shows in the smallest maps, and only there.
        assert!(own < other || (other <= 12 && own <= other + 6), "{name}: {own} characters, theirs {other}");
        (ours, theirs) = (ours + own, theirs + other);
        fits = [fits[0] + usize::from(own <= LIMIT), fits[1] + usize::from(other <= LIMIT)];
    }
    println!("{ours} characters in all, theirs {theirs}; {} fit, of theirs {}", fits[0], fits[1]);
    assert!(ours * 10 < theirs * 9, "{ours} of {theirs} characters in all");
}
