//! A transaction while all goes well: what is released is written, reported, and committed with its offsets.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::client::{Committed, Committer, Failed, Remedy, Transactional};
use super::{CALL, Halt, Releases, TICK, Transactor, Work};
use crate::checkpoint::Slot;
use crate::checkpoint::ledger::Watermark;
use crate::checkpoint::note::SMALLEST;
use crate::kafka::errors::{self, Delivery};
use crate::ops::metrics::Commit;
use crate::planted::{Bug, planted};
use crate::record::TopicPartition;
use crate::sink::client::{Client, Report};
use crate::sink::{Parcel, Target};

impl<O: Releases, C: Committer<O::Parcel>> Transactor<O, C> {
    /// Writes what is released, as long as the transaction is not large enough.
    pub(super) fn write_released(&self, work: &mut Work<O::Parcel>) -> Result<(), Halt> {
        let mut next = work.batch.len();
        work.lines.release(self.settings.most.saturating_sub(next), &mut work.batch);
        let client = self.client();
        while let Some(parcel) = work.batch.get(next).cloned() {
            for index in 0..parcel.legs() {
                if planted(Bug::DeadLetterOutside) && parcel.leg(index).target == Target::DeadLetter {
                    continue;
                }
                self.write_leg(&client, work, &parcel, index)?;
            }
            next += 1;
        }
        self.serve(work, Duration::ZERO)
    }

    fn write_leg(
        &self,
        client: &C::Client,
        work: &mut Work<O::Parcel>,
        parcel: &Arc<O::Parcel>,
        index: usize,
    ) -> Result<(), Halt> {
        if parcel.leg(index).target == Target::DeadLetter && !self.route.finds_dead_letters(client) {
            // By itself the client would wait for the topic, with a number of partitions that nobody knows.
            work.failures.push((O::place(parcel), Code::UnknownTopicOrPartition.into()));
            return Err(Halt::Abort("there is no dead-letter topic".to_owned()));
        }
        let mut holder = parcel.clone();
        loop {
            match client.write(holder, |parcel| self.route.outgoing(&parcel.leg(index))) {
                Ok(()) => {
                    work.outstanding += 1;
                    return Ok(());
                }
                Err((back, code)) if errors::delivery(code) == Delivery::Full => {
                    holder = back;
                    self.serve(work, TICK)?;
                    if self.is_stopped() {
                        return Err(Halt::Stopped);
                    }
                }
                Err((back, code)) => {
                    work.failures.push((O::place(&back), code.into()));
                    return Err(Halt::Abort(code.to_string()));
                }
            }
        }
    }

    /// Takes the reports that are there, or waits up to `wait` for the first.
    pub(super) fn serve(&self, work: &mut Work<O::Parcel>, wait: Duration) -> Result<(), Halt> {
        let client = self.client();
        let (mut wait, mut broken) = (wait, None);
        while client.poll(wait, &mut |report| self.see(work, report, &mut broken)) {
            wait = Duration::ZERO;
        }
        match (broken, work.failures.first()) {
            (Some(text), _) => Err(Halt::Rebuild(Code::Fatal, text)),
            (None, Some((_, failure))) => Err(Halt::Abort(failure.code.to_string())),
            (None, None) => Ok(()),
        }
    }

    fn see(&self, work: &mut Work<O::Parcel>, report: Report<O::Parcel>, broken: &mut Option<String>) {
        match report {
            Report::Delivery(parcel, result) => {
                work.outstanding -= 1;
                if let Err(failure) = result {
                    work.failures.push((O::place(&parcel), failure));
                }
            }
            Report::Error(Code::Fatal, text) => *broken = Some(text),
            Report::Error(code, text) => self.context.failed(code, &text),
            Report::Log(level, facility, text) => self.context.line(level, &facility, &text),
        }
    }

