//! Records wait for their retry while the world around them changes.

use crate::support::client::read_topic;
use crate::support::evidence::Evidence;
use crate::support::kafka::Kafka;
use crate::support::process::Instance;
use crate::support::record::Input;
use crate::support::scenario::Scenario;
use crate::support::setup::{Mode, Setup, in_every_mode, setup};
use crate::support::{admin, eventually, holds_within, seconds};

in_every_mode!(
    a_rebalance_while_retries_wait,
    a_rebalance_does_not_wait_for_the_retries,
    a_stop_gives_back_retries_that_nothing_came_behind,
);

/// Retries that will not come in the time of a test; [`SOON`] is for those who come after.
pub(super) fn never(setup: Setup) -> Setup {
    let setup = setup.set("PROCESSOR_RETRY_ATTEMPTS", 100).set("PROCESSOR_RETRY_BACKOFF", "10m");
    setup.set("PROCESSOR_RETRY_BACKOFF_MAX", "10m")
}

/// All delays are drawn between nothing and the back-off: so many in a row are not all short.
pub(super) const OFTEN: u32 = 6;

pub(super) const SOON: [(&str, &str); 2] =
    [("PROCESSOR_RETRY_BACKOFF", "10ms"), ("PROCESSOR_RETRY_BACKOFF_MAX", "10ms")];

pub(super) fn good(s: &Scenario, count: usize) -> Vec<Input> {
    (0..count).map(|n| Input::valid(&s.id()).key(format!("good-{n}"))).collect()
}

/// Each with a key of its own, from partition 0 up.
pub(super) fn bad(s: &Scenario, count: usize, times: u32) -> Vec<Input> {
    let bad = |n: usize| Input::valid(&s.id()).key(format!("bad-{n}")).to(n as i32 % 4);
    (0..count).map(|n| bad(n).retried(times)).collect()
}

/// Good records of the same keys in the same partitions.
fn behind(s: &Scenario, count: usize) -> Vec<Input> {
    (0..count).map(|n| Input::valid(&s.id()).key(format!("bad-{n}")).to(n as i32 % 4)).collect()
}

fn failures(instance: &Instance) -> usize {
    instance.log().matches("asked to fail for now").count()
}

pub(super) fn wait_for_failures(instance: &Instance, count: usize) {
    eventually(seconds(30), &format!("{count} records wait for their retry"), || failures(instance) >= count);
}

/// In each partition ten records wait for a retry that does not come, and fifty behind them are finished.
pub(super) fn stuck(s: &mut Scenario) -> Instance {
    let instance = s.start();
    s.wait_for_members(2);
    let inputs: Vec<_> = bad(s, 40, OFTEN).into_iter().chain(behind(s, 40)).chain(good(s, 200)).collect();
    s.send(inputs);
    wait_for_failures(&instance, 40);
    wait_for_the_good(s);
    instance
}

/// Waits until what [`good`] made is written, however much waits.
fn wait_for_the_good(s: &Scenario) {
    eventually(seconds(60), "the good records are written", || {
        let output = read_topic(&s.kafka, &s.output, s.partitions[1]);
        let good = |key: &[u8]| key.starts_with(b"good");
        output.iter().filter(|seen| seen.key.as_deref().is_some_and(good)).count() >= 200
    });
}

fn revocations(instance: &Instance) -> usize {
    instance.log().matches("revoked ").count()
}

/// Records that may be written twice, because they came behind one that was not finished when its partition was given up.
pub(super) fn behind_the_first_failure(s: &Scenario) -> usize {
    let failed = |sent: &&crate::support::record::Sent| {
        sent.input.headers.iter().any(|(name, _)| name == "probe.retry")
    };
    let first = |partition| s.sent.iter().filter(failed).find(|sent| sent.partition == partition);
    s.sent.iter().filter(|sent| first(sent.partition).is_some_and(|bad| bad.offset < sent.offset)).count()
}

