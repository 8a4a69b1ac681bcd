//! What becomes of a transaction that failed: see the module above.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::client::{Committer, Remedy, Transactional};
use super::{CALL, Halt, LAST_PAUSE, Releases, TICK, Transactor, Trouble, Work};
use crate::kafka::errors::{self, Beginning, Delivery};
use crate::ops::metrics::Commit;
use crate::planted::{Bug, planted};
use crate::record::TopicPartition;
use crate::sink::client::{Client, Undelivered};
use crate::sink::{Parcel, Target, letters_wait, refusal, shared_refusal, sole};

/// Shut out so often within [`FENCED_WITHIN`]: it is not the broker that ended an old transaction, but a second process.
const FENCED_TIMES: usize = 5;
const FENCED_WITHIN: Duration = Duration::from_secs(30);
/// How long the end of the program waits for an abort.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl<O: Releases, C: Committer<O::Parcel>> Transactor<O, C> {
    /// Makes the first client ready.
    pub(super) fn init(&self) -> Result<(), Halt> {
        let client = self.client();
        loop {
            let Err(failed) = client.init(self.route.topic(Target::Output), CALL) else { return Ok(()) };
            // What the client has to say meanwhile.
            while client.poll(Duration::ZERO, &mut |report| self.overhear(report)) {}
            if self.is_stopped() {
                return Err(Halt::Stopped);
            }
            self.judge(failed.code, &failed.text);
            match failed.remedy {
                Remedy::Again => {}
                Remedy::Abort | Remedy::Rebuild => return Err(Halt::Rebuild(failed.code, failed.text)),
            }
        }
    }

    fn overhear(&self, report: crate::sink::client::Report<O::Parcel>) {
        use crate::sink::client::Report;
        match report {
            Report::Error(code, text) if code != Code::Fatal => self.context.failed(code, &text),
            Report::Log(level, facility, text) => self.context.line(level, &facility, &text),
            Report::Error(..) | Report::Delivery(..) => {}
        }
    }

    /// Ends what failed, and puts back what it held. `Err`: that has failed too.
    pub(super) fn recover(&self, work: &mut Work<O::Parcel>, halt: Halt) -> Result<(), Halt> {
        match halt {
            Halt::Stopped => return Err(Halt::Stopped),
            Halt::Abort(text) => {
                self.complain(&text);
                self.abort(work)?;
                self.settle(work)?;
                let pause = self.take_failures(work);
                self.rest(work, pause);
                self.maybe_rebatch(work)?;
            }
            Halt::Rebuild(code, text) => {
                self.complain(&text);
                self.count_fences(work, code)?;
                self.rebuild(work)?;
                self.settle(work)?;
                self.rest(work, true);
            }
        }
        self.context.metrics.committed(Commit::Failed, Duration::ZERO);
        Ok(())
    }

    fn complain(&self, text: &str) {
        let name = &self.settings.name;
        self.context.complain(name, &format!("a transaction of {name} failed ({text}); it is done again"));
    }

    /// After a failure of its own kind nothing is begun for a while, longer each time.
    fn rest(&self, work: &mut Work<O::Parcel>, pause: bool) {
        work.open = None;
        if pause {
            work.not_before = self.clock.now() + work.pause;
            work.pause = (work.pause * 2).min(LAST_PAUSE);
        }
    }

    fn abort(&self, work: &mut Work<O::Parcel>) -> Result<(), Halt> {
        if work.open.is_none() {
            return Ok(());
        }
        let client = self.client();
        // What was sent is waited for, twice the time in which the client gives up on it by itself.
        let until = self.clock.now() + 2 * self.settings.timeout;
        loop {
            // The client gives up what it has not sent, and then waits for its reports, which are ours to take.
            let patience = if work.outstanding > 0 { TICK } else { CALL };
            let aborted = client.abort(patience);
            if let Err(Halt::Rebuild(code, text)) = self.serve(work, Duration::ZERO) {
                return Err(Halt::Rebuild(code, text));
            }
            match aborted {
                Ok(()) if work.outstanding == 0 => return Ok(()),
                Ok(()) => return Err(Halt::Rebuild(Code::State, "aborted, and not all reported".to_owned())),
                Err(_) if self.is_stopped() => return Err(Halt::Stopped),
                Err(failed) if failed.remedy == Remedy::Again && self.clock.now() < until => {}
                Err(failed) => return Err(Halt::Rebuild(failed.code, failed.text)),
            }
        }
    }

    fn hold_again(&self, work: &mut Work<O::Parcel>) {
        for parcel in work.batch.drain(..).filter(|_| !planted(Bug::AbortForgets)) {
            work.lines.hold(O::place(&parcel), parcel);
        }
        self.prune(work);
    }

    /// What was at fault itself goes its own way; it is held no longer, and comes again with the next [`Releases::take_until`].
    /// Returns whether something else was at fault, which needs time.
    fn take_failures(&self, work: &mut Work<O::Parcel>) -> bool {
        let failures = std::mem::take(&mut work.failures);
        let mut pause = failures.is_empty();
        for (place, failure) in failures {
            // Of a parcel with several legs the first failure counts, and what was given up for another's sake is not at fault.
            let Undelivered { code, shared } = failure;
            if matches!(code, Code::PurgeQueue | Code::PurgeInflight) {
                continue;
            }
            let Some(parcel) = work.lines.peek(place) else { continue };
            let leg = (parcel.legs() > 0).then(|| parcel.leg(0));
            let target = leg.map_or(Target::Output, |leg| leg.target);
            let topic = self.route.topic(target);
            self.context.metrics.kafka_error(&format!("{code:?}"));
            match errors::delivery(code) {
                Delivery::Neighbour => {}
                Delivery::Refused => match (leg, shared) {
                    (Some(_), Some(bytes)) => {
                        work.narrowing.refused(parcel.order(), code, bytes);
                        self.context.complain(topic, &shared_refusal(topic, code, bytes));
                    }
                    (Some(leg), None) => {
                        let refusal = refusal(topic, &leg, code);
                        work.narrowing.through(parcel.order());
                        if let Some(parcel) = work.lines.take(place) {
                            self.outbox.refused(sole(parcel), &refusal);
                        }
                    }
                    (None, _) => unreachable!("what has no leg is not written"),
                },
                Delivery::Wait if target == Target::DeadLetter => {
                    self.context.metrics.dead_letter_failed();
                    self.route.miss_dead_letters();
                    self.context.complain(topic, &letters_wait(topic, &code.to_string()));
                    if let Some(parcel) = work.lines.take(place) {
                        self.outbox.put_off(sole(parcel));
                    }
                }
                Delivery::Wait | Delivery::Full | Delivery::Rebuild => {
                    pause = true;
                    self.context.complain(
                        topic,
                        &format!("{topic} cannot be written: {code}. Records wait, nothing is committed; trying again"),
                    );
                }
            }
        }
        pause
    }

    /// Another client of the same name, which ends what the old one left open. Not at once: a second process of this name would
    /// do the same.
    fn rebuild(&self, work: &mut Work<O::Parcel>) -> Result<(), Halt> {
        let old = self.client();
        let until = self.clock.now() + work.pause;
        work.pause = (work.pause * 2).min(LAST_PAUSE);
        while work.outstanding == 0 && self.clock.now() < until && !self.is_stopped() {
            old.poll(TICK, &mut |report| self.overhear(report));
        }
        let late = self.clock.now() + self.settings.timeout;
        while work.outstanding > 0 {
            if self.is_stopped() {
                return Err(Halt::Stopped);
            }
            old.purge();
            // It is broken, as we know: only the reports count.
            let _ = self.serve(work, TICK);
            if self.clock.now() >= late {
                let (name, count) = (&self.settings.name, work.outstanding);
                self.context.complain(
                    name,
                    &format!("the old client of {name} was told to give up, and has not reported {count} records; waiting"),
                );
            }
        }
        work.failures.clear();
        drop(old);
        self.connect(work)
    }

    /// Another client where batches are to be put together in another way, before a transaction begins.
    pub(super) fn maybe_rebatch(&self, work: &mut Work<O::Parcel>) -> Result<(), Halt> {
        if work.narrowing.is_due(self.clock.now()) { self.connect(work) } else { Ok(()) }
    }

    /// Another client takes the place of this one, which has nothing to report any more.
    fn connect(&self, work: &mut Work<O::Parcel>) -> Result<(), Halt> {
        let topics = self.route.topics();
        let asks = work.narrowing.asks_for_limit();
        let limit = if asks { self.connection.largest_batch(&topics) } else { None };
        let batches = work.narrowing.next(limit, self.clock.now());
        match self.connection.connect(&topics, batches) {
            Ok(client) => {
                let old = std::mem::replace(&mut *self.client.lock(), Arc::new(client));
                // Ends the old client, which takes a while: not under the lock.
                drop(old);
            }
            Err(error) => {
                return Err(Halt::Rebuild(Code::Fail, format!("no new producer can be made: {error}")));
            }
        }
        self.init()
    }

    /// Finds out whether a commit that was asked for was done, partition by partition, and holds again what it was not.
    fn settle(&self, work: &mut Work<O::Parcel>) -> Result<(), Halt> {
        if work.asked.is_empty() {
            self.hold_again(work);
            return Ok(());
        }
        let partitions: Vec<TopicPartition> =
            work.asked.iter().map(|watermark| (watermark.topic.clone(), watermark.partition)).collect();
        let committed = loop {
            match self.connection.committed(&partitions) {
                Ok(committed) => break committed,
                Err(_) if self.is_stopped() => return Err(Halt::Stopped),
                Err(error) => {
                    let name = &self.settings.name;
                    self.context.complain(
                        name,
                        &format!("{name} cannot find out what the group has ({error}); asking again"),
                    );
                }
            }
        };
        let asked = std::mem::take(&mut work.asked);
        let done: Vec<_> = asked
            .into_iter()
            .zip(partitions)
            .filter(|(watermark, partition)| {
                let has =
                    committed.get(partition).is_some_and(|committed| committed.offset >= watermark.offset);
                (has || planted(Bug::UnknownTakenForDone)) && !planted(Bug::UnknownTakenForFailed)
            })
            .map(|(watermark, _)| watermark)
            .collect();
        let is_done =
            |parcel: &Arc<O::Parcel>| done.iter().any(|watermark| watermark.slot == O::place(parcel).0);
        let (finished, rest): (Vec<_>, Vec<_>) = work.batch.drain(..).partition(is_done);
        tracing::info!(
            "{}: the outcome of a commit was unknown; of its records {} are committed, and {} are written again",
            self.settings.name,
            finished.len(),
            rest.len()
        );
        self.finish(work, finished, &done);
        work.batch = rest;
        self.hold_again(work);
        Ok(())
    }

    fn count_fences(&self, work: &mut Work<O::Parcel>, code: Code) -> Result<(), Halt> {
        let by_another = [Code::Fenced, Code::ProducerFenced, Code::InvalidProducerEpoch, Code::Fatal];
        if !by_another.contains(&code) {
            return Ok(());
        }
        let now = self.clock.now();
        work.fenced.retain(|at| now.saturating_duration_since(*at) < FENCED_WITHIN);
        work.fenced.push(now);
        if work.fenced.len() >= FENCED_TIMES {
            let text = format!(
                "another process uses the name {}, and each shuts the other out. Give each process of the group a \
                 PROCESSOR_INSTANCE of its own, or none",
                self.settings.name
            );
            return self.end(Trouble::Fenced(text));
        }
        Ok(())
    }

    /// Ends the program where trying again cannot help.
    fn judge(&self, code: Code, text: &str) {
        let name = &self.settings.name;
        let why = errors::beginning(code);
        let Some(advice) = why.advice(name, self.settings.timeout.as_millis()) else {
            return self.context.complain(name, &format!("{name} cannot begin: {text}; trying again"));
        };
        let text = format!("no transactions as {name} ({text}): {advice}");
        let trouble = if why == Beginning::Denied { Trouble::Denied(text) } else { Trouble::Failed(text) };
        let _ = self.end(trouble);
    }

    fn end(&self, trouble: Trouble) -> Result<(), Halt> {
        self.stop();
        // The first one ends the process; the receiver is gone only then.
        let _ = self.trouble.send(trouble);
        Err(Halt::Stopped)
    }

    /// At the end of the program. Not waited for where the cluster does not answer: the broker aborts it by itself, later.
    pub(super) fn leave_nothing_open(&self, work: &mut Work<O::Parcel>) {
        if work.open.is_none() || self.context.link.is_down() {
            return;
        }
        let client = self.client();
        let until = self.clock.now() + LAST_WORDS;
        while let Err(failed) = client.abort(TICK) {
            if failed.remedy != Remedy::Again || self.clock.now() >= until {
                tracing::debug!("{}: {}", self.settings.name, failed.text);
                return;
            }
            // Nothing is done about what was not written: it is aborted.
            let _ = self.serve(work, TICK);
        }
    }
}
