//! An input topic that is deleted and made again while it is read. librdkafka (2.12) goes on in the new topic at the offset where it
//! was in the old one, and what is before is never read; the group's offsets stay those of the old one, or become none.
//!
//! So the ids of the topics are asked for all the time. One that is new:
//!
//! 1. What was read of the old topic and not admitted is dropped, and no offset of it is committed any more ([`Intake::retire`]).
//! 2. Each partition gets another slot, which begins where the new topic does; that is committed at once.
//! 3. It is read when all that was in flight of the old topic is finished: the results of the old one come before those of the new.
//!
//! What was read of the new topic before its id was known is read again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::reading::Owned;
use super::{KafkaSource, Trouble};
use crate::checkpoint::{Beginning, Slot};
use crate::planted::{Bug, planted};
use crate::record::TopicPartition;
use crate::source::Intake;
use crate::source::client::Client;
use crate::source::start::Known;
use crate::source::topics::History;
use crate::topic_id::{Ids, TopicId};

/// How often it is asked which topics the names mean.
const EVERY: Duration = Duration::from_secs(1);
/// How long after a question without an answer it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// How long something must hold that would end the process, and that may be news to the broker that was asked.
const SETTLED: Duration = Duration::from_secs(3);

/// What is known of the topics, and what is to be done about it.
pub(super) struct Watch {
    pub history: History,
    next_question: Instant,
    /// When the last answer came.
    answered: Option<Instant>,
    /// Partitions of topics that are new, for which no start was found yet.
    renewed: Vec<TopicPartition>,
    next_try: Instant,
    gone: Option<Gone>,
    /// Some partition waits for what is in flight of a topic that is gone.
    draining: bool,
}

/// A partition whose offset is not there.
struct Gone {
    /// Where it was read; `None` where the client did not say.
    place: Option<(TopicPartition, Slot)>,
    since: Instant,
    text: String,
}

impl Watch {
    pub(super) fn new(known: &std::collections::HashMap<Arc<str>, Known>, now: Instant) -> Self {
        let ids: Ids = known.iter().map(|(topic, known)| (topic.clone(), known.topic_id)).collect();
        Self {
            history: History::from(&ids),
            next_question: now,
            answered: None,
            renewed: Vec::new(),
            next_try: now,
            gone: None,
            draining: false,
        }
    }

    /// Whether what is known now has not changed for a while, since `begun`.
    pub(super) fn is_settled(&self, begun: Instant) -> bool {
        self.answered.is_some_and(|answered| answered >= begun + SETTLED)
    }
}

impl<I: Intake, C: Client> KafkaSource<I, C> {
    pub(super) fn watch_topics(&mut self) {
        let now = self.clock.now();
        if now >= self.watch.next_question {
            self.watch.next_question = now + EVERY;
            self.client.ask_topic_ids(&self.settings.topics);
        }
        let busy = self.leaving.is_some() || !self.assigned.is_empty() || !self.told.is_empty();
        if !busy && !self.watch.renewed.is_empty() && now >= self.watch.next_try {
            self.watch.next_try = now + ASK_AGAIN;
            let renewed = std::mem::take(&mut self.watch.renewed);
            self.watch.renewed =
                renewed.into_iter().filter(|partition| !self.begin_anew(partition)).collect();
        }
        if self.watch.draining {
            self.let_go_of_the_old();
        }
    }

    pub(super) fn heard_of_topics(&mut self, answer: Result<Ids, Code>) {
        let ids = match answer {
            Ok(ids) => ids,
            Err(code) => return tracing::debug!("consumer {}: topics: {code}", self.settings.index),
        };
        self.watch.answered = Some(self.clock.now());
        for (topic, id) in &ids {
            let Some(id) = id.filter(|_| !planted(Bug::TopicIdUnwatched)) else { continue };
            if let Some(old) = self.watch.history.see(topic, id) {
                self.retire(topic, old, id);
            }
        }
        self.judge_what_is_gone();
    }

