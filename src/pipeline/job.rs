//! A record in flight: what it was, what is to be written for it, and what it holds of the ledger.

use std::borrow::Cow;
use std::time::Instant;

use crate::offsets::Ticket;
use crate::record::Record;
use crate::sink::{Leg, Parcel, Target};
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
    /// It failed for good. `shortened`: without its value, because the topic refused it as too large.
    DeadLetter { letter: Output, code: Cow<'static, str>, shortened: bool },
}

/// See the module.
#[derive(Debug)]
pub struct Job {
    record: Record,
    ticket: Ticket,
    shard: usize,
    attempts: u32,
    /// When the source gave it to us.
    pub(super) admitted: Instant,
    /// When a producer took it; only of the first of a batch, as a sample.
    pub(super) taken: Option<Instant>,
    first_failed_ms: Option<i64>,
    /// Times that the broker did not take its dead letter.
    pub(super) put_off: u32,
    results: Results,
}

impl Job {
    pub(super) fn new(record: Record, ticket: Ticket, shard: usize, admitted: Instant) -> Self {
        Self {
            record,
            ticket,
            shard,
            attempts: 0,
            admitted,
            taken: None,
            first_failed_ms: None,
            put_off: 0,
            results: Results::None,
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

    pub(super) fn shard(&self) -> usize {
        self.shard
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(super) fn tried(&mut self, attempt: u32) {
        self.attempts = attempt;
    }

    pub(super) fn first_failed_ms(&self) -> Option<i64> {
        self.first_failed_ms
    }

    pub(super) fn failed_first_at(&mut self, now_ms: i64) {
        self.first_failed_ms.get_or_insert(now_ms);
    }

    pub(super) fn results(&self) -> &Results {
        &self.results
    }

    pub(super) fn set_results(&mut self, results: Results) {
        self.results = results;
    }

    pub(super) fn take_results(&mut self) -> Results {
        std::mem::replace(&mut self.results, Results::None)
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
            Results::Many(outputs) => outputs.len(),
        }
    }

    fn leg(&self, index: usize) -> Leg<'_> {
        let (target, output) = match &self.results {
            Results::One(output) => (Target::Output, output),
            Results::Many(outputs) => (Target::Output, &outputs[index]),
            Results::DeadLetter { letter, .. } => (Target::DeadLetter, letter),
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
            timestamp: self.record.timestamp(),
        }
    }

    fn order(&self) -> (u32, u64) {
        (self.ticket.slot.epoch, self.ticket.sequence())
    }
}

fn choose<'a>(field: &'a Field<Option<Vec<u8>>>, same: Option<&'a [u8]>) -> Option<&'a [u8]> {
    match field {
        Field::Same => same,
        Field::New(bytes) => bytes.as_deref(),
    }
}
