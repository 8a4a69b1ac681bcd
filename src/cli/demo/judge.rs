//! The judge: counts what he is shown from the topics, and believes nothing else. He knows neither Kafka nor the processor.
//!
//! A record is known by the number that the generator gave it. Each number of the input has to appear once, in
//! the output or in the dead-letter topic; and in the output the numbers of a key have to ascend.

use std::collections::HashMap;

use super::latency::Latency;
use super::window::{Side, Window};

/// Where a record was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The input.
    Input,
    /// The output.
    Output,
    /// The dead letters.
    DeadLetters,
}

/// What is told of a record.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The generator's number; `None` for a record that somebody else wrote.
    pub number: Option<u64>,
    /// Its key.
    pub key: &'a [u8],
    /// How long ago it was generated.
    pub age_ms: i64,
}

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records of the input, each counted once.
    pub input: u64,
    /// Records of which the first result is in the output.
    pub output: u64,
    /// Records of which the first result is a dead letter.
    pub dead_lettered: u64,
    /// Records of the input that have a result.
    pub settled: u64,
    /// Results beyond the first.
    pub repeated: u64,
    /// First results in the output whose key had a later one before.
    pub out_of_order: u64,
    /// Records of the input that stand there again: no fault of the processor's.
    pub twice_in_input: u64,
    /// Records without a number, or with one that the generator has not given.
    pub strangers: u64,
}

impl Tally {
    /// Records of the input without a result.
    pub fn without_result(&self) -> u64 {
        self.input - self.settled
    }

    /// Results of which nobody has seen the record in the input.
    pub fn without_input(&self) -> u64 {
        self.output + self.dead_lettered - self.settled
    }
}

/// Counts.
pub struct Judge {
    tally: Tally,
    window: Window,
    /// The highest number of each key in the output. There are as many as there are customers.
    highest: HashMap<Box<[u8]>, u64>,
    /// Of all records, and of those since somebody asked last.
    whole: Latency,
    recent: Latency,
    /// Numbers below this were given.
    given: u64,
}

impl Judge {
    /// Has seen nothing.
    pub fn new() -> Self {
        Self {
            tally: Tally::default(),
            window: Window::new(),
            highest: HashMap::new(),
            whole: Latency::new(),
            recent: Latency::new(),
            given: 0,
        }
    }

    /// The generator has given the numbers below this.
    pub fn given(&mut self, numbers: u64) {
        self.given = numbers;
    }

    /// A record was read.
    pub fn see(&mut self, topic: Topic, seen: Seen<'_>) {
        let Some(number) = seen.number.filter(|number| *number < self.given) else {
            self.tally.strangers += 1;
            return;
        };
        match topic {
            Topic::Input if self.window.mark(number, Side::Input) => self.tally.input += 1,
            Topic::Input => self.tally.twice_in_input += 1,
            Topic::Output | Topic::DeadLetters if !self.window.mark(number, Side::Result) => {
                self.tally.repeated += 1
            }
            Topic::Output => self.first_in_output(number, seen),
            Topic::DeadLetters => self.tally.dead_lettered += 1,
        }
        self.tally.settled = self.window.settled();
    }

    fn first_in_output(&mut self, number: u64, seen: Seen<'_>) {
        self.tally.output += 1;
        match self.highest.get_mut(seen.key) {
            Some(highest) if *highest > number => self.tally.out_of_order += 1,
            Some(highest) => *highest = number,
            None => _ = self.highest.insert(seen.key.into(), number),
        }
        // The first record waits until the group has formed, which says nothing of those that follow.
        if number > 0 {
            self.whole.add(seen.age_ms);
            self.recent.add(seen.age_ms);
        }
    }

    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What 99 of 100 records of the output did not exceed.
    pub fn p99(&self) -> Option<u64> {
        self.whole.p99()
    }

    /// The same of those since this was asked last.
    pub fn recent_p99(&mut self) -> Option<u64> {
        self.recent.take().p99()
    }
}

#[cfg(test)]
mod tests {
    use super::Topic::{DeadLetters, Input, Output};
    use super::*;

