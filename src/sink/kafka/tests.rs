//! The sink on a client that does as it is told: no Kafka, no thread, and time that the test makes pass.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};

use super::report::Settled;
use super::{Deps, KafkaSink, Settings};
use crate::clock::ManualClock;
use crate::kafka::context::Context;
use crate::ops::metrics::{About, Metrics};
use crate::policy::Partitioning;
use crate::record::Headers;
use crate::sink::batches::Batches;
use crate::sink::client::{Client, Connect, Outgoing, Report, Undelivered};
use crate::sink::route::Route;
use crate::sink::{Leg, NO_KEY, OUT_OF_RANGE, Outbox, Parcel, Refusal, TOO_LARGE, Target};
use crate::sync::Mutex;

/// A parcel is a number, and so many legs.
#[derive(Debug)]
struct Letter(u64, Target, usize, AtomicBool);

impl Letter {
    fn new(number: u64, target: Target, legs: usize) -> Arc<Self> {
        Arc::new(Self(number, target, legs, AtomicBool::default()))
    }
}

static NO_HEADERS: Headers = Headers::new();

impl Parcel for Letter {
    fn legs(&self) -> usize {
        self.2
    }

    fn leg(&self, _: usize) -> Leg<'_> {
        let (target, source) = (self.1, (0, self.0 as i64));
        Leg { target, source, key: None, value: None, headers: &NO_HEADERS, timestamp: None }
    }

    fn order(&self) -> (u32, u64) {
        (0, self.0)
    }

    fn turn(&self) -> &AtomicBool {
        &self.3
    }
}

#[derive(Default)]
struct Desk {
    waiting: Mutex<VecDeque<Arc<Letter>>>,
    delivered: Mutex<Vec<u64>>,
    refused: Mutex<Vec<(u64, &'static str)>>,
    put_off: Mutex<Vec<u64>>,
}

impl Outbox for Desk {
    type Parcel = Letter;

    fn take(&self, _: usize, max: usize, out: &mut Vec<Arc<Letter>>) -> bool {
        let mut waiting = self.waiting.lock();
        let count = max.min(waiting.len());
        out.extend(waiting.drain(..count));
        !out.is_empty()
    }

    fn delivered(&self, parcels: &mut Vec<Arc<Letter>>) {
        self.delivered.lock().extend(parcels.drain(..).map(|letter| letter.0));
    }

    fn refused(&self, parcel: Letter, refusal: &Refusal) {
        self.refused.lock().push((parcel.0, refusal.code));
    }

    fn put_back(&self, parcels: Vec<Arc<Letter>>) {
        let mut waiting = self.waiting.lock();
        waiting.extend(parcels);
        waiting.make_contiguous().sort_by_key(|letter| letter.0);
    }

    fn put_off(&self, parcel: Letter) {
        self.put_off.lock().push(parcel.0);
    }
}

/// What happens to letters, whichever client has them.
#[derive(Default)]
struct Post {
    /// What is answered instead of "delivered", once each.
    failures: Mutex<HashMap<u64, Code>>,
    /// What is not taken at all, once each.
    untaken: Mutex<HashMap<u64, Code>>,
    /// As long as it says so, nothing is taken but the first.
    full: Mutex<bool>,
    /// What was taken, leg by leg.
    taken: Mutex<Vec<u64>>,
    /// What clients say before they answer.
    says: Mutex<Vec<(Code, String)>>,
    clients: Mutex<Vec<Vec<String>>>,
    purges: Mutex<usize>,
    /// Nothing that was taken is answered before it is purged.
    silent: Mutex<bool>,
    /// These are not either, once each.
    forgotten: Mutex<HashSet<u64>>,
    /// Whether a new client is answered.
    served: Mutex<bool>,
    /// Letters that the broker never takes, and with them whole batches; and whether it says whose fault it is.
    refused: Mutex<HashMap<u64, Code>>,
    names: Mutex<bool>,
    /// Letters of a batch that the broker takes; each is of [`BYTES`].
    takes: Mutex<usize>,
    /// What the cluster says of that, where we may ask.
    limit: Mutex<Option<usize>>,
    /// Of the dead-letter topic, once it is there.
    partitions: Mutex<Option<i32>>,
    /// How each client was told to put batches together.
    batches: Mutex<Vec<Batches>>,
}

/// Of a letter.
const BYTES: usize = 1_000;
/// Letters in a batch of a client that was not told otherwise.
const MANY: usize = 100;

impl Post {
    /// What a broker says of a batch.
    fn judge(&self, batch: &[Arc<Letter>]) -> Vec<Result<(), Undelivered>> {
        let refused = self.refused.lock();
        let code = batch.iter().find_map(|letter| refused.get(&letter.0).copied());
        let takes = *self.takes.lock();
        let too_large = takes > 0 && batch.len() > takes;
        let code = if too_large { Some(Code::MessageSizeTooLarge) } else { code };
        let Some(code) = code else { return vec![Ok(()); batch.len()] };
        let shared = (batch.len() > 1).then_some(batch.len() * BYTES);
        let one = |letter: &Arc<Letter>| match refused.get(&letter.0) {
            _ if !*self.names.lock() || too_large => Err(Undelivered { code, shared }),
            Some(code) => Err((*code).into()),
            None => Err(Code::InvalidDifferentRecord.into()),
        };
        batch.iter().map(one).collect()
    }
}

struct FakeConnect(Arc<Post>);

struct FakeClient {
    post: Arc<Post>,
    sent: Mutex<VecDeque<Arc<Letter>>>,
    /// How many letters go into one batch.
    many: usize,
    reports: Mutex<VecDeque<Report<Letter>>>,
}

impl Connect<Letter> for FakeConnect {
    type Client = FakeClient;

