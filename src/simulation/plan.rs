//! What a seed stands for: the shape of the program and of its cluster, the records, and what goes wrong when.

use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;

use crate::checkpoint::Budget;
use crate::policy::{AfterFailure, Order, Partitioning};

/// What the transform, and the output, make of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Emit,
    Several(u32),
    Filter,
    Reject,
    Panic,
    /// Fails so many times, then works.
    Fails(u32),
    /// Fails always: a dead letter.
    Hopeless,
    /// Takes so many milliseconds.
    Slow(u64),
    /// The output refuses it: a dead letter.
    TooLarge,
    /// So does the dead-letter topic, unless its value is left out.
    Huge,
}

impl Kind {
    /// How many records it becomes on the output.
    pub(super) fn legs(self) -> u32 {
        match self {
            Self::Several(legs) => legs,
            Self::Emit | Self::Fails(_) | Self::Slow(_) => 1,
            _ => 0,
        }
    }

    /// Whether it ends as a dead letter.
    pub(super) fn dies(self) -> bool {
        matches!(self, Self::Reject | Self::Panic | Self::Hopeless | Self::TooLarge | Self::Huge)
    }
}

/// A record to be written to the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draft {
    pub partition: i32,
    /// Offsets left out before it.
    pub hole: i64,
    pub key: Option<u8>,
    pub kind: Kind,
}

/// What happens at a time.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Append(Vec<Draft>),
    Start(usize),
    /// Drains, commits, leaves.
    Stop(usize),
    /// Stops without waiting.
    Abort(usize),
    /// From this moment nothing that the instance does has an effect.
    Kill(usize),
    /// The group throws a member out, which hears of it later.
    Evict,
    /// The members are to be assigned anew.
    Rebalance,
    /// No broker does anything for so long.
    Silence(Duration),
    /// An output topic (0) or dead-letter topic (1) refuses everything for so long.
    Sick(usize, Duration, Code),
    /// A producer ends in a fatal error.
    Break,
    /// Somebody else uses the name of a client's transactions, once.
    ShutOut,
}

/// Chances, in percent, of what may go wrong with a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chances {
    pub commit_refused: u8,
    pub commit_lost: u8,
    pub commit_answer_lost: u8,
    pub commit_late: u8,
    pub queue_full: u8,
    pub produce_retried: u8,
    pub produce_late: u8,
    pub ambiguous: u8,
    pub unanswered: u8,
    pub went_back: u8,
    pub forged: u8,
    pub call_refused: u8,
    pub call_lost: u8,
    pub call_answer_lost: u8,
    pub call_late: u8,
    pub call_breaks: u8,
}

/// How the world lies, to show that the oracle sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sabotage {
    LosesRecord,
    WritesTwice,
    SwapsRecords,
    InventsRecord,
    CommitsTooFar,
    CommitsBack,
    MapNamesOpenRecords,
    NoOrder,
    ExceedsBudget,
    NeverAnswers,
    GivesSecondMemberTheSame,
    ShowsAborted,
    DropsOffsets,
    TakesZombies,
    EpochUnchecked,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub seed: u64,
    pub clean: bool,
    /// In transactions.
    pub exactly_once: bool,
    /// After how long the coordinator aborts one that is open.
    pub transaction_timeout: Duration,
    /// Whether an instance's transactions are called as those of the one before it.
    pub named: bool,
    /// The group has run before, without transactions, and left offset maps.
    pub earlier: bool,
    pub partitions: i32,
    pub outputs: i32,
    pub instances: usize,
    pub order: Order,
    pub partitioning: Partitioning,
    pub after_failure: AfterFailure,
    /// The thread that reads may run the transform.
    pub quick: bool,
    pub workers: usize,
    pub producers: usize,
    pub consumers: usize,
    pub pick_up: Option<usize>,
    pub budget: Budget,
    /// How long a delivery may wait while the broker answers others.
    pub patience: Duration,
    pub commit_interval: Duration,
    pub cooperative: bool,
    pub fixed_members: bool,
    pub session: Duration,
    pub rebalance: Duration,
    pub revoke: Duration,
    pub drain: Duration,
    pub metadata_limit: usize,
    /// Milliseconds that a request takes at most.
    pub latency: u64,
    pub chances: Chances,
    pub acts: Vec<(Duration, Act)>,
    /// When faults stop.
    pub heal_at: Duration,
    pub sabotage: Option<Sabotage>,
    /// A topic that has failed a record may take the next one before the application has seen that.
    pub sharp: bool,
}

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Tries that a record has.
pub(super) const ATTEMPTS: u32 = 3;

