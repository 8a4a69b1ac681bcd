//! What probes and metrics see: read from the stages when somebody asks, at no cost until then.

use std::sync::Arc;
use std::time::Instant;

use super::ends::Sink;
use crate::checkpoint::ledger::{Assigned, Counts, Stand};
use crate::checkpoint::tracker::Times;
use crate::clock::{Clock, SystemClock};
use crate::engine::Pipeline;
use crate::kafka::context::Context;
use crate::ops::{Broker, Heartbeat, PartitionStatus, Phase, Snapshot, Status};
use crate::source::kafka::Control;
use crate::sync::Mutex;

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Starting,
    Running,
    Draining,
}

/// The state of the process; empty until it runs.
pub(super) struct AppStatus {
    inner: Mutex<Inner>,
}

struct Inner {
    stage: Stage,
    waiting_for: String,
    parts: Option<Parts>,
}

impl Inner {
    fn new() -> Self {
        Self { stage: Stage::Starting, waiting_for: "the cluster's answer".to_owned(), parts: None }
    }
}

#[derive(Clone)]
struct Parts {
    pipeline: Arc<Pipeline>,
    sink: Sink,
    controls: Vec<Arc<Control>>,
    context: Context,
}

impl AppStatus {
    pub(super) fn new() -> Self {
        Self { inner: Mutex::new(Inner::new()) }
    }

    /// The start waits, and why.
    pub(super) fn waiting(&self, reason: &str) {
        self.inner.lock().waiting_for = reason.to_owned();
    }

    /// It starts anew.
    pub(super) fn starting(&self) {
        *self.inner.lock() = Inner::new();
    }

    pub(super) fn running(
        &self,
        pipeline: &Arc<Pipeline>,
        sink: &Sink,
        controls: &[Arc<Control>],
        context: &Context,
    ) {
        let mut inner = self.inner.lock();
        inner.stage = Stage::Running;
        inner.parts = Some(Parts {
            pipeline: pipeline.clone(),
            sink: sink.clone(),
            controls: controls.to_vec(),
            context: context.clone(),
        });
    }

    pub(super) fn set_stage(&self, stage: Stage) {
        self.inner.lock().stage = stage;
    }
}

impl Status for AppStatus {
    fn snapshot(&self) -> Snapshot {
        let (stage, waiting_for, parts) = {
            let inner = self.inner.lock();
            (inner.stage, inner.waiting_for.clone(), inner.parts.clone())
        };
        let Some(parts) = parts else {
            let broker = Broker::Gone(waiting_for.clone());
            return Snapshot {
                phase: Phase::Starting { reason: waiting_for },
                broker,
                ..Snapshot::default()
            };
        };
        let joined = parts.controls.iter().all(|control| control.has_joined());
        let phase = match stage {
            Stage::Draining => Phase::Draining,
            Stage::Running if joined => Phase::Running,
            Stage::Running | Stage::Starting => Phase::Starting { reason: "joining the group".to_owned() },
        };
        parts.snapshot(phase)
    }
}

fn ends(assigned: &Assigned) -> Vec<(&'static str, u64)> {
    let Counts { produced, filtered, dead_lettered, skipped, given_back, .. } = assigned.counts();
    vec![
        ("produced", produced),
        ("filtered", filtered),
        ("dead_lettered", dead_lettered),
        ("skipped", skipped),
        ("given_back", given_back),
        ("in_flight", assigned.in_flight().records as u64),
    ]
}