    fn connect(&self, topics: &[&str], batches: Batches) -> KafkaResult<FakeClient> {
        self.0.clients.lock().push(topics.iter().map(ToString::to_string).collect());
        self.0.batches.lock().push(batches);
        let size = batches.size.map_or(MANY, |size| (size / BYTES).max(1));
        Ok(FakeClient {
            post: self.0.clone(),
            sent: Mutex::default(),
            many: if batches.alone { 1 } else { size },
            reports: Mutex::default(),
        })
    }

    fn largest_batch(&self, _: &[&str]) -> Option<usize> {
        *self.0.limit.lock()
    }
}

impl Client<Letter> for FakeClient {
    fn write<V>(&self, parcel: Arc<Letter>, view: V) -> Result<(), (Arc<Letter>, Code)>
    where
        V: for<'a> FnOnce(&'a Letter) -> Outgoing<'a>,
    {
        assert_eq!(view(&parcel).topic, parcel.1 as usize);
        if let Some(code) = self.post.untaken.lock().remove(&parcel.0) {
            return Err((parcel, code));
        }
        if *self.post.full.lock() && !self.post.taken.lock().is_empty() {
            return Err((parcel, Code::QueueFull));
        }
        self.post.taken.lock().push(parcel.0);
        self.sent.lock().push_back(parcel);
        Ok(())
    }

    fn poll(&self, _: Duration, see: &mut dyn FnMut(Report<Letter>)) -> bool {
        if let Some((code, text)) = self.post.says.lock().pop() {
            see(Report::Error(code, text));
            return true;
        }
        if *self.post.silent.lock() {
            return false;
        }
        if self.reports.lock().is_empty() {
            self.send();
        }
        let Some(report) = self.reports.lock().pop_front() else { return false };
        see(report);
        true
    }

    fn purge(&self) {
        *self.post.purges.lock() += 1;
        *self.post.silent.lock() = false;
        self.post.forgotten.lock().clear();
    }

    fn is_served(&self, _: &str, _: Duration) -> bool {
        *self.post.served.lock()
    }

    fn partitions(&self, _: &str, _: Duration) -> Option<i32> {
        *self.post.partitions.lock()
    }
}

impl FakeClient {
    /// As an idempotent producer without gaps: it is broken by a batch that is refused, and gives up what is behind it.
    fn send(&self) {
        let mut sent = self.sent.lock();
        let forgotten = self.post.forgotten.lock();
        let (kept, mut batch): (Vec<_>, Vec<_>) =
            sent.drain(..).partition(|letter| forgotten.contains(&letter.0));
        sent.extend(kept);
        sent.extend(batch.drain(self.many.min(batch.len())..));
        let answers = self.post.judge(&batch);
        let mut reports = self.reports.lock();
        let is_refused = answers.iter().any(Result::is_err);
        if is_refused {
            reports.push_back(Report::Error(Code::Fatal, "a gap".to_owned()));
        }
        for (letter, answer) in batch.into_iter().zip(answers) {
            let failure = self.post.failures.lock().remove(&letter.0);
            let answer = failure.map_or(answer, |code| Err(code.into()));
            reports.push_back(Report::Delivery(letter, answer));
        }
        if is_refused {
            reports
                .extend(sent.drain(..).map(|letter| Report::Delivery(letter, Err(Code::PurgeQueue.into()))));
        }
    }
}

