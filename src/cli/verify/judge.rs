//! Counts. First the input is shown, then the results; then it is asked for its report. Or, where both grow without end, they are shown
//! as they come, and what is finished is forgotten: see [`Judge::forgetting`].

mod verdict;

use std::collections::HashMap;

use super::digest::{self, Digest};
use super::inputs::{Entry, Found, GROWING, Inputs, Ref};
use super::order::Lanes;
use super::report::{Aside, Example, Finding, Matched, Records};
use super::rules::Rules;
use crate::cli::stamp;
use crate::policy::Order;
use crate::record::{Headers, Parts, Record};
use crate::sink::Target;
use crate::sink::origin::{self, Origin};

/// See the module.
#[derive(Debug)]
pub(crate) struct Judge {
    rules: Rules,
    inputs: Inputs,
    lanes: Lanes,
    /// Records with several results: how many, and which were seen.
    several: HashMap<Ref, Several>,
    records: Records,
    matched: Matched,
    aside: Aside,
    faults: Faults,
    /// Records finished by their output, and by a dead letter.
    finished: [u64; 2],
    /// Whether what is finished at the front of a partition is forgotten.
    forgets: bool,
    /// Results of records that may still come, by the place of the partition and the offset.
    early: HashMap<(u32, i64), Vec<Early>>,
}

/// A result that was shown before its record.
type Early = (Place, Option<(u32, u32)>, Record);

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Records of the input.
    pub input: u64,
    /// Those of them that are finished by what is in the output.
    pub output: u64,
    /// Those of them that are finished by a dead letter.
    pub dead_lettered: u64,
    /// Results beyond the first.
    pub repeated: u64,
    /// First results that stand behind a later one of their lane.
    pub out_of_order: u64,
}

impl Counts {
    /// Records of the input that are finished.
    pub(crate) fn finished(&self) -> u64 {
        self.output + self.dead_lettered
    }

    /// Records of the input without a result.
    pub(crate) fn unfinished(&self) -> u64 {
        self.input - self.finished()
    }
}

#[derive(Debug)]
struct Several {
    count: u32,
    seen: Vec<bool>,
}

impl Several {
    fn is_complete(&self) -> bool {
        self.seen.iter().all(|seen| *seen)
    }
}

#[derive(Debug, Default)]
struct Faults {
    repeated: Finding,
    out_of_order: Finding,
    split: Finding,
    phantom: Finding,
    unjudged: Finding,
    corrupt: Finding,
}

