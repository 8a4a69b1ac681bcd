//! What is to go wrong: the next request of a kind, by script, or any request, by chance from a seed.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;

use crate::codes;

/// The kinds of request, as Kafka's protocol names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "Kafka's protocol says what each of them is")]
#[non_exhaustive]
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
#[non_exhaustive]
pub enum Fault {
    /// Nothing is done, and this error code is the answer, for every topic, partition or group that it names.
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
    chance: Option<(fastrand::Rng, Mix)>,
    injected: u64,
    /// The latest producer that has written.
    producer: i64,
    unanswered: Option<Unanswered>,
    fenced: bool,
}

/// Whose writes have no answer.
#[derive(Clone, Copy, Debug)]
struct Unanswered {
    /// Producers up to this one.
    upto: i64,
    /// In this partition only.
    partition: Option<i32>,
}

impl Faults {
    /// The next request of this kind that has no fault yet meets this one: two calls are for two requests.
    pub fn next(&self, request: Request, fault: Fault) {
        self.plan.lock().scripted.entry(request).or_default().push_back(Some(fault));
    }

    /// The next request of this kind that has no fault yet meets none; for scripts that begin later.
    pub fn spare(&self, request: Request) {
        self.plan.lock().scripted.entry(request).or_default().push_back(None);
    }

    /// From now on faults come by chance. The same seed and the same requests give the same faults.
    pub fn by_chance(&self, seed: u64, mix: Mix) {
        self.plan.lock().chance = Some((fastrand::Rng::with_seed(seed), mix));
    }

    /// Whether the broker is fenced, as one of Kafka's is that its controller has not heard of for a while: it still answers, but
    /// names no broker and no leader, and does nothing that a leader or coordinator does.
    pub fn fence(&self, fenced: bool) {
        self.plan.lock().fenced = fenced;
    }

    /// Whether this answer names no broker.
    pub(crate) fn is_fenced(&self) -> bool {
        let mut plan = self.plan.lock();
        plan.injected += u64::from(plan.fenced);
        plan.fenced
    }

    /// From now on idempotent producers that have written so far have no answer to their writes, to all or to those to one
    /// partition, by whichever connection they come; they are done. All other requests are answered, and so are producers that
    /// begin later.
    pub fn leave_writes_unanswered(&self, partition: Option<i32>) {
        let mut plan = self.plan.lock();
        plan.unanswered = Some(Unanswered { upto: plan.producer, partition });
    }

    /// Whether this producer's write to this partition has no answer.
    pub(crate) fn leaves_unanswered(&self, producer: i64, partition: i32) -> bool {
        let mut plan = self.plan.lock();
        plan.producer = plan.producer.max(producer);
        let unanswered = plan.unanswered.is_some_and(|whose| {
            producer <= whose.upto && whose.partition.is_none_or(|only| only == partition)
        });
        plan.injected += u64::from(unanswered);
        unanswered
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        let mut plan = self.plan.lock();
        (plan.unanswered, plan.fenced) = (None, false);
        plan.scripted.clear();
        plan.chance = None;
    }

    /// How many faults there were so far; of the requests that a fenced broker refuses, none counts.
    pub fn injected(&self) -> u64 {
        self.plan.lock().injected
    }

    /// What this request meets.
    pub(crate) fn take(&self, request: Request) -> Option<Fault> {
        let mut plan = self.plan.lock();
        if let Some(code) =
            passing_errors(request).first().filter(|_| plan.fenced && request != Request::Metadata)
        {
            return Some(Fault::Refuse(*code));
        }
        let scripted = plan.scripted.get_mut(&request).and_then(VecDeque::pop_front);
        let fault = match scripted {
            Some(scripted) => scripted,
            None => plan.chance.as_mut().and_then(|(random, mix)| mix.draw(request, random)),
        };
        plan.injected += u64::from(fault.is_some());
        fault
    }
}

/// Errors that pass, which a real broker gives for these requests when leaders and coordinators move. Empty: requests that
/// chance leaves alone.
fn passing_errors(request: Request) -> &'static [i16] {
    match request {
        Request::Produce | Request::Fetch | Request::ListOffsets => &[codes::NOT_LEADER],
        Request::Metadata => &[codes::LEADER_NOT_AVAILABLE],
        Request::FindCoordinator => &[codes::COORDINATOR_NOT_AVAILABLE],
        Request::OffsetCommit
        | Request::OffsetFetch
        | Request::JoinGroup
        | Request::SyncGroup
        | Request::Heartbeat
        | Request::InitProducerId
        | Request::AddPartitionsToTxn
        | Request::AddOffsetsToTxn
        | Request::EndTxn
        | Request::TxnOffsetCommit => &[codes::COORDINATOR_LOADING, codes::NOT_COORDINATOR],
        _ => &[],
    }
}

impl Mix {
    fn draw(self, request: Request, random: &mut fastrand::Rng) -> Option<Fault> {
        let errors = passing_errors(request);
        let up_to = |random: &mut fastrand::Rng, ms| Duration::from_millis(random.u64(1..ms));
        let dice = random.u16(..1000);
        let mut limit = 0;
        let mut hits = |share: u16| {
            limit += share;
            dice < limit
        };
        match () {
            () if errors.is_empty() => None,
            () if hits(self.refuse) => Some(Fault::Refuse(errors[random.usize(..errors.len())])),
            () if hits(self.lose_answer) => Some(Fault::LoseAnswer),
            () if hits(self.delay) => Some(Fault::Delay(up_to(random, 500))),
            () if hits(self.cut) => Some(Fault::Cut),
            () if hits(self.throttle) => Some(Fault::Throttle(up_to(random, 200))),
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_come_first_and_each_request_has_one_of_them() {
        let faults = Faults::default();
        faults.spare(Request::Produce);
        faults.next(Request::Produce, Fault::Cut);
        assert_eq!(faults.take(Request::Fetch), None);
        assert_eq!(faults.take(Request::Produce), None);
        assert_eq!(faults.take(Request::Produce), Some(Fault::Cut));
        assert_eq!(faults.take(Request::Produce), None);
        assert_eq!(faults.injected(), 1);
    }

    #[test]
    fn only_producers_that_have_written_before_have_no_answer() {
        let faults = Faults::default();
        assert!(!faults.leaves_unanswered(7, 0));
        faults.leave_writes_unanswered(Some(0));
        assert!(faults.leaves_unanswered(7, 0) && !faults.leaves_unanswered(7, 1));
        assert!(!faults.leaves_unanswered(8, 0), "it began later");
        faults.clear();
        assert!(!faults.leaves_unanswered(7, 0));
    }

    #[test]
    fn a_seed_gives_the_same_faults_again_and_as_many_as_the_mix_says() {
        let draw = |seed| {
            let faults = Faults::default();
            faults.by_chance(seed, Mix { refuse: 50, lose_answer: 50, delay: 50, cut: 50, throttle: 50 });
            (0..4000).map(|_| faults.take(Request::Produce)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let hit = draw(7).iter().flatten().count();
        assert!((800..1200).contains(&hit), "a quarter of 4000, not {hit}");
    }

    #[test]
    fn chance_leaves_an_operators_requests_alone() {
        let faults = Faults::default();
        faults.by_chance(1, Mix { refuse: 1000, ..Mix::default() });
        assert_eq!(faults.take(Request::CreateTopics), None);
        assert!(faults.take(Request::EndTxn).is_some());
        faults.clear();
        assert_eq!(faults.take(Request::EndTxn), None);
    }
}