struct Bench {
    sink: KafkaSink<Desk, FakeConnect>,
    desk: Arc<Desk>,
    post: Arc<Post>,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn new() -> Self {
        Self::with_dead_letters_in_order(false)
    }

    fn with_dead_letters_in_order(dead_letters_in_order: bool) -> Self {
        Self::of(Target::Output, dead_letters_in_order)
    }

    fn for_dead_letters() -> Self {
        Self::of(Target::DeadLetter, false)
    }

    fn of(writes: Target, dead_letters_in_order: bool) -> Self {
        let (desk, post, clock) =
            (Arc::<Desk>::default(), Arc::<Post>::default(), Arc::new(ManualClock::new()));
        let metrics = Arc::new(Metrics::new(About::default()));
        let neighbours = Deps {
            outbox: desk.clone(),
            context: Context::new(Arc::default(), metrics),
            clock: clock.clone(),
        };
        let dead = Some("dead".to_owned());
        let settings = Settings {
            route: Arc::new(Route::new("out".to_owned(), dead, Partitioning::SamePartition)),
            writes,
            dead_letters_in_order,
            patience: Duration::from_secs(90),
        };
        let sink = KafkaSink::new(settings, FakeConnect(post.clone()), neighbours).unwrap();
        Self { sink, desk, post, clock }
    }

    fn give(&self, numbers: std::ops::Range<u64>) {
        self.desk.waiting.lock().extend(numbers.map(|number| Letter::new(number, Target::Output, 1)));
    }

    /// What the threads do, as far as they get without waiting.
    fn go_on(&self) {
        if self.sink.flow.lock().halt.is_none() {
            self.sink.produce(0);
        }
        self.sink.take_answers(&self.sink.client());
        self.sink.maybe_replace_client();
        self.sink.maybe_resume();
    }

    /// With a producer thread: does what is to be done `first`, then the delivery thread's work until so many are delivered.
    fn until_delivered(&self, count: usize, first: impl FnOnce()) {
        std::thread::scope(|scope| {
            let producer = scope.spawn(|| self.sink.produce(0));
            first();
            let until = std::time::Instant::now() + Duration::from_secs(10);
            while self.delivered().len() < count && std::time::Instant::now() < until {
                self.clock.pass(50);
                self.sink.take_answers(&self.sink.client());
                self.sink.maybe_resume();
            }
            self.sink.stop();
            producer.join().unwrap();
        });
    }

    fn delivered(&self) -> Vec<u64> {
        self.desk.delivered.lock().clone()
    }
}

#[test]
fn what_failed_is_written_again_after_a_pause_and_before_what_is_newer() {
    let bench = Bench::new();
    bench.give(0..4);
    bench.post.failures.lock().insert(1, Code::UnknownTopicOrPartition);
    bench.go_on();
    assert_eq!(bench.delivered(), [0, 2, 3]);
    bench.give(4..6);
    bench.clock.pass(249);
    bench.go_on();
    assert_eq!(bench.delivered(), [0, 2, 3], "a halted flow hands over nothing");
    bench.clock.pass(1);
    bench.go_on();
    bench.go_on();
    assert_eq!(bench.delivered(), [0, 2, 3, 1, 4, 5]);
    assert_eq!((bench.sink.outstanding(), bench.post.clients.lock().len()), (0, 1));
}

#[test]
fn a_pause_doubles_until_something_is_written_again() {
    let bench = Bench::new();
    bench.give(0..1);
    for pause in [250, 500, 1000] {
        bench.post.failures.lock().insert(0, Code::TopicAuthorizationFailed);
        bench.go_on();
        bench.clock.pass(pause - 1);
        bench.go_on();
        assert!(bench.sink.flow.lock().halt.is_some(), "{pause} ms are not over");
        bench.clock.pass(1);
        bench.go_on();
        assert!(bench.sink.flow.lock().halt.is_none(), "{pause} ms are over");
    }
    bench.go_on();
    assert_eq!(bench.delivered(), [0]);
    assert_eq!(bench.sink.flow.lock().pause, Duration::from_millis(250));
}

