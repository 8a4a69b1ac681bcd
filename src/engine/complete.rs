//! The pipeline as the sink sees it: where parcels come from, and what becomes of a record when the broker has answered.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::failure::Fatal;
use super::job::Results;
use super::{Batch, Job, Pipeline, sole};
use crate::checkpoint::ledger::Watermark;
use crate::checkpoint::{End, Slot};
use crate::planted::{Bug, planted};
use crate::sink::dead_letter::Stage;
use crate::sink::transaction::{PartitionOutlook, Releases};
use crate::sink::{NO_KEY, OUT_OF_RANGE, Outbox, Parcel, Refusal, TOO_LARGE};
use crate::transform::Failure;

/// How long a dead letter that could not be written waits: doubled each time.
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LAST_DELAY: Duration = Duration::from_secs(30);

impl Outbox for Pipeline {
    type Parcel = Job;

    /// What became stale since a worker began it ends here: written now, it could come out before an earlier record of
    /// its lane that was dropped, or be a dead letter of what the new owner does well.
    fn take(&self, shard: usize, max: usize, out: &mut Vec<Arc<Job>>) -> bool {
        while self.scheduler.take_ready(shard, max, &|| self.clock.now(), out) {
            self.drop_stale(out);
            if let Some(first) = out.first_mut() {
                sole(first).taken = Some(self.clock.now());
                return true;
            }
        }
        false
    }

    fn delivered(&self, parcels: &mut Vec<Arc<Job>>) {
        let mut ended = Vec::with_capacity(parcels.len());
        for job in parcels.iter().filter(|job| !job.is_finished_early()) {
            let end = match job.results() {
                Results::DeadLetter { code, .. } => {
                    let record = job.record();
                    self.metrics.dead_lettered((record.topic(), record.partition(), record.offset()), code);
                    End::DeadLettered
                }
                Results::None => End::Filtered,
                Results::One(_) | Results::Many(_) => End::Produced,
            };
            ended.push((job.ticket(), end));
        }
        self.observe(parcels);
        self.finish(ended.iter().map(|(ticket, end)| (ticket, *end)));
        self.spent.lock().append(parcels);
    }

    /// What the output topic refuses becomes a dead letter; a dead letter that is too large loses its value, then its
    /// record's headers and a long key. One whose time is refused bears none: the machine's clock is not the broker's, or the topic
    /// takes no time of now, and without one the topic counts from when it was written. One that is refused even so, or for another
    /// reason, is offered again and again, all of it: its record stays unfinished.
    fn refused(&self, mut parcel: Job, refusal: &Refusal) {
        match parcel.letter_mut() {
            Some((letter, record)) => {
                self.metrics.dead_letter_failed();
                let is_another = match refusal.code {
                    TOO_LARGE => letter.shrink(record),
                    OUT_OF_RANGE => parcel.undate_letter(),
                    _ => false,
                };
                if is_another {
                    // There is nothing to wait for.
                    return self.put_back(vec![Arc::new(parcel)]);
                }
                self.complain(&parcel, refusal);
                self.put_off(parcel);
            }
            None => {
                parcel.take_results();
                let failure = Failure::new(refusal.code, refusal.message.clone());
                let mut batch = Batch { now_ms: self.clock.unix_ms(), ..Batch::default() };
                let fatal = Fatal { failure: &failure, stage: Stage::Produce, retryable: false };
                self.give_up(Arc::new(parcel), fatal, &mut batch);
                self.put_out(&mut batch.ready, &batch.finished);
            }
        }
    }

    fn put_back(&self, mut parcels: Vec<Arc<Job>>) {
        let now_ms = self.clock.unix_ms();
        parcels.iter_mut().filter_map(Arc::get_mut).for_each(|job| job.date_letter_again(now_ms));
        let parcels = parcels.into_iter().map(|job| (job.place(), job)).collect();
        self.scheduler.return_ready(parcels, |job| job.order());
    }

    fn put_off(&self, mut parcel: Job) {
        parcel.date_letter_again(self.clock.unix_ms());
        if let Some((letter, _)) = parcel.letter_mut() {
            letter.restore();
        }
        let delay = FIRST_DELAY.saturating_mul(1 << (parcel.note_put_off() - 1).min(10)).min(LAST_DELAY);
        let mut parcels = vec![parcel];
        self.drop_stale(&mut parcels);
        for job in parcels {
            self.scheduler.delay_ready(job.place(), self.clock.now() + delay, Arc::new(job));
        }
    }
}

