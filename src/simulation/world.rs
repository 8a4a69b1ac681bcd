//! The simulated Kafka, as one value: what is in its logs, who is in the group, what is on its way. Nothing in here waits;
//! [`Sim`] is its lock, and wakes those who have to look again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::group::Group;
use super::oracle::Oracle;
use super::plan::{Chances, Draft, Plan, Sabotage};
use super::producing::Producing;
use super::trace::Trace;
use super::transactions::Transactions;
use crate::sync::model::{self, Condvar, Mutex};

/// One thread waits for it, others ring.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *self.rung.lock() = true;
        self.changed.notify_all();
    }

    pub(super) fn wait(&self, time: Duration) {
        let mut rung = self.rung.lock();
        if !*rung {
            self.changed.wait_for(&mut rung, time);
        }
        *rung = false;
    }
}

/// What is due at a time.
pub(super) enum Due {
    Join(usize),
    Notice(usize),
    Complete(u64),
    RebalanceDeadline(u64),
    SessionExpired(usize),
    TellLost(usize),
    CommitArrives(usize),
    CommitAnswered(usize),
    BatchArrives(usize, (usize, i32)),
    BatchAnswered(usize, (usize, i32)),
    /// A request to the coordinator of transactions, and its answer to a client.
    Asked(u64),
    Answered(usize, u64),
    Ended(usize),
    TooOld(usize, u64),
}

/// A record of the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input {
    pub offset: i64,
    pub draft: Draft,
}

/// See the module.
pub(super) struct World {
    pub plan: Plan,
    pub random: fastrand::Rng,
    pub began: Instant,
    pub inputs: Vec<Vec<Input>>,
    pub group: Group,
    pub producing: Producing,
    pub transactions: Transactions,
    pub oracle: Oracle,
    pub trace: Trace,
    pub silent_until: Instant,
    pub healed: bool,
    pub sabotaged: bool,
    /// Instances that are running, by number; an incarnation's number is unique.
    pub dead: BTreeSet<usize>,
    /// Instances that were told to stop without waiting.
    pub aborted: BTreeSet<usize>,
    due: BTreeMap<(Instant, u64), Due>,
    count: u64,
    bells: Vec<Arc<Bell>>,
    wake_broker: bool,
    stopped: bool,
}

impl World {
    fn new(plan: Plan, trace: Trace) -> Self {
        let began = model::now();
        let inputs = (0..plan.partitions).map(|_| Vec::new()).collect();
        Self {
            random: fastrand::Rng::with_seed(plan.seed),
            began,
            inputs,
            group: Group::default(),
            producing: Producing::default(),
            transactions: Transactions::default(),
            oracle: Oracle::new(plan.exactly_once),
            trace,
            silent_until: began,
            healed: false,
            sabotaged: false,
            dead: BTreeSet::new(),
            aborted: BTreeSet::new(),
            due: BTreeMap::new(),
            count: 0,
            bells: Vec::new(),
            wake_broker: false,
            stopped: false,
            plan,
        }
    }

