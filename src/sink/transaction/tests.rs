//! The transactor on a cluster of a few lines that does as it is told, and a real ledger: no thread, and time that the test makes
//! pass.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};

use super::client::{Committed, Committer, Failed, Remedy, Transactional};
use super::{Deps, Halt, PartitionOutlook, Releases, Settings, Transactor, Trouble, Work};
use crate::checkpoint::ledger::Watermark;
use crate::checkpoint::tracker::Times;
use crate::checkpoint::{Beginning, Budget, End, Ledger, Slot, Ticket};
use crate::clock::{Clock, ManualClock};
use crate::kafka::context::Context;
use crate::kafka::membership::{GroupMetadata, Membership};
use crate::ops::metrics::{About, Metrics};
use crate::policy::Partitioning;
use crate::record::Headers;
use crate::record::TopicPartition;
use crate::sink::batches::Batches;
use crate::sink::client::{Client, Connect, Outgoing, Report, Undelivered};
use crate::sink::route::Route;
use crate::sink::{Leg, Outbox, Parcel, Refusal, Target};
use crate::sync::Mutex;

/// What became of a record: something to write, or nothing.
#[derive(Debug)]
struct Letter {
    ticket: Ticket,
    offset: i64,
    target: Option<Target>,
    /// Of no meaning in transactions.
    turn: AtomicBool,
}

static NO_HEADERS: Headers = Headers::new();

impl Parcel for Letter {
    fn legs(&self) -> usize {
        usize::from(self.target.is_some())
    }

    fn leg(&self, _: usize) -> Leg<'_> {
        let target = self.target.expect("asked for only if there is one");
        Leg {
            target,
            source: (0, self.offset),
            key: None,
            value: None,
            headers: &NO_HEADERS,
            timestamp: None,
        }
    }

    fn turn(&self) -> &AtomicBool {
        &self.turn
    }

    fn order(&self) -> (u32, u64) {
        (self.ticket.slot.epoch, self.ticket.sequence())
    }
}

/// The pipeline, as far as the transactor sees it.
struct Desk {
    ledger: Mutex<Ledger>,
    waiting: Mutex<VecDeque<Arc<Letter>>>,
    refused: Mutex<Vec<i64>>,
}

impl Outbox for Desk {
    type Parcel = Letter;

    fn take(&self, _: usize, _: usize, out: &mut Vec<Arc<Letter>>) -> bool {
        out.extend(self.waiting.lock().drain(..));
        true
    }

    fn delivered(&self, parcels: &mut Vec<Arc<Letter>>) {
        let mut ledger = self.ledger.lock();
        parcels.drain(..).for_each(|letter| _ = ledger.finish(&letter.ticket, End::Produced));
    }

    /// It becomes a dead letter, in its place.
    fn refused(&self, parcel: Letter, _: &Refusal) {
        self.refused.lock().push(parcel.offset);
        self.waiting.lock().push_back(Arc::new(Letter { target: Some(Target::DeadLetter), ..parcel }));
    }

    fn put_back(&self, parcels: Vec<Arc<Letter>>) {
        self.waiting.lock().extend(parcels);
    }

    fn put_off(&self, parcel: Letter) {
        self.waiting.lock().push_back(Arc::new(parcel));
    }
}

impl Releases for Desk {
    fn place(parcel: &Letter) -> (Slot, u64) {
        (parcel.ticket.slot, parcel.ticket.sequence())
    }

    fn take_until(&self, shard: usize, max: usize, _: Instant, out: &mut Vec<Arc<Letter>>) -> bool {
        self.take(shard, max, out)
    }

    fn outlook(&self, owner: usize) -> PartitionOutlook {
        let ledger = self.ledger.lock();
        PartitionOutlook { leaving: ledger.is_leaving(owner), uncommitted: ledger.is_uncommitted(owner) }
    }

