//! Deliveries that are never answered, while the broker answers others: they are named, and the client is replaced.
//!
//! A client that waits for an answer tries again by itself, for as long as it takes. One that has forgotten a record, or waits
//! for what does not come, says nothing; and the record keeps its place in the budget, until nothing is read any more.
//!
//! How long the oldest delivery has waited is known without a time for each record. Parcels are handed over in *turns*, of
//! which there are two: the old one, and the young one that parcels are being added to. When nothing of the old one is
//! outstanding the young one becomes old, and that moment is noted: all of it were handed over before.

use std::time::{Duration, Instant};

use super::KafkaSink;
use crate::sink::Outbox;
use crate::sink::batches::Batches;
use crate::sink::client::{Client, Connect};

/// How long a new client is waited for, to see whether a broker answers it.
const PROBE: Duration = Duration::from_secs(2);
/// How many times longer it is waited where a new client did not help either, at most.
const LONGEST: u32 = 16;

/// Parcels by the turn that they were handed over in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts([usize; 2]);

impl Counts {
    /// So many of one turn.
    pub(super) fn of(turn: bool, count: usize) -> Self {
        let mut counts = Self::default();
        counts.add(turn, count);
        counts
    }

    pub(super) fn add(&mut self, turn: bool, count: usize) {
        self.0[usize::from(turn)] += count;
    }

    pub(super) fn total(self) -> usize {
        self.0[0] + self.0[1]
    }
}

/// What is outstanding, and since when. Pure.
pub(super) struct Watch {
    outstanding: Counts,
    /// The turn that parcels are being added to.
    young: bool,
    /// When the other one became old.
    since: Instant,
    /// It was not empty then.
    some: bool,
    /// How long a delivery may wait.
    bound: Duration,
    /// How long it may wait now, which is longer where new clients did not help.
    patience: Duration,
    not_before: Instant,
}

impl Watch {
    pub(super) fn new(bound: Duration, now: Instant) -> Self {
        let (outstanding, young, some) = (Counts::default(), false, false);
        Self { outstanding, young, since: now, some, bound, patience: bound, not_before: now }
    }

    /// How many are handed over and not answered.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.total()
    }

    /// So many are handed over, in the turn that is returned.
    pub(super) fn hand_over(&mut self, count: usize) -> bool {
        self.outstanding.add(self.young, count);
        self.young
    }

    pub(super) fn answered(&mut self, counts: Counts) {
        for (outstanding, count) in self.outstanding.0.iter_mut().zip(counts.0) {
            *outstanding -= count;
        }
    }

    fn old(&self) -> usize {
        self.outstanding.0[usize::from(!self.young)]
    }

    /// How many have waited for too long, and how long at least.
    fn look(&mut self, now: Instant) -> Option<(usize, Duration)> {
        if self.old() == 0 {
            if self.some {
                self.patience = self.bound;
            }
            self.young = !self.young;
            (self.since, self.some) = (now, self.old() > 0);
        }
        let waited = now.saturating_duration_since(self.since);
        (self.some && waited >= self.patience && now >= self.not_before).then(|| (self.old(), waited))
    }

    /// Nobody answers at all: a new client would not help. It is looked again a little later.
    fn wait(&mut self, now: Instant) {
        self.not_before = now + self.bound / 4;
    }

    /// Another client takes its place.
    fn replace(&mut self) {
        self.some = false;
        self.patience = (self.patience * 2).min(self.bound * LONGEST);
    }
}

impl<O: Outbox, C: Connect<O::Parcel>> KafkaSink<O, C> {
    /// Replaces a client that leaves deliveries without an answer, if a broker answers a new one.
    pub(super) fn maybe_replace_client(&self) {
        let mut flow = self.flow.lock();
        if flow.is_broken() {
            return;
        }
        let Some((count, waited)) = flow.watch.look(self.clock.now()) else { return };
        drop(flow);
        let topics = self.route.topic(self.writes).to_owned();
        let what = format!("{count} records for {topics} are not answered for {} s", waited.as_secs());
        if !self.is_served() {
            self.flow.lock().watch.wait(self.clock.now());
            let text = "and a new client is not answered either, or a partition has no leader";
            return self.context.complain(&topics, &format!("{what}, {text}: they wait"));
        }
        tracing::warn!(
            "{what}, though the broker answers a new client: the old one is given up, and another writes them again (what \
             was written without an answer is there twice then)"
        );
        self.flow.lock().watch.replace();
        self.halt(true);
    }

    fn is_served(&self) -> bool {
        let client = self.connection.connect(&self.route.topics(), Batches::default());
        client.is_ok_and(|client| client.is_served(self.route.topic(self.writes), PROBE))
    }

    /// Says what a client had that was given up.
    pub(super) fn name_given_up(&self, client: &C::Client) {
        let all = client.given_up();
        if !all.is_empty() {
            let each: Vec<_> = all.iter().map(|(place, count)| format!("{count} of {place}")).collect();
            tracing::warn!(
                "records given up with the old client, and written again by the new one: {}",
                each.join(", ")
            );
        }
    }
}