/// Milliseconds between the end of a record's first run and the begin of its second.
fn waits(evidence: &Evidence) -> Vec<u64> {
    let runs = evidence.sent.iter().map(|sent| evidence.runs_of(&sent.input.id));
    runs.filter(|runs| runs.len() > 1).map(|runs| (runs[1].begin - runs[0].end) / 1_000_000).collect()
}

#[test]
fn two_hundred_waiting_retries_leave_the_only_worker_to_the_others() {
    let kafka = Kafka::for_test();
    let setup = setup().probe().set("WORKER_POOL", 1).set("PROCESSOR_RETRY_BACKOFF", "10s");
    let mut s = setup.on(&kafka);
    let inputs: Vec<_> = bad(&s, 200, 1).into_iter().chain(behind(&s, 200)).chain(good(&s, 800)).collect();
    s.send(inputs);
    s.finish(s.start());
    let evidence = s.evidence();
    let begin = evidence.spans.iter().map(|span| span.begin).min().unwrap_or(0);
    let since = |ns: u64| (ns - begin) / 1_000_000;
    let others: Vec<u64> = s.sent[400..]
        .iter()
        .flat_map(|sent| evidence.runs_of(&sent.input.id))
        .map(|run| since(run.end))
        .collect();
    let flowed = others.iter().max().copied().unwrap_or(u64::MAX);
    let end = evidence.spans.iter().map(|span| since(span.end)).max().unwrap_or(0);
    let waits = waits(&evidence);
    let (sum, longest) = (waits.iter().sum::<u64>(), waits.iter().max().copied().unwrap_or(0));
    assert_eq!(waits.len(), 200, "each was tried again");
    assert!(flowed < 5_000, "the others took {flowed} ms");
    assert!(sum > 20 * end, "they waited {sum} ms in {end} ms: one after another");
    assert!(longest < 13_000, "a retry within 10 s came after {longest} ms");
}

fn a_rebalance_while_retries_wait(mode: Mode) {
    let kafka = Kafka::for_test();
    let mut s = setup().mode(mode).probe().set("PROCESSOR_RETRY_BACKOFF", "6s").on(&kafka);
    // In mode partition they wait one after another.
    let count = if mode == Mode::Partition { 8 } else { 40 };
    let first = s.start();
    s.wait_for_members(2);
    let inputs: Vec<_> =
        good(&s, 200).into_iter().chain(bad(&s, count, 1)).chain(behind(&s, count)).collect();
    s.send(inputs);
    wait_for_failures(&first, if mode == Mode::Partition { 4 } else { count });
    let before = revocations(&first);
    let mut second = s.start();
    eventually(seconds(30), "partitions are revoked", || revocations(&first) > before);
    let written = s.written();
    assert!(written < s.sent.len(), "no retry waited any more when the partitions were revoked");
    s.wait_for_members(4);
    s.wait_until_committed();
    second.stop_cleanly();
    // What waited with others finished behind it was waited for, the rest was given back before anything of it was
    // written: nothing is repeated.
    s.finish(first);
}

fn a_rebalance_does_not_wait_for_the_retries(mode: Mode) {
    while_retries_never_come(setup().mode(mode));
}

/// The retries would take minutes, and others are finished behind them: all that waits is given back, and the offset map says
/// what is finished.
pub(super) fn while_retries_never_come(setup: Setup) {
    let kafka = Kafka::for_test();
    let mut s = never(setup.probe()).on(&kafka);
    let mode = s.mode;
    let mut first = s.start();
    s.wait_for_members(2);
    let inputs: Vec<_> = bad(&s, 40, OFTEN).into_iter().chain(behind(&s, 40)).chain(good(&s, 200)).collect();
    s.send(inputs);
    wait_for_failures(&first, if mode == Mode::Partition { 4 } else { 40 });
    if mode != Mode::Partition {
        wait_for_the_good(&s);
    }
    let mut second = s.start_with(&SOON);
    s.wait_for_members(4);
    s.judge_so_far();
    first.stop_cleanly();
    s.wait_until_committed();
    second.stop_cleanly();
    s.judge(0);
}

