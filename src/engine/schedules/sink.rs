//! The real sink behind the real pipeline, on a client of a few lines that fails now and then: it halts, gives back what
//! failed, makes a new client, and goes on.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};

use super::rig::{Log, METRICS, Rig, policy, text};
use crate::engine::{Job, Pipeline};
use crate::kafka::context::Context;
use crate::policy::Partitioning;
use crate::sink::batches::Batches;
use crate::sink::client::{Client, Connect, Outgoing, Report};
use crate::sink::kafka::{Deps, KafkaSink, Settings};
use crate::sink::route::Route;
use crate::sink::{Parcel, Target};
use crate::sync::model::{self, Board, Clock, check, pass, random, spawn};
use crate::sync::{Condvar, Mutex};
use crate::transform::{Outcome, Output};

/// A client takes so many, and then its queue is full.
const SPACE: usize = 2;
type Sink = KafkaSink<Pipeline, Cluster>;

/// What all clients have in common.
#[derive(Clone)]
struct Cluster {
    log: Arc<Board<Log>>,
    /// How often something may still go wrong.
    troubles: Arc<Mutex<u32>>,
    /// How often somebody asked for answers.
    polls: Arc<Board<u64>>,
    /// Weak, as the sink holds the cluster.
    sink: Arc<OnceLock<Weak<Sink>>>,
}

/// A client, and the broker behind it. As an idempotent producer it takes no record behind one that failed, until all are
/// answered; when it is broken it takes none at all.
struct FakeClient {
    cluster: Cluster,
    wire: Mutex<Wire>,
    more: Condvar,
}

#[derive(Default)]
struct Wire {
    sent: VecDeque<(Arc<Job>, Option<Code>)>,
    failing: bool,
    broken: bool,
    /// It has told of it.
    told: bool,
    purged: bool,
}

impl Wire {
    /// A broken client answers for nothing that it is not told to give up.
    fn is_mute(&self) -> bool {
        self.broken && !self.purged
    }
}

impl Connect<Job> for Cluster {
    type Client = FakeClient;

    fn connect(&self, _: &[&str], _: Batches) -> KafkaResult<FakeClient> {
        Ok(FakeClient { cluster: self.clone(), wire: Mutex::default(), more: Condvar::new() })
    }

    fn largest_batch(&self, _: &[&str]) -> Option<usize> {
        None
    }
}

impl FakeClient {
    fn maybe_fails(&self, wire: &mut Wire) {
        let mut troubles = self.cluster.troubles.lock();
        if *troubles == 0 || wire.failing || random(3) > 0 {
            return;
        }
        *troubles -= 1;
        wire.failing = true;
        wire.broken = random(2) == 0;
    }

    /// Works again, once nobody has anything in hand that is older than what comes.
    fn maybe_recovers(&self) {
        let sink = self.cluster.sink.get().and_then(Weak::upgrade).expect("one of its threads asks");
        // Under the lock: what is begun meanwhile must find it well, or one record would fail and the next be taken.
        let mut wire = self.wire.lock();
        if wire.failing && !wire.broken && wire.sent.is_empty() && sink.outstanding() == 0 {
            wire.failing = false;
        }
    }
}

impl Client<Job> for FakeClient {
    fn write<V>(&self, parcel: Arc<Job>, _: V) -> Result<(), (Arc<Job>, Code)>
    where
        V: for<'a> FnOnce(&'a Job) -> Outgoing<'a>,
    {
        let mut wire = self.wire.lock();
        self.maybe_fails(&mut wire);
        if wire.broken {
            return Err((parcel, Code::Fatal));
        }
        if wire.sent.len() == SPACE {
            return Err((parcel, Code::QueueFull));
        }
        let failure = wire.failing.then_some(Code::MessageTimedOut);
        wire.sent.push_back((parcel, failure));
        drop(wire);
        self.more.notify_all();
        // The answer may come before the producer lets the parcel go.
        pass();
        Ok(())
    }

    fn poll(&self, wait: Duration, see: &mut dyn FnMut(Report<Job>)) -> bool {
        let any = self.answer(wait, see);
        self.cluster.polls.change(|polls| *polls += 1);
        any
    }

    fn purge(&self) {
        let mut wire = self.wire.lock();
        wire.purged = true;
        wire.sent.iter_mut().for_each(|(_, failure)| *failure = Some(Code::PurgeQueue));
        drop(wire);
        self.more.notify_all();
    }

    fn is_served(&self, _: &str, _: Duration) -> bool {
        true
    }

    fn partitions(&self, _: &str, _: Duration) -> Option<i32> {
        Some(1)
    }
}