#[test]
fn a_full_queue_is_waited_for_and_nobody_overtakes() {
    let bench = Bench::new();
    bench.give(0..4);
    bench.post.untaken.lock().extend([(0, Code::QueueFull), (2, Code::QueueFull)]);
    bench.go_on();
    assert_eq!(bench.delivered(), [0, 1, 2, 3]);
    assert!(bench.sink.flow.lock().halt.is_none());
}

#[test]
fn a_broken_client_is_purged_and_replaced_and_nothing_is_lost() {
    let bench = Bench::new();
    bench.give(0..3);
    bench.post.says.lock().push((Code::Fatal, "fenced".to_owned()));
    bench.post.failures.lock().extend([(1, Code::PurgeInflight), (2, Code::PurgeQueue)]);
    bench.go_on();
    assert!(*bench.post.purges.lock() > 0);
    assert_eq!((bench.delivered(), bench.post.clients.lock().len()), (vec![0], 1));
    bench.clock.pass(250);
    bench.go_on();
    bench.go_on();
    assert_eq!(bench.delivered(), [0, 1, 2]);
    assert_eq!(*bench.post.clients.lock(), [["out", "dead"], ["out", "dead"]]);
}

/// The ones behind it are in the same thread's hands already.
#[test]
fn what_a_broken_client_does_not_take_is_not_overtaken_by_what_is_handed_over_with_it() {
    let bench = Bench::new();
    bench.give(0..4);
    bench.post.untaken.lock().insert(1, Code::Fatal);
    bench.until_delivered(4, || {});
    assert_eq!(bench.delivered(), [0, 1, 2, 3]);
    assert_eq!((bench.sink.outstanding(), bench.post.clients.lock().len()), (0, 2));
}

/// What is handed over while the rest of the batch is read would come out before it.
#[test]
fn the_first_failure_that_is_seen_halts_the_flow_at_once() {
    let bench = Bench::new();
    bench.give(0..2);
    bench.post.failures.lock().insert(0, Code::TopicAuthorizationFailed);
    bench.sink.produce(0);
    let mut settled = Settled::default();
    bench.sink.client().poll(Duration::ZERO, &mut |report| bench.sink.take(report, &mut settled));
    assert!(bench.sink.flow.lock().halt.is_some());
    bench.sink.close(settled);
    bench.clock.pass(250);
    bench.go_on();
    bench.go_on();
    assert_eq!(bench.delivered(), [1, 0]);
}

/// Its second result would stand in the output before its first, and the next letter before it.
#[test]
fn behind_a_result_that_is_not_taken_nothing_is_handed_over() {
    let bench = Bench::new();
    bench.desk.waiting.lock().push_back(Letter::new(0, Target::Output, 2));
    bench.give(1..2);
    bench.post.untaken.lock().insert(0, Code::UnknownPartition);
    bench.until_delivered(2, || {});
    assert_eq!(*bench.post.taken.lock(), [0, 0, 1]);
    assert_eq!(bench.delivered(), [0, 1]);
}

/// The queue has room as soon as what it was full of has failed.
#[test]
fn who_waits_for_room_does_not_overtake_what_has_failed_meanwhile() {
    let bench = Bench::new();
    bench.give(0..3);
    *bench.post.full.lock() = true;
    bench.post.failures.lock().insert(0, Code::UnknownTopicOrPartition);
    bench.until_delivered(3, || {
        while bench.post.taken.lock().is_empty() {
            std::thread::yield_now();
        }
        bench.sink.take_answers(&bench.sink.client());
        *bench.post.full.lock() = false;
    });
    assert_eq!(bench.delivered(), [0, 1, 2]);
    assert_eq!(*bench.post.taken.lock(), [0, 0, 1, 2]);
}