impl Plan {
    /// What the seed says, in transactions or without.
    pub(super) fn of(seed: u64, exactly_once: bool) -> Self {
        let mut plan = Self::new(seed);
        plan.draw_unanswered(&mut fastrand::Rng::with_seed(seed ^ 0x57a1));
        if exactly_once {
            plan.draw_transactions(&mut fastrand::Rng::with_seed(seed ^ 0x0e05));
        }
        plan
    }

    fn draw_unanswered(&mut self, random: &mut fastrand::Rng) {
        if !self.clean && random.u8(..3) == 0 {
            self.chances.unanswered = random.u8(1..=60);
            self.patience = MS(random.u64(500..=3_000));
        }
    }

    fn draw_transactions(&mut self, random: &mut fastrand::Rng) {
        self.exactly_once = true;
        self.named = random.bool();
        let more = if self.clean { 60_000 } else { random.u64(50..=1_000) };
        self.transaction_timeout = self.commit_interval + MS(more);
        self.earlier = self.metadata_limit == 4096 && random.u8(..4) == 0;
        if self.earlier {
            self.chances.forged = 0;
        }
        if self.clean {
            return;
        }
        let mut some = |most: u8| if random.u8(..3) == 0 { random.u8(1..=most) } else { 0 };
        self.chances.call_refused = some(30);
        self.chances.call_lost = some(40);
        self.chances.call_answer_lost = some(50);
        self.chances.call_late = some(40);
        self.chances.call_breaks = some(15);
        let end = self.heal_at.as_millis() as u64;
        for _ in 0..random.usize(..4) {
            self.acts.push((MS(random.u64(..end)), Act::ShutOut));
        }
        self.acts.sort_by_key(|(at, _)| *at);
    }