impl FakeClient {
    fn answer(&self, wait: Duration, see: &mut dyn FnMut(Report<Job>)) -> bool {
        self.maybe_recovers();
        if !wait.is_zero() && random(4) == 0 {
            // A broker that takes its time.
            model::sleep(wait);
            return false;
        }
        let mut wire = self.wire.lock();
        if wire.broken && !std::mem::replace(&mut wire.told, true) {
            drop(wire);
            see(Report::Error(Code::Fatal, "broken".into()));
            return true;
        }
        if (wire.sent.is_empty() || wire.is_mute()) && !wait.is_zero() {
            self.more.wait_for(&mut wire, wait);
        }
        if wire.is_mute() {
            return false;
        }
        let Some((parcel, failure)) = wire.sent.pop_front() else { return false };
        drop(wire);
        let place = (parcel.record().partition(), parcel.record().offset());
        if failure.is_none() {
            self.cluster.log.change(|log| {
                log.written.push((Target::Output, text(parcel.leg(0).key), place));
                log.finished.insert(place);
            });
        }
        see(Report::Delivery(parcel, failure.map_or(Ok(()), |code| Err(code.into()))));
        true
    }
}

fn sink(rig: &Rig, troubles: u32) -> (Arc<Sink>, Arc<Board<u64>>) {
    let cluster = Cluster {
        log: rig.log.clone(),
        troubles: Arc::new(Mutex::new(troubles)),
        polls: Arc::default(),
        sink: Arc::new(OnceLock::new()),
    };
    let settings = Settings {
        route: Arc::new(Route::new("out".into(), None, Partitioning::SamePartition)),
        writes: Target::Output,
        dead_letters_in_order: false,
        patience: Duration::from_secs(3600),
    };
    let neighbours = Deps {
        outbox: rig.pipeline.clone(),
        context: Context::new(Arc::default(), METRICS.clone()),
        clock: Arc::new(Clock),
    };
    let (itself, polls) = (cluster.sink.clone(), cluster.polls.clone());
    let sink = Arc::new(Sink::new(settings, cluster, neighbours).expect("a client of a few lines"));
    itself.set(Arc::downgrade(&sink)).expect("once");
    (sink, polls)
}

/// The pipeline with this sink and its threads.
fn run(troubles: u32) -> (Rig, Arc<Sink>, Arc<Board<u64>>) {
    let mut rig = Rig::without_sink(policy(), |_, _| Outcome::Emit(Output::default()));
    let (sink, polls) = sink(&rig, troubles);
    let producer = |shard| {
        let sink = sink.clone();
        spawn(move || sink.produce(shard))
    };
    let producers = (0..policy().producers).map(producer).collect();
    let answers = sink.clone();
    rig.sink_runs(producers, spawn(move || answers.report()));
    (rig, sink, polls)
}

/// Halts, a full queue, a broken client: each record is written once and in the order of its key, and then committed.
#[test]
fn what_fails_is_written_again_before_what_came_after_it() {
    check(|| {
        let (rig, sink, polls) = run(2);
        let slot = rig.assign(0, 0);
        assert_eq!(rig.offer(slot, 0, 0, &["a", "b", "a"]), 3);
        for (key, offset) in ["a", "b", "a"].iter().zip(3..) {
            // Between an answer and what the sink makes of it, also when it ends a halt.
            let enough = polls.look(|polls| *polls) + random(8);
            polls.wait(|polls| *polls >= enough);
            assert_eq!(rig.offer(slot, 0, offset, &[key]), 1);
        }
        rig.until("all are finished", || rig.watermark(slot) == 6 && sink.outstanding() == 0);
        sink.stop();
        let log = rig.end();
        assert!(log.times().values().all(|times| *times == 1), "each once: {:?}", log.times());
        let firsts = log.firsts(Target::Output);
        assert_eq!(firsts["a"], [(0, 0), (0, 2), (0, 3), (0, 5)]);
        assert_eq!(firsts["b"], [(0, 1), (0, 4)]);
    });
}

/// A stop ends every thread, halted or not, and leaves what was not written uncommitted.
#[test]
fn a_stop_in_the_middle_of_a_halt_ends_every_thread() {
    check(|| {
        let (rig, sink, polls) = run(5);
        let slot = rig.assign(0, 0);
        assert_eq!(rig.offer(slot, 0, 0, &["a", "b", "a", ""]), 4);
        let enough = random(8);
        polls.wait(|polls| *polls >= enough);
        rig.check();
        sink.stop();
        rig.end_in_the_middle();
    });
}
