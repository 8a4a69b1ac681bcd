//! Which requests there are, in which versions. Old enough for every client in use, new enough for zstd, static members
//! and fencing by generation.

use crate::faults::Request;

/// A kind of request and the versions of it that are spoken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Api {
    pub request: Request,
    pub key: i16,
    pub min: i16,
    pub max: i16,
    /// The first flexible version: lengths as varints, tagged fields.
    flexible: i16,
}

const fn api(request: Request, key: i16, versions: (i16, i16), flexible: i16) -> Api {
    Api { request, key, min: versions.0, max: versions.1, flexible }
}

/// All of them.
pub(crate) const APIS: [Api; 27] = [
    api(Request::Produce, 0, (3, 8), 9),
    api(Request::Fetch, 1, (4, 11), 12),
    api(Request::ListOffsets, 2, (1, 3), 6),
    api(Request::Metadata, 3, (1, 10), 9),
    api(Request::OffsetCommit, 8, (2, 7), 8),
    api(Request::OffsetFetch, 9, (1, 7), 6),
    api(Request::FindCoordinator, 10, (0, 2), 3),
    api(Request::JoinGroup, 11, (2, 5), 6),
    api(Request::Heartbeat, 12, (0, 3), 4),
    api(Request::LeaveGroup, 13, (0, 3), 4),
    api(Request::SyncGroup, 14, (0, 3), 4),
    api(Request::DescribeGroups, 15, (0, 4), 5),
    api(Request::ListGroups, 16, (0, 2), 3),
    api(Request::ApiVersions, 18, (0, 2), 3),
    api(Request::CreateTopics, 19, (2, 4), 5),
    api(Request::DeleteTopics, 20, (1, 3), 4),
    api(Request::DeleteRecords, 21, (0, 1), 2),
    api(Request::InitProducerId, 22, (0, 3), 2),
    api(Request::AddPartitionsToTxn, 24, (0, 2), 3),
    api(Request::AddOffsetsToTxn, 25, (0, 2), 3),
    api(Request::EndTxn, 26, (0, 2), 3),
    api(Request::TxnOffsetCommit, 28, (0, 3), 3),
    api(Request::DescribeConfigs, 32, (1, 2), 4),
    api(Request::AlterConfigs, 33, (0, 1), 2),
    api(Request::CreatePartitions, 37, (0, 1), 2),
    api(Request::DeleteGroups, 42, (0, 1), 2),
    api(Request::IncrementalAlterConfigs, 44, (0, 0), 1),
];

impl Api {
    /// The request with this key, if it is spoken in any version.
    pub(crate) fn find(key: i16) -> Option<&'static Self> {
        APIS.iter().find(|api| api.key == key)
    }

    pub(crate) fn speaks(&self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }

    pub(crate) fn is_flexible(&self, version: i16) -> bool {
        version >= self.flexible
    }
}
