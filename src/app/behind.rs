//! Partitions that stand still before their end, and why: commits past what is behind the last record and is none (see [`Scout`]), and
//! names what librdkafka does not: a transaction that is open, and a partition that no broker leads.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;

use super::derive::{client_config, servers};
use super::standing::{Cause, Standing};
use crate::checkpoint::Slot;
use crate::checkpoint::ledger::Short;
use crate::config::Config;
use crate::engine::Pipeline;
use crate::kafka::context::Context;
use crate::record::TopicPartition;
use crate::source::scout::Scout;

/// When no further partition is begun with.
const PATIENCE: Duration = Duration::from_millis(500);
/// No broker has said for so long where a partition ends: they are asked once a second, and may take three to answer.
const SILENCE: Duration = Duration::from_secs(4);
/// How often leaders are asked for.
const LEADERS: Duration = Duration::from_secs(2);

/// What it takes, and what was seen when it was looked last.
pub(super) struct Behind {
    properties: ClientConfig,
    context: Context,
    /// Made when it is needed first, which may be never.
    scout: Option<Scout>,
    last: Vec<Short>,
    /// Since when there is a partition of which no broker says where it ends.
    silent_since: Option<Instant>,
    next_leaders: Instant,
    leaderless: Vec<(Slot, TopicPartition)>,
    standing: Standing,
}

impl Behind {
    pub(super) fn new(config: &Config, context: &Context) -> Self {
        Self {
            properties: client_config(&config.consumer_properties),
            context: context.clone(),
            scout: None,
            last: Vec::new(),
            silent_since: None,
            next_leaders: Instant::now(),
            leaderless: Vec::new(),
            standing: Standing::new(context.clone(), servers(config)),
        }
    }

    /// Looks at partitions that have stood still before their end since the last time, and at those of which no broker says where they
    /// end. To be called once a second; takes hardly longer than that.
    pub(super) fn look(&mut self, pipeline: &Pipeline) {
        self.scout.iter_mut().for_each(Scout::tend);
        self.look_for_leaders(pipeline);
        self.look_for_ends(pipeline);
        self.standing.look_whether_over(pipeline, &self.leaderless);
    }

    fn scout(&mut self) -> Option<&mut Scout> {
        if self.scout.is_none() {
            match Scout::new(self.properties.clone(), self.context.clone()) {
                Ok(scout) => self.scout = Some(scout),
                Err(error) => tracing::debug!("no client to look for ends: {error}"),
            }
        }
        self.scout.as_mut()
    }

    fn look_for_ends(&mut self, pipeline: &Pipeline) {
        let now = pipeline.with_ledger(|ledger| ledger.short_of_their_end());
        let stood = |one: &Short| self.last.iter().any(|last| (last.slot, last.from) == (one.slot, one.from));
        let mut still: Vec<Short> = now.iter().filter(|one| stood(one)).cloned().collect();
        self.last = now;
        // In another order each time, as there may not be time for all.
        fastrand::shuffle(&mut still);
        let until = Instant::now() + PATIENCE;
        for one in still.into_iter().take_while(|_| Instant::now() < until) {
            let Some(scout) = self.scout() else { return };
            match scout.end_without_records(&one.partition, one.from) {
                Some(end) if end > one.from => pipeline.pass(one.slot, one.from, end),
                Some(_) => {
                    let cause = Cause::OpenTransaction { from: one.from };
                    self.standing.found(pipeline, (one.slot, &one.partition), cause, one.end - one.from);
                }
                None => {}
            }
        }
    }

    /// Where no broker says where partitions end, some of them may have no leader: librdkafka looks for all leaders first.
    fn look_for_leaders(&mut self, pipeline: &Pipeline) {
        let now = Instant::now();
        let silent = pipeline.with_ledger(|ledger| ledger.without_an_end(now, SILENCE));
        if silent.is_empty() {
            self.silent_since = None;
            return self.leaderless.clear();
        }
        // No client is made for what was assigned a moment ago.
        let since = *self.silent_since.get_or_insert(now);
        if now >= since + LEADERS && now >= self.next_leaders {
            self.next_leaders = now + LEADERS;
            self.ask_for_leaders(&silent);
        }
        for (slot, partition) in &self.leaderless {
            self.standing.found(pipeline, (*slot, partition), Cause::NoLeader, 0);
        }
    }

    fn ask_for_leaders(&mut self, silent: &[(Slot, TopicPartition)]) {
        let topics: HashSet<_> = silent.iter().map(|(_, (topic, _))| topic.clone()).collect();
        for topic in topics {
            let Some(found) = self.scout().and_then(|scout| scout.leaderless(&topic)) else { continue };
            self.leaderless.retain(|(_, (other, _))| *other != topic);
            let has_none = |(_, (other, number)): &&_| *other == topic && found.contains(number);
            self.leaderless.extend(silent.iter().filter(has_none).cloned());
        }
    }
}
