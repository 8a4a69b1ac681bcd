//! A record in flight: what it was, what is to be written for it, and what it holds of the ledger.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Instant;

use super::failure::Hold;
use crate::checkpoint::Ticket;
use crate::engine::lanes::Place;
use crate::planted::{Bug, planted};
use crate::record::Record;
use crate::sink::dead_letter::{bare, without_value};
use crate::sink::{Leg, Parcel, Target, origin};
use crate::transform::{Field, Output};

/// What is to be written for a record.
#[derive(Debug)]
pub(super) enum Results {
    /// Not known yet.
    None,
    /// The usual case.
    One(Output),
    /// Several, in this order.
    Many(Vec<Output>),
    /// It failed for good.
    DeadLetter { letter: Box<Letter>, code: Cow<'static, str> },
}

/// Each record is moved several times with its results: what few of them have must not make all of them larger.
const _: () = assert!(size_of::<Results>() <= size_of::<Output>() + size_of::<usize>());

/// A dead letter, and what is written of it while its topic finds it too large.
#[derive(Debug)]
pub(super) struct Letter {
    whole: Output,
    smaller: Option<Smaller>,
}

#[derive(Debug)]
enum Smaller {
    /// All but the record's value.
    WithoutValue(Output),
    /// Only what says where the record is, and why it failed.
    Bare(Output),
}

impl Letter {
    pub(super) fn new(whole: Output) -> Self {
        Self { whole, smaller: None }
    }

    /// What is to be written of it now.
    fn written(&self) -> &Output {
        match &self.smaller {
            None => &self.whole,
            Some(Smaller::WithoutValue(output) | Smaller::Bare(output)) => output,
        }
    }

    /// Makes it smaller, if it can be.
    pub(super) fn shrink(&mut self, record: &Record) -> bool {
        let smaller = match &self.smaller {
            None => Smaller::WithoutValue(without_value(self.whole.clone(), record.value())),
            Some(Smaller::WithoutValue(output)) => Smaller::Bare(bare(output.clone(), record.key())),
            Some(Smaller::Bare(_)) => return false,
        };
        self.smaller = Some(smaller);
        true
    }

    /// From now on all of it is written again.
    pub(super) fn restore(&mut self) {
        self.smaller = None;
    }
}

/// See the module.
#[derive(Debug)]
pub struct Job {
    record: Record,
    ticket: Ticket,
    shard: u32,
    attempts: u32,
    /// When the source gave it to us.
    pub(super) admitted: Instant,
    /// When a producer took it; only of the first of a batch, as a sample.
    pub(super) taken: Option<Instant>,
    /// Written by the sink when it hands the record over, and read by it when that is answered.
    turn: AtomicBool,
    results: Results,
    /// What only a record in trouble has.
    trouble: Option<Box<Trouble>>,
}

#[derive(Debug, Default)]
struct Trouble {
    first_failed_ms: Option<i64>,
    /// The time that its dead letter bears: the topic counts from there how long it keeps the letter.
    letter_ms: Option<i64>,
    /// Times that the broker did not take its dead letter.
    put_off: u32,
    /// While it is held: failed for good, and not given up.
    hold: Option<Hold>,
}

impl Job {
    pub(super) fn new(record: Record, ticket: Ticket, shard: usize, admitted: Instant) -> Self {
        Self {
            record,
            ticket,
            shard: shard as u32,
            attempts: 0,
            admitted,
            taken: None,
            turn: AtomicBool::new(false),
            results: Results::None,
            trouble: None,
        }
    }

    /// The record as it was read.
    pub fn record(&self) -> &Record {
        &self.record
    }

    pub(super) fn ticket(&self) -> Ticket {
        self.ticket
    }

    pub(super) fn ticket_mut(&mut self) -> &mut Ticket {
        &mut self.ticket
    }

    /// Its place on the ready list: it is found by its slot.
    pub(super) fn place(&self) -> Place {
        Place { shard: self.shard, group: self.ticket.slot.index }
    }

    pub(super) fn send_to(&mut self, shard: usize) {
        self.shard = shard as u32;
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(super) fn tried(&mut self, attempt: u32) {
        self.attempts = attempt;
    }

    pub(super) fn first_failed_ms(&self) -> Option<i64> {
        self.trouble.as_ref()?.first_failed_ms
    }

    pub(super) fn failed_first_at(&mut self, now_ms: i64) {
        self.trouble.get_or_insert_default().first_failed_ms.get_or_insert(now_ms);
    }

    /// Its dead letter is made now.
    pub(super) fn date_letter(&mut self, now_ms: i64) {
        self.trouble.get_or_insert_default().letter_ms = Some(now_ms);
    }

    /// Its dead letter, if it has one, is tried again now: with the old time, and after it waited for longer than its topic keeps
    /// anything, it would be deleted as soon as it is written.
    pub(super) fn date_letter_again(&mut self, now_ms: i64) {
        if let Some(trouble) = self.trouble.as_mut().filter(|trouble| trouble.letter_ms.is_some()) {
            trouble.letter_ms = Some(now_ms);
        }
    }

    /// Its dead letter bears no time from now on. `false`: it bore none.
    pub(super) fn undate_letter(&mut self) -> bool {
        self.trouble.as_mut().is_some_and(|trouble| trouble.letter_ms.take().is_some())
    }

    /// From now on it is held, if it was not. Returns how often it has failed since then, this time included.
    pub(super) fn hold(&mut self, count: &Arc<AtomicUsize>) -> u32 {
        let hold = self.trouble.get_or_insert_default().hold.get_or_insert_with(|| Hold::new(count));
        hold.tries += 1;
        hold.tries
    }

    pub(super) fn is_held(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.hold.is_some())
    }