    fn cuts(&self, slots: Vec<Slot>) -> Vec<(Slot, Option<u64>)> {
        let ledger = self.ledger.lock();
        slots.into_iter().map(|slot| (slot, ledger.cut(slot))).collect()
    }

    fn give_back(&self, parcels: Vec<Arc<Letter>>) {
        let mut ledger = self.ledger.lock();
        parcels.iter().for_each(|letter| ledger.drop_unfinished(&letter.ticket));
    }

    fn watermarks(&self, owner: usize, released: &[(Slot, u64)]) -> Option<Vec<Watermark>> {
        self.ledger.lock().watermarks(owner, released)
    }

    fn committed(&self, parcels: &mut Vec<Arc<Letter>>, watermarks: &[Watermark]) {
        self.delivered(parcels);
        let mut ledger = self.ledger.lock();
        watermarks.iter().for_each(|watermark| ledger.committed_with_results(watermark));
    }
}

/// How a call fails, once.
#[derive(Clone, Copy, Debug)]
struct Failure {
    remedy: Remedy,
    /// What it was asked for is done all the same.
    done: bool,
}

/// The cluster: what is visible, and what the group has.
struct Bank {
    clock: Arc<ManualClock>,
    /// Offsets of records, and where their results are; of committed transactions only.
    visible: Mutex<Vec<(i64, Target)>>,
    committed: Mutex<HashMap<TopicPartition, i64>>,
    /// The only generation whose offsets are taken.
    generation: Mutex<i32>,
    commits: Mutex<VecDeque<Failure>>,
    refused: Mutex<Vec<i64>>,
    /// Why, and how many letters of a batch are taken.
    code: Mutex<Code>,
    takes: Mutex<usize>,
    /// How each client was told to put batches together.
    batches: Mutex<Vec<Batches>>,
    /// How long it takes until an answer to a commit comes.
    commit_ms: Mutex<u64>,
    /// Clients that were made; only the last one may commit.
    clients: Mutex<usize>,
}

/// A transaction: what is written in it, and its offsets.
type Open = (Vec<(i64, Target)>, HashMap<TopicPartition, i64>);

struct FakeConnect(Arc<Bank>);

struct FakeClient {
    bank: Arc<Bank>,
    number: usize,
    sent: Mutex<VecDeque<Arc<Letter>>>,
    open: Mutex<Option<Open>>,
    /// How many letters go into one batch.
    many: usize,
    reports: Mutex<VecDeque<Report<Letter>>>,
}

/// Letters in a batch of a client that was not told otherwise, and bytes of each.
const MANY: usize = 100;
const BYTES: usize = 1_000;

impl Connect<Letter> for FakeConnect {
    type Client = FakeClient;

    fn connect(&self, _: &[&str], batches: Batches) -> KafkaResult<FakeClient> {
        let mut clients = self.0.clients.lock();
        *clients += 1;
        self.0.batches.lock().push(batches);
        let size = batches.size.map_or(MANY, |size| (size / BYTES).max(1));
        Ok(FakeClient {
            bank: self.0.clone(),
            number: *clients,
            sent: Mutex::default(),
            open: Mutex::default(),
            many: if batches.alone { 1 } else { size },
            reports: Mutex::default(),
        })
    }

    fn largest_batch(&self, _: &[&str]) -> Option<usize> {
        None
    }
}

impl Committer<Letter> for FakeConnect {
    fn committed(&self, partitions: &[TopicPartition]) -> KafkaResult<HashMap<TopicPartition, Committed>> {
        let committed = self.0.committed.lock();
        let of = |partition: &TopicPartition| {
            let offset = *committed.get(partition)?;
            Some((partition.clone(), Committed { offset, metadata: String::new() }))
        };
        Ok(partitions.iter().filter_map(of).collect())
    }
}

