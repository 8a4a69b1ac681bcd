//! A quick transform, run by the thread that reads.

use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use processor::engine::Policy;
use processor::engine::lanes::Depth;
use processor::policy::{AfterFailure, OnFailure};
use processor::record::Record;
use processor::sink::Target;
use processor::transform::{Context, Outcome, Output};

use super::rig::{DEADLINE, Quick, Rig, eventually, policy};

const KEYS: [&str; 8] = ["a", "b", "a", "c", "b", "a", "c", "a"];

/// Which thread ran which record, each time.
#[derive(Clone, Default)]
struct Runs(Arc<Mutex<Vec<(i64, ThreadId)>>>);

impl Runs {
    fn note(&self, record: &Record) {
        self.0.lock().push((record.offset(), thread::current().id()));
    }

    /// The records that this thread ran.
    fn here(&self) -> Vec<i64> {
        let here = thread::current().id();
        self.0.lock().iter().filter(|(_, by)| *by == here).map(|(offset, _)| *offset).collect()
    }

    fn elsewhere(&self) -> Vec<i64> {
        let here = thread::current().id();
        let mut elsewhere: Vec<i64> =
            self.0.lock().iter().filter(|(_, by)| *by != here).map(|(offset, _)| *offset).collect();
        elsewhere.sort_unstable();
        elsewhere
    }
}

fn emit() -> Outcome {
    Outcome::Emit(Output::default())
}

fn noting(
    apply: impl Fn(&Record, &Context) -> Outcome + Send + Sync + 'static,
) -> (Runs, impl Fn(&Record, &Context) -> Outcome + Send + Sync) {
    let runs = Runs::default();
    let noted = runs.clone();
    (runs, move |record: &Record, context: &Context| {
        noted.note(record);
        apply(record, context)
    })
}

#[test]
fn whoever_reads_runs_what_is_simply_done() {
    let (runs, apply) = noting(|record, _| match record.offset() {
        1 => Outcome::Filter,
        2 => Outcome::reject("bad", "never"),
        3 => Outcome::EmitMany(vec![Output::default(), Output::default()]),
        _ => emit(),
    });
    let rig = Rig::new(policy(), Quick(apply));
    let slot = rig.assign(0);
    rig.feed(slot, 0, &KEYS);
    eventually("all are finished", || rig.watermark(slot) == 8);
    assert_eq!((runs.here(), runs.elsewhere()), ((0..8).collect(), vec![]));
    let count = |target| rig.written().iter().filter(|one| one.target == target).count();
    assert_eq!((count(Target::Output), count(Target::DeadLetter)), (7, 1));
    rig.end();
}

/// With the bug `ReaderOvertakesWorkers` what is read next overtakes what waits for its retry.
#[test]
fn what_is_to_be_tried_again_goes_to_the_workers_and_keeps_its_order() {
    let (runs, apply) = noting(|record, context| match record.offset() {
        2 if context.attempt < 3 => Outcome::retry("busy", "not now"),
        4 if context.attempt < 2 => panic!("at the first try"),
        _ => emit(),
    });
    let rig = Rig::new(policy(), Quick(apply));
    let slot = rig.assign(0);
    rig.feed(slot, 0, &KEYS);
    rig.feed(slot, 0, &KEYS);
    eventually("all are finished", || rig.watermark(slot) == 16);
    assert_eq!(&runs.here()[..3], [0, 1, 2], "up to the first that is not done");
    let elsewhere = runs.elsewhere();
    assert!((2..8).all(|offset| elsewhere.contains(&offset)), "and all behind it: {elsewhere:?}");
    let by_key = rig.by_key(Target::Output);
    assert!(by_key.values().all(|offsets| offsets.is_sorted()), "{by_key:?}");
    eventually("the workers have nothing", || rig.pipeline.depth() == Depth::default());
    rig.feed(slot, 0, &KEYS);
    eventually("all are finished", || rig.watermark(slot) == 24);
    assert_eq!(
        runs.here().iter().filter(|offset| **offset >= 16).count(),
        8,
        "and here again, once they have nothing"
    );
    rig.end();
}

/// It is not as quick as it says.
#[test]
fn what_takes_long_goes_to_the_workers() {
    let (runs, apply) = noting(|_, _| {
        let until = Instant::now() + Duration::from_millis(2);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        emit()
    });
    let rig = Rig::new(policy(), Quick(apply));
    let slot = rig.assign(0);
    let keys: Vec<String> = (0..200).map(|n| format!("k{n}")).collect();
    rig.feed(slot, 0, &keys.iter().map(String::as_str).collect::<Vec<_>>());
    eventually("all are finished", || rig.watermark(slot) == 200);
    assert!((1..=16).contains(&runs.here().len()), "{} here", runs.here().len());
    rig.end();
}

/// Whoever follows a failure is the scheduler's to know.
#[test]
fn where_a_failure_keeps_its_lane_nothing_is_run_by_the_reader() {
    for after_failure in [AfterFailure::DeadLetterKey, AfterFailure::BlockKey] {
        let (runs, apply) = noting(|_, _| emit());
        let rig = Rig::new(Policy { after_failure, ..policy() }, Quick(apply));
        let slot = rig.assign(0);
        rig.feed(slot, 0, &KEYS);
        eventually("all are finished", || rig.watermark(slot) == 8);
        assert!(runs.here().is_empty(), "{:?}", runs.here());
        rig.end();
    }
}

#[test]
fn nothing_behind_a_record_that_stops_the_program_is_run() {
    let (runs, apply) =
        noting(|record, _| if record.offset() == 2 { Outcome::reject("bad", "never") } else { emit() });
    let rig = Rig::new(Policy { on_failure: OnFailure::Stop, ..policy() }, Quick(apply));
    let slot = rig.assign(0);
    rig.feed(slot, 0, &KEYS);
    assert!(rig.stop.recv_timeout(DEADLINE).is_ok());
    assert_eq!(runs.here(), [0, 1, 2]);
    eventually("what was admitted is dropped", || rig.in_flight().records == 0);
    assert_eq!((runs.elsewhere(), rig.watermark(slot)), (vec![], 2));
    rig.end();
}
