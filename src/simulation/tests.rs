//! Many seeds; the same seed twice; and, for each thing that the oracle looks for, a world in which it is wrong.

use std::time::Instant;

use super::plan::{Plan, Sabotage};
use super::run::{Report, run};

/// Seeds of a run, unless the environment says otherwise.
const SEEDS: u64 = 2000;
/// Failures that are told before it stops looking.
const ENOUGH: usize = 5;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// `SIMULATION_SHARP=1` takes away what is assumed of topics that come back (see [`Plan::sharp`]).
fn plan(seed: u64) -> Plan {
    Plan { sharp: std::env::var("SIMULATION_SHARP").is_ok(), ..Plan::new(seed) }
}

fn tell(seed: u64, report: &Report) -> String {
    let wrong: Vec<String> =
        report.wrong.iter().take(4).map(|(class, text)| format!("  {class}: {text}")).collect();
    format!(
        "seed {seed} fails; run it again, with a trace: SIMULATION_SEED={seed} cargo test --lib --features shuttle \
         simulation -- --nocapture\n{}",
        wrong.join("\n")
    )
}

#[test]
fn nothing_is_lost_and_all_is_in_order_whatever_the_seed() {
    if std::env::var("SIMULATION_SEED").is_ok() {
        let seed = number("SIMULATION_SEED", 0);
        let plan = plan(seed);
        println!("{:?}", Plan { acts: Vec::new(), ..plan.clone() });
        plan.acts.iter().for_each(|act| println!("{act:?}"));
        let report = run(&plan, true);
        report.lines.iter().for_each(|line| println!("{line}"));
        assert!(report.wrong.is_empty(), "{}", tell(seed, &report));
        return;
    }
    let (first, seeds) = (number("SIMULATION_FIRST", 1), number("SIMULATION_SEEDS", SEEDS));
    let began = Instant::now();
    let (mut records, mut repeats, mut clean, mut failures) = (0, 0, 0, Vec::new());
    let mut told = 0;
    for seed in first..first + seeds {
        let plan = plan(seed);
        let report = run(&plan, false);
        records += report.records;
        repeats += report.repeats;
        clean += u64::from(plan.clean);
        if plan.clean && report.repeats > 0 && report.wrong.is_empty() {
            failures.push(format!("seed {seed} repeats, and nothing went wrong in it"));
        }
        if !report.wrong.is_empty() {
            failures.push(tell(seed, &report));
        }
        failures[told..].iter().for_each(|failure| println!("{failure}"));
        told = failures.len();
        if told >= ENOUGH {
            break;
        }
    }
    let time = began.elapsed().as_secs_f64();
    println!(
        "{seeds} seeds ({clean} without faults), {records} records, {repeats} repeats; {time:.1} s, {:.0} seeds a second",
        seeds as f64 / time
    );
    assert!(failures.is_empty(), "{} seeds fail: see above", failures.len());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1..=20 {
        let hash = || run(&plan(seed), true).hash;
        assert_eq!(hash(), hash(), "seed {seed}");
    }
}

/// What the oracle says of worlds that lie like this.
fn sabotaged(sabotage: Sabotage, class: &str) {
    let seeds = 60;
    for seed in 1..=seeds {
        let plan = Plan { sabotage: Some(sabotage), ..plan(seed) };
        let report = run(&plan, false);
        if report.wrong.iter().any(|(found, _)| *found == class) {
            return;
        }
    }
    panic!("{seeds} seeds, and nobody saw {sabotage:?}");
}

macro_rules! seen {
    ($($name:ident: $sabotage:ident is $class:literal;)*) => {
        $(#[test]
        fn $name() {
            sabotaged(Sabotage::$sabotage, $class);
        })*
    };
}

seen! {
    a_lost_record_is_seen: LosesRecord is "lost";
    a_repeated_record_is_seen: WritesTwice is "repeated";
    records_out_of_order_are_seen: SwapsRecords is "order";
    an_invented_record_is_seen: InventsRecord is "invented";
    a_commit_above_an_open_record_is_seen: CommitsTooFar is "watermark";
    a_commit_that_goes_back_is_seen: CommitsBack is "backwards";
    a_map_that_names_open_records_is_seen: MapNamesOpenRecords is "map";
    two_records_of_a_lane_at_once_are_seen: NoOrder is "two at once";
    more_in_flight_than_allowed_is_seen: ExceedsBudget is "budget";
    a_record_that_is_never_answered_is_seen: NeverAnswers is "stuck";
    two_owners_of_a_partition_are_seen: GivesSecondMemberTheSame is "repeated";
}