impl Client<Letter> for FakeClient {
    fn write<V>(&self, parcel: Arc<Letter>, view: V) -> Result<(), (Arc<Letter>, Code)>
    where
        V: for<'a> FnOnce(&'a Letter) -> Outgoing<'a>,
    {
        assert!(self.open.lock().is_some(), "a record outside of a transaction");
        assert_eq!(Some(view(&parcel).topic), parcel.target.map(|target| target as usize));
        self.sent.lock().push_back(parcel);
        Ok(())
    }

    fn poll(&self, wait: Duration, see: &mut dyn FnMut(Report<Letter>)) -> bool {
        if self.reports.lock().is_empty() {
            self.send();
        }
        let Some(report) = self.reports.lock().pop_front() else {
            self.bank.clock.pass(wait.as_millis() as u64);
            return false;
        };
        see(report);
        true
    }

    fn purge(&self) {}

    fn is_served(&self, _: &str, _: Duration) -> bool {
        true
    }

    fn partitions(&self, _: &str, _: Duration) -> Option<i32> {
        Some(1)
    }
}

impl FakeClient {
    /// A batch goes to the broker, which takes it or not.
    fn send(&self) {
        let mut sent = self.sent.lock();
        let count = self.many.min(sent.len());
        let batch: Vec<_> = sent.drain(..count).collect();
        let (code, takes) = (*self.bank.code.lock(), *self.bank.takes.lock());
        let at_fault =
            |letter: &Letter| letter.target == OUT && self.bank.refused.lock().contains(&letter.offset);
        let is_refused = batch.iter().any(|letter| at_fault(letter)) || batch.len() > takes;
        let shared = (batch.len() > 1).then_some(batch.len() * BYTES);
        for letter in batch {
            let target = letter.target.expect("it was written");
            if let Some((records, _)) = self.open.lock().as_mut().filter(|_| !is_refused) {
                records.push((letter.offset, target));
            }
            let answer = if is_refused { Err(Undelivered { code, shared }) } else { Ok(()) };
            self.reports.lock().push_back(Report::Delivery(letter, answer));
        }
    }
}

fn failed(remedy: Remedy) -> Failed {
    Failed { code: Code::Fail, text: "as it was told".to_owned(), remedy }
}

impl Transactional<Letter> for FakeClient {
    fn init(&self, _: &str, _: Duration) -> Result<(), Failed> {
        Ok(())
    }

    fn begin(&self) -> Result<(), Failed> {
        assert!(self.open.lock().replace(Default::default()).is_none(), "begun twice");
        Ok(())
    }

    fn send_offsets(
        self: &Arc<Self>,
        offsets: &[(TopicPartition, Committed)],
        member: &Membership,
        _: Duration,
    ) -> Result<(), Failed> {
        if member.generation != *self.bank.generation.lock() {
            return Err(failed(Remedy::Abort));
        }
        let mut open = self.open.lock();
        let (_, held) = open.as_mut().expect("offsets in a transaction");
        held.extend(offsets.iter().map(|(partition, committed)| (partition.clone(), committed.offset)));
        Ok(())
    }

    fn commit(&self, _: Duration) -> Result<(), Failed> {
        assert!(self.sent.lock().is_empty() && self.reports.lock().is_empty(), "not all is reported");
        assert_eq!(self.number, *self.bank.clients.lock(), "a client that is shut out");
        self.bank.clock.pass(*self.bank.commit_ms.lock());
        let failure = self.bank.commits.lock().pop_front();
        if failure.is_none_or(|failure| failure.done) {
            let (records, offsets) = self.open.lock().take().expect("a transaction");
            self.bank.visible.lock().extend(records);
            self.bank.committed.lock().extend(offsets);
        }
        failure.map_or(Ok(()), |failure| Err(failed(failure.remedy)))
    }

    fn abort(&self, _: Duration) -> Result<(), Failed> {
        // As the real one: it waits for reports.
        if !self.sent.lock().is_empty() || !self.reports.lock().is_empty() {
            return Err(failed(Remedy::Again));
        }
        *self.open.lock() = None;
        Ok(())
    }
}

