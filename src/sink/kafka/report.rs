//! The delivery thread: what the broker answered, and what becomes of each parcel.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::KafkaSink;
use super::overdue::Counts;
use crate::kafka::errors::{self, Delivery};
use crate::planted::{Bug, planted};
use crate::sink::client::{Client, Connect, Report, Undelivered};
use crate::sink::{Outbox, Parcel, Target, letters_wait, refusal, shared_refusal, sole};

/// How long the thread waits for an answer before it looks after a halt.
const IDLE: Duration = Duration::from_millis(100);
/// Parcels settled at once: then the ledger hears of them, and the budget has room again.
const BATCH: usize = 512;

impl<O: Outbox, C: Connect<O::Parcel>> KafkaSink<O, C> {
    /// The delivery thread's life: takes the broker's answers until the sink is stopped.
    pub fn report(&self) {
        while !self.is_stopped() {
            let client = self.client();
            self.take_answers(&client);
            self.maybe_replace_client();
            self.maybe_rebatch();
            self.maybe_resume();
        }
    }

    /// A batch of answers, or none if there is none for a while.
    pub(super) fn take_answers(&self, client: &C::Client) {
        let mut settled = Settled::default();
        let mut wait = IDLE;
        while client.poll(wait, &mut |report| self.take(report, &mut settled)) {
            // What is there at once belongs to the same batch.
            wait = Duration::ZERO;
            if settled.counts.total() >= BATCH {
                break;
            }
        }
        self.close(settled);
    }

    pub(super) fn take(&self, report: Report<O::Parcel>, settled: &mut Settled<O::Parcel>) {
        match report {
            Report::Delivery(parcel, result) => {
                if let Err(failure) = result
                    && !planted(Bug::FailedDeliveryIgnored)
                {
                    self.fail(&parcel, failure);
                }
                if let Some(parcel) = last_holder(parcel) {
                    self.settle(parcel, settled);
                }
            }
            Report::Error(code, text) => {
                if code == Code::Fatal {
                    tracing::error!(
                        "the producer client failed ({text}) and is replaced. Records without an acknowledgement are written again in order; their \
                         offsets are not committed meanwhile"
                    );
                    self.halt(true);
                } else {
                    self.context.failed(code, &text);
                }
            }
            Report::Log(level, facility, text) => self.context.line(level, &facility, &text),
        }
    }

    /// All legs of a parcel are answered.
    pub(super) fn settle(&self, parcel: Arc<O::Parcel>, settled: &mut Settled<O::Parcel>) {
        settled.counts.add(parcel.turn().load(Ordering::Relaxed), 1);
        // A parcel's failure is noted before its last holder lets go, so this sees it; and a lock a record is not paid
        // while all goes well.
        let failure = (self.watched.load(Ordering::Acquire) > 0).then(|| self.failure_of(&parcel));
        match failure.flatten() {
            None => settled.delivered.push(parcel),
            Some(failure) => settled.failed.push((sole(parcel), failure)),
        }
    }

    fn failure_of(&self, parcel: &O::Parcel) -> Option<Undelivered> {
        let mut flow = self.flow.lock();
        let failure = flow.failures.remove(&parcel.order());
        if failure.is_none_or(|failure| self.next(parcel, failure) == Next::Refused) {
            flow.narrowing.through(parcel.order());
        }
        self.note_watched(&flow);
        failure
    }

    pub(super) fn close(&self, settled: Settled<O::Parcel>) {
        let Settled { counts, mut delivered, failed } = settled;
        if counts.total() == 0 {
            return;
        }
        if !delivered.is_empty() {
            self.context.link.answered();
            self.route.count(&delivered, &self.metrics);
            self.outbox.delivered(&mut delivered);
        }
        let recovered = failed.is_empty();
        for (parcel, failure) in failed {
            self.not_delivered(parcel, failure);
        }
        self.answered(counts, recovered);
    }

    fn not_delivered(&self, parcel: O::Parcel, failure: Undelivered) {
        let leg = parcel.leg(0);
        let (target, code) = (leg.target, failure.code);
        let topic = self.route.topic(target);
        self.metrics.kafka_error(&format!("{code:?}"));
        match self.next(&parcel, failure) {
            Next::Refused => {
                let refusal = refusal(topic, &leg, code);
                self.outbox.refused(parcel, &refusal);
            }
            Next::PutOff => {
                self.metrics.dead_letter_failed();
                self.context.complain(topic, &letters_wait(topic, &code.to_string()));
                self.route.miss_dead_letters();
                self.outbox.put_off(parcel);
            }
            Next::Again { rebuild } => {
                if target == Target::DeadLetter {
                    self.metrics.dead_letter_failed();
                    self.route.miss_dead_letters();
                }
                self.context.complain(topic, &trouble(topic, failure));
                self.flow.lock().failed.push(parcel);
                self.halt(rebuild);
            }
        }
    }

    /// What becomes of a parcel that was not delivered.
    pub(super) fn next(&self, parcel: &O::Parcel, failure: Undelivered) -> Next {
        let is_dead_letter = parcel.leg(0).target == Target::DeadLetter;
        match errors::delivery(failure.code) {
            Delivery::Refused if failure.shared.is_none() => Next::Refused,
            Delivery::Refused | Delivery::Neighbour => Next::Again { rebuild: false },
            Delivery::Wait | Delivery::Full if is_dead_letter && !self.dead_letters_in_order => Next::PutOff,
            action => Next::Again { rebuild: action == Delivery::Rebuild },
        }
    }
}

/// For people.
fn trouble(topic: &str, Undelivered { code, shared }: Undelivered) -> String {
    match errors::delivery(code) {
        Delivery::Refused => shared_refusal(topic, code, shared.unwrap_or_default()),
        Delivery::Neighbour => format!("{topic} refused a batch: {code}. The others of it are written again"),
        _ => format!("{topic} cannot be written: {code}. Records wait, nothing is committed; trying again"),
    }
}

/// What becomes of a parcel that was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The record is at fault.
    Refused,
    /// A dead letter whose place does not count: it is offered again later, and halts nobody.
    PutOff,
    /// The flow halts, and it is written again before what is newer.
    Again {
        /// By another client.
        rebuild: bool,
    },
}

pub(super) struct Settled<P> {
    counts: Counts,
    delivered: Vec<Arc<P>>,
    failed: Vec<(P, Undelivered)>,
}

impl<P> Default for Settled<P> {
    fn default() -> Self {
        Self { counts: Counts::default(), delivered: Vec::new(), failed: Vec::new() }
    }
}

/// The parcel, for whoever lets go of it last. One of a single leg has a single holder all the way: nothing is counted.
pub(super) fn last_holder<P: Parcel>(parcel: Arc<P>) -> Option<Arc<P>> {
    if parcel.legs() <= 1 { Some(parcel) } else { Arc::into_inner(parcel).map(Arc::new) }
}