#[test]
fn a_refused_record_and_a_dead_letter_that_must_wait_halt_nobody() {
    let bench = Bench::new();
    bench.give(0..3);
    bench.desk.waiting.lock().push_back(Letter::new(3, Target::DeadLetter, 1));
    bench.post.failures.lock().extend([(1, Code::MessageSizeTooLarge), (3, Code::UnknownTopicOrPartition)]);
    bench.go_on();
    assert!(bench.sink.flow.lock().halt.is_none());
    assert_eq!(bench.delivered(), [0, 2]);
    assert_eq!(*bench.desk.refused.lock(), [(1, TOO_LARGE)]);
    assert_eq!(*bench.desk.put_off.lock(), [3]);
    assert!(bench.sink.route().misses_dead_letters());
}

/// Offered again later, it would come out behind others of its lane.
#[test]
fn a_dead_letter_whose_place_counts_halts_the_flow_and_keeps_it() {
    let bench = Bench::with_dead_letters_in_order(true);
    for number in 0..3 {
        bench.desk.waiting.lock().push_back(Letter::new(number, Target::DeadLetter, 1));
    }
    bench.post.failures.lock().extend([(1, Code::UnknownTopicOrPartition)]);
    bench.go_on();
    assert!(bench.sink.flow.lock().halt.is_some() && bench.sink.route().misses_dead_letters());
    assert!(bench.desk.put_off.lock().is_empty());
    bench.clock.pass(250);
    bench.go_on();
    bench.go_on();
    let mut delivered = bench.delivered();
    delivered.sort_unstable();
    assert_eq!(delivered, [0, 1, 2]);
}

/// A record whose answer never comes, while the broker serves a new client.
#[test]
fn a_delivery_that_is_never_answered_costs_its_client_and_comes_again() {
    let bench = Bench::new();
    bench.give(0..2);
    bench.go_on();
    *bench.post.silent.lock() = true;
    *bench.post.served.lock() = true;
    bench.give(2..4);
    bench.go_on();
    bench.post.failures.lock().extend([(2, Code::PurgeInflight), (3, Code::PurgeQueue)]);
    bench.clock.pass(89_999);
    bench.go_on();
    assert_eq!((*bench.post.purges.lock(), bench.sink.outstanding()), (0, 2));
    bench.clock.pass(1);
    bench.go_on();
    assert!(*bench.post.purges.lock() > 0);
    for _ in 0..3 {
        bench.clock.pass(250);
        bench.go_on();
    }
    assert_eq!((bench.delivered(), bench.sink.outstanding()), (vec![0, 1, 2, 3], 0));
    // The first, the one that was asked whether it is answered, and the second.
    assert_eq!(bench.post.clients.lock().len(), 3);
}

/// Time does not count from one answer to the next: others are answered all the while.
#[test]
fn what_is_answered_does_not_hide_what_is_not() {
    let bench = Bench::new();
    *bench.post.served.lock() = true;
    bench.give(0..2);
    bench.post.forgotten.lock().insert(0);
    bench.post.failures.lock().insert(0, Code::PurgeInflight);
    for number in 1..=95 {
        bench.give(number + 1..number + 2);
        bench.go_on();
        assert_eq!(*bench.post.purges.lock() > 0, number > 90, "after {number} s");
        bench.clock.pass(1_000);
    }
    bench.go_on();
    bench.clock.pass(1_000);
    bench.go_on();
    assert_eq!((bench.delivered().len(), bench.sink.outstanding()), (97, 0));
}

/// A new client would wait as the old one does, and what is on its way would be written twice for nothing.
#[test]
fn while_no_broker_answers_the_client_is_kept() {
    let bench = Bench::new();
    *bench.post.silent.lock() = true;
    bench.give(0..2);
    bench.go_on();
    bench.go_on();
    for _ in 0..600 {
        bench.clock.pass(1_000);
        bench.go_on();
    }
    assert_eq!((*bench.post.purges.lock(), bench.sink.outstanding()), (0, 2));
    assert!(bench.post.clients.lock().len() < 30, "it is not asked all the time");
    *bench.post.silent.lock() = false;
    bench.go_on();
    assert_eq!(bench.delivered(), [0, 1]);
}

