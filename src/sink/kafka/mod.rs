//! The Kafka sink: producer threads that write parcels, one thread that takes the broker's answers.
//!
//! All producer threads share one client: each client has broker threads and queues of its own, and one serves them all
//! (`docs/adr/0003`). What must stay in order comes to the same thread.
//!
//! # When the output cannot be written
//! 1. A report says so, or the client refuses a record at once, for a reason that is not the record's. The flow *halts*:
//!    no thread hands over anything new.
//! 2. Everything handed over is answered. What failed is collected.
//! 3. After a pause that doubles each time, what failed goes back before all others, in its old order, and the flow goes
//!    on. If the client itself is broken a new one takes its place first.
//!
//! A *refusal* is different: the broker works, and finds something wrong with a batch. If a record was alone in it, or is named, it
//! is at fault and becomes a dead letter. Otherwise all of the batch are written again, in smaller ones ([`super::batches`]), without
//! a pause.
//!
//! So a record never overtakes one of its lane that failed before it was handed over, and nothing is lost.
//!
//! Dead letters have a sink of their own: a client, a thread that hands over, and one that takes answers. A dead letter
//! that cannot be written halts nobody: it comes again later, and its record stays unfinished. Unless the rest of a lane
//! follows a failed record (`PROCESSOR_AFTER_FAILURE=dead-letter-key`): then their order counts, and they halt the flow as results do.
//!
//! The Kafka client is whatever a [`Connect`] makes, and time is what the [`Clock`] says: a simulation brings its own.

mod flow;
mod overdue;
mod produce;
mod report;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::error::KafkaResult;

use super::batches::Batches;
use super::client::Connect;
use super::route::Route;
use super::{Outbox, Target};
use crate::clock::Clock;
use crate::kafka::context::Context;
use crate::ops::metrics::Metrics;
use crate::sync::atomic::AtomicBool;
use crate::sync::{Condvar, Mutex};
use flow::Flow;
use overdue::Watch;

/// What the sink is told.
#[derive(Clone)]
pub struct Settings {
    /// The topics.
    pub route: Arc<Route>,
    /// What it is for: results and dead letters have a sink each, so that trouble of the one topic is no trouble of the other.
    pub writes: Target,
    /// Whether dead letters of a lane must come out in order: one that cannot be written halts the flow then.
    pub dead_letters_in_order: bool,
    /// How long a delivery may wait while the broker answers others.
    pub patience: Duration,
}

/// Whom the sink works with.
pub struct Deps<O> {
    /// Where parcels come from.
    pub outbox: Arc<O>,
    /// Who is told about the cluster.
    pub context: Context,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}

/// See the module.
pub struct KafkaSink<O: Outbox, C: Connect<O::Parcel>> {
    route: Arc<Route>,
    writes: Target,
    dead_letters_in_order: bool,
    outbox: Arc<O>,
    context: Context,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    connection: C,
    client: Mutex<Arc<C::Client>>,
    flow: Mutex<Flow<O::Parcel>>,
    /// Producers wait here while the flow is halted or the client's queue is full.
    go_on: Condvar,
    /// How many failures and suspects `flow` holds.
    watched: AtomicUsize,
    /// Whether `flow` is halted, for those who hand over: a lock a record is not paid. Written under the lock.
    halted: AtomicBool,
    stopped: AtomicBool,
}

impl<O: Outbox, C: Connect<O::Parcel>> KafkaSink<O, C> {
    /// A sink with its client; nothing is written before the threads run.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(settings: Settings, connection: C, neighbours: Deps<O>) -> KafkaResult<Self> {
        let Deps { outbox, context, clock } = neighbours;
        let flow = Flow::new(Watch::new(settings.patience, clock.now()));
        let route = settings.route;
        let client = Mutex::new(Arc::new(connection.connect(&route.topics(), Batches::default())?));
        Ok(Self {
            metrics: context.metrics.clone(),
            route,
            writes: settings.writes,
            dead_letters_in_order: settings.dead_letters_in_order,
            outbox,
            context,
            clock,
            connection,
            client,
            flow: Mutex::new(flow),
            go_on: Condvar::new(),
            watched: AtomicUsize::new(0),
            halted: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        })
    }

    /// The client that is in use now, for metadata.
    pub fn client(&self) -> Arc<C::Client> {
        self.client.lock().clone()
    }

    /// The topics, and where in them records go.
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// Parcels handed over and not answered.
    pub fn outstanding(&self) -> usize {
        self.flow.lock().watch.outstanding()
    }

    /// Gives up: producer threads do not wait for the output any longer, and [`KafkaSink::report`] ends.
    pub fn stop(&self) {
        // Under the lock, so that nobody checks before and sleeps after.
        let _flow = self.flow.lock();
        self.stopped.store(true, Ordering::Relaxed);
        self.go_on.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}
