//! The breaker against all that ever happened, written down.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Answer(u64),
    Fail(u64),
    Probe(Probe),
    Pass(u64),
}

/// A time is milliseconds here; a failure is (when, key, how many were answered before it).
#[derive(Default)]
struct Model {
    now: u64,
    answered: u64,
    failures: Vec<(u64, u64, u64)>,
    /// Since when it is open, and after how many probes.
    open: Option<(u64, u32)>,
    pause: u64,
    closed_at: Option<u64>,
    probe_at: Option<u64>,
}

impl Model {
    /// Going back from the newest failure until there are eight keys: were they together, and no fewer than the answers? If
    /// so, how many.
    fn outage(&self) -> Option<usize> {
        let mut keys = BTreeSet::new();
        let newest_first = self.failures.iter().rev();
        let first = newest_first.clone().position(|(_, key, _)| keys.insert(*key) && keys.len() == KEYS);
        // From the last failure of the eighth key on.
        let count = first? + 1;
        let (when, _, answered) = *newest_first.clone().nth(count - 1).expect("it was just found");
        (self.now - when <= 10_000 && count as u64 >= self.answered - answered).then_some(count)
    }

    fn fail(&mut self, key: u64) -> Change {
        if self.open.is_some() {
            return Change::None;
        }
        self.failures.push((self.now, key, self.answered));
        let Some(count) = self.outage() else { return Change::None };
        self.open = Some((self.now, 0));
        let stable = self.closed_at.is_none_or(|closed| self.now - closed >= 60_000);
        self.pause = if stable { 1_000 } else { self.pause };
        self.probe_at = Some(self.now + self.pause);
        Change::Opened(count, "down".into())
    }

    fn probe(&mut self, probe: Probe) -> Change {
        let Some((since, probes)) = self.open else { return Change::None };
        match probe {
            Probe::Dropped => self.probe_at = Some(self.now),
            Probe::Failed => {
                self.open = Some((since, probes + 1));
                self.pause = (self.pause * 2).min(30_000);
                self.probe_at = Some(self.now + self.pause);
            }
            Probe::Succeeded => {
                *self = Self {
                    now: self.now,
                    answered: self.answered,
                    pause: self.pause,
                    closed_at: Some(self.now),
                    ..Self::default()
                };
                return Change::Closed(Duration::from_millis(self.now - since), probes + 1);
            }
        }
        Change::None
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1u64..6).prop_map(Step::Answer),
        9 => (0u64..12).prop_map(Step::Fail),
        1 => prop_oneof![Just(Probe::Succeeded), Just(Probe::Failed), Just(Probe::Dropped)].prop_map(Step::Probe),
        2 => prop_oneof![9 => 1u64..3_000, 1 => 3_000u64..70_000].prop_map(Step::Pass),
    ]
}

/// Without jitter: half of the chance.
const EVEN: f64 = 0.5;

fn failed(key: u64, answered: u64) -> Failed {
    Failed { key, code: "down".into(), answered }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    #[test]
    fn it_opens_and_closes_as_one_that_remembers_everything(steps in prop::collection::vec(step(), 1..150)) {
        let (mut breaker, mut model, start) = (Breaker::default(), Model::default(), Instant::now());
        for step in steps {
            let now = start + Duration::from_millis(model.now);
            let version = breaker.gate().version;
            let (change, expected) = match step {
                Step::Answer(count) => {
                    model.answered += count;
                    (Change::None, Change::None)
                }
                Step::Fail(key) => {
                    let expected = model.fail(key);
                    (breaker.failed(failed(key, model.answered), now, EVEN), expected)
                }
                Step::Probe(probe) => {
                    (breaker.probed(probe, now, EVEN), model.probe(probe))
                }
                Step::Pass(ms) => {
                    model.now += ms;
                    (Change::None, Change::None)
                }
            };
            prop_assert_eq!(breaker.is_open(), model.open.is_some());
            let probe_at = model.probe_at.map(|ms| start + Duration::from_millis(ms));
            prop_assert_eq!(breaker.gate().probe_at, probe_at);
            prop_assert!(breaker.gate().version > version || change == Change::None);
            prop_assert_eq!(change, expected);
            prop_assert!(breaker.last.len() <= KEYS, "it remembers no more than it needs");
        }
    }
}

#[test]
fn one_key_that_fails_is_poison_however_often() {
    let (mut breaker, now) = (Breaker::default(), Instant::now());
    for number in 0..10_000 {
        assert_eq!(breaker.failed(failed(number % 7, 0), now, EVEN), Change::None);
    }
}

#[test]
fn the_most_frequent_code_is_said() {
    let (mut breaker, now) = (Breaker::default(), Instant::now());
    for key in 0..8 {
        let code = if key % 3 == 0 { "other" } else { "down" };
        let change = breaker.failed(Failed { code: code.into(), ..failed(key, 0) }, now, EVEN);
        assert_eq!(change, if key < 7 { Change::None } else { Change::Opened(8, "down".into()) });
    }
}

#[test]
fn a_pause_is_a_quarter_more_or_less() {
    assert_eq!(jittered(FIRST_PAUSE, 0.0), Duration::from_millis(750));
    assert_eq!(jittered(FIRST_PAUSE, 1.0), Duration::from_millis(1_250));
}
