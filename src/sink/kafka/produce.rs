//! The producer threads: from the outbox to the client, in order.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::KafkaSink;
use super::overdue::Counts;
use super::report::{Settled, last_holder};
use crate::kafka::errors::{self, Delivery};
use crate::planted::{Bug, planted};
use crate::sink::client::{Client, Connect};
use crate::sink::{Outbox, Parcel, Target, letters_wait, sole};

/// Parcels handed over under one lock.
const BATCH: usize = 256;
/// How long a producer waits for room in the client's queue before it tries again, if no answer wakes it.
const NO_SPACE: Duration = Duration::from_millis(20);

impl<O: Outbox, C: Connect<O::Parcel>> KafkaSink<O, C> {
    /// A producer thread's life: writes what comes for its shard, until nothing more will come.
    pub fn produce(&self, shard: usize) {
        let mut parcels = Vec::with_capacity(BATCH);
        while let Some(halts) = self.wait_until_flowing() {
            if !self.outbox.take(shard, BATCH, &mut parcels) {
                return;
            }
            if self.writes == Target::DeadLetter && !self.route.finds_dead_letters(&*self.client()) {
                self.wait_for_topic(std::mem::take(&mut parcels));
                continue;
            }
            let Some(turn) = self.begin(&parcels, halts) else {
                // What has failed since is older than what this thread holds.
                self.outbox.put_back(std::mem::take(&mut parcels));
                continue;
            };
            self.hand_over(&mut parcels, turn);
        }
    }

    /// There is no dead-letter topic. By itself the client would wait for it, with a number of partitions that nobody knows.
    fn wait_for_topic(&self, parcels: Vec<Arc<O::Parcel>>) {
        self.metrics.dead_letter_failed();
        let topic = self.route.topic(self.writes);
        self.context
            .complain(topic, &letters_wait(topic, "there is no such topic, or the user may not see it"));
        if self.dead_letters_in_order {
            self.outbox.put_back(parcels);
            return self.halt(false);
        }
        parcels.into_iter().for_each(|parcel| self.outbox.put_off(sole(parcel)));
    }

    /// Writes what was begun, as long as the flow is not halted: what comes behind a failure would be written before it.
    fn hand_over(&self, parcels: &mut Vec<Arc<O::Parcel>>, turn: bool) {
        let client = self.client();
        let mut rest = parcels.drain(..);
        while !self.halted.load(Ordering::Acquire) || planted(Bug::HaltNotWaitedFor) {
            let Some(parcel) = rest.next() else { return };
            self.write(&client, parcel);
        }
        let rest: Vec<_> = rest.collect();
        let count = rest.len();
        self.outbox.put_back(rest);
        // After they are back: the flow goes on only when nothing is outstanding any more.
        self.answered(Counts::of(turn, count), false);
    }

    /// Waits while the flow is halted. Returns how often it was; `None` if the sink was stopped.
    fn wait_until_flowing(&self) -> Option<u64> {
        let mut flow = self.flow.lock();
        while flow.halt.is_some() && !self.is_stopped() {
            self.go_on.wait(&mut flow);
        }
        (!self.is_stopped()).then_some(flow.halts)
    }

    /// Counts `parcels` as handed over, unless the flow was halted since it had been so `halts` times. Returns their turn.
    fn begin(&self, parcels: &[Arc<O::Parcel>], halts: u64) -> Option<bool> {
        let mut flow = self.flow.lock();
        let flowing = flow.halts == halts || planted(Bug::HaltNotWaitedFor);
        let turn = flowing.then(|| flow.watch.hand_over(parcels.len()))?;
        drop(flow);
        // Whoever hands them over is who gives them to others: they need no order of their own.
        parcels.iter().for_each(|parcel| parcel.turn().store(turn, Ordering::Relaxed));
        Some(turn)
    }

    /// Hands the legs of a parcel over, up to one that is not taken: what comes behind it would be written before it, and
    /// the parcel comes again as a whole. The last leg takes this thread's own hold of the parcel along.
    fn write(&self, client: &C::Client, parcel: Arc<O::Parcel>) {
        let last = parcel.legs().saturating_sub(1);
        let before = (0..last).try_for_each(|index| self.write_leg(client, parcel.clone(), index));
        let taken = match before {
            Ok(()) => self.write_leg(client, parcel, last),
            Err((hold, code)) => {
                drop(hold);
                Err((parcel, code))
            }
        };
        if let Err((parcel, code)) = taken {
            self.fail(&parcel, code.into());
            self.let_go(parcel);
        }
    }

    /// This thread gives its hold of a parcel back. If every leg that was handed over was answered meanwhile, it is settled here.
    fn let_go(&self, parcel: Arc<O::Parcel>) {
        if let Some(parcel) = last_holder(parcel) {
            let mut settled = Settled::default();
            self.settle(parcel, &mut settled);
            self.close(settled);
        }
    }

    /// Waits while there is no room, unless the flow is halted: what failed meanwhile is older, and may be just what made the
    /// room. What is not taken comes back.
    fn write_leg(
        &self,
        client: &C::Client,
        mut holder: Arc<O::Parcel>,
        index: usize,
    ) -> Result<(), (Arc<O::Parcel>, Code)> {
        loop {
            match client.write(holder, |parcel| self.route.outgoing(&parcel.leg(index))) {
                Ok(()) => return Ok(()),
                Err((back, Code::QueueFull)) if planted(Bug::DroppedOnFullQueue) => {
                    self.let_go(back);
                    return Ok(());
                }
                Err((back, code)) if errors::delivery(code) == Delivery::Full => {
                    holder = back;
                    self.wait_for_space();
                    if self.is_stopped() || self.halted.load(Ordering::Acquire) {
                        return Err((holder, code));
                    }
                }
                Err(refused) => return Err(refused),
            }
        }
    }

    fn wait_for_space(&self) {
        let mut flow = self.flow.lock();
        if flow.watch.outstanding() > 0 && flow.halt.is_none() && !self.is_stopped() {
            self.go_on.wait_for(&mut flow, NO_SPACE);
        }
    }
}