    /// Notes what happens, for who reads the trace.
    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        let at = model::now() - self.began;
        self.trace.note(at, what);
    }

    /// Chances, until faults stop.
    pub(super) fn chances(&self) -> Chances {
        if self.healed { Chances::default() } else { self.plan.chances }
    }

    pub(super) fn happens(&mut self, percent: u8) -> bool {
        percent > 0 && self.random.u8(..100) < percent
    }

    /// Whether the world lies here: each sabotage does so once a run, and not at the first chance.
    pub(super) fn sabotages(&mut self, how: Sabotage) -> bool {
        let now = self.plan.sabotage == Some(how) && !self.sabotaged && self.random.u8(..4) == 0;
        self.sabotaged |= now;
        now
    }

    pub(super) fn is_silent(&self) -> bool {
        model::now() < self.silent_until
    }

    /// A request's way.
    pub(super) fn latency(&mut self) -> Duration {
        Duration::from_micros(self.random.u64(..=self.plan.latency * 1000))
    }

    pub(super) fn after(&mut self, time: Duration, due: Due) {
        self.count += 1;
        let at = model::now() + time;
        self.wake_broker |= self.due.first_key_value().is_none_or(|((first, _), _)| at < *first);
        self.due.insert((at, self.count), due);
    }

    pub(super) fn ring(&mut self, bell: Arc<Bell>) {
        self.bells.push(bell);
    }

    pub(super) fn append(&mut self, drafts: &[Draft]) {
        for draft in drafts {
            let log = &mut self.inputs[draft.partition as usize];
            let offset = log.last().map_or(0, |last: &Input| last.offset + 1) + draft.hole;
            log.push(Input { offset, draft: *draft });
            self.note(|| format!("input {}/{offset} {draft:?}", draft.partition));
        }
        let bells: Vec<_> = self.group.members.values().map(|member| member.bell.clone()).collect();
        self.bells.extend(bells);
    }

    /// The offset of the next record.
    pub(super) fn end_of(&self, partition: i32) -> i64 {
        self.inputs[partition as usize].last().map_or(0, |last| last.offset + 1)
    }

    /// Whether the group has committed everything, and everything is finished.
    pub(super) fn is_done(&self) -> bool {
        (0..self.plan.partitions).all(|partition| {
            let end = self.end_of(partition);
            end == 0 || self.group.committed.get(&partition).is_some_and(|(offset, _)| *offset >= end)
        })
    }

    /// Does what is due; returns how long nothing is.
    fn go_on(&mut self) -> Duration {
        loop {
            let now = model::now();
            let Some(entry) = self.due.first_entry() else { return Duration::from_secs(3600) };
            let at = entry.key().0;
            if at > now {
                return at - now;
            }
            let due = entry.remove();
            self.happen(due);
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Join(member) => self.join(member),
            Due::Notice(member) => self.notice(member),
            Due::Complete(round) => self.complete(round),
            Due::RebalanceDeadline(round) => self.rebalance_deadline(round),
            Due::SessionExpired(member) => self.evict(member),
            Due::TellLost(member) => self.tell_lost(member),
            Due::CommitArrives(member) => self.commit_arrives(member),
            Due::CommitAnswered(member) => self.commit_answered(member),
            Due::BatchArrives(client, place) => self.batch_arrives(client, place),
            Due::BatchAnswered(client, place) => self.batch_answered(client, place),
            Due::Asked(request) => self.asked(request),
            Due::Answered(client, request) => self.answered_to(client, request),
            Due::Ended(name) => self.ended(name),
            Due::TooOld(name, number) => self.too_old(name, number),
        }
    }

    /// No fault from here on.
    pub(super) fn heal(&mut self) {
        self.note(|| "faults stop".to_owned());
        self.healed = true;
        self.silent_until = model::now();
        self.producing.sick = [None, None];
        self.wake_broker = true;
    }

    pub(super) fn sick(&mut self, topic: usize, time: Duration, code: Code) {
        self.note(|| format!("topic {topic} is sick for {time:?}: {code:?}"));
        self.producing.sick[topic] = Some((model::now() + time, code));
    }
}

/// See the module.
pub(super) struct Sim {
    world: parking_lot::Mutex<World>,
    broker: Bell,
}

impl Sim {
    pub(super) fn new(plan: Plan, trace: Trace) -> Arc<Self> {
        Arc::new(Self { world: parking_lot::Mutex::new(World::new(plan, trace)), broker: Bell::default() })
    }

    /// Looks at the world, or changes it: no other thread goes on meanwhile.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        let mut world = self.world.lock();
        let result = act(&mut world);
        let bells = std::mem::take(&mut world.bells);
        let wake = std::mem::take(&mut world.wake_broker);
        drop(world);
        bells.iter().for_each(|bell| bell.ring());
        if wake {
            self.broker.ring();
        }
        result
    }

    /// The broker's thread.
    pub(super) fn serve(&self) {
        loop {
            let (pause, stopped) = self.with(|world| (world.go_on(), world.stopped));
            if stopped {
                return;
            }
            self.broker.wait(pause);
        }
    }

    /// Ends the broker's thread.
    pub(super) fn stop(&self) {
        self.with(|world| (world.stopped, world.wake_broker) = (true, true));
    }
}
