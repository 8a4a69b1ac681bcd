//! Label values, bounded: each distinct one is a time series in somebody's memory, for ever.

use std::collections::HashSet;

use parking_lot::Mutex;

/// One label.
pub(super) type One = [(&'static str, String); 1];
/// Two labels.
pub(super) type Two = [(&'static str, String); 2];

/// How many distinct words a label that others fill may have.
const MOST: usize = 64;
/// How long a word may be.
const LONGEST: usize = 64;
/// Stands for all words after that.
const OTHER: &str = "other";

/// The words seen so far of a label whose values come from outside, such as a transform's codes.
#[derive(Debug, Default)]
pub(super) struct Words(Mutex<HashSet<String>>);

impl Words {
    /// The word to use for `word`: itself, made plain and short, or `other` when there are too many already.
    pub(super) fn bounded(&self, word: &str) -> String {
        let word = plain(word);
        let mut known = self.0.lock();
        if known.contains(&word) {
            return word;
        }
        if known.len() >= MOST {
            return OTHER.to_owned();
        }
        known.insert(word.clone());
        word
    }
}

/// Letters, digits and `_.:-` of `word`, anything else as `_`, at most [`LONGEST`] of them.
fn plain(word: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
    let word: String = word.chars().take(LONGEST).map(|c| if keep(c) { c } else { '_' }).collect();
    if word.is_empty() { OTHER.to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_stay_and_new_ones_become_other_at_the_limit() {
        let words = Words::default();
        for n in 0..MOST {
            assert_eq!(words.bounded(&format!("code_{n}")), format!("code_{n}"));
        }
        assert_eq!(words.bounded("one_more"), OTHER);
        assert_eq!(words.bounded("code_7"), "code_7");
    }

    #[test]
    fn words_are_plain_short_and_never_empty() {
        let words = Words::default();
        assert_eq!(words.bounded("too old\n\"\u{e9}"), "too_old___");
        assert_eq!(words.bounded(&"x".repeat(1000)).len(), LONGEST);
        assert_eq!(words.bounded(""), OTHER);
    }
}