    /// Everything that the seed says, without transactions.
    pub(super) fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x5151);
        let random = &mut random;
        let clean = random.u8(..4) == 0;
        let long = MS(600_000);
        let mut plan = Self {
            seed,
            clean,
            exactly_once: false,
            transaction_timeout: MS(0),
            named: false,
            earlier: false,
            partitions: random.i32(1..=3),
            outputs: random.i32(1..=3),
            instances: random.usize(1..=3),
            order: [Order::Key, Order::Key, Order::Key, Order::Partition, Order::Unordered]
                [random.usize(..5)],
            partitioning: [Partitioning::Murmur2, Partitioning::SamePartition, Partitioning::RoundRobin]
                [random.usize(..3)],
            after_failure: AfterFailure::Continue,
            quick: fastrand::Rng::with_seed(seed ^ 0x9c1c).bool(),
            workers: random.usize(1..=3),
            producers: random.usize(1..=2),
            consumers: if random.u8(..3) == 0 { 2 } else { 1 },
            pick_up: [None, Some(1), Some(2), Some(8)][random.usize(..4)],
            budget: Budget { records: random.usize(2..=30), bytes: 1 << random.u32(12..=20) },
            patience: MS(3_000),
            commit_interval: MS(random.u64(5..=300)),
            cooperative: random.bool(),
            fixed_members: random.u8(..4) == 0,
            session: if clean { MS(1_000) } else { MS(random.u64(80..=500)) },
            rebalance: if clean { long } else { MS(random.u64(150..=900)) },
            revoke: if clean { long } else { MS(random.u64(10..=400)) },
            drain: if clean { long } else { MS(random.u64(20..=800)) },
            metadata_limit: 4096,
            latency: random.u64(1..=12),
            chances: Chances::default(),
            acts: Vec::new(),
            heal_at: MS(random.u64(300..=1_500)),
            sabotage: None,
            sharp: false,
        };
        if !clean {
            plan.chances = chances(random);
            plan.metadata_limit = [4096, 4096, 4096, 40, 8][random.usize(..5)];
        }
        plan.draw_records(random);
        plan.draw_lives(random);
        plan.draw_events(random);
        plan.acts.sort_by_key(|(at, _)| *at);
        plan
    }

    fn draw_records(&mut self, random: &mut fastrand::Rng) {
        let mut left = random.usize(20..=70);
        let keys = random.u8(1..=6);
        // Some seeds have no record that fails, some many.
        let trouble = random.u8(..60);
        while left > 0 {
            let count = random.usize(1..=left.min(25));
            left -= count;
            let at = if random.bool() { MS(0) } else { MS(random.u64(..self.heal_at.as_millis() as u64)) };
            let partition = random.i32(0..self.partitions);
            let draft = |random: &mut fastrand::Rng| Draft {
                partition,
                hole: if random.u8(..6) == 0 { random.i64(1..4) } else { 0 },
                key: (random.u8(..8) > 0).then(|| random.u8(..keys)),
                kind: kind(random, trouble, self.clean),
            };
            let drafts = (0..count).map(|_| draft(random)).collect();
            self.acts.push((at, Act::Append(drafts)));
        }
    }

    /// Each instance starts, and now and then stops in one way or another and starts again.
    fn draw_lives(&mut self, random: &mut fastrand::Rng) {
        let end = self.heal_at.as_millis() as u64;
        for number in 0..self.instances {
            let mut at = random.u64(..100) + if number > 0 { random.u64(..end / 2) } else { 0 };
            while at < end {
                self.acts.push((MS(at), Act::Start(number)));
                at += random.u64(20..=end);
                if at >= end {
                    break;
                }
                let stop = match random.u8(..4) {
                    _ if self.clean => Act::Stop(number),
                    0 => Act::Stop(number),
                    1 => Act::Abort(number),
                    _ => Act::Kill(number),
                };
                self.acts.push((MS(at), stop));
                at += random.u64(1..=300);
            }
        }
    }

    fn draw_events(&mut self, random: &mut fastrand::Rng) {
        let end = self.heal_at.as_millis() as u64;
        let events = random.usize(..6);
        for _ in 0..events {
            let long = MS(random.u64(1..=end / 2));
            let act = match random.u8(..6) {
                _ if self.clean => Act::Rebalance,
                0 | 1 => Act::Evict,
                2 => Act::Rebalance,
                3 => Act::Silence(long),
                4 => {
                    let codes = [
                        Code::UnknownTopicOrPartition,
                        Code::TopicAuthorizationFailed,
                        Code::NotEnoughReplicas,
                    ];
                    Act::Sick(random.usize(..2), long, codes[random.usize(..3)])
                }
                _ => Act::Break,
            };
            self.acts.push((MS(random.u64(..end)), act));
        }
    }
}

fn chances(random: &mut fastrand::Rng) -> Chances {
    let mut some = |most: u8| if random.u8(..3) == 0 { random.u8(1..=most) } else { 0 };
    Chances {
        commit_refused: some(60),
        commit_lost: some(40),
        commit_answer_lost: some(40),
        commit_late: some(60),
        queue_full: some(20),
        produce_retried: some(50),
        produce_late: some(60),
        ambiguous: some(10),
        went_back: some(50),
        forged: some(100),
        ..Chances::default()
    }
}

fn kind(random: &mut fastrand::Rng, trouble: u8, clean: bool) -> Kind {
    if random.u8(..100) >= trouble {
        return Kind::Emit;
    }
    match random.u8(..11) {
        0 | 1 => Kind::Several(random.u32(2..=3)),
        2 => Kind::Filter,
        3 => Kind::Reject,
        4 => Kind::Panic,
        5 | 6 => Kind::Fails(random.u32(1..ATTEMPTS)),
        7 => Kind::Hopeless,
        8 => Kind::TooLarge,
        9 if !clean => Kind::Huge,
        _ => Kind::Slow(random.u64(1..=60)),
    }
}
