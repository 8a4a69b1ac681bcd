//! Instances, killed at random and replaced, over a long load: nothing is lost, and the order holds. At least once something
//! *is* repeated: it means just that, and a run that repeats nothing killed nothing at work, and proves nothing. Exactly once,
//! under the same kills, nothing is.

use std::time::Duration;

use fastrand::Rng;
use processor::policy::Delivery;

use crate::support::guarantees::{AtLeastOnce, Guarantee, PerKeyOrder, repeats};
use crate::support::kafka::Kafka;
use crate::support::meter::Meter;
use crate::support::process::Instance;
use crate::support::scenario::Scenario;
use crate::support::seed::seed;
use crate::support::setup::setup;
use crate::support::{eventually, say, seconds};

/// What each instance may have in flight. As outputs wait a little in the producer, that bounds how fast a backlog is gone.
const IN_FLIGHT: usize = 1_000;
/// Commits come every 100 ms. With the time that a commit takes on a slow machine, what is written within so long of a kill
/// may not be committed.
const UNCOMMITTED: Duration = Duration::from_millis(300);
/// Slower than two instances are, so that they are at work all the time, and not done before the first is killed.
const RECORDS_A_SECOND: usize = 8_000;
const KEYS: usize = 1_000;

#[test]
fn kill_nine_at_random() {
    kill_nine(Delivery::AtLeastOnce, 2);
}

#[test]
fn kill_nine_at_random_exactly_once() {
    kill_nine(Delivery::ExactlyOnce, 2);
}

/// Two of three are static members.
#[test]
fn kill_nine_at_random_exactly_once_of_three() {
    kill_nine(Delivery::ExactlyOnce, 3);
}

fn kill_nine(delivery: Delivery, instances: usize) {
    let kafka = Kafka::for_test();
    let (count, kills) = if kafka.is_real() { (50_000, 3..=5) } else { (200_000, 8..=12) };
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    let moments = moments(count, rng.usize(kills), &mut rng);
    let setup = setup().input_partitions(6).set("PROCESSOR_MAX_IN_FLIGHT", IN_FLIGHT);
    let setup = setup.set("PROCESSOR_COMMIT_INTERVAL", "100ms").set("KAFKA_PRODUCER_LINGER_MS", 20);
    let exactly_once = delivery == Delivery::ExactlyOnce;
    let mut s = if exactly_once { setup.exactly_once().on(&kafka) } else { setup.on(&kafka) };
    let meter = Meter::start(&kafka, &[(&s.output, s.partitions[1]), (&s.dead_letters, s.partitions[2])]);
    let load: Vec<_> = (0..count).map(|_| s.load(KEYS)).collect();
    let mut instances: Vec<_> = (0..instances).map(|n| start(&s, n)).collect();
    s.wait_for_members(2 * instances.len());
    let (last, bound) = s.while_sending_all(load, RECORDS_A_SECOND, |s| {
        let (mut bound, all) = (0, instances.len());
        for (n, moment) in (1..).zip(&moments) {
            eventually(seconds(120), "the next to be killed comes so far", || meter.written() >= *moment);
            // One alone may have had nothing to do, as its partitions wait for the end of a dead one's session. The last time
            // it is both, so whoever was at work is hit.
            let victims = if n == moments.len() { (0..all).collect() } else { vec![rng.usize(..all)] };
            victims.iter().rev().for_each(|victim| instances.remove(*victim).kill());
            bound += IN_FLIGHT * victims.len() + meter.written_within(UNCOMMITTED);
            victims.iter().for_each(|victim| instances.insert(*victim, start(s, *victim)));
        }
        (instances, bound)
    });
    s.wait_until_committed();
    for mut instance in last {
        instance.stop_cleanly();
    }
    verdict(&s, seed, moments.len(), if exactly_once { None } else { Some(bound) });
}

/// The second is no static member of its group: its partitions wait until its session ends. Who replaces another one has its
/// partitions at once.
fn start(s: &Scenario, n: usize) -> Instance {
    if n != 1 { s.start_with(&[("KAFKA_GROUP_INSTANCE_ID", &format!("static-{n}"))]) } else { s.start() }
}

/// When to kill: at so many records written, as chance will have it. Counted, not timed: so it is in the middle on any machine.
fn moments(count: usize, kills: usize, rng: &mut Rng) -> Vec<usize> {
    let mut moments: Vec<_> = (0..kills).map(|_| rng.usize(count / 20..count * 9 / 10)).collect();
    moments.sort_unstable();
    moments
}

/// `bound`: how much may be repeated, and something must.
fn verdict(s: &Scenario, seed: u64, kills: usize, bound: Option<usize>) {
    let evidence = s.evidence();
    let (lost, swapped) = (AtLeastOnce.violations(&evidence).len(), PerKeyOrder.violations(&evidence).len());
    let written = evidence.output.len() + evidence.dead_letters.len();
    let (sent, repeated) = (evidence.sent.len(), repeats(&evidence));
    say(&format!(
        "kill -9: {sent} in, {written} out, {repeated} repeated, {lost} lost, {swapped} out of order, seed {seed} \
         ({kills} kills may repeat {})",
        bound.unwrap_or(0)
    ));
    s.judge_this(&evidence, bound.unwrap_or(0));
    assert!(
        bound.is_none() || repeated > 0,
        "{kills} kills, and nothing had to be repeated: they hit nothing; seed {seed}"
    );
}
