//! Kafka's encoding of requests and answers. Reading checks every length against what has arrived: input from the network
//! makes an error, never a panic and never a large allocation.

mod reader;
mod writer;

pub(super) use reader::Reader;
pub(super) use writer::Writer;

/// A request that breaks the protocol: its connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub &'static str);