/// Whose result it is.
enum Whose {
    Record(Ref, Option<(u32, u32)>),
    /// A record's that was finished, and is forgotten; its name.
    Again(String),
    /// A record's that was not shown yet.
    NotYet(u32, i64, Option<(u32, u32)>),
    NotJudged,
    /// It does not say.
    Unmarked,
    Nobody(&'static str),
}

/// Where a result was read.
#[derive(Clone, Copy, Debug)]
struct Place {
    target: Target,
    partition: i32,
    offset: i64,
}

impl Judge {
    /// Has seen nothing.
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            inputs: Inputs::default(),
            lanes: Lanes::default(),
            several: HashMap::new(),
            records: Records::default(),
            matched: Matched::default(),
            aside: Aside::default(),
            faults: Faults::default(),
            finished: [0; 2],
            forgets: false,
            early: HashMap::new(),
        }
    }

    /// A judge of topics that grow while they are read: input and results may be shown in any order, and it forgets what is finished
    /// before all that is not. A result of a record that is forgotten counts as repeated. What has no position of its record, but a
    /// stamp, is only known while the record is not forgotten.
    pub(crate) fn forgetting(rules: Rules) -> Self {
        Self { forgets: true, ..Self::new(rules) }
    }

    /// The same without an end: it grows while it is read.
    pub(crate) fn growing_partition(&mut self, topic: &str, number: i32) {
        self.inputs.declare(topic, number, 0, GROWING);
    }

    /// A partition grows no more, and ends here.
    pub(crate) fn ends(&mut self, topic: &str, number: i32, end: i64) {
        if let Some(partition) = self.inputs.partition(topic, number) {
            partition.end = end;
        }
    }

    /// What was counted so far.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            input: self.records.input,
            output: self.finished[0],
            dead_lettered: self.finished[1],
            repeated: self.faults.repeated.count,
            out_of_order: self.faults.out_of_order.count,
        }
    }

    /// How many records it remembers.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.inputs.remembered()
    }

    /// There is this partition of an input topic, with the records from `first` to before `end`.
    pub(crate) fn partition(&mut self, topic: &str, number: i32, first: i64, end: i64) {
        self.inputs.declare(topic, number, first, end);
    }

    /// The group has committed this offset of a partition.
    pub(crate) fn committed(&mut self, topic: &str, number: i32, offset: i64) {
        if let Some(partition) = self.inputs.partition(topic, number) {
            partition.committed = Some(offset);
        }
    }

    /// The commit's metadata says that this record is finished, beyond the committed offset. After the input was shown.
    pub(crate) fn claimed(&mut self, topic: &str, number: i32, offset: i64) {
        if let Found::Record(one) = self.inputs.at(topic, number, offset) {
            self.inputs.entry_mut(one).claimed = true;
        }
    }

    /// A record of the input, a partition's in offset order. The partition was declared.
    pub(crate) fn input(&mut self, topic: &str, number: i32, offset: i64, parts: &Parts<'_>) {
        let Some(place) = self.inputs.place(topic, number) else { return };
        self.records.input += 1;
        let stamp = stamp::read(parts.headers.last(stamp::HEADER_NAME), parts.value);
        self.inputs.add(place, Entry::new(offset, &Digest::of(parts)), stamp);
        if !self.early.is_empty()
            && let Some(results) = self.early.remove(&(place, offset))
        {
            for (at, part, result) in results {
                if let Found::Record(one) = self.inputs.at(topic, number, offset) {
                    self.belongs(at, one, part, &borrowed(&result));
                }
            }
        }
    }

    /// A record of the output or the dead-letter topic, a partition's in offset order. After all of the input, unless the judge is
    /// [`Judge::forgetting`]. Whether it may be the first result of a record: not where it is known to be another one's.
    pub(crate) fn result(&mut self, target: Target, partition: i32, offset: i64, parts: &Parts<'_>) -> bool {
        match target {
            Target::Output => self.records.output += 1,
            Target::DeadLetter => self.records.dead_letters += 1,
        }
        let place = Place { target, partition, offset };
        match self.whose(target, parts) {
            Whose::Record(one, part) => return self.belongs(place, one, part, parts),
            Whose::NotYet(input, at, part) => {
                let topic = self.inputs.partitions[input as usize].topic.clone();
                let copy = Record::new(topic, partition, offset, parts.clone());
                self.early.entry((input, at)).or_default().push((place, part, copy));
                return true;
            }
            Whose::Again(of) => {
                let (rules, repeated) = (&self.rules, &mut self.faults.repeated);
                repeated.add(rules.examples, || rules.example(place, Some(of), None));
            }
            Whose::NotJudged => {}
            Whose::Unmarked => {
                let (rules, unjudged) = (&self.rules, &mut self.faults.unjudged);
                unjudged.add(rules.examples, || rules.example(place, None, None));
            }
            Whose::Nobody(why) => {
                let (rules, phantom) = (&self.rules, &mut self.faults.phantom);
                phantom.add(rules.examples, || rules.example(place, None, Some(why.to_owned())));
            }
        }
        false
    }

    /// By what the program says of it, and else by its stamp.
    fn whose(&mut self, target: Target, parts: &Parts<'_>) -> Whose {
        let source = match target {
            Target::Output => parts.headers.last(origin::NAME).and_then(Origin::parse),
            Target::DeadLetter => died(&parts.headers),
        };
        let other_group = || {
            let group = parts.headers.last("__dlq.errors.group").zip(self.rules.group.as_deref());
            target == Target::DeadLetter && group.is_some_and(|(said, ours)| said != ours.as_bytes())
        };
        if let Some(source) = source {
            return match self.inputs.at(source.topic, source.partition, source.offset) {
                Found::Elsewhere => self.foreign(),
                Found::Record(_) | Found::Removed | Found::Forgotten | Found::NotYet(_) if other_group() => {
                    self.foreign()
                }
                Found::Record(one) => {
                    self.match_by_position(target);
                    Whose::Record(one, source.part)
                }
                Found::NotYet(place) => {
                    self.match_by_position(target);
                    Whose::NotYet(place, source.offset, source.part)
                }
                Found::Forgotten => {
                    self.match_by_position(target);
                    Whose::Again(format!("{}/{}/{}", source.topic, source.partition, source.offset))
                }
                Found::Removed => {
                    self.aside.removed += 1;
                    Whose::NotJudged
                }
                Found::Nothing => Whose::Nobody("there is no such record in the input"),
            };
        }
        match stamp::read(parts.headers.last(stamp::HEADER_NAME), parts.value) {
            None => Whose::Unmarked,
            Some(stamp) => match self.inputs.stamped(stamp) {
                None => Whose::Nobody("no record of the input has its stamp"),
                Some(one) => {
                    self.matched.stamp += 1;
                    Whose::Record(one, None)
                }
            },
        }
    }

    fn match_by_position(&mut self, target: Target) {
        match target {
            Target::Output => self.matched.source += 1,
            Target::DeadLetter => self.matched.dead_letter += 1,
        }
    }

    fn foreign(&mut self) -> Whose {
        self.aside.foreign += 1;
        Whose::NotJudged
    }

    /// Whether it is the first one.
    fn belongs(&mut self, place: Place, one: Ref, part: Option<(u32, u32)>, parts: &Parts<'_>) -> bool {
        let found = Digest::of(parts);
        let entry = *self.inputs.entry(one);
        let was_finished = self.is_finished(one, &entry);
        let mut wrong = self.rules.differs(place.target, &entry, &found, &parts.headers);
        let first_time = match part {
            None => self.whole(one),
            Some((index, count)) => self.one_of_several(one, index, count).unwrap_or_else(|| {
                wrong = Some("says that its record has another number of results than one before it said");
                true
            }),
        };
        let (rules, inputs, faults) = (&self.rules, &self.inputs, &mut self.faults);
        let of = || Some(inputs.name(one));
        if let Some(wrong) = wrong {
            faults.corrupt.add(rules.examples, || rules.example(place, of(), Some(wrong.to_owned())));
        }
        if !first_time {
            faults.repeated.add(rules.examples, || rules.example(place, of(), None));
        } else if place.target == Target::Output {
            let step = (entry.offset, part.map_or(0, |(index, _)| index));
            let later = rules
                .lane(&entry)
                .and_then(|lane| self.lanes.step(lane, one.partition, place.partition, step));
            if let Some((later, _)) = later {
                let why = format!("stands behind the result of offset {later}");
                faults.out_of_order.add(rules.examples, || rules.example(place, of(), Some(why)));
            }
            let key = found.key;
            let moved = rules.keys_stay && key != digest::NO_KEY;
            if let Some(home) = moved.then(|| self.lanes.moved(key, place.partition)).flatten() {
                let why = format!("others of its key are in partition {home}");
                faults.split.add(rules.examples, || rules.example(place, of(), Some(why)));
            }
        }
        if !was_finished && self.is_finished(one, self.inputs.entry(one)) {
            self.finished[usize::from(place.target == Target::DeadLetter)] += 1;
            self.forget(one.partition);
        }
        first_time
    }

    pub(super) fn is_finished(&self, one: Ref, entry: &Entry) -> bool {
        is_finished(&self.several, one, entry)
    }

    fn forget(&mut self, place: u32) {
        if !self.forgets {
            return;
        }
        let several = &mut self.several;
        self.inputs.forget_while(place, |one, entry| {
            let is_over = is_finished(several, one, entry);
            if is_over && !several.is_empty() {
                several.remove(&one);
            }
            is_over
        });
    }

    /// A record's only result, or its dead letter. Whether it is the first.
    fn whole(&mut self, one: Ref) -> bool {
        let entry = self.inputs.entry_mut(one);
        entry.results = entry.results.saturating_add(1);
        entry.results == 1 && !self.several.get(&one).is_some_and(Several::is_complete)
    }

    /// One of a record's results. Whether it was not seen before; `None` if there cannot be one of such a number.
    fn one_of_several(&mut self, one: Ref, index: u32, count: u32) -> Option<bool> {
        /// Nobody makes more of one record, and a forged number must not cost memory.
        const MOST: u32 = 1 << 16;
        let count = if count > MOST { return None } else { count };
        let empty = || Several { count, seen: vec![false; count as usize] };
        let several = self.several.entry(one).or_insert_with(empty);
        if several.count != count {
            return None;
        }
        let seen = several.seen.get_mut(index as usize - 1)?;
        Some(!std::mem::replace(seen, true))
    }
}

