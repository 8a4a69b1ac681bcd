//! Everything the broker knows, behind one mutex, with one condition for whoever waits: a fetch for records, a member for
//! the others.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::Options;
use crate::codes;
use crate::group::{Group, Place};
use crate::log::Batch;
use crate::topics::{Settings, Topics};
use crate::transactions::{Claim, Ending, Transactions};

/// Why a batch is not taken.
#[derive(Debug)]
pub(crate) struct Refused {
    pub code: i16,
    /// The records at fault, by their places in it, where that is known.
    pub records: Vec<i32>,
}

impl From<i16> for Refused {
    fn from(code: i16) -> Self {
        Self { code, records: Vec::new() }
    }
}

/// Topics, groups and transactions.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub topics: Topics,
    pub groups: BTreeMap<String, Group>,
    pub transactions: Transactions,
    /// Of members.
    next_id: u64,
}

/// The state, shared by all connections.
pub(crate) struct Cluster {
    state: Mutex<State>,
    changed: Condvar,
    pub options: Options,
    /// Where clients reach us.
    pub port: u16,
}

impl Cluster {
    pub(crate) fn new(options: Options, port: u16) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), options, port }
    }

    /// The state. Whoever changes what somebody may wait for calls [`Cluster::changed`] afterwards.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Wakes all who wait.
    pub(crate) fn changed(&self) {
        self.changed.notify_all();
    }

    /// Waits until something changed, or until then.
    pub(crate) fn wait(&self, state: &mut MutexGuard<'_, State>, until: Instant) {
        self.changed.wait_until(state, until);
    }

    /// What time alone brings.
    pub(crate) fn tick(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        let late = state.transactions.expire(now);
        let mut changed = !late.is_empty();
        late.into_iter().for_each(|ending| state.end_transaction(ending));
        for group in state.groups.values_mut() {
            changed |= group.tick(now);
        }
        drop(state);
        if changed {
            self.changed();
        }
    }

    /// The broker is back after it was killed.
    pub(crate) fn wake(&self) {
        let now = Instant::now();
        self.lock().groups.values_mut().for_each(|group| group.wake(now));
    }

    /// Makes sure that a topic is there, if topics are made when asked for.
    pub(crate) fn auto_create(&self, state: &mut State, topic: &str) {
        if let Some(partitions) = self.options.auto_create
            && !state.topics.by_name.contains_key(topic)
            && state.topics.create(topic, partitions, Settings::default()).is_ok()
        {
            tracing::info!("topic {topic} was asked for and made, with {partitions} partitions");
        }
    }

    /// Appends a client's batch. Returns its offset and, where the topic wants it, the time of the arrival.
    ///
    /// # Errors
    /// Why it is not taken.
    pub(crate) fn append(
        &self,
        state: &mut State,
        place: &Place,
        batch: Batch,
        transactional_id: Option<&str>,
    ) -> Result<(i64, i64), Refused> {
        let (topic, partition) = place;
        let known = state.topics.by_name.get(topic).ok_or(codes::UNKNOWN_TOPIC_OR_PARTITION)?;
        let settings = &known.settings;
        // Of a topic with one replica Kafka asks no more than that, whatever the setting says.
        if known.replicas_away && settings.min_in_sync() > 1 {
            return Err(codes::NOT_ENOUGH_REPLICAS.into());
        }
        if batch.bytes.len() > settings.max_message_bytes() {
            return Err(codes::MESSAGE_TOO_LARGE.into());
        }
        let now_ms = unix_ms();
        let time = settings.log_append_time().then_some(now_ms);
        if time.is_none()
            && let Some(records) = batch.out_of(&settings.timestamps(now_ms))
        {
            return Err(Refused { code: codes::INVALID_TIMESTAMP, records });
        }
        let records = if settings.needs_keys() { batch.keyless() } else { Vec::new() };
        if !records.is_empty() {
            return Err(Refused { code: codes::INVALID_RECORD, records });
        }
        let limit = settings.retention_bytes().unwrap_or(self.options.retention_bytes);
        if batch.is_transactional() {
            state.may_write(place, &batch, transactional_id)?;
        }
        state.topics.led(topic, *partition)?;
        let log = state.topics.log_mut(topic, *partition)?;
        let offset = log.append(batch, time)?;
        let removed = log.trim(limit);
        if removed > 0 {
            state.tell_removed(topic, removed, limit);
        }
        Ok((offset, time.unwrap_or(-1)))
    }
}

impl State {
    /// An id for a member, as Kafka makes it: the client's name and something unique.
    pub(crate) fn new_member_id(&mut self, client_id: &str) -> String {
        self.next_id += 1;
        format!("{client_id}-{:012x}-{:08x}", unix_ms(), self.next_id)
    }

    fn may_write(&mut self, place: &Place, batch: &Batch, transactional_id: Option<&str>) -> Result<(), i16> {
        let Some(id) = transactional_id else { return Err(codes::TRANSACTIONAL_ID_AUTHORIZATION_FAILED) };
        let Some(stamp) = batch.stamp else { return Err(codes::INVALID_RECORD) };
        let claim = Claim {
            transactional_id: id.to_owned(),
            producer: stamp.producer,
            epoch: stamp.epoch,
            knows_fenced: false,
        };
        match self.transactions.may_write(&claim, place) {
            codes::NONE => Ok(()),
            code => Err(code),
        }
    }

    /// Loud, but not for every batch: each time ten times as much has gone as at the last time.
    fn tell_removed(&mut self, name: &str, count: i64, limit: u64) {
        let Some(topic) = self.topics.by_name.get_mut(name) else { return };
        let before = topic.removed;
        topic.removed += count;
        if before == 0 || before.ilog10() != topic.removed.ilog10() {
            tracing::warn!(
                "the embedded broker's memory is bounded: {} records of topic {name} were removed so far, as a partition \
                 keeps {limit} bytes. Whoever has not read them will not",
                topic.removed
            );
        }
    }

    /// Writes markers and settles offsets.
    pub(crate) fn end_transaction(&mut self, ending: Ending) {
        let now = unix_ms();
        for (topic, partition) in &ending.places {
            // A topic may be gone in the meantime; then there is nothing to end in it.
            if let Ok(log) = self.topics.log_mut(topic, *partition) {
                log.end_transaction(ending.producer, ending.epoch, ending.commit, now);
            }
        }
        for group in &ending.groups {
            if let Some(group) = self.groups.get_mut(group) {
                group.offsets.end_transaction(ending.producer, ending.commit);
            }
        }
    }
}

/// Milliseconds since 1970, as timestamps of records have them.
fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Retention counts what it removes; the loud line is made of that count.
    #[test]
    fn what_retention_removes_is_counted() {
        let cluster = Cluster::new(Options { retention_bytes: 200, ..Options::default() }, 1);
        let mut state = cluster.lock();
        state.topics.create("t", 1, Settings::default()).expect("a new topic");
        for _ in 0..10 {
            let mut batch = Batch::marker(1, 0, true, 5);
            batch.attributes = 0;
            cluster.append(&mut state, &("t".to_owned(), 0), batch, None).expect("it is taken");
        }
        let topic = &state.topics.by_name["t"];
        assert_eq!(topic.removed, topic.partitions[0].start());
        assert!(topic.removed >= 7, "200 bytes are room for two batches: {}", topic.removed);
    }
}