struct Bench {
    desk: Arc<Desk>,
    bank: Arc<Bank>,
    standing: Arc<GroupMetadata>,
    clock: Arc<ManualClock>,
    transactor: Transactor<Desk, FakeConnect>,
    work: Work<Letter>,
    slots: Vec<Slot>,
    _troubles: Receiver<Trouble>,
}

const PARTITIONS: i32 = 2;

impl Bench {
    fn new() -> Self {
        let budget = Budget { records: 1_000, bytes: 1 << 20 };
        let mut ledger = Ledger::new(budget);
        let slots = (0..PARTITIONS).map(|n| assign(&mut ledger, n, 0)).collect();
        let desk = Arc::new(Desk {
            ledger: Mutex::new(ledger),
            waiting: Mutex::default(),
            refused: Mutex::default(),
        });
        let context = Context::new(Arc::default(), Arc::new(Metrics::new(About::default())));
        let (clock, standing) = (Arc::new(ManualClock::new()), Arc::<GroupMetadata>::default());
        let bank = Arc::new(Bank {
            clock: clock.clone(),
            visible: Mutex::default(),
            committed: Mutex::default(),
            generation: Mutex::default(),
            commits: Mutex::default(),
            refused: Mutex::default(),
            code: Mutex::new(Code::MessageSizeTooLarge),
            takes: Mutex::new(usize::MAX),
            batches: Mutex::default(),
            commit_ms: Mutex::default(),
            clients: Mutex::default(),
        });
        let (trouble, troubles) = unbounded();
        let settings = Settings {
            index: 0,
            group: "group".to_owned(),
            name: "group-instance-0".to_owned(),
            interval: Duration::from_millis(100),
            most: 100,
            timeout: Duration::from_secs(10),
        };
        let neighbours = Deps {
            outbox: desk.clone(),
            route: Arc::new(Route::new(
                "out".to_owned(),
                Some("dlq".to_owned()),
                Partitioning::SamePartition,
            )),
            context,
            standing: standing.clone(),
            trouble,
            clock: clock.clone(),
        };
        let transactor = Transactor::new(settings, FakeConnect(bank.clone()), neighbours).expect("a client");
        let work = Work::new(clock.now());
        let mut bench = Self { desk, bank, standing, clock, transactor, work, slots, _troubles: troubles };
        bench.join(1);
        bench
    }

    /// The group is in this generation, and the consumer's thread knows it.
    fn join(&mut self, generation: i32) {
        *self.bank.generation.lock() = generation;
        let (group, member) = ("group".to_owned(), "member".to_owned());
        self.standing.set(Some(Membership { group, generation, member, instance: None }));
    }

    /// Records are read from a partition; returned are their tickets.
    fn read(&self, partition: usize, offsets: std::ops::Range<i64>) -> Vec<(Ticket, i64)> {
        let mut ledger = self.desk.ledger.lock();
        let times = Times { timestamp: 0, admitted: self.clock.now() };
        offsets
            .map(|offset| (ledger.deliver(self.slots[partition], offset, times, 1).expect("new"), offset))
            .collect()
    }

    /// The workers are done with these, in this order.
    fn done(&self, records: impl IntoIterator<Item = (Ticket, i64)>, target: Option<Target>) {
        let letters = records
            .into_iter()
            .map(|(ticket, offset)| Arc::new(Letter { ticket, offset, target, turn: AtomicBool::default() }));
        self.desk.waiting.lock().extend(letters);
    }

    /// As the thread does, until there is nothing to do for an interval; failures are recovered from.
    fn run(&mut self) {
        let mut halt: Option<Halt> = None;
        for _ in 0..20 {
            let mut parcels = Vec::new();
            self.desk.take(0, 0, &mut parcels);
            parcels.into_iter().for_each(|parcel| self.work.lines.hold(Desk::place(&parcel), parcel));
            halt = match halt {
                Some(halt) => self.transactor.recover(&mut self.work, halt).err(),
                None => self.transactor.turn(&mut self.work).err(),
            };
            self.clock.pass(50);
        }
        assert!(halt.is_none(), "{halt:?}");
    }