/// Whether a record has all its results.
fn is_finished(several: &HashMap<Ref, Several>, one: Ref, entry: &Entry) -> bool {
    entry.results > 0 || (!several.is_empty() && several.get(&one).is_some_and(Several::is_complete))
}

fn borrowed(record: &Record) -> Parts<'_> {
    Parts {
        key: record.key(),
        value: record.value(),
        timestamp: record.timestamp(),
        headers: record.headers().clone(),
    }
}

/// Where a dead letter says that its record stood.
fn died(headers: &Headers) -> Option<Origin<'_>> {
    let text = |name| std::str::from_utf8(headers.last(name)?).ok();
    Some(Origin {
        topic: text("__dlq.errors.topic")?,
        partition: text("__dlq.errors.partition")?.parse().ok()?,
        offset: text("__dlq.errors.offset")?.parse().ok()?,
        part: None,
    })
}

impl Rules {
    fn example(&self, place: Place, of: Option<String>, why: Option<String>) -> Example {
        let topic = match place.target {
            Target::Output => &self.output,
            Target::DeadLetter => self.dead_letters.as_ref().unwrap_or(&self.output),
        };
        Example { at: Some(format!("{topic}/{}/{}", place.partition, place.offset)), of, why }
    }

    /// What has to stay in order with this record, within its partition.
    fn lane(&self, entry: &Entry) -> Option<u64> {
        match self.order {
            Order::Key => (entry.key != digest::NO_KEY).then_some(entry.key),
            Order::Partition => Some(digest::NO_KEY),
            Order::Unordered => None,
        }
    }