    /// The name means another topic from now on.
    fn retire(&mut self, topic: &Arc<str>, old: TopicId, new: TopicId) {
        let mut numbers = Vec::new();
        for ((_, number), owned) in self.owned.iter_mut().filter(|((name, _), _)| name == topic) {
            numbers.push(number.to_string());
            self.intake.retire(owned.slot);
            owned.leave();
            self.watch.renewed.push((topic.clone(), *number));
        }
        let (index, numbers) = (self.settings.index, numbers.join(" "));
        if numbers.is_empty() {
            return tracing::info!(
                consumer = index,
                "topic {topic} was made again: it had id {old}, and has {new}"
            );
        }
        tracing::warn!(
            consumer = index,
            "topic {topic} was deleted and made again: it had id {old}, and has {new}. The new topic is read from its beginning \
             (partitions {numbers}); what was read of it until now is done again. What is in flight of the old one is finished, and its \
             offsets are not committed any more"
        );
        self.watch.next_try = self.clock.now();
    }

    /// Finds where the new topic begins and takes the partition in from there. `false`: ask again.
    fn begin_anew(&mut self, partition: &TopicPartition) -> bool {
        // What is given up meanwhile begins anew where it goes.
        let Some(owned) = self.owned.get(partition) else { return true };
        let (topic, number) = partition;
        let start = match self.client.bounds(partition) {
            Ok((start, _)) => start,
            Err(error) => {
                tracing::debug!("{topic}/{number} has no beginning yet: {error}");
                return false;
            }
        };
        let before: Vec<_> = owned.slots().collect();
        if !self.client.park(partition, start) {
            self.client.restart_paused(partition, start);
            return false;
        }
        let topic_id = self.watch.history.now(topic);
        let beginning = Beginning { start, topic_id, ..Beginning::default() };
        let slot = self.intake.assign(self.settings.index, topic.clone(), *number, beginning);
        let now = self.clock.now();
        let passed_at = self.taken + self.client.queued() as u64;
        self.owned.insert(partition.clone(), Owned::parked(slot, start, now, passed_at, before));
        self.watch.draining = true;
        // The group is to know that its offset is of another topic.
        self.next_commit = now;
        true
    }

    /// Forgets slots of topics that are gone, once nothing of them is in flight.
    fn let_go_of_the_old(&mut self) {
        self.watch.draining = false;
        for owned in self.owned.values_mut().filter(|owned| !owned.before.is_empty()) {
            if self.intake.in_flight_of(&owned.before) == 0 {
                self.intake.revoke(&owned.before);
                owned.before.clear();
            } else {
                self.watch.draining = true;
            }
        }
    }

    /// The offset where a partition is to be read is not there: records are lost, unless it is one of another topic.
    pub(super) fn offset_is_gone(&mut self, text: &str, partition: Option<TopicPartition>) {
        let now = self.clock.now();
        self.watch.next_question = now;
        let owned = partition.as_ref().and_then(|partition| self.owned.get(partition));
        // Where it is to be read anew the error is of before; if it is not, there is another one.
        if owned.is_some_and(|owned| !owned.is_read()) {
            return;
        }
        let place = owned.map(|owned| owned.slot).and_then(|slot| Some((partition?, slot)));
        self.watch.gone.get_or_insert(Gone { place, since: now, text: text.to_owned() });
    }

    fn judge_what_is_gone(&mut self) {
        let Some(gone) = self.watch.gone.take() else { return };
        // What is read anew, or by somebody else, is looked for no more.
        let stands = |(partition, slot): &(TopicPartition, Slot)| {
            let same = self.owned.get(partition).is_some_and(|owned| owned.slot == *slot);
            same && !self.watch.renewed.contains(partition)
        };
        if !gone.place.as_ref().is_none_or(stands) {
            return;
        }
        if self.clock.now() < gone.since + SETTLED {
            self.watch.gone = Some(gone);
            return;
        }
        let place =
            gone.place.map(|((topic, number), _)| format!(" of {topic}/{number}")).unwrap_or_default();
        self.report(Trouble::Failed(format!(
            "a committed offset{place} is not in the log any more, so records were lost before they were read: {}. Choose \
             where to go on with kafka-consumer-groups --reset-offsets, then start again",
            gone.text
        )));
    }
}