/// As where a partition takes nothing for hours: each new client is given twice the time of the one before.
#[test]
fn a_client_that_does_no_better_is_kept_for_longer() {
    let bench = Bench::new();
    *bench.post.served.lock() = true;
    bench.give(0..1);
    let mut replaced = Vec::new();
    for second in 0..4_000 {
        bench.post.failures.lock().insert(0, Code::PurgeInflight);
        *bench.post.silent.lock() = bench.sink.flow.lock().halt.is_none();
        let before = bench.post.clients.lock().len();
        bench.go_on();
        if bench.post.clients.lock().len() > before && bench.sink.flow.lock().halt.is_some() {
            replaced.push(second);
        }
        bench.clock.pass(1_000);
    }
    let pauses: Vec<u64> = replaced.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.len() >= 4, "{replaced:?}");
    for (pause, times) in pauses.iter().zip([2, 4, 8, 16]) {
        assert!((90 * times..90 * times + 15).contains(pause), "{replaced:?}");
    }
}
impl Bench {
    /// Until so many are written or refused, in no more than so many rounds. No time passes.
    fn settle(&self, count: usize, rounds: usize) {
        for _ in 0..rounds {
            self.go_on();
            self.sink.maybe_rebatch();
            if self.delivered().len() + self.desk.refused.lock().len() == count {
                return;
            }
        }
        panic!("{count} are not settled after {rounds} rounds: {:?}", self.delivered());
    }

    fn is_as_at_first(&self) -> bool {
        self.go_on();
        self.sink.maybe_rebatch();
        self.sink.maybe_resume();
        self.post.batches.lock().last() == Some(&Batches::default())
    }
}

/// Its neighbours are written, in their order, and nobody waits.
#[test]
fn of_a_batch_that_is_refused_only_the_record_at_fault_is() {
    for names in [false, true] {
        for (code, reason) in [(Code::InvalidTimestamp, OUT_OF_RANGE), (Code::InvalidRecord, NO_KEY)] {
            let bench = Bench::new();
            *bench.post.names.lock() = names;
            bench.post.refused.lock().extend([(7, code), (130, code)]);
            bench.give(0..300);
            bench.settle(300, 20);
            let expected: Vec<u64> = (0..300).filter(|letter| ![7, 130].contains(letter)).collect();
            assert_eq!(bench.delivered(), expected, "named: {names}");
            assert_eq!(*bench.desk.refused.lock(), [(7, reason), (130, reason)]);
            assert!(bench.is_as_at_first(), "batches are as large as before");
        }
    }
}

#[test]
fn a_batch_that_is_too_large_is_written_in_smaller_ones_and_nothing_is_refused() {
    for limit in [None, Some(12 * BYTES)] {
        let bench = Bench::new();
        *bench.post.takes.lock() = 12;
        *bench.post.limit.lock() = limit;
        bench.give(0..300);
        bench.settle(300, 20);
        assert_eq!(bench.delivered(), (0..300).collect::<Vec<_>>());
        assert!(bench.desk.refused.lock().is_empty());
        let clients = bench.post.clients.lock().len();
        assert!(limit.is_none() || clients == 2, "what the topic takes is asked: {clients} clients");
        // As soon as the topic may take more it is tried, though nothing fails.
        *bench.post.takes.lock() = 0;
        assert!(!bench.is_as_at_first());
        bench.clock.pass(60_000);
        assert!(bench.is_as_at_first());
    }
}

#[test]
fn a_record_that_is_too_large_alone_is_refused_and_its_neighbours_are_not() {
    let bench = Bench::new();
    bench.post.refused.lock().insert(150, Code::MessageSizeTooLarge);
    bench.give(0..300);
    bench.settle(300, 30);
    assert_eq!(bench.delivered(), (0..300).filter(|letter| *letter != 150).collect::<Vec<_>>());
    assert_eq!(*bench.desk.refused.lock(), [(150, TOO_LARGE)]);
}

/// By itself the client would wait for the topic with all of them, in a partition that is guessed.
#[test]
fn a_dead_letter_without_a_topic_is_not_handed_over_until_it_is_there() {
    let bench = Bench::for_dead_letters();
    bench.sink.route().miss_dead_letters();
    bench.desk.waiting.lock().push_back(Letter::new(0, Target::DeadLetter, 1));
    bench.go_on();
    assert_eq!((bench.post.taken.lock().len(), bench.desk.put_off.lock().clone()), (0, vec![0]));
    *bench.post.partitions.lock() = Some(4);
    bench.desk.waiting.lock().push_back(Letter::new(1, Target::DeadLetter, 1));
    bench.go_on();
    assert_eq!(bench.delivered(), [1]);
}