/// By how many seconds a partition is behind. Where nothing comes of one, and why is known, that grows with the time since, from how far
/// behind it was when the last record came.
fn behind(one: &Assigned, now: Instant, now_ms: i64, lag: Option<u64>) -> Option<f64> {
    let age = |times: Times| (times.timestamp < i64::MAX).then(|| now_ms.saturating_sub(times.timestamp));
    let ms_since = |instant| now.saturating_duration_since(instant).as_millis() as i64;
    let at_its_coming = |last: Times| age(last).map(|ms| ms.saturating_sub(ms_since(last.admitted)));
    let standing = |stand: &Stand| {
        one.last().and_then(at_its_coming).unwrap_or(0).max(0).saturating_add(ms_since(stand.since))
    };
    let oldest = one.tracker().oldest().and_then(|(_, times)| age(times));
    let ms = oldest.or_else(|| one.stands(now).map(standing)).or_else(|| (lag == Some(0)).then_some(0));
    ms.map(|ms| ms.max(0) as f64 / 1000.0)
}

/// Why nothing more is taken of a partition.
fn blocked(one: &Assigned, now: Instant, is_full: bool) -> Option<String> {
    let stands = one.stands(now).map(|stand| stand.why.clone());
    stands
        .or_else(|| is_full.then(|| "the limit of records in flight for one partition is reached".to_owned()))
}

impl Parts {
    fn snapshot(&self, phase: Phase) -> Snapshot {
        let depth = self.pipeline.depth();
        let (busy, workers) = self.pipeline.workers();
        let now_ms = SystemClock.unix_ms();
        let now = Instant::now();
        // Whatever was known of the lag: nobody says any more that it is so.
        let reachable = !self.context.link.is_down();
        let (in_flight, oldest, partitions) = self.pipeline.with_ledger(|ledger| {
            let admitted = ledger.iter().filter_map(|(_, one)| one.tracker().oldest());
            let oldest = admitted.map(|(_, times)| now.saturating_duration_since(times.admitted)).max();
            // What is left of a topic that is gone has the name of the one that came after it.
            let partitions = ledger.iter().filter(|(_, one)| !one.is_retired()).map(|(slot, one)| {
                let lag = one.lag(now).filter(|_| reachable);
                PartitionStatus {
                    topic: one.topic.clone(),
                    partition: one.partition,
                    lag_records: lag.map(|(records, _)| records),
                    lag_age: lag.map(|(_, age)| age),
                    lag_seconds: behind(one, now, now_ms, lag.map(|(records, _)| records)),
                    in_flight: one.in_flight().records as u64,
                    ends: ends(one),
                    balance: one.balance(),
                    blocked: blocked(one, now, ledger.room(slot, 1) == 0),
                }
            });
            (ledger.in_flight(), oldest, partitions.collect())
        });
        Snapshot {
            phase,
            broker: self.broker(),
            heartbeats: self.heartbeats(),
            pending: depth.pending as u64,
            ready: depth.ready as u64,
            producing: self.sink.outstanding() as u64,
            in_flight_records: in_flight.records as u64,
            in_flight_bytes: in_flight.bytes as u64,
            oldest_in_flight: oldest,
            workers: workers as u64,
            workers_busy: busy as u64,
            outage: self.pipeline.outage(),
            stuck: self.pipeline.stuck().iter().map(ToString::to_string).collect(),
            held_lanes: self.pipeline.held() as u64,
            dead_letters: self.context.metrics.deaths().all(),
            partitions,
            last_commit: None,
            last_error: self.context.last_error(),
        }
    }

    fn broker(&self) -> Broker {
        let denied = self
            .context
            .link
            .denial()
            .map(|why| Broker::Denied(format!("the broker does not let us in: {why}")));
        denied.or_else(|| self.context.link.outage().map(Broker::Gone)).unwrap_or(Broker::Reachable)
    }

    /// The polling threads: a worker may be in a transform for as long as that takes, and a producer waits for the broker.
    fn heartbeats(&self) -> Vec<Heartbeat> {
        let beat = |(index, control): (usize, &Arc<Control>)| {
            let last = control.last_beat()?;
            let since_last_beat = Instant::now().saturating_duration_since(last);
            Some(Heartbeat { name: format!("consumer-{index}"), since_last_beat, busy: true })
        };
        self.controls.iter().enumerate().filter_map(beat).collect()
    }
}