    /// How long a transaction was open until its commit began, in milliseconds; a record is in it.
    fn open_ms(&mut self, record: (Ticket, i64)) -> u64 {
        let before = self.visible().len();
        let letter =
            Arc::new(Letter { ticket: record.0, offset: record.1, target: OUT, turn: AtomicBool::default() });
        self.work.lines.hold(Desk::place(&letter), letter);
        for open in 0.. {
            self.transactor.turn(&mut self.work).expect("all goes well");
            if self.visible().len() > before {
                return open;
            }
            self.clock.pass(1);
        }
        unreachable!("it is committed some time")
    }

    /// Offsets of records whose results are visible, in the order in which they became so.
    fn visible(&self) -> Vec<i64> {
        self.bank.visible.lock().iter().map(|(offset, _)| *offset).collect()
    }

    fn committed(&self, partition: i32) -> Option<i64> {
        self.bank.committed.lock().get(&(Arc::from("in"), partition)).copied()
    }

    fn in_flight(&self) -> usize {
        self.desk.ledger.lock().in_flight().records
    }

    fn fail_a_commit(&self, remedy: Remedy, done: bool) {
        self.bank.commits.lock().push_back(Failure { remedy, done });
    }
}

fn assign(ledger: &mut Ledger, partition: i32, start: i64) -> Slot {
    ledger.assign(0, Arc::from("in"), partition, Beginning { start, ..Beginning::default() })
}

const OUT: Option<Target> = Some(Target::Output);
const DLQ: Option<Target> = Some(Target::DeadLetter);

#[test]
fn starts_are_committed_with_nothing_else() {
    let mut bench = Bench::new();
    bench.run();
    assert_eq!((bench.committed(0), bench.committed(1)), (Some(0), Some(0)));
    assert!(bench.visible().is_empty());
}

/// Else whoever waits for a record waits for an interval and for two commits.
#[test]
fn a_transaction_lasts_an_interval_together_with_its_commit() {
    let mut bench = Bench::new();
    bench.run();
    let records = bench.read(0, 0..60);
    let (quick, slow) = records.split_at(20);
    assert_eq!(bench.open_ms(quick[0]), 100);
    *bench.bank.commit_ms.lock() = 30;
    let open: Vec<u64> = quick[1..].iter().map(|record| bench.open_ms(*record)).collect();
    assert!(open.is_sorted_by(|one, next| one >= next), "{open:?}");
    assert_eq!(open.last(), Some(&71), "{open:?}");
    *bench.bank.commit_ms.lock() = 400;
    let open: Vec<u64> = slow.iter().map(|record| bench.open_ms(*record)).collect();
    assert_eq!(open.last(), Some(&50), "commits alone would be made: {open:?}");
}

#[test]
fn nothing_is_written_before_what_stands_before_it_and_offsets_go_with_it() {
    let mut bench = Bench::new();
    let records = bench.read(0, 0..6);
    bench.done([records[2], records[1], records[5]], OUT);
    bench.run();
    assert_eq!((bench.visible(), bench.committed(0)), (vec![], Some(0)), "0 is missing");
    assert_eq!(bench.in_flight(), 6);
    bench.done([records[0]], OUT);
    bench.run();
    assert_eq!((bench.visible(), bench.committed(0)), (vec![0, 1, 2], Some(3)), "3 is missing");
    assert_eq!(bench.in_flight(), 3, "what is committed is finished, and nothing else");
    bench.done([records[4], records[3]], OUT);
    bench.run();
    assert_eq!(
        (bench.visible(), bench.committed(0), bench.in_flight()),
        (vec![0, 1, 2, 3, 4, 5], Some(6), 0)
    );
}

