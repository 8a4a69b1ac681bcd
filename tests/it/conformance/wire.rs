//! A tiny client of Kafka's protocol, for what librdkafka hides from its user: exact error codes and fields.
//!
//! One connection, one request at a time. Every answer is read to its last byte: one field too many or too few fails
//! the test that asked. The requests themselves are in `wire/`, by subject.

mod admin;
mod batch;
mod bytes;
mod groups;
mod log;
mod metadata;
mod transactions;

use std::io::{Read, Write};
use std::net::TcpStream;

pub(crate) use admin::{Described, MemberDescription, TopicRequest};
pub(crate) use batch::{Batch, CHECKED_FROM, Stored, crc32c};
pub(crate) use bytes::{Answer, Body};
pub(crate) use groups::{Commit, Joined, Me, subscription};
pub(crate) use log::{FetchRequest, Fetched, Listed, Produced, READ_COMMITTED, READ_UNCOMMITTED};
pub(crate) use transactions::{Identity, TxnCommit};

use crate::support::kafka::Kafka;
use crate::support::{eventually, seconds};

/// Which request: Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub(crate) enum Api {
    Produce = 0,
    Fetch = 1,
    ListOffsets = 2,
    Metadata = 3,
    OffsetCommit = 8,
    OffsetFetch = 9,
    FindCoordinator = 10,
    JoinGroup = 11,
    Heartbeat = 12,
    LeaveGroup = 13,
    SyncGroup = 14,
    DescribeGroups = 15,
    ListGroups = 16,
    Versions = 18,
    CreateTopics = 19,
    DeleteTopics = 20,
    DeleteRecords = 21,
    InitProducerId = 22,
    AddPartitionsToTxn = 24,
    AddOffsetsToTxn = 25,
    EndTxn = 26,
    TxnOffsetCommit = 28,
    DescribeConfigs = 32,
    AlterConfigs = 33,
    CreatePartitions = 37,
    DeleteGroups = 42,
    IncrementalAlterConfigs = 44,
}

impl Api {
    /// From this version on, headers and bodies have compact lengths and tagged fields.
    fn flexible_from(self) -> i16 {
        match self {
            Self::Metadata => 9,
            Self::OffsetFetch => 6,
            Self::InitProducerId => 2,
            Self::TxnOffsetCommit => 3,
            _ => i16::MAX,
        }
    }
}

/// What a real broker says while it is not ready, and a client waits out: the coordinator loads, is not known yet, has
/// moved, or still writes the last transaction's markers.
const NOT_YET: [i16; 4] = [LOADING, 15, 16, 51];
/// The coordinator still reads its log.
const LOADING: i16 = 14;

/// Asks again while the broker is not ready; gives the first answer that is one.
pub(crate) fn patiently(mut ask: impl FnMut() -> i16) -> i16 {
    let mut code = 0;
    eventually(seconds(60), "the coordinator is ready", || {
        code = ask();
        !NOT_YET.contains(&code)
    });
    code
}

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    correlation: i32,
}

impl Wire {
    /// Connects to the cluster's first broker.
    pub(crate) fn to(kafka: &Kafka) -> Self {
        Self::open(kafka.servers.split(',').next().expect("a cluster has a broker"))
    }

    /// Connects to the coordinator of this group, once it serves it.
    pub(crate) fn to_group(kafka: &Kafka, group: &str) -> Self {
        let mut wire = Self::to_coordinator(kafka, 0, group);
        let nobody = Me { group, ..Me::default() };
        // A coordinator that still reads its log tells a heartbeat, and only that, that all is well.
        patiently(|| match wire.heartbeat(&nobody) {
            0 => LOADING,
            code => code,
        });
        wire
    }

    /// Connects to the coordinator of this transactional id.
    pub(crate) fn to_transactions(kafka: &Kafka, id: &str) -> Self {
        Self::to_coordinator(kafka, 1, id)
    }

    fn to_coordinator(kafka: &Kafka, kind: i8, key: &str) -> Self {
        let (mut wire, mut address) = (Self::to(kafka), String::new());
        let found = patiently(|| {
            let (code, host, port) = wire.find_coordinator(kind, key);
            address = format!("{host}:{port}");
            code
        });
        assert_eq!(found, 0, "the coordinator of {key} is found");
        Self::open(&address)
    }

    fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_nodelay(true).expect("a socket option");
        stream.set_read_timeout(Some(seconds(60))).expect("a socket option");
        Self { stream, correlation: 0 }
    }

    /// Asks, and reads the whole answer.
    pub(crate) fn call<T>(
        &mut self,
        api: Api,
        version: i16,
        body: Body,
        read: impl FnOnce(&mut Answer) -> T,
    ) -> T {
        self.send(api, version, body);
        self.receive(api, version, read)
    }

    /// Asks only: for answers that the broker holds back, or that never come.
    pub(crate) fn send(&mut self, api: Api, version: i16, body: Body) {
        self.correlation += 1;
        self.stream.write_all(&request(api, version, self.correlation, body)).expect("the broker reads");
    }

    /// Reads the answer to the last [`Wire::send`].
    pub(crate) fn receive<T>(&mut self, api: Api, version: i16, read: impl FnOnce(&mut Answer) -> T) -> T {
        let mut answer = self.frame().unwrap_or_else(|| panic!("{api:?} {version}: the broker hung up"));
        assert_eq!(answer.i32(), self.correlation, "{api:?} {version}: the answer is to this request");
        if version >= api.flexible_from() {
            answer.tags();
        }
        let read = read(&mut answer);
        answer.end(&format!("{api:?} {version}"));
        read
    }

    /// Sends bytes as they are.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        // A broker that has hung up already is what some tests are about: they find out by reading.
        let _gone = self.stream.write_all(bytes);
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).ok();
    }

    /// The next answer as it is; `None` when the broker hung up. Panics when it does neither in a minute.
    pub(crate) fn frame(&mut self) -> Option<Answer> {
        let mut length = [0; 4];
        self.read_exact(&mut length)?;
        let mut bytes = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("a length")];
        self.read_exact(&mut bytes)?;
        Some(Answer::new(bytes))
    }

    fn read_exact(&mut self, into: &mut [u8]) -> Option<()> {
        use std::io::ErrorKind::{TimedOut, WouldBlock};
        match self.stream.read_exact(into) {
            Ok(()) => Some(()),
            Err(e) if matches!(e.kind(), TimedOut | WouldBlock) => {
                panic!("the broker neither answers nor hangs up")
            }
            Err(_) => None,
        }
    }
}

/// A request as it travels, length first.
pub(crate) fn request(api: Api, version: i16, correlation: i32, body: Body) -> Vec<u8> {
    let header = Body::new().i16(api as i16).i16(version).i32(correlation).text("conformance");
    let header = if version >= api.flexible_from() { header.tags() } else { header };
    Body::new().bytes(&[header.done(), body.done()].concat()).done()
}
