//! Which numbers were seen in the input, and which as a result: two bits a number, and no bits at all for the numbers
//! below which everything was seen on both sides. So memory follows what is in flight, not what went through.

use std::collections::VecDeque;

/// Where a number was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// In the input topic.
    Input,
    /// In the output or the dead-letter topic.
    Result,
}

/// A window over the numbers 0, 1, 2, …
#[derive(Debug)]
pub struct Window {
    /// The number of the first bit. Everything below was seen on both sides, or given up.
    base: u64,
    /// Bits of 64 numbers each: seen in the input, seen as a result.
    words: VecDeque<[u64; 2]>,
    /// Numbers seen on both sides.
    settled: u64,
    /// A missing number holds the window open: it grows to so many words, and then gives the number up.
    most_words: usize,
}

const BITS: u64 = 64;
/// 64 million numbers, 16 MiB.
const MOST_WORDS: usize = 1 << 20;

impl Window {
    /// Nothing was seen.
    pub fn new() -> Self {
        Self { base: 0, words: VecDeque::new(), settled: 0, most_words: MOST_WORDS }
    }

    /// A number was seen. Returns whether for the first time on this side. (A number that was given up and comes after
    /// all counts as seen before.)
    pub fn mark(&mut self, number: u64, side: Side) -> bool {
        let Some(ahead) = number.checked_sub(self.base) else { return false };
        let index = (ahead / BITS) as usize;
        if index >= self.words.len() {
            self.words.resize(index + 1, [0, 0]);
        }
        let word = &mut self.words[index];
        let bit = 1 << (ahead % BITS);
        let [own, other] = match side {
            Side::Input => [word[0], word[1]],
            Side::Result => [word[1], word[0]],
        };
        if own & bit != 0 {
            return false;
        }
        word[side as usize] |= bit;
        self.settled += u64::from(other & bit != 0);
        self.slide();
        true
    }

    fn slide(&mut self) {
        while self.words.len() > self.most_words || self.words.front() == Some(&[u64::MAX; 2]) {
            self.words.pop_front();
            self.base += BITS;
        }
    }

    /// How many numbers were seen on both sides.
    pub fn settled(&self) -> u64 {
        self.settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_on_both_sides_is_settled_in_whatever_order() {
        let mut window = Window::new();
        for number in (0..1000).rev() {
            assert!(window.mark(number, Side::Result));
            assert_eq!(window.settled(), 999 - number);
            assert!(window.mark(number, Side::Input));
        }
        assert_eq!(window.settled(), 1000);
        assert_eq!((window.words.len(), window.base), (1, 960), "what is settled takes no room");
    }

    #[test]
    fn a_number_is_new_once_a_side_also_when_the_window_has_passed_it() {
        let mut window = Window::new();
        for number in 0..640 {
            assert!(window.mark(number, Side::Input) && window.mark(number, Side::Result));
        }
        assert!(window.words.is_empty());
        for number in [0, 63, 64, 639] {
            assert!(!window.mark(number, Side::Input) && !window.mark(number, Side::Result), "{number}");
        }
        assert_eq!(window.settled(), 640);
    }

    #[test]
    fn a_missing_number_holds_the_window_open_up_to_a_bound_and_stays_missing() {
        let mut window = Window { most_words: 4, ..Window::new() };
        for number in 0..10_000 {
            window.mark(number, Side::Input);
            if number != 100 {
                window.mark(number, Side::Result);
            }
            assert!(window.words.len() <= 4);
        }
        assert_eq!(window.settled(), 9_999);
        assert!(!window.mark(100, Side::Result), "given up");
    }
}
