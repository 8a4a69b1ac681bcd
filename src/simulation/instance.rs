//! One incarnation of the program: the engine's own threads, as [`crate::app`] starts and stops them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};

use super::commits::GROUP;
use super::consuming::{SimConsumer, topic_id};
use super::plan::{ATTEMPTS, Plan, Sabotage};
use super::transform::Scripted;
use super::world::Sim;
use super::writers::SimConnect;
use crate::engine::{Pipeline, Policy};
use crate::kafka::context::Context;
use crate::kafka::link::Link;
use crate::policy::{Delivery, OffsetReset, OnFailure, Order, Retry};
use crate::sink::kafka::{Deps as SinkDeps, KafkaSink, Settings as SinkSettings};
use crate::sink::route::Route;
use crate::sink::transaction::{self, Transactor};
use crate::sink::{Target, dead_letter};
use crate::source::kafka::{Control, Deps, KafkaSource, Settings, ShutdownReport, Trouble};
use crate::source::start::Known;
use crate::sync::model::{self, Board, Clock, JoinHandle, spawn};

/// Where results go.
enum Sink {
    /// Of results, and of dead letters.
    Shared([Arc<KafkaSink<Pipeline, SimConnect>>; 2]),
    /// One for each consumer.
    Transactions(Vec<Arc<Transactor<Pipeline, SimConnect>>>),
}

/// How long those that were aborted have for their last words.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// How long a transactor waits at least for what it has written.
const PATIENCE: Duration = Duration::from_millis(300);

/// See the module.
pub(super) struct Instance {
    sim: Arc<Sim>,
    pub id: usize,
    drain: Duration,
    pipeline: Arc<Pipeline>,
    sink: Sink,
    controls: Vec<Arc<Control>>,
    trouble: Receiver<Trouble>,
    transactors_trouble: Receiver<transaction::Trouble>,
    gone: Arc<Board<Vec<ShutdownReport>>>,
    threads: Vec<JoinHandle<()>>,
}

fn policy(plan: &Plan, id: usize) -> Policy {
    let (backoff, backoff_max) = (Duration::from_millis(10), Duration::from_millis(40));
    let order = if plan.sabotage == Some(Sabotage::NoOrder) { Order::Unordered } else { plan.order };
    Policy {
        order,
        delivery: if plan.exactly_once { Delivery::ExactlyOnce } else { Delivery::AtLeastOnce },
        retry: Retry { attempts: ATTEMPTS, backoff, backoff_max },
        on_failure: OnFailure::DeadLetter,
        after_failure: plan.after_failure,
        largest_record: 1 << 20,
        budget: plan.budget,
        workers: plan.workers,
        tasks_pick_up: plan.pick_up,
        producers: if plan.exactly_once { plan.consumers } else { plan.producers },
        sender: dead_letter::Sender {
            group: GROUP.to_owned(),
            transform: "scripted".to_owned(),
            instance: format!("sim-{id}"),
        },
        source_header: false,
    }
}