    /// Ends the transaction: what is in it is finished.
    pub(super) fn commit(&self, work: &mut Work<O::Parcel>) -> Result<(), Halt> {
        let begun = self.clock.now();
        let until = begun + self.settings.timeout;
        while work.outstanding > 0 {
            self.serve(work, TICK)?;
            if self.is_stopped() {
                return Err(Halt::Stopped);
            }
            if self.clock.now() >= until {
                return Err(Halt::Abort("the broker does not answer".to_owned()));
            }
        }
        let since = self.clock.now();
        // Before the slots are looked at: see `GroupMetadata`.
        let Some(member) = self.standing.get() else {
            return Err(Halt::Abort("not a member of the group now".to_owned()));
        };
        let Some(watermarks) = self.outbox.watermarks(self.settings.index, &released::<O>(&work.batch))
        else {
            return Err(Halt::Abort("a partition was given up".to_owned()));
        };
        let client = self.client();
        let offsets = self.offsets(&watermarks, work.metadata_limit);
        let refused = Cell::new(None);
        let sent = self.insist(Some(self.settings.timeout), |wait| match () {
            () if planted(Bug::OffsetsOutside) => Ok(()),
            () => client
                .send_offsets(&offsets, &member, wait)
                .inspect_err(|failed| refused.set(Some(failed.code))),
        });
        if sent.is_err() && refused.get() == Some(Code::OffsetMetadataTooLarge) {
            // The topic's id at least. A map says nothing of this mode, only of a run in the other one.
            work.metadata_limit = if work.metadata_limit > SMALLEST { SMALLEST } else { 0 };
        }
        sent?;
        work.asked = watermarks;
        self.insist(None, |wait| client.commit(wait))?;
        let now = self.clock.now();
        work.commit_time = (work.commit_time * 3 + now.saturating_duration_since(begun)) / 4;
        self.is_committed(work);
        self.context.metrics.committed(Commit::Ok, now.saturating_duration_since(since));
        Ok(())
    }

    /// The transaction is known to be committed.
    fn is_committed(&self, work: &mut Work<O::Parcel>) {
        self.context.link.answered();
        let watermarks = std::mem::take(&mut work.asked);
        let parcels = std::mem::take(&mut work.batch);
        self.finish(work, parcels, &watermarks);
        let now = self.clock.now();
        work.open = None;
        work.pause = super::FIRST_PAUSE;
        work.next_offsets = now + self.settings.interval;
    }

    /// These are written and committed.
    pub(super) fn finish(
        &self,
        work: &mut Work<O::Parcel>,
        mut parcels: Vec<Arc<O::Parcel>>,
        watermarks: &[Watermark],
    ) {
        released::<O>(&parcels).into_iter().for_each(|(slot, end)| work.lines.finish(slot, end));
        if work.narrowing.suspects() > 0 {
            parcels.iter().for_each(|parcel| work.narrowing.through(parcel.order()));
        }
        self.route.count(&parcels, &self.context.metrics);
        self.outbox.committed(&mut parcels, watermarks);
    }

    /// Calls until there is an outcome, for `patience` at most.
    pub(super) fn insist(
        &self,
        patience: Option<Duration>,
        call: impl Fn(Duration) -> Result<(), Failed>,
    ) -> Result<(), Halt> {
        let begun = self.clock.now();
        let until = patience.map(|patience| begun + patience);
        loop {
            match call(CALL) {
                Ok(()) => return Ok(()),
                Err(_) if self.is_stopped() => return Err(Halt::Stopped),
                Err(failed)
                    if failed.remedy == Remedy::Again
                        && until.is_none_or(|until| self.clock.now() < until) =>
                {
                    self.say_if_late(begun, &failed.text);
                }
                Err(failed) => return Err(failed.into()),
            }
        }
    }

    /// A call that is made again and again is worth a warning after as long as a transaction may last.
    fn say_if_late(&self, begun: Instant, text: &str) {
        let (name, time) = (&self.settings.name, self.clock.now().saturating_duration_since(begun));
        if time < self.settings.timeout {
            return tracing::debug!("{name}: {text}; trying again");
        }
        let text = format!("a call of {name} is not done after {} s ({text}); trying again", time.as_secs());
        self.context.complain(name, &text);
    }

    fn offsets(&self, watermarks: &[Watermark], metadata_limit: usize) -> Vec<(TopicPartition, Committed)> {
        let offset = |watermark: &Watermark| {
            let metadata = watermark.metadata(&self.settings.group, metadata_limit);
            ((watermark.topic.clone(), watermark.partition), Committed { offset: watermark.offset, metadata })
        };
        watermarks.iter().map(offset).collect()
    }
}

/// For each slot, the sequence number after the last one of it in the batch.
fn released<O: Releases>(batch: &[Arc<O::Parcel>]) -> Vec<(Slot, u64)> {
    let place = |parcel: &Arc<O::Parcel>| O::place(parcel);
    let runs = batch.chunk_by(|one, next| place(one).0 == place(next).0).filter_map(|run| run.last());
    let ends: HashMap<Slot, u64> = runs.map(place).map(|(slot, sequence)| (slot, sequence + 1)).collect();
    ends.into_iter().collect()
}