    /// It is not held any more.
    pub(super) fn release(&mut self) {
        if self.trouble.as_mut().and_then(|trouble| trouble.hold.take()).is_some() {
            let (record, attempts) = (&self.record, self.attempts);
            tracing::info!(?record, attempts, "held no longer: what is behind it goes on");
        }
    }

    /// Times that the broker did not take its dead letter.
    pub(super) fn times_put_off(&self) -> u32 {
        self.trouble.as_ref().map_or(0, |trouble| trouble.put_off)
    }

    /// The broker did not take its dead letter. Returns how often that has happened.
    pub(super) fn note_put_off(&mut self) -> u32 {
        self.trouble.get_or_insert_default().put_off += 1;
        self.times_put_off()
    }

    pub(super) fn results(&self) -> &Results {
        &self.results
    }

    pub(super) fn set_results(&mut self, results: Results) {
        self.results = results;
    }

    /// What it is dead-lettered with, if it is.
    pub(super) fn letter_mut(&mut self) -> Option<(&mut Letter, &Record)> {
        match &mut self.results {
            Results::DeadLetter { letter, .. } => Some((&mut **letter, &self.record)),
            Results::None | Results::One(_) | Results::Many(_) => None,
        }
    }

    /// Results say which record they were made of. A dead letter does so anyway.
    pub(super) fn name_source(&mut self) {
        let record = &self.record;
        let name = |output: &mut Output, part| {
            let own = match &output.headers {
                Field::Same => record.headers(),
                Field::New(headers) => headers,
            };
            output.headers = Field::New(origin::marked(own, record, part));
        };
        match &mut self.results {
            Results::One(output) => name(output, None),
            Results::Many(outputs) => {
                let count = outputs.len() as u32;
                for (index, output) in (1..).zip(outputs) {
                    name(output, (count > 1).then_some((index, count)));
                }
            }
            Results::None | Results::DeadLetter { .. } => {}
        }
    }

    pub(super) fn take_results(&mut self) -> Results {
        std::mem::replace(&mut self.results, Results::None)
    }

    /// Only where a bug is planted: when its results were made, and not when the broker has them.
    pub(super) fn is_finished_early(&self) -> bool {
        match self.results {
            Results::DeadLetter { .. } => planted(Bug::DeadLetterAtEnqueue),
            _ => planted(Bug::FinishedAtHandOver),
        }
    }

    pub(super) fn largest_leg(&self) -> usize {
        (0..self.legs()).map(|index| self.leg(index).size()).max().unwrap_or(0)
    }

    pub(super) fn results_size(&self) -> usize {
        (0..self.legs()).map(|index| self.leg(index).size()).sum()
    }
}

impl Parcel for Job {
    fn legs(&self) -> usize {
        match &self.results {
            Results::None => 0,
            Results::One(_) | Results::DeadLetter { .. } => 1,
            Results::Many(_) if planted(Bug::OneLegIsEnough) => 1,
            Results::Many(outputs) => outputs.len(),
        }
    }

    fn leg(&self, index: usize) -> Leg<'_> {
        let (target, output) = match &self.results {
            Results::One(output) => (Target::Output, output),
            Results::Many(outputs) => (Target::Output, &outputs[index]),
            Results::DeadLetter { letter, .. } => (Target::DeadLetter, letter.written()),
            Results::None => unreachable!("a job without results has no legs"),
        };
        Leg {
            target,
            source: (self.record.partition(), self.record.offset()),
            key: choose(&output.key, self.record.key()),
            value: choose(&output.value, self.record.value()),
            headers: match &output.headers {
                Field::Same => self.record.headers(),
                Field::New(headers) => headers,
            },
            timestamp: match target {
                Target::Output => self.record.timestamp(),
                Target::DeadLetter => self.trouble.as_ref().and_then(|trouble| trouble.letter_ms),
            },
        }
    }

    fn order(&self) -> (u32, u64) {
        (self.ticket.slot.epoch, self.ticket.sequence())
    }

    fn turn(&self) -> &AtomicBool {
        &self.turn
    }
}

fn choose<'a>(field: &'a Field<Option<Vec<u8>>>, same: Option<&'a [u8]>) -> Option<&'a [u8]> {
    match field {
        Field::Same => same,
        Field::New(bytes) => bytes.as_deref(),
    }
}
