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
fn plan(seed: u64, exactly_once: bool) -> Plan {
    Plan { sharp: std::env::var("SIMULATION_SHARP").is_ok(), ..Plan::of(seed, exactly_once) }
}

/// A seed says whether in transactions, unless `SIMULATION_DELIVERY=exactly-once` (or `at-least-once`) does.
fn plan_of(seed: u64) -> Plan {
    let exactly_once = match std::env::var("SIMULATION_DELIVERY").as_deref() {
        Ok("exactly-once") => true,
        Ok("at-least-once") => false,
        Ok(other) => panic!("SIMULATION_DELIVERY is exactly-once or at-least-once, and not {other}"),
        Err(_) => seed.is_multiple_of(2),
    };
    plan(seed, exactly_once)
}

fn tell(Plan { seed, exactly_once, .. }: &Plan, report: &Report) -> String {
    let delivery = if *exactly_once { "exactly-once" } else { "at-least-once" };
    let wrong: Vec<String> =
        report.wrong.iter().take(4).map(|(class, text)| format!("  {class}: {text}")).collect();
    format!(
        "seed {seed} fails; run it again, with a trace: SIMULATION_SEED={seed} SIMULATION_DELIVERY={delivery} \
         cargo test --lib --features shuttle simulation -- --nocapture\n{}",
        wrong.join("\n")
    )
}

#[test]
fn nothing_is_lost_and_all_is_in_order_whatever_the_seed() {
    if std::env::var("SIMULATION_SEED").is_ok() {
        let seed = number("SIMULATION_SEED", 0);
        let plan = plan_of(seed);
        println!("{:?}", Plan { acts: Vec::new(), ..plan.clone() });
        plan.acts.iter().for_each(|act| println!("{act:?}"));
        let report = run(&plan, true);
        report.lines.iter().for_each(|line| println!("{line}"));
        assert!(report.wrong.is_empty(), "{}", tell(&plan, &report));
        return;
    }
    let (first, seeds) = (number("SIMULATION_FIRST", 1), number("SIMULATION_SEEDS", SEEDS));
    let began = Instant::now();
    let (mut records, mut repeats, mut clean, mut exactly, mut failures) = (0, 0, 0, 0, Vec::new());
    let mut told = 0;
    for seed in first..first + seeds {
        let plan = plan_of(seed);
        let report = run(&plan, false);
        exactly += u64::from(plan.exactly_once);
        records += report.records;
        repeats += report.repeats;
        clean += u64::from(plan.clean);
        if plan.clean && report.repeats > 0 && !report.torn && report.wrong.is_empty() {
            failures.push(format!("seed {seed} repeats, and nothing went wrong in it"));
        }
        if !report.wrong.is_empty() {
            failures.push(tell(&plan, &report));
        }
        failures[told..].iter().for_each(|failure| println!("{failure}"));
        told = failures.len();
        if told >= ENOUGH {
            break;
        }
    }
    let time = began.elapsed().as_secs_f64();
    println!(
        "{seeds} seeds ({clean} without faults, {exactly} exactly once), {records} records, {repeats} repeats; {time:.1} s, {:.0} seeds a second",
        seeds as f64 / time
    );
    assert!(failures.is_empty(), "{} seeds fail: see above", failures.len());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1..=20 {
        for exactly_once in [false, true] {
            let hash = || run(&plan(seed, exactly_once), true).hash;
            assert_eq!(hash(), hash(), "seed {seed}");
        }
    }
}

/// What the oracle says of worlds that lie like this.
fn sabotaged(sabotage: Sabotage, class: &str, exactly_once: bool) {
    let seeds = if exactly_once { 200 } else { 60 };
    for seed in 1..=seeds {
        let plan = Plan { sabotage: Some(sabotage), ..plan(seed, exactly_once) };
        let report = run(&plan, false);
        if report.wrong.iter().any(|(found, _)| class.split('|').any(|one| one == *found)) {
            return;
        }
    }
    panic!("{seeds} seeds, and nobody saw {sabotage:?}");
}

macro_rules! seen {
    ($exactly_once:literal, $($name:ident: $sabotage:ident is $class:literal;)*) => {
        $(#[test]
        fn $name() {
            sabotaged(Sabotage::$sabotage, $class, $exactly_once);
        })*
    };
}

seen! { false,
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

seen! { true,
    exactly_once_a_lost_record_is_seen: LosesRecord is "lost";
    exactly_once_a_repeated_record_is_seen: WritesTwice is "repeated";
    exactly_once_records_out_of_order_are_seen: SwapsRecords is "order";
    a_record_of_an_aborted_transaction_is_seen: ShowsAborted is "repeated";
    results_without_their_offsets_are_seen: DropsOffsets is "apart";
    a_zombie_that_commits_is_seen: TakesZombies is "repeated|backwards";
    a_client_that_is_shut_out_and_goes_on_is_seen: EpochUnchecked is "lost|watermark|apart";
}
