//! Producers' clients and the topics they write to, with what librdkafka's idempotent producer promises: in order per
//! partition, retried, several requests on their way; what fails takes with it what is queued behind it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::calls::Transacting;
use super::oracle::{Place, What};
use super::plan::{Draft, Kind, Sabotage};
use super::transactions::MayWrite;
use super::world::{Bell, Due, World};
use crate::engine::Job;
use crate::sink::batches::Batches;
use crate::sink::client::{Report, Undelivered};
use crate::sync::model;

/// How long a topic that has refused something goes on to do so: no topic comes back between two requests.
const AT_LEAST: Duration = Duration::from_millis(100);
/// How long a client waits at least before it asks again whether it may write.
const LATER: Duration = Duration::from_millis(1);

/// Of a record, as far as batches are concerned.
const BYTES: usize = 1_000;

/// A topic (0 the output, 1 for dead letters) and its partition.
pub(super) type Target = (usize, i32);

/// What the broker says of a request.
pub(super) type Answers = Vec<(Message, Result<(), Undelivered>)>;

pub(super) struct Message {
    pub parcel: Arc<Job>,
    pub place: Place,
    pub what: What,
    /// The dead letter carries its value.
    pub whole: bool,
}

#[derive(Default)]
pub(super) struct Producer {
    pub instance: usize,
    pub bell: Arc<Bell>,
    pub queues: BTreeMap<Target, VecDeque<Message>>,
    /// Partitions for which a request is on its way.
    pub busy: BTreeSet<Target>,
    /// Answers on their way.
    pub answers: BTreeMap<Target, VecDeque<Answers>>,
    /// Answers that are never told, unless the client is purged.
    pub forgotten: Answers,
    pub reports: VecDeque<Report<Job>>,
    /// Partitions that have failed something which the application may not have seen yet: until it has, they fail all.
    pub failing: BTreeMap<Target, Code>,
    pub fatal: bool,
    pub dead: bool,
    pub outstanding: usize,
    /// Partitions that have refused a batch: it breaks when it hears of it.
    pub gaps: BTreeSet<Target>,
    /// What it was told to put into a batch.
    pub batches: Batches,
    /// Only of a client with transactions.
    pub transacting: Option<Transacting>,
}

impl Producer {
    /// How many records it puts into a batch at most.
    fn largest_batch(&self) -> usize {
        let Batches { size, alone } = self.batches;
        if alone { 1 } else { size.map_or(usize::MAX, |size| (size / BYTES).max(1)) }
    }

    /// Whether somebody writes with it, who holds its bell; and it works.
    fn is_in_use(&self) -> bool {
        !self.dead && !self.fatal && Arc::strong_count(&self.bell) > 1
    }