    /// Shows the judge numbers; the key of a number is its remainder by ten.
    fn judged(seen: &[(Topic, u64)]) -> Tally {
        let mut judge = Judge::new();
        judge.given(100);
        for (topic, number) in seen {
            let key = (number % 10).to_string();
            judge.see(*topic, Seen { number: Some(*number), key: key.as_bytes(), age_ms: 5 });
        }
        judge.tally()
    }

    /// Each number in the input, and its result in the same order.
    fn faultless() -> Vec<(Topic, u64)> {
        let result = |number| if number % 7 == 0 { DeadLetters } else { Output };
        (0..100)
            .map(|number| (Input, number))
            .chain((0..100).map(|number| (result(number), number)))
            .collect()
    }

    #[test]
    fn nothing_is_found_where_nothing_is_wrong() {
        let expected = Tally { input: 100, output: 85, dead_lettered: 15, settled: 100, ..Tally::default() };
        assert_eq!(judged(&faultless()), expected);
        assert_eq!((expected.without_result(), expected.without_input()), (0, 0));
        let mut results_first = faultless();
        results_first.rotate_left(100);
        assert_eq!(judged(&results_first), expected, "the judge may read the output before the input");
    }

    #[test]
    fn a_lost_record_is_found() {
        for number in [0, 1, 7, 63, 64, 99] {
            let mut seen = faultless();
            seen.remove(100 + number);
            let tally = judged(&seen);
            assert_eq!((tally.without_result(), tally.repeated, tally.out_of_order), (1, 0, 0), "{number}");
        }
    }

    #[test]
    fn a_repeated_record_is_found_wherever_its_copies_are() {
        let again = [(Output, 1), (Output, 7), (DeadLetters, 1), (DeadLetters, 7), (Output, 99)];
        for (topic, number) in again {
            let tally = judged(&[&faultless()[..], &[(topic, number)]].concat());
            let found = (tally.without_result(), tally.repeated, tally.out_of_order);
            assert_eq!(found, (0, 1, 0), "{number} again in {topic:?}");
        }
    }

    #[test]
    fn a_record_out_of_order_is_found_and_one_of_another_key_is_none() {
        let mut seen = faultless();
        seen.swap(100 + 15, 100 + 25);
        assert_eq!(judged(&seen).out_of_order, 1, "15 behind 25, of one key");
        let mut seen = faultless();
        seen.swap(100 + 15, 100 + 16);
        assert_eq!(judged(&seen).out_of_order, 0, "of different keys");
        let mut seen = faultless();
        seen.push((Output, 15));
        assert_eq!(judged(&seen).out_of_order, 0, "a copy is a repetition, and no disorder");
        let mut seen = faultless();
        seen.swap(100 + 15, 100 + 55);
        assert_eq!(judged(&seen).out_of_order, 3, "25, 45 and 15 stand behind 55; 35 is a dead letter");
    }

    #[test]
    fn what_is_not_the_processors_fault_is_counted_apart() {
        let tally = judged(&[&faultless()[..], &[(Input, 3)]].concat());
        assert_eq!((tally.twice_in_input, tally.repeated, tally.without_result()), (1, 0, 0));
        let mut seen = faultless();
        seen.remove(5);
        assert_eq!(judged(&seen).without_input(), 1, "a result of nothing");
    }

    #[test]
    fn records_of_others_are_told_apart() {
        let mut judge = Judge::new();
        judge.given(1);
        for number in [None, Some(1), Some(u64::MAX)] {
            judge.see(Input, Seen { number, key: b"k", age_ms: 0 });
        }
        assert_eq!(judge.tally(), Tally { strangers: 3, ..Tally::default() });
    }

    #[test]
    fn the_first_record_is_not_timed() {
        let mut judge = Judge::new();
        judge.given(2);
        judge.see(Output, Seen { number: Some(0), key: b"k", age_ms: 3000 });
        assert_eq!(judge.p99(), None);
        judge.see(Output, Seen { number: Some(1), key: b"k", age_ms: 12 });
        assert_eq!((judge.p99(), judge.recent_p99(), judge.recent_p99()), (Some(12), Some(12), None));
    }
}