impl Instance {
    /// Starts instance `number`, for the `id`-th time that any is started.
    pub(super) fn start(sim: &Arc<Sim>, plan: &Plan, number: usize, id: usize) -> Self {
        sim.with(|world| world.note(|| format!("instance {id} starts (number {number})")));
        let context = Context::new(Arc::<Link>::default(), super::METRICS.clone());
        let clock = Arc::new(Clock);
        let transform = Arc::new(Scripted { sim: sim.clone(), instance: id, quick: plan.quick });
        let (stop, _) = unbounded();
        let pipeline = Arc::new(Pipeline::new(
            policy(plan, id),
            transform,
            clock.clone(),
            context.metrics.clone(),
            stop,
        ));
        let controls: Vec<Arc<Control>> = (0..plan.consumers).map(|_| Arc::default()).collect();
        let ends = Ends { sim, plan, pipeline: &pipeline, context: &context, controls: &controls, id };
        let (sink, transactors_trouble) = if plan.exactly_once {
            ends.transactors(number)
        } else {
            (Sink::Shared(ends.shared()), unbounded().1)
        };
        let mut threads = Vec::new();
        for _ in 0..plan.workers {
            let pipeline = pipeline.clone();
            threads.push(spawn(move || pipeline.work()));
        }
        sink.begin(plan.producers, &mut threads);
        let (sender, trouble) = unbounded();
        let gone = Arc::new(Board::<Vec<ShutdownReport>>::default());
        for (index, control) in controls.iter().enumerate() {
            let deps = Deps {
                intake: pipeline.clone(),
                context: context.clone(),
                control: control.clone(),
                trouble: sender.clone(),
                clock: clock.clone(),
            };
            let fixed = plan.fixed_members.then(|| format!("{number}-{index}"));
            let client = SimConsumer::new(sim, id, fixed);
            let source = KafkaSource::new(source_settings(sim, plan, index), client, deps);
            let gone = gone.clone();
            threads.push(spawn(move || {
                let farewell = source.run();
                gone.change(|gone| gone.push(farewell));
            }));
        }
        let (sim, drain) = (sim.clone(), plan.drain);
        Self { sim, id, drain, pipeline, sink, controls, trouble, transactors_trouble, gone, threads }
    }

    /// What is in flight stays in the budget, and the books are in balance.
    pub(super) fn check(&self, plan: &Plan) {
        let limit = if plan.sabotage == Some(Sabotage::ExceedsBudget) { 1 } else { plan.budget.records };
        let (in_flight, off) = self.pipeline.with_ledger(|ledger| {
            let off: Vec<i64> =
                ledger.iter().map(|(_, assigned)| assigned.balance()).filter(|by| *by != 0).collect();
            (ledger.in_flight().records, off)
        });
        self.sim.with(|world| {
            if in_flight > limit {
                world.oracle.wrong("budget", format!("{in_flight} in flight, and {limit} are allowed"));
            }
            if !off.is_empty() {
                world.oracle.wrong("balance", format!("of partitions: {off:?}"));
            }
        });
        self.check_trouble();
    }

    fn check_trouble(&self) {
        while let Ok(trouble) = self.trouble.try_recv() {
            self.sim
                .with(|world| world.oracle.wrong("trouble", format!("instance {}: {trouble:?}", self.id)));
        }
        while let Ok(trouble) = self.transactors_trouble.try_recv() {
            self.sim
                .with(|world| world.oracle.wrong("trouble", format!("instance {}: {trouble:?}", self.id)));
        }
    }

    /// Drains, commits, leaves; gives up what takes longer than it may.
    pub(super) fn stop(self) {
        self.sim.with(|world| world.note(|| format!("instance {} is to stop", self.id)));
        self.controls.iter().for_each(|control| control.stop());
        if !self.all_gone(self.drain) {
            self.abort();
        } else {
            self.end();
        }
    }

    /// Does not wait for what is not finished.
    pub(super) fn abort(self) {
        self.sim.with(|world| world.abort(self.id));
        self.controls.iter().for_each(|control| control.abort());
        if !self.all_gone(LAST_WORDS) {
            self.sim.with(|world| world.oracle.wrong("stuck", format!("instance {} does not stop", self.id)));
        }
        self.end();
    }

    fn all_gone(&self, time: Duration) -> bool {
        let until = model::now() + time;
        let mut pause = Duration::from_millis(1);
        while self.gone.look(Vec::len) < self.controls.len() {
            if model::now() >= until {
                return false;
            }
            model::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        true
    }

    fn end(self) {
        self.pipeline.close();
        self.pipeline.close_ready();
        self.sink.stop();
        self.check_trouble();
        self.threads.into_iter().for_each(JoinHandle::join);
        self.sim.with(|world| world.note(|| format!("instance {} has ended", self.id)));
    }
}

/// What both kinds of sink are made from.
struct Ends<'a> {
    sim: &'a Arc<Sim>,
    plan: &'a Plan,
    pipeline: &'a Arc<Pipeline>,
    context: &'a Context,
    controls: &'a [Arc<Control>],
    id: usize,
}

