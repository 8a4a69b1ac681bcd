//! "Did you mean": the known name that is the fewest edits away.

/// The nearest of `known` and its distance, if it is near enough to be meant at all: at most three edits, and no more
/// than a quarter of the name.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<(&'a str, usize)> {
    let limit = 3.min(name.len() / 4);
    known
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= limit)
        .map(|candidate| (candidate, distance(name.as_bytes(), candidate.as_bytes())))
        .filter(|&(_, edits)| edits <= limit)
        .min_by_key(|&(_, edits)| edits)
}

/// Edits between two names: a letter put in, left out or changed, or two neighbours swapped (optimal string alignment).
pub fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_edit_of_each_sort() {
        for (a, b) in [("SASL", "SALS"), ("SASL", "SAL"), ("SASL", "SASSL"), ("SASL", "SASK")] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), 1, "{a} {b}");
        }
        assert_eq!(distance(b"", b"abc"), 3);
        assert_eq!(distance(b"same", b"same"), 0);
    }

    #[test]
    fn far_names_are_not_suggested() {
        let known = ["WORKER_POOL", "KAFKA_GROUP_ID"];
        assert_eq!(nearest("WROKER_POOL", known.into_iter()), Some(("WORKER_POOL", 1)));
        assert_eq!(nearest("KAFKA_HOME", known.into_iter()), None);
    }
}