impl Releases for Pipeline {
    fn place(parcel: &Job) -> (Slot, u64) {
        let ticket = parcel.ticket();
        (ticket.slot, ticket.sequence())
    }

    fn take_until(&self, shard: usize, max: usize, until: Instant, out: &mut Vec<Arc<Job>>) -> bool {
        let any = self.scheduler.take_ready_until(shard, max, Some(until), &|| self.clock.now(), out);
        if let Some(first) = out.first_mut() {
            sole(first).taken = Some(self.clock.now());
        }
        any
    }

    fn outlook(&self, owner: usize) -> PartitionOutlook {
        let ledger = self.ledger.lock();
        PartitionOutlook { leaving: ledger.is_leaving(owner), uncommitted: ledger.is_uncommitted(owner) }
    }

    fn cuts(&self, slots: Vec<Slot>) -> Vec<(Slot, Option<u64>)> {
        let ledger = self.ledger.lock();
        slots.into_iter().map(|slot| (slot, ledger.cut(slot))).collect()
    }

    fn give_back(&self, parcels: Vec<Arc<Job>>) {
        self.abandon(parcels);
    }

    fn watermarks(&self, owner: usize, released: &[(Slot, u64)]) -> Option<Vec<Watermark>> {
        self.ledger.lock().watermarks(owner, released)
    }

    fn committed(&self, parcels: &mut Vec<Arc<Job>>, watermarks: &[Watermark]) {
        self.delivered(parcels);
        let mut ledger = self.ledger.lock();
        watermarks.iter().for_each(|watermark| ledger.committed_with_results(watermark));
    }
}

impl Pipeline {
    /// A dead letter is refused, and waits. Said for one of many with the same cause.
    fn complain(&self, parcel: &Job, refusal: &Refusal) {
        let Refusal { code, message } = refusal;
        let admitted = self.refusals.lock().admit(code, self.clock.now());
        self.metrics.log_suppressed(admitted.unwrap_or(0));
        if let Some(suppressed) = admitted {
            tracing::warn!(
                record = ?parcel.record(), code, suppressed,
                "a dead letter is refused: {message}. Its record stays unfinished, and the whole letter is offered again; {}",
                advice(code)
            );
        }
    }

    /// A sample of the batch: what a producer took first, and how old the first record is.
    fn observe(&self, delivered: &[Arc<Job>]) {
        let now = self.clock.now();
        let taken = delivered.iter().filter_map(|job| job.taken);
        self.metrics.acknowledged(taken.map(|taken| now.saturating_duration_since(taken)));
        let written = delivered.first().and_then(|job| job.record().timestamp());
        let age =
            written.and_then(|written| u64::try_from(self.clock.unix_ms().saturating_sub(written)).ok());
        self.metrics.end_to_end(age.map(Duration::from_millis));
    }

    /// What was read in an assignment that is gone is not written again: its new owner does that.
    fn drop_stale<J: Borrow<Job>>(&self, parcels: &mut Vec<J>) {
        let before = parcels.len();
        let mut ledger = self.ledger.lock();
        parcels.retain(|parcel| {
            let ticket = parcel.borrow().ticket();
            let stale = ledger.get(ticket.slot).is_none() && !planted(Bug::StaleIsWritten);
            if stale {
                ledger.drop_unfinished(&ticket);
            }
            !stale
        });
        drop(ledger);
        if parcels.len() < before {
            self.room.notify_all();
        }
    }
}

/// What helps a dead letter that is refused for this reason.
fn advice(code: &str) -> &'static str {
    match code {
        TOO_LARGE => "raise max.message.bytes of the topic: 8 KiB are enough",
        OUT_OF_RANGE => {
            "raise message.timestamp.before.max.ms or message.timestamp.after.max.ms of the topic"
        }
        NO_KEY => {
            "set cleanup.policy of the topic to delete, or KAFKA_DLQ_TOPIC to a topic that is not compacted"
        }
        _ => "the broker's log may say why; KAFKA_DLQ_TOPIC may name another topic",
    }
}
