//! A batch that cannot be read: its checksum is wrong, it cannot be unpacked, its format is unknown.
//!
//! librdkafka says so and goes on: after a wrong checksum it looks for the next batch in the middle of the bad one (2.12.1 takes a length
//! for a place), and from then on its position is anywhere. So the partition stops before the batch ([`Way::Parked`]), what comes from
//! behind it is dropped, and after a pause that doubles it is begun anew there: another leader, or a repaired disk, may have a good
//! copy. Other partitions go on.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::KafkaSource;
use super::reading::{Owned, Way};
use crate::kafka::errors::{self, Consuming};
use crate::record::Record;
use crate::record::TopicPartition;
use crate::source::Intake;
use crate::source::client::{Client, Misread};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// How long an error counts that does not come again. librdkafka tries twice a second.
const FRESH: Duration = Duration::from_secs(10);

/// Where the records of a partition end that can be read.
pub(super) struct Bad {
    /// The first offset of the batch, which may be below the one where reading goes on.
    offset: i64,
    why: String,
    /// What it was begun anew with was out of the log. Once that may be an old answer to the position that was anywhere.
    out_of_log: bool,
    /// Records are taken again, to see.
    trying: bool,
    pause: Duration,
    again_at: Instant,
}

impl Owned {
    /// Leaves of `records` what comes before a batch that cannot be read. Whether it can be read now.
    pub(super) fn keep_readable(&mut self, records: &mut Vec<Record>) -> bool {
        let Some(bad) = &self.bad else { return false };
        if !bad.trying {
            let offset = bad.offset;
            records.retain(|record| record.offset() < offset);
        } else if records.last().is_some_and(|record| record.offset() >= bad.offset) {
            self.bad = None;
            return true;
        }
        false
    }

    /// Whether it stops where reading would go on.
    pub(super) fn is_to_stop(&self) -> bool {
        self.bad.as_ref().is_some_and(|bad| !bad.trying)
    }

    /// Why it waits, and for how long that holds unless it is said again.
    pub(super) fn why_it_waits(&self) -> Option<(String, Duration)> {
        self.bad.as_ref().map(|bad| (bad.why.clone(), bad.pause + FRESH))
    }

    /// Whether it has waited long enough before a batch that could not be read.
    fn is_to_try(&self, now: Instant) -> bool {
        self.way == Way::Parked && !self.leaving && self.bad.as_ref().is_some_and(|bad| now >= bad.again_at)
    }

    /// A partition that was begun anew and of which nothing is heard is to be begun anew once more.
    fn give_up_trying(&mut self, now: Instant) {
        if let Some(bad) = self.bad.as_mut().filter(|bad| bad.trying && now >= bad.again_at + LAST_PAUSE) {
            (bad.trying, bad.again_at) = (false, now);
        }
    }
}

impl<I: Intake, C: Client> KafkaSource<I, C> {
    /// An error came in place of records.
    pub(super) fn misread(&mut self, misread: Misread) {
        let Misread { partition, offset, code, text } = misread;
        let owned = partition.as_ref().and_then(|partition| self.owned.get(partition));
        if owned.is_some_and(|owned| owned.leaving || owned.is_to_stop()) {
            // Of one that is given up; or librdkafka went on with what it takes for the next batch, in the middle of the bad one, and for
            // its offset: that is nowhere.
            return tracing::debug!("consumer {}: {text}", self.settings.index);
        }
        match (errors::consuming(code), &partition) {
            (Consuming::Unreadable, Some(partition)) => self.unreadable(partition, offset, code, &text),
            (Consuming::Passing, Some(partition)) => self.passing(partition, code, &text),
            (Consuming::OffsetGone, Some(partition)) if self.is_out_of_log_at_first(partition) => {}
            _ => self.judge(code, &text, partition),
        }
    }

    fn unreadable(&mut self, partition: &TopicPartition, offset: i64, code: Code, text: &str) {
        let Some(owned) = self.owned.get_mut(partition) else { return };
        let is_new = owned.bad.is_none();
        let pause = owned.bad.as_ref().map_or(FIRST_PAUSE, |bad| (bad.pause * 2).min(LAST_PAUSE));
        let (topic, number) = partition;
        let why = format!("the batch at offset {offset} cannot be read: {text}");
        let again_at = self.clock.now() + pause;
        owned.bad = Some(Bad { offset, why: why.clone(), out_of_log: false, trying: false, pause, again_at });
        let said = format!(
            "{topic}/{number}: {why}. The partition stops before it, nothing is passed over, and the others go on; it is fetched again \
             until a broker gives a good copy. Make another replica the leader, or restore the partition; to give the batch up, stop \
             the program and set the group's offset behind it"
        );
        self.context.cannot_read(partition, code, &said, is_new);
    }

    fn is_out_of_log_at_first(&mut self, partition: &TopicPartition) -> bool {
        let now = self.clock.now();
        let bad = self.owned.get_mut(partition).and_then(|owned| owned.bad.as_mut());
        let Some(bad) = bad.filter(|bad| !bad.out_of_log) else { return false };
        (bad.out_of_log, bad.trying, bad.again_at) = (true, false, now + bad.pause);
        true
    }

    /// Begins one partition anew whose pause is over. Not while the group waits for an answer: it would take this for one.
    pub(super) fn maybe_try_again(&mut self) {
        let now = self.clock.now();
        let due = |owned: &Owned| owned.is_to_try(now) && self.intake.has_room(owned.slot);
        let Some(partition) = self.owned.iter().find(|(_, owned)| due(owned)).map(|(name, _)| name.clone())
        else {
            return self.owned.values_mut().for_each(|owned| owned.give_up_trying(now));
        };
        self.serve(Duration::ZERO);
        if self.leaving.is_some() || !self.assigned.is_empty() || !self.told.is_empty() {
            return;
        }
        let places: Vec<_> = self.owned.iter().map(|(name, owned)| (name.clone(), owned.next)).collect();
        let result = self.client.restart(&partition, &places);
        let Some(owned) = self.owned.get_mut(&partition) else { return };
        let Some(bad) = owned.bad.as_mut() else { return };
        if let Err(error) = result {
            tracing::debug!("{}/{} cannot be begun anew: {error}", partition.0, partition.1);
            bad.again_at = now + bad.pause;
            return;
        }
        (bad.trying, bad.again_at) = (true, now);
        (owned.way, owned.since) = (Way::Together, now);
    }

    fn passing(&self, partition: &TopicPartition, code: Code, text: &str) {
        let Some(owned) = self.owned.get(partition) else { return };
        self.intake.stand(owned.slot, text.to_owned(), FRESH);
        let (topic, number) = partition;
        let said = format!("{topic}/{number} cannot be read: {text}; trying again");
        self.context.cannot_read(partition, code, &said, false);
    }
}
