//! What is to go wrong: the next request of a kind, by script, or any request, by chance from a seed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The kinds of request, as Kafka's protocol names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "Kafka's protocol says what each of them is")]
pub enum Request {
    Produce,
    Fetch,
    ListOffsets,
    Metadata,
    OffsetCommit,
    OffsetFetch,
    FindCoordinator,
    JoinGroup,
    Heartbeat,
    LeaveGroup,
    SyncGroup,
    DescribeGroups,
    ListGroups,
    ApiVersions,
    CreateTopics,
    DeleteTopics,
    DeleteRecords,
    InitProducerId,
    AddPartitionsToTxn,
    AddOffsetsToTxn,
    EndTxn,
    TxnOffsetCommit,
    DescribeConfigs,
    AlterConfigs,
    CreatePartitions,
    DeleteGroups,
    IncrementalAlterConfigs,
}

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done, and this error code is the answer. A request without a place for an error code is cut.
    Refuse(i16),
    /// It is done, and then the connection closes in place of an answer.
    LoseAnswer,
    /// It is done so much later.
    Delay(Duration),
    /// The connection closes; nothing is done.
    Cut,
    /// It is done, and the client is told to keep quiet for so long.
    Throttle(Duration),
}

/// How often, in a thousand requests of the kinds that carry records, offsets or membership, each fault comes by chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// [`Fault::Refuse`] with an error that passes: not the leader, not the coordinator, the coordinator is loading.
    pub refuse: u16,
    /// [`Fault::LoseAnswer`].
    pub lose_answer: u16,
    /// [`Fault::Delay`], up to half a second.
    pub delay: u16,
    /// [`Fault::Cut`].
    pub cut: u16,
    /// [`Fault::Throttle`], up to a fifth of a second.
    pub throttle: u16,
}

/// What a broker's requests will meet. Scripts come before chance.
#[derive(Debug, Default)]
pub struct Faults {
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    scripted: HashMap<Request, VecDeque<Option<Fault>>>,
    chance: Option<(u64, Mix)>,
    injected: u64,
}

impl Faults {
    /// The next request of this kind that has no fault yet meets this one: two calls are for two requests.
    pub fn next(&self, request: Request, fault: Fault) {
        self.plan().scripted.entry(request).or_default().push_back(Some(fault));
    }

    /// The next request of this kind that has no fault yet meets none; for scripts that begin later.
    pub fn spare(&self, request: Request) {
        self.plan().scripted.entry(request).or_default().push_back(None);
    }

    /// From now on faults come by chance. The same seed and the same requests give the same faults.
    pub fn by_chance(&self, seed: u64, mix: Mix) {
        self.plan().chance = Some((seed, mix));
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        let mut plan = self.plan();
        plan.scripted.clear();
        plan.chance = None;
    }

    /// How many faults there were so far.
    pub fn injected(&self) -> u64 {
        self.plan().injected
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