fn a_stop_gives_back_retries_that_nothing_came_behind(mode: Mode) {
    let kafka = Kafka::for_test();
    let mut s = never(setup().mode(mode).probe()).on(&kafka);
    let inputs = good(&s, 100);
    s.send(inputs);
    let mut instance = s.start();
    s.wait_until_committed();
    let inputs = bad(&s, 20, OFTEN);
    s.send(inputs);
    wait_for_failures(&instance, if mode == Mode::Partition { 4 } else { 20 });
    instance.terminate();
    assert_eq!(instance.wait_exit(seconds(35)), Some(0), "nothing has to be waited for\n{}", instance.log());
    assert_eq!(s.written(), 100, "nothing of what failed is written");
    s.judge_so_far();
    s.finish(s.start_with(&SOON));
}

#[test]
fn a_stop_gives_back_retries_that_others_were_finished_behind() {
    let kafka = Kafka::for_test();
    let mut s = never(setup().probe()).on(&kafka);
    let mut instance = stuck(&mut s);
    instance.terminate();
    assert_eq!(instance.wait_exit(seconds(35)), Some(0), "nothing has to be waited for\n{}", instance.log());
    s.judge_so_far();
    s.finish(s.start_with(&SOON));
}

/// One instance stands still for longer than its session while retries wait in it, and finds them another's.
#[test]
fn partitions_lost_while_retries_wait() {
    let kafka = Kafka::for_test();
    let mut s = never(setup().probe()).on(&kafka);
    let mut sleeper = s.start();
    let mut other = s.start_with(&SOON);
    s.wait_for_members(4);
    let inputs: Vec<_> = bad(&s, 40, OFTEN).into_iter().chain(behind(&s, 40)).chain(good(&s, 200)).collect();
    s.send(inputs);
    wait_for_failures(&sleeper, 10);
    wait_for_the_good(&s);
    sleeper.signal("STOP");
    s.wait_for_members(2);
    s.wait_until_committed();
    sleeper.signal("CONT");
    s.wait_for_members(4);
    sleeper.terminate();
    assert_eq!(sleeper.wait_exit(seconds(35)), Some(0), "nothing of it waits any more\n{}", sleeper.log());
    other.stop_cleanly();
    s.judge(behind_the_first_failure(&s));
}

/// Retries that run out, rejections and panics, in all partitions, with good records of their keys behind them. Of as many keys
/// as may fail together without being taken for an outage.
#[test]
fn many_records_fail_while_the_dead_letter_topic_is_missing() {
    let kafka = Kafka::for_test();
    let mut s = setup().probe().set("PROCESSOR_RETRY_BACKOFF", "20ms").on(&kafka);
    let instance = s.start();
    s.wait_for_members(2);
    admin::delete_topic(&kafka, &s.dead_letters);
    let of_seven = |n: usize| Input::valid(&s.id()).key(format!("bad-{}", n % 7)).to((n % 7) as i32 % 4);
    let kinds = |n: usize| {
        let input = of_seven(n);
        match n % 3 {
            0 => input.retried(9).dead("probe_retry"),
            1 => input.rejected(),
            _ => input.panicking(),
        }
    };
    let failing: Vec<_> = (0..300).map(kinds).collect();
    let inputs: Vec<_> = failing.into_iter().chain((0..300).map(of_seven)).chain(good(&s, 400)).collect();
    s.send(inputs);
    eventually(seconds(60), "all good records are written", || s.written() >= 700);
    eventually(seconds(60), "the log names the dead-letter topic", || {
        instance.log().contains(&s.dead_letters)
    });
    let committed = holds_within(seconds(3), || (0..4).any(|partition| s.committed_of(partition) > 0));
    assert!(!committed, "committed beyond a record that is nowhere");
    admin::create_topic(&kafka, &s.dead_letters, 2, &[]);
    s.finish(instance);
    let evidence = s.evidence();
    let exhausted =
        evidence.dead_letters.iter().filter(|l| l.text("processor.dlq.retryable") == Some("true"));
    assert!(exhausted.clone().all(|l| l.text("__dlq.errors.delivery.count") == Some("3")), "3 by default");
    assert_eq!(exhausted.count(), 100);
}