#[test]
fn dead_letters_and_what_has_no_result_go_with_the_rest() {
    let mut bench = Bench::new();
    let records = bench.read(0, 0..3);
    bench.done([records[0]], DLQ);
    bench.done([records[1]], None);
    bench.done([records[2]], OUT);
    bench.run();
    let visible = bench.bank.visible.lock().clone();
    assert_eq!(visible, [(0, Target::DeadLetter), (2, Target::Output)]);
    assert_eq!((bench.committed(0), bench.in_flight()), (Some(3), 0));
}

#[test]
fn what_was_aborted_is_written_again_in_its_order() {
    let mut bench = Bench::new();
    bench.run();
    let (records, others) = (bench.read(0, 0..3), bench.read(1, 10..12));
    bench.done(records.into_iter().rev().chain(others), OUT);
    for _ in 0..2 {
        bench.fail_a_commit(Remedy::Abort, false);
    }
    bench.run();
    let mut visible = bench.visible();
    visible.sort_by_key(|offset| *offset >= 10);
    assert_eq!(visible, [0, 1, 2, 10, 11]);
    assert_eq!((bench.committed(0), bench.committed(1), bench.in_flight()), (Some(3), Some(12), 0));
    assert_eq!(*bench.bank.clients.lock(), 1, "an abort needs no other client");
}

#[test]
fn what_is_refused_becomes_a_dead_letter_in_its_place_and_the_rest_is_written_once() {
    let mut bench = Bench::new();
    bench.run();
    bench.bank.refused.lock().push(1);
    let records = bench.read(0, 0..3);
    bench.done(records, OUT);
    bench.run();
    let visible = bench.bank.visible.lock().clone();
    assert_eq!(visible, [(0, Target::Output), (1, Target::DeadLetter), (2, Target::Output)]);
    assert_eq!((bench.committed(0), bench.in_flight()), (Some(3), 0));
}

/// The broker judges a batch, and names nobody.
#[test]
fn of_a_batch_that_is_refused_only_the_record_at_fault_becomes_a_dead_letter() {
    for code in [Code::InvalidTimestamp, Code::InvalidRecord, Code::MessageSizeTooLarge] {
        let mut bench = Bench::new();
        bench.run();
        *bench.bank.code.lock() = code;
        bench.bank.refused.lock().extend([7, 40]);
        let records = bench.read(0, 0..60);
        bench.done(records, OUT);
        bench.run();
        let target = |offset| if [7, 40].contains(&offset) { Target::DeadLetter } else { Target::Output };
        let expected: Vec<_> = (0..60).map(|offset| (offset, target(offset))).collect();
        assert_eq!(*bench.bank.visible.lock(), expected, "{code:?}");
        assert_eq!((bench.committed(0), bench.in_flight()), (Some(60), 0));
        // What comes behind is not slower for it.
        bench.clock.pass(60_000);
        bench.run();
        assert_eq!(bench.bank.batches.lock().last(), Some(&Batches::default()));
    }
}

#[test]
fn a_batch_that_is_too_large_is_written_in_smaller_ones() {
    let mut bench = Bench::new();
    bench.run();
    *bench.bank.takes.lock() = 12;
    let records = bench.read(0, 0..60);
    bench.done(records, OUT);
    bench.run();
    assert_eq!(bench.visible(), (0..60).collect::<Vec<_>>());
    assert!(bench.desk.refused.lock().is_empty());
}

/// The client breaks at the commit, and only the group's offsets tell what became of it.
fn the_outcome_is_unknown(done: bool) {
    let mut bench = Bench::new();
    bench.run();
    let (records, others) = (bench.read(0, 0..3), bench.read(1, 0..2));
    bench.done(records.into_iter().chain(others), OUT);
    bench.fail_a_commit(Remedy::Rebuild, done);
    bench.run();
    let mut visible = bench.visible();
    visible.sort_unstable();
    assert_eq!(visible, [0, 0, 1, 1, 2], "done: {done}");
    assert_eq!((bench.committed(0), bench.committed(1), bench.in_flight()), (Some(3), Some(2), 0));
    assert_eq!(*bench.bank.clients.lock(), 2);
}

