//! Whether parcels flow: what is outstanding, what failed, and the halt while the output cannot be written.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::KafkaSink;
use super::overdue::{Counts, Watch};
use super::report::Next;
use crate::kafka::errors::{self, Delivery};
use crate::sink::batches::Narrowing;
use crate::sink::client::{Client, Connect, Undelivered};
use crate::sink::{Outbox, Parcel};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// How long a broken client may take to hear what became of what it sent. After that nobody knows, and it is written again.
const IN_DOUBT: Duration = Duration::from_secs(2);

pub(super) struct Flow<P> {
    /// Parcels handed over and not answered in full.
    pub(super) watch: Watch,
    /// Why a parcel of several legs has failed, until its last leg is answered.
    pub(super) failures: HashMap<(u32, u64), Undelivered>,
    /// What is to be written again.
    pub(super) failed: Vec<P>,
    pub(super) halt: Option<Halt>,
    /// How many halts there were.
    pub(super) halts: u64,
    pub(super) pause: Duration,
    /// How the next client puts batches together.
    pub(super) narrowing: Narrowing,
}

impl<P> Flow<P> {
    pub(super) fn new(watch: Watch) -> Self {
        let (failures, failed) = (HashMap::new(), Vec::new());
        let narrowing = Narrowing::default();
        Self { watch, failures, failed, halt: None, halts: 0, pause: FIRST_PAUSE, narrowing }
    }

    /// Whether the client is given up, and its last answers are waited for.
    pub(super) fn is_broken(&self) -> bool {
        self.halt.as_ref().is_some_and(|halt| halt.in_doubt_until.is_some())
    }
}

pub(super) struct Halt {
    resume_at: Instant,
    /// Until when the answers of a broken client are waited for; `None` while it is not broken.
    in_doubt_until: Option<Instant>,
}

impl<O: Outbox, C: Connect<O::Parcel>> KafkaSink<O, C> {
    /// A leg of a parcel has failed. If the parcel will be written again the flow halts now, and not when the last leg is
    /// answered: what is handed over in between would come before it.
    pub(super) fn fail(&self, parcel: &O::Parcel, failure: Undelivered) {
        let mut flow = self.flow.lock();
        let first = *flow.failures.entry(parcel.order()).or_insert(failure);
        if let Some(bytes) = failure.shared.filter(|_| errors::delivery(failure.code) == Delivery::Refused) {
            flow.narrowing.refused(parcel.order(), failure.code, bytes);
        }
        self.note_watched(&flow);
        drop(flow);
        let next = self.next(parcel, first);
        if matches!(next, Next::Again { .. }) && !self.halted.load(Ordering::Acquire) {
            self.halt(next == Next::Again { rebuild: true });
        }
        if matches!(errors::delivery(failure.code), Delivery::Refused | Delivery::Neighbour) {
            self.hurry();
        }
    }

    /// Notes how many parcels are to be looked at when they are settled.
    pub(super) fn note_watched(&self, flow: &Flow<O::Parcel>) {
        self.watched.store(flow.failures.len() + flow.narrowing.suspects(), Ordering::Release);
    }

    /// The broker has refused a record or a batch, and that is what the flow is halted for, if it is: it works, and there is nothing
    /// to wait for.
    fn hurry(&self) {
        let mut flow = self.flow.lock();
        let now = self.clock.now();
        let flow = &mut *flow;
        if let Some(halt) = &mut flow.halt {
            halt.resume_at = halt.resume_at.min(now);
            flow.pause = FIRST_PAUSE;
        }
    }

    pub(super) fn halt(&self, rebuild: bool) {
        let mut flow = self.flow.lock();
        let (pause, now) = (flow.pause, self.clock.now());
        self.halted.store(true, Ordering::Release);
        if flow.halt.is_none() {
            flow.halts += 1;
            flow.halt = Some(Halt { resume_at: now + pause, in_doubt_until: None });
            flow.pause = (pause * 2).min(LAST_PAUSE);
        }
        let halt = flow.halt.as_mut().filter(|_| rebuild);
        let broken = halt.map(|halt| halt.in_doubt_until.get_or_insert(now + IN_DOUBT)).is_some();
        drop(flow);
        if broken {
            // A broken client gives back nothing by itself.
            self.client().purge_queue();
        }
    }

    /// What a producer thread was just handing over when the client broke comes back too; and what was sent and is not
    /// answered, when it was waited for long enough.
    fn purge_again(&self, in_doubt_until: Instant) {
        if self.clock.now() < in_doubt_until {
            self.client().purge_queue();
        } else {
            self.client().purge();
        }
    }

    /// So many parcels are answered in full; `recovered` if none of them has failed.
    pub(super) fn answered(&self, counts: Counts, recovered: bool) {
        let mut flow = self.flow.lock();
        flow.watch.answered(counts);
        if recovered && flow.halt.is_none() {
            flow.pause = FIRST_PAUSE;
        }
        drop(flow);
        self.go_on.notify_all();
    }

    /// Halts the flow where the client is to put other batches together: what it has is answered first.
    pub(super) fn maybe_rebatch(&self) {
        let mut flow = self.flow.lock();
        let now = self.clock.now();
        if flow.halt.is_none() && flow.narrowing.is_due(now) {
            self.halted.store(true, Ordering::Release);
            flow.halts += 1;
            flow.halt = Some(Halt { resume_at: now, in_doubt_until: None });
        }
    }

    /// Ends a halt whose time has come and for which every parcel is answered.
    pub(super) fn maybe_resume(&self) {
        let mut flow = self.flow.lock();
        let broken = flow.halt.as_ref().and_then(|halt| halt.in_doubt_until);
        if let Some(until) = broken.filter(|_| flow.watch.outstanding() > 0) {
            drop(flow);
            return self.purge_again(until);
        }
        let due = flow.halt.as_ref().is_some_and(|halt| self.clock.now() >= halt.resume_at);
        if !due || flow.watch.outstanding() > 0 {
            return;
        }
        let failed = std::mem::take(&mut flow.failed);
        let rebatch = flow.narrowing.is_due(self.clock.now());
        drop(flow);
        if broken.is_some() || rebatch {
            self.replace_client();
        }
        // Before the flow goes on, or a newer record of a lane could be handed over first.
        self.outbox.put_back(failed.into_iter().map(Arc::new).collect());
        let mut flow = self.flow.lock();
        flow.halt = None;
        self.halted.store(false, Ordering::Release);
        drop(flow);
        self.go_on.notify_all();
    }

    /// Another client, which puts batches together as the last one should have.
    fn replace_client(&self) {
        let asks = self.flow.lock().narrowing.asks_for_limit();
        let topics = self.route.topics();
        let limit = if asks { self.connection.largest_batch(&topics) } else { None };
        let mut flow = self.flow.lock();
        let batches = flow.narrowing.next(limit, self.clock.now());
        self.note_watched(&flow);
        drop(flow);
        match self.connection.connect(&topics, batches) {
            Ok(client) => {
                let old = std::mem::replace(&mut *self.client.lock(), Arc::new(client));
                self.name_given_up(&old);
                // Ends the old client, which takes a while: not under the lock.
                drop(old);
            }
            Err(error) => tracing::error!("no new producer can be made: {error}"),
        }
    }
}
