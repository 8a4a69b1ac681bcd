//! Runs a scenario under many schedules.

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use super::world;

/// Schedules of one scenario, unless the environment says otherwise.
const SCHEDULES: usize = 2000;
/// Threads that are overtaken at a bad moment, in a schedule by priorities: most faults need no more.
const DEPTH: usize = 4;
/// No scenario takes as many steps, unless it goes in circles.
const MOST_STEPS: usize = 200_000;

/// Runs `scenario` under as many schedules as `SHUTTLE_SCHEDULES` says, half of them at random and half by priorities that
/// change now and then (PCT). A schedule that fails is printed; `SHUTTLE_REPLAY` runs that one again, and no other.
pub fn check(scenario: impl Fn() + Send + Sync + Clone + 'static) {
    if let Ok(schedule) = std::env::var("SHUTTLE_REPLAY") {
        run(ReplayScheduler::new_from_encoded(schedule.trim()), scenario);
        return;
    }
    let schedules = std::env::var("SHUTTLE_SCHEDULES").map_or(SCHEDULES, |number| {
        number.parse().expect("SHUTTLE_SCHEDULES is a number of schedules, such as 2000")
    });
    run(RandomScheduler::new(schedules.div_ceil(2)), scenario.clone());
    run(PctScheduler::new(DEPTH, schedules / 2), scenario);
}

/// Runs `scenario` once, under the schedule that `seed` stands for.
pub fn run_seed(seed: u64, most_steps: usize, scenario: impl Fn() + Send + Sync + 'static) {
    let mut config = config();
    config.max_steps = MaxSteps::FailAfter(most_steps);
    config.failure_persistence = FailurePersistence::None;
    run_with(config, RandomScheduler::new_from_seed(seed, 1), scenario);
}

fn run(scheduler: impl Scheduler + 'static, scenario: impl Fn() + Send + Sync + 'static) {
    run_with(config(), scheduler, scenario);
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
    config.silence_warnings = true;
    config
}

fn run_with(
    config: Config,
    scheduler: impl Scheduler + 'static,
    scenario: impl Fn() + Send + Sync + 'static,
) {
    Runner::new(scheduler, config).run(move || {
        world::begin();
        scenario();
        world::end();
    });
}
