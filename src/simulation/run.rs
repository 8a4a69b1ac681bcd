//! One seed, from beginning to end.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::instance::Instance;
use super::plan::{Act, Plan};
use super::trace::Trace;
use super::world::Sim;
use crate::sync::model::{self, JoinHandle, run_seed, spawn};

/// No run takes as many steps of its threads, unless something goes in circles.
const MOST_STEPS: usize = 5_000_000;
/// Everything is finished and committed that long after the last fault, or something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of a seed.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub wrong: Vec<(&'static str, String)>,
    pub hash: u64,
    pub lines: Vec<String>,
    pub records: usize,
    pub repeats: u32,
    /// A record with several results may have been written again as a whole.
    pub torn: bool,
}

/// Runs a plan; with a trace, if one is `wanted`.
pub(super) fn run(plan: &Plan, wanted: bool) -> Report {
    let report = Arc::new(parking_lot::Mutex::new(Report::default()));
    let (out, begun) = (report.clone(), Arc::new(parking_lot::Mutex::new(None)));
    let (scenario_plan, handle) = (plan.clone(), begun.clone());
    let ended = catch_unwind(AssertUnwindSafe(|| {
        run_seed(plan.seed, MOST_STEPS, move || {
            let sim = Sim::new(scenario_plan.clone(), Trace::new(wanted));
            *handle.lock() = Some(sim.clone());
            live(&sim, &scenario_plan);
            *out.lock() = look(&sim);
        });
    }));
    let mut report = std::mem::take(&mut *report.lock());
    if let Err(panic) = ended {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        let text = text.unwrap_or_default();
        if let Some(sim) = begun.lock().take() {
            report = look(&sim);
        }
        report.wrong.push(("panic", text));
    }
    report
}

fn look(sim: &Sim) -> Report {
    sim.with(|world| Report {
        wrong: world.oracle.verdict(),
        hash: world.trace.hash(),
        lines: world.trace.take(),
        records: world.inputs.iter().map(Vec::len).sum(),
        repeats: world.oracle.repeats(),
        torn: world.producing.torn,
    })
}

/// Those that run, by their number, and those that are on their way out.
struct Stage {
    sim: Arc<Sim>,
    plan: Plan,
    running: BTreeMap<usize, Instance>,
    ending: Vec<(usize, JoinHandle<()>)>,
    started: usize,
}

fn live(sim: &Arc<Sim>, plan: &Plan) {
    let broker = {
        let sim = sim.clone();
        spawn(move || sim.serve())
    };
    let began = model::now();
    let mut stage = Stage {
        sim: sim.clone(),
        plan: plan.clone(),
        running: BTreeMap::new(),
        ending: Vec::new(),
        started: 0,
    };
    for (at, act) in &plan.acts {
        model::sleep((began + *at).saturating_duration_since(model::now()));
        stage.act(act);
        stage.check();
    }
    model::sleep((began + plan.heal_at).saturating_duration_since(model::now()));
    stage.come_to_rest();
    sim.stop();
    broker.join();
    sim.with(|world| {
        let inputs = std::mem::take(&mut world.inputs);
        world.oracle.look(plan, &inputs);
        world.inputs = inputs;
    });
}

impl Stage {
    fn act(&mut self, act: &Act) {
        match act {
            Act::Append(drafts) => self.sim.with(|world| world.append(drafts)),
            Act::Start(number) => self.start(*number),
            Act::Stop(number) => self.end(*number, Instance::stop),
            Act::Abort(number) => self.end(*number, Instance::abort),
            Act::Kill(number) => {
                // At once, and not only when its thread comes to it.
                if let Some(instance) = self.running.get(number) {
                    self.sim.with(|world| world.kill(instance.id));
                }
                self.end(*number, Instance::abort);
            }
            Act::Evict => self.sim.with(|world| world.evict_one()),
            Act::Rebalance => self.sim.with(|world| world.begin_round()),
            Act::Silence(time) => self.sim.with(|world| {
                world.note(|| format!("silence for {time:?}"));
                world.silent_until = world.silent_until.max(model::now() + *time);
            }),
            Act::Sick(topic, time, code) => self.sim.with(|world| world.sick(*topic, *time, *code)),
            Act::Break => self.sim.with(|world| world.break_one()),
            Act::ShutOut => self.sim.with(|world| world.shut_one_out()),
        }
    }

    fn start(&mut self, number: usize) {
        if self.running.contains_key(&number) {
            return;
        }
        // Two of the same name would fence each other.
        let (before, others) =
            std::mem::take(&mut self.ending).into_iter().partition(|(other, _)| *other == number);
        self.ending = others;
        Vec::into_iter(before).for_each(|(_, thread): (usize, JoinHandle<()>)| thread.join());
        self.sim.with(|world| {
            let chances = world.chances();
            if world.happens(chances.forged) {
                world.forge();
            }
            if self.started == 0 && world.plan.earlier {
                world.leave_maps();
            }
        });
        self.started += 1;
        let instance = Instance::start(&self.sim, &self.plan, number, self.started);
        self.running.insert(number, instance);
    }

    fn end(&mut self, number: usize, how: fn(Instance)) {
        if let Some(instance) = self.running.remove(&number) {
            self.ending.push((number, spawn(move || how(instance))));
        }
    }

    fn check(&self) {
        self.running.values().for_each(|instance| instance.check(&self.plan));
    }

    /// No more faults: all that there is comes to its end.
    fn come_to_rest(&mut self) {
        self.sim.with(|world| world.heal());
        if self.running.is_empty() {
            self.start(0);
        }
        let until = model::now() + PATIENCE;
        let mut pause = Duration::from_millis(5);
        while !self.sim.with(|world| world.is_done() || world.oracle.is_wrong()) {
            if model::now() >= until {
                self.sim.with(|world| {
                    world.oracle.wrong("stuck", "not everything is finished and committed".to_owned())
                });
                break;
            }
            self.check();
            model::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(100));
        }
        let numbers: Vec<usize> = self.running.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.end(number, Instance::stop));
        std::mem::take(&mut self.ending).into_iter().for_each(|(_, thread)| thread.join());
    }
}