    /// What of a result is not as its record says it must be.
    fn differs(
        &self,
        target: Target,
        entry: &Entry,
        found: &Digest,
        headers: &Headers,
    ) -> Option<&'static str> {
        let dead = target == Target::DeadLetter;
        if (dead || self.same.key) && found.key != entry.key {
            return Some("has another key than its record");
        }
        if (dead || self.same.headers) && found.headers != entry.headers {
            return Some("has other headers than its record");
        }
        if dead || self.same.value {
            let left_out = dead && headers.last("processor.dlq.value.truncated").is_some();
            let value = if left_out { hash_said(headers) } else { Some(found.value) };
            // A dead letter without its value says the same of no value as of an empty one.
            let same = value == Some(entry.value) || (left_out && entry.value == digest::value(None));
            return (!same).then_some("has another value than its record");
        }
        let same = !self.same.stamped || !entry.is_stamped || found.stamped == Some(entry.stamped);
        (!same).then_some("has another value than its record, also apart from the field status")
    }
}

/// What a dead letter without its value says of the value.
fn hash_said(headers: &Headers) -> Option<u32> {
    let text = std::str::from_utf8(headers.last("processor.dlq.value.xxh3")?).ok()?;
    u64::from_str_radix(text, 16).ok().map(|hash| hash as u32)
}
