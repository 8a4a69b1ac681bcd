//! What is done for each kind of request. A handler reads the whole request before it takes the lock, and writes its answer
//! after it has given the lock back, or at least copies no records under it.

mod configs;
mod fetch;
mod groups;
mod list_offsets;
mod membership;
mod metadata;
mod offsets;
mod produce;
mod topics;
mod transactions;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::api::Api;
use crate::cluster::Cluster;
use crate::faults::{Faults, Request};
use crate::wire::{Malformed, Reader, Writer};

/// How long somebody waits before it looks whether its connection was closed.
const LOOK: Duration = Duration::from_millis(200);

/// A request's circumstances.
pub(super) struct Call<'a> {
    pub cluster: &'a Cluster,
    pub faults: &'a Faults,
    pub api: &'static Api,
    pub version: i16,
    pub client_id: &'a str,
    pub client_host: &'a str,
    /// An error code that is to be the answer, instead of doing anything.
    pub refuse: Option<i16>,
    /// How long the client is told to keep quiet.
    pub throttle: Duration,
    /// Set when the broker is gone: whoever waits gives up.
    pub gone: &'a AtomicBool,
}

/// An answer's body; `None` where the client wants none. An error closes the connection.
type Handled = Result<Option<Writer>, Malformed>;

impl Call<'_> {
    fn answer(&self) -> Writer {
        Writer::new(self.api.is_flexible(self.version))
    }

    /// An answer that begins with the time to keep quiet, if its version has one.
    fn throttled_answer(&self, since: i16) -> Writer {
        let mut answer = self.answer();
        if self.version >= since {
            self.throttle(&mut answer);
        }
        answer
    }

    fn throttle(&self, answer: &mut Writer) {
        answer.i32(i32::try_from(self.throttle.as_millis()).unwrap_or(i32::MAX));
    }

    /// Whether waiting makes no sense any more.
    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// The next moment to look at something for which the deadline is `until`.
    fn look_again(&self, until: Instant) -> Instant {
        until.min(Instant::now() + LOOK)
    }

    /// What a kind of request that may be refused gives to `done`, if it is not refused.
    fn unless_refused(&self, done: impl FnOnce() -> i16) -> i16 {
        self.refuse.unwrap_or_else(done)
    }
}

/// Does what is asked.
pub(super) fn handle(call: &Call<'_>, body: &mut Reader<'_>) -> Handled {
    match call.api.request {
        Request::Produce => produce::produce(call, body),
        Request::Fetch => fetch::fetch(call, body),
        Request::ListOffsets => list_offsets::list_offsets(call, body),
        Request::Metadata => metadata::metadata(call, body),
        Request::ApiVersions => Ok(metadata::api_versions(call)),
        Request::FindCoordinator => metadata::find_coordinator(call, body),
        Request::OffsetCommit => offsets::commit(call, body),
        Request::OffsetFetch => offsets::fetch(call, body),
        Request::JoinGroup => membership::join(call, body),
        Request::SyncGroup => membership::sync(call, body),
        Request::Heartbeat => membership::heartbeat(call, body),
        Request::LeaveGroup => membership::leave(call, body),
        Request::DescribeGroups => groups::describe(call, body),
        Request::ListGroups => groups::list(call),
        Request::DeleteGroups => groups::delete(call, body),
        Request::CreateTopics => topics::create(call, body),
        Request::DeleteTopics => topics::delete(call, body),
        Request::DeleteRecords => topics::delete_records(call, body),
        Request::CreatePartitions => topics::grow(call, body),
        Request::DescribeConfigs => configs::describe(call, body),
        Request::AlterConfigs | Request::IncrementalAlterConfigs => configs::alter(call, body),
        Request::InitProducerId => transactions::init(call, body),
        Request::AddPartitionsToTxn => transactions::add_partitions(call, body),
        Request::AddOffsetsToTxn => transactions::add_offsets(call, body),
        Request::EndTxn => transactions::end(call, body),
        Request::TxnOffsetCommit => transactions::commit_offsets(call, body),
    }
}