#[test]
fn a_commit_that_was_done_and_is_not_known_to_be_is_not_done_again() {
    the_outcome_is_unknown(true);
}

#[test]
fn a_commit_that_was_not_done_and_is_not_known_to_be_is_done_again() {
    the_outcome_is_unknown(false);
}

/// An abort that the broker grants does not prove that the commit before it had not been done.
#[test]
fn a_commit_that_is_to_be_aborted_and_was_done_is_not_done_again() {
    let mut bench = Bench::new();
    bench.run();
    let records = bench.read(0, 0..3);
    bench.done(records, OUT);
    bench.fail_a_commit(Remedy::Abort, true);
    bench.run();
    assert_eq!((bench.visible(), bench.committed(0), bench.in_flight()), (vec![0, 1, 2], Some(3), 0));
}

/// The member was thrown out and has joined again; the partition is somebody else's, who has committed more.
#[test]
fn what_was_read_in_an_assignment_that_is_gone_is_neither_written_nor_committed() {
    let mut bench = Bench::new();
    bench.run();
    let records = bench.read(0, 0..3);
    bench.done(records, OUT);
    let mut parcels = Vec::new();
    bench.desk.take(0, 0, &mut parcels);
    parcels.into_iter().for_each(|parcel| bench.work.lines.hold(Desk::place(&parcel), parcel));
    bench.transactor.turn(&mut bench.work).expect("it is written, and not committed yet");
    bench.desk.ledger.lock().revoke(bench.slots[0]);
    bench.bank.committed.lock().insert((Arc::from("in"), 0), 5);
    bench.join(3);
    bench.run();
    assert_eq!((bench.visible(), bench.committed(0)), (vec![], Some(5)), "the watermark went back");
    assert_eq!(bench.in_flight(), 0, "what is dropped takes nothing of the budget");
}

#[test]
fn an_old_generation_commits_nothing_until_the_member_has_heard_of_the_new_one() {
    let mut bench = Bench::new();
    bench.run();
    let records = bench.read(0, 0..3);
    bench.done(records, OUT);
    *bench.bank.generation.lock() = 2;
    bench.run();
    assert_eq!((bench.visible(), bench.committed(0)), (vec![], Some(0)));
    bench.join(2);
    bench.run();
    bench.run();
    assert_eq!((bench.visible(), bench.committed(0), bench.in_flight()), (vec![0, 1, 2], Some(3), 0));
}

#[test]
fn what_is_behind_a_record_that_was_given_back_is_dropped() {
    let mut bench = Bench::new();
    bench.run();
    let records = bench.read(0, 0..4);
    bench.done([records[0], records[2], records[3]], OUT);
    bench.desk.ledger.lock().leave(bench.slots[0]);
    bench.desk.ledger.lock().drop_unfinished(&records[1].0);
    bench.run();
    assert_eq!((bench.visible(), bench.committed(0), bench.in_flight()), (vec![0], Some(1), 0));
}

/// Else a consumer that gives up what is in flight pays for a transaction with each handful of it.
#[test]
fn a_partition_that_is_given_up_ends_a_transaction_once_all_that_is_ready_is_in_it() {
    let mut bench = Bench::new();
    bench.run();
    let mut turn = |offsets: std::ops::Range<i64>, more| {
        for (ticket, offset) in bench.read(0, offsets) {
            let letter = Arc::new(Letter { ticket, offset, target: OUT, turn: AtomicBool::default() });
            bench.work.lines.hold(Desk::place(&letter), letter);
        }
        bench.desk.ledger.lock().leave(bench.slots[1]);
        bench.work.more = more;
        bench.transactor.turn(&mut bench.work).expect("all goes well");
        bench.visible().len()
    };
    assert_eq!(turn(0..3, true), 0, "more is ready");
    assert_eq!(turn(3..5, false), 5);
}
