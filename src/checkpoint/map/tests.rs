//! The map comes back as it went, and never grows beyond its bound.

use proptest::prelude::*;
use xxhash_rust::xxh3::Xxh3;

use super::*;

/// The watermark of these tests.
pub(in crate::checkpoint) const START: i64 = 1000;

/// Ranges from pairs of a gap and a length; the first gap may be none.
pub(in crate::checkpoint) fn map(pairs: &[(i64, i64)]) -> OffsetMap {
    let mut map = OffsetMap::default();
    let mut at = START;
    for (gap, length) in pairs {
        map.push(at + gap..at + gap + length);
        at += gap + length;
    }
    map
}

pub(in crate::checkpoint) fn pairs(most: usize) -> impl Strategy<Value = Vec<(i64, i64)>> {
    let run = prop_oneof![4 => 1i64..4, 2 => 1i64..300, 1 => 1i64..5_000_000];
    prop::collection::vec((run.clone(), run), 0..most)
}

/// Bits that look like chance, from a seed: `finished` in a thousand are set.
pub(in crate::checkpoint) fn noise(seed: u64, length: i64, finished: u64) -> OffsetMap {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut map = OffsetMap::default();
    for offset in START + 1..START + length {
        if random.u64(..1000) < finished {
            map.push(offset..offset + 1);
        }
    }
    map
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn each_method_reads_what_it_wrote(pairs in pairs(60)) {
        let expected = map(&pairs);
        for method in Method::ALL {
            if method == Method::Bitset && expected.end().is_some_and(|end| end > START + 100_000) {
                continue;
            }
            let (bytes, covered) = method.write(START, expected.ranges(), 1 << 20);
            prop_assert_eq!(covered, expected.end().unwrap_or(START));
            prop_assert_eq!(method.read(START, &bytes), Some(expected.ranges().to_vec()), "{:?}", method);
        }
    }
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
/// written raises the version of [`super::super::note`].
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
            let (bytes, _) = method.write(START, map(state).ranges(), limit);
            hash.update(&bytes);
        }
    }
    assert_eq!(hash.digest(), 8_559_435_461_114_244_584);
}