    pub(super) fn next_report(&mut self) -> Option<Report<Job>> {
        let report = self.reports.pop_front();
        if report.is_none() && self.outstanding == 0 {
            self.failing.clear();
        }
        self.outstanding -= usize::from(matches!(report, Some(Report::Delivery(..))));
        report
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Producing {
    pub producers: Vec<Producer>,
    pub sick: [Option<(Instant, Code)>; 2],
    /// Some of a record's results may have been written, and others not.
    pub torn: bool,
    /// What found no room just now, of which record, by instance.
    no_room: BTreeMap<(usize, Place), What>,
    /// What no client ever tells.
    lost: Answers,
    /// Of the next record in a log.
    position: u64,
}

impl Producing {
    fn next_position(&mut self) -> u64 {
        self.position += 1;
        self.position
    }

    /// What is on its way arrives, the rest never leaves.
    pub(super) fn kill(&mut self, instance: usize) {
        for producer in self.producers.iter_mut().filter(|producer| producer.instance == instance) {
            producer.dead = true;
            // Kept, so that its end is not mistaken for one.
            let rest: Vec<Message> =
                producer.queues.values_mut().flat_map(|queue| queue.split_off(queue.len().min(4))).collect();
            producer.queues.entry((9, 0)).or_default().extend(rest);
        }
    }
}

impl World {
    pub(super) fn written(
        &mut self,
        id: usize,
        target: Target,
        message: Message,
    ) -> Result<(), (Arc<Job>, Code)> {
        let chances = self.chances();
        let full = self.happens(chances.queue_full);
        let time = self.latency();
        let of = (self.producing.producers[id].instance, message.place);
        if self.producing.no_room.remove(&of).is_some_and(|before| before != message.what) {
            // It begins anew, and not with what found no room: the flow was halted meanwhile, and the others of that record
            // may have been written before.
            self.may_be_torn(vec![message.place]);
        }
        let producer = &mut self.producing.producers[id];
        if producer.dead {
            // Nobody sees an answer any more; the parcel is kept, so that its end is not mistaken for one.
            producer.outstanding += 1;
            producer.queues.entry((9, 0)).or_default().push_back(message);
            return Ok(());
        }
        if producer.fatal {
            // Other parts of it may have been written before.
            self.may_be_torn(vec![message.place]);
            return Err((message.parcel, Code::Fatal));
        }
        if full && producer.outstanding > 0 {
            self.producing.no_room.insert(of, message.what);
            return Err((message.parcel, Code::QueueFull));
        }
        producer.outstanding += 1;
        let (place, what) = (message.place, message.what);
        if producer.transacting.is_some() {
            self.touch(id, place);
        }
        let producer = &mut self.producing.producers[id];
        producer.queues.entry(target).or_default().push_back(message);
        if producer.busy.insert(target) {
            self.after(time, Due::BatchArrives(id, target));
        }
        self.note(|| format!("producer {id} takes {place:?} {what:?} for {target:?}"));
        Ok(())
    }

    /// A request reaches the broker: as many messages as have gathered by now.
    pub(super) fn batch_arrives(&mut self, id: usize, target: Target) {
        let chances = self.chances();
        let again = if self.is_silent() {
            Some(self.silent_until - model::now())
        } else {
            // Not answered, or not taken: the client sends it again, and the broker knows what it has.
            self.happens(chances.produce_retried).then(|| self.latency() * 5)
        };
        let producer = &mut self.producing.producers[id];
        // What was on its way when it broke for a gap arrives; not what would come behind that.
        if producer.fatal && producer.gaps.is_empty() || producer.gaps.contains(&target) {
            return;
        }
        let transactions = producer.transacting.is_some();
        if transactions && producer.queues.get(&target).is_none_or(VecDeque::is_empty) {
            // Given up meanwhile.
            producer.busy.remove(&target);
            return;
        }
        let may = if again.is_none() && transactions { self.may_write(id) } else { MayWrite::Yes };
        let again = again.or_else(|| (may == MayWrite::Later).then(|| self.latency() + LATER));
        if let Some(time) = again {
            self.after(time, Due::BatchArrives(id, target));
            return;
        }
        if may == MayWrite::ShutOut {
            return self.refuse_all(id, target);
        }
        if transactions {
            // Before the first record of a partition: also where none is taken.
            self.add_to_transaction(id);
        }
        self.producing.producers[id].busy.remove(&target);
        match self.fails_now(id, target) {
            Some(code) => {
                let all = self.take_queue(id, target);
                self.fail(id, target, all, code);
            }
            None => self.take_batch(id, target),
        }
    }

    /// Why nothing of this producer is written to this topic now, if so.
    fn fails_now(&mut self, id: usize, target: Target) -> Option<Code> {
        let failing = self.producing.producers[id].failing.get(&target).copied();
        if failing.is_some() {
            return failing;
        }
        let (until, code) = self.producing.sick[target.0]?;
        if model::now() < until {
            return Some(code);
        }
        self.producing.sick[target.0] = None;
        None
    }

    fn take_queue(&mut self, id: usize, target: Target) -> VecDeque<Message> {
        std::mem::take(self.producing.producers[id].queues.entry(target).or_default())
    }

    /// Some of what waits is written, as far as the topic takes it, and answered.
    fn take_batch(&mut self, id: usize, target: Target) {
        let many = self.random.usize(1..=8).min(self.producing.producers[id].largest_batch());
        let queue = self.producing.producers[id].queues.entry(target).or_default();
        let count = many.min(queue.len());
        let batch: Vec<Message> = queue.drain(..count).collect();
        let more = !queue.is_empty();
        if self.happens(self.chances().ambiguous) {
            return self.write_and_report_as_failed(id, target, batch);
        }
        if batch.iter().any(|message| self.refusal(target.0, message).is_some()) {
            return self.refuse(id, target, batch);
        }
        self.append_all(id, &batch, target);
        self.answer(id, target, batch.into_iter().map(|message| (message, Ok(()))).collect());
        let producer = &mut self.producing.producers[id];
        if more && producer.busy.insert(target) {
            let time = self.latency();
            self.after(time, Due::BatchArrives(id, target));
        }
    }

    /// All of a batch is refused for what is wrong with some. Without transactions the client breaks, as it promises no gaps.
    fn refuse(&mut self, id: usize, target: Target, batch: Vec<Message>) {
        let refusals: Vec<_> = batch.iter().map(|message| self.refusal(target.0, message)).collect();
        let code = refusals.iter().flatten().next().copied().unwrap_or(Code::InvalidRecord);
        let named = code != Code::MessageSizeTooLarge && self.random.bool();
        let shared = (batch.len() > 1).then_some(batch.len() * BYTES);
        let judge = |at_fault: Option<Code>| match at_fault {
            _ if !named => Undelivered { code, shared },
            Some(code) => code.into(),
            None => Code::InvalidDifferentRecord.into(),
        };
        self.note(|| format!("{target:?} refuses {} records: {code:?}, named: {named}", batch.len()));
        self.may_be_torn(batch.iter().map(|message| message.place).collect());
        let answers = batch
            .into_iter()
            .zip(refusals)
            .map(|(message, at_fault)| (message, Err(judge(at_fault))))
            .collect();
        let producer = &mut self.producing.producers[id];
        if producer.transacting.is_none() && target.0 == 0 {
            // What is behind it is not taken: its number in the sequence is too high. (Dead letters may have gaps.)
            producer.gaps.insert(target);
        }
        self.answer(id, target, answers);
    }

    fn write_and_report_as_failed(&mut self, id: usize, target: Target, batch: Vec<Message>) {
        let good: Vec<&Message> =
            batch.iter().filter(|message| self.refusal(target.0, message).is_none()).collect();
        self.append_all(id, good, target);
        if let Some(transacting) = &mut self.producing.producers[id].transacting {
            transacting.in_doubt = true;
        }
        batch.iter().for_each(|message| self.oracle.may_repeat(message.place));
        let rest = self.take_queue(id, target);
        self.note(|| format!("{} records are written to {target:?}, and reported as failed", batch.len()));
        let all = batch.into_iter().chain(rest).collect();
        self.fail(id, target, all, Code::MessageTimedOut);
    }

    fn refusal(&self, topic: usize, message: &Message) -> Option<Code> {
        let kind = self.kind_of(message.place)?;
        let refused = match (topic, kind) {
            (0, Kind::TooLarge | Kind::Huge) => true,
            (1, Kind::Huge) => message.whole,
            _ => false,
        };
        // A dead letter may lose its value for its size only.
        let codes = [Code::MessageSizeTooLarge, Code::InvalidTimestamp, Code::InvalidRecord];
        refused.then_some(codes[if topic == 0 { message.place.1 as usize % codes.len() } else { 0 }])
    }

    pub(super) fn kind_of(&self, place: Place) -> Option<Kind> {
        Some(self.draft_of(place)?.kind)
    }

    pub(super) fn draft_of(&self, (partition, offset): Place) -> Option<Draft> {
        let log = self.inputs.get(partition as usize)?;
        let index = log.binary_search_by_key(&offset, |input| input.offset).ok()?;
        Some(log[index].draft)
    }

    fn append_all<'a>(&mut self, id: usize, messages: impl IntoIterator<Item = &'a Message>, target: Target) {
        let mut writes: Vec<(Place, What)> =
            messages.into_iter().map(|message| (message.place, message.what)).collect();
        if writes.is_empty() {
            return;
        }
        if self.sabotages(Sabotage::LosesRecord) {
            writes.pop();
        }
        if self.sabotages(Sabotage::WritesTwice) {
            writes.push(writes[0]);
        }
        if self.plan.sabotage == Some(Sabotage::SwapsRecords) {
            writes.reverse();
        }
        if self.sabotages(Sabotage::InventsRecord) {
            writes.push(((0, 1_000_000), What::Leg(0)));
        }
        if self.producing.producers[id].transacting.is_some() {
            return self.write_hidden(id, writes, target);
        }
        for (place, what) in writes {
            self.note(|| format!("written to {target:?}: {place:?} {what:?}"));
            let draft = self.draft_of(place);
            let position = self.producing.next_position();
            self.oracle.written(place, what, (target, position), draft);
        }
    }

    fn fail(&mut self, id: usize, target: Target, messages: VecDeque<Message>, code: Code) {
        if !self.plan.sharp {
            self.producing.producers[id].failing.insert(target, code);
        }
        self.may_be_torn(messages.iter().map(|message| message.place).collect());
        let until = model::now() + AT_LEAST;
        let sick = &mut self.producing.sick[target.0];
        *sick = Some(sick.map_or((until, code), |(before, code)| (before.max(until), code)));
        self.note(|| format!("producer {id} fails {} records for {target:?}: {code:?}", messages.len()));
        let answers = messages.into_iter().map(|message| (message, Err(code.into()))).collect();
        self.answer(id, target, answers);
    }

    /// A result of several records is written again as a whole when one of them has failed.
    fn may_be_torn(&mut self, failed: Vec<Place>) {
        for place in failed {
            if matches!(self.kind_of(place), Some(Kind::Several(_))) {
                self.oracle.may_repeat(place);
                self.producing.torn = true;
            }
        }
    }

    fn answer(&mut self, id: usize, target: Target, answers: Answers) {
        if self.sabotages(Sabotage::NeverAnswers) {
            // Not even when the client is purged.
            return self.producing.lost.extend(answers);
        }
        let chances = self.chances();
        if self.happens(chances.unanswered) {
            self.note(|| format!("producer {id} forgets {} records for {target:?}", answers.len()));
            return self.producing.producers[id].forgotten.extend(answers);
        }
        let mut time = self.latency();
        if self.happens(chances.produce_late) {
            time *= 20;
        }
        self.producing.producers[id].answers.entry(target).or_default().push_back(answers);
        self.after(time, Due::BatchAnswered(id, target));
    }

    /// In the order of the requests, whichever way took longer.
    pub(super) fn batch_answered(&mut self, id: usize, target: Target) {
        let producer = &mut self.producing.producers[id];
        let Some(answers) = producer.answers.get_mut(&target).and_then(VecDeque::pop_front) else { return };
        let count = answers.len();
        let is_refused = answers.iter().any(|(_, answer)| answer.is_err());
        if is_refused && producer.gaps.contains(&target) && !producer.fatal {
            producer.fatal = true;
            producer.reports.push_back(Report::Error(Code::Fatal, "a gap".to_owned()));
        }
        for (message, answer) in answers {
            producer.reports.push_back(Report::Delivery(message.parcel, answer));
        }
        let bell = producer.bell.clone();
        self.ring(bell);
        self.note(|| format!("producer {id} reports {count} for {target:?}"));
    }

    /// The epoch of this client is over: nothing more of it is written.
    fn refuse_all(&mut self, id: usize, target: Target) {
        let failed = self.shut_out(id);
        let producer = &mut self.producing.producers[id];
        producer.busy.remove(&target);
        let all = std::mem::take(producer.queues.entry(target).or_default());
        let answers = all.into_iter().map(|message| (message, Err(failed.code.into()))).collect();
        self.answer(id, target, answers);
        self.report(id, Report::Error(Code::Fatal, failed.text));
    }

    /// The application is told something by its client.
    pub(super) fn report(&mut self, id: usize, report: Report<Job>) {
        let producer = &mut self.producing.producers[id];
        producer.reports.push_back(report);
        let bell = producer.bell.clone();
        self.ring(bell);
    }

    /// What was not sent is given up, and what was sent is waited for.
    pub(super) fn give_up_queued(&mut self, id: usize) {
        let producer = &mut self.producing.producers[id];
        let mut given_up = Vec::new();
        for (target, queue) in &mut producer.queues {
            let is_sent = producer.busy.contains(target) && !producer.gaps.contains(target);
            let sent = if is_sent { 2 } else { 0 };
            given_up.extend(queue.drain(sent.min(queue.len())..));
        }
        if !given_up.is_empty() {
            self.note(|| format!("producer {id} gives up {}", given_up.len()));
        }
        self.may_be_torn(given_up.iter().map(|message| message.place).collect());
        given_up
            .into_iter()
            .for_each(|one| self.report(id, Report::Delivery(one.parcel, Err(Code::PurgeQueue.into()))));
    }

    /// One of the clients that are in use ends in a fatal error: that of an output or of dead letters, of which each instance has
    /// one; half of the time one that has something on its way, if any has.
    pub(super) fn break_one(&mut self) {
        if self.plan.exactly_once {
            return self.break_named();
        }
        let producers = &self.producing.producers;
        let mut ids: Vec<usize> = (0..producers.len()).filter(|id| producers[*id].is_in_use()).collect();
        if self.random.bool() && ids.iter().any(|id| producers[*id].outstanding > 0) {
            ids.retain(|id| producers[*id].outstanding > 0);
        }
        if ids.is_empty() {
            return;
        }
        let id = ids[self.random.usize(..ids.len())];
        self.note(|| format!("producer {id} is broken"));
        let producer = &mut self.producing.producers[id];
        producer.fatal = true;
        producer.reports.push_back(Report::Error(Code::Fatal, "fenced".to_owned()));
        let bell = producer.bell.clone();
        self.ring(bell);
    }

    pub(super) fn purge(&mut self, id: usize) {
        let producer = &mut self.producing.producers[id];
        let queues = std::mem::take(&mut producer.queues);
        let answers = std::mem::take(&mut producer.answers);
        // A partition that has failed something takes nothing that was behind it.
        let failing: BTreeSet<Target> = producer.failing.keys().chain(&producer.gaps).copied().collect();
        self.note(|| format!("producer {id} is purged"));
        let mut reports = Vec::new();
        // What the broker had answered for, and the answer is not read any more.
        let forgotten = std::mem::take(&mut self.producing.producers[id].forgotten);
        for (message, answer) in answers.into_values().flatten().flatten().chain(forgotten) {
            if answer.is_ok() {
                self.oracle.may_repeat(message.place);
            }
            reports.push((message, Code::PurgeInflight));
        }
        for (target, queue) in queues {
            let mut queue: Vec<Message> = queue.into();
            let flying = self.random.usize(..=queue.len().min(4));
            let producer = &self.producing.producers[id];
            let may =
                !producer.dead && (producer.transacting.is_none() || self.may_write(id) == MayWrite::Yes);
            if may && self.random.bool() && target.0 == 0 && !failing.contains(&target) {
                let good = queue[..flying]
                    .iter()
                    .take_while(|message| self.refusal(target.0, message).is_none())
                    .count();
                self.append_all(id, &queue[..good], target);
                queue[..good].iter().for_each(|message| self.oracle.may_repeat(message.place));
            }
            let code = |index| if index < flying { Code::PurgeInflight } else { Code::PurgeQueue };
            reports.extend(queue.drain(..).enumerate().map(|(index, message)| (message, code(index))));
        }
        self.may_be_torn(reports.iter().map(|(message, _)| message.place).collect());
        let producer = &mut self.producing.producers[id];
        producer.reports.extend(
            reports.into_iter().map(|(message, code)| Report::Delivery(message.parcel, Err(code.into()))),
        );
        let bell = producer.bell.clone();
        self.ring(bell);
    }
}