impl Ends<'_> {
    fn connect(&self, name: Option<String>) -> SimConnect {
        SimConnect { sim: self.sim.clone(), instance: self.id, name }
    }

    fn know_partitions(&self, route: &Route) {
        for target in [Target::Output, Target::DeadLetter] {
            route.set_partitions(target, self.plan.outputs);
        }
    }

    fn shared(&self) -> [Arc<KafkaSink<Pipeline, SimConnect>>; 2] {
        let route = Route::new("out".to_owned(), Some("dead".to_owned()), self.plan.partitioning);
        self.know_partitions(&route);
        let route = Arc::new(route);
        [Target::Output, Target::DeadLetter].map(|writes| {
            let (outbox, context) = (self.pipeline.clone(), self.context.clone());
            let deps = SinkDeps { outbox, context, clock: Arc::new(Clock) };
            let (route, patience) = (route.clone(), self.plan.patience);
            let settings = SinkSettings { route, writes, dead_letters_in_order: false, patience };
            let sink = KafkaSink::new(settings, self.connect(None), deps);
            Arc::new(sink.expect("the simulated client can be made"))
        })
    }

    /// As [`crate::app`] makes them.
    fn transactors(&self, number: usize) -> (Sink, Receiver<transaction::Trouble>) {
        let plan = self.plan;
        let route = Route::new("out".to_owned(), Some("dead".to_owned()), plan.partitioning);
        self.know_partitions(&route);
        let (route, (trouble, troubles)) = (Arc::new(route), unbounded());
        let one = |(index, control): (usize, &Arc<Control>)| {
            let name =
                if plan.named { format!("{number}-{index}") } else { format!("of-{}-{index}", self.id) };
            let settings = transaction::Settings {
                index,
                group: GROUP.to_owned(),
                name: name.clone(),
                interval: plan.commit_interval,
                most: (plan.budget.records / 2 / plan.consumers).max(1),
                timeout: plan.transaction_timeout.max(plan.commit_interval + PATIENCE),
            };
            let deps = transaction::Deps {
                outbox: self.pipeline.clone(),
                route: route.clone(),
                context: self.context.clone(),
                standing: control.standing(),
                trouble: trouble.clone(),
                clock: Arc::new(Clock),
            };
            let transactor = Transactor::new(settings, self.connect(Some(name)), deps);
            Arc::new(transactor.expect("the simulated client can be made"))
        };
        (Sink::Transactions(self.controls.iter().enumerate().map(one).collect()), troubles)
    }
}

impl Sink {
    /// Starts its threads.
    fn begin(&self, producers: usize, threads: &mut Vec<JoinHandle<()>>) {
        match self {
            Self::Shared([results, letters]) => {
                for shard in 0..=producers {
                    let sink = if shard < producers { results.clone() } else { letters.clone() };
                    threads.push(spawn(move || sink.produce(shard)));
                }
                for sink in [results, letters] {
                    let sink = sink.clone();
                    threads.push(spawn(move || sink.report()));
                }
            }
            Self::Transactions(all) => {
                for one in all {
                    let one = one.clone();
                    threads.push(spawn(move || one.run()));
                }
            }
        }
    }

    fn stop(&self) {
        match self {
            Self::Shared(both) => both.iter().for_each(|sink| sink.stop()),
            Self::Transactions(all) => all.iter().for_each(|one| one.stop()),
        }
    }
}

fn source_settings(sim: &Sim, plan: &Plan, index: usize) -> Settings {
    let has_offsets = sim.with(|world| !world.group.committed.is_empty());
    Settings {
        index,
        group: GROUP.to_owned(),
        servers: String::new(),
        topics: vec!["in".to_owned()],
        reset: OffsetReset::Earliest,
        known: HashMap::from([(
            "in".into(),
            Known { partitions: plan.partitions, has_offsets, topic_id: topic_id() },
        )]),
        commit_interval: (!plan.exactly_once).then_some(plan.commit_interval),
        revoke_timeout: plan.revoke,
    }
}
