//! What the program tells the world about itself: metrics, log lines, and the HTTP listener that probes ask.
//!
//! It knows none of the stages. Counters are handed in by the batch; everything that is a state (lag, what is in
//! flight, which threads live) is asked for through [`Status`] when somebody looks, and costs nothing until then.

mod address;
mod deaths;
#[cfg(feature = "http")]
pub mod http;
#[cfg(not(feature = "http"))]
#[path = "no_http.rs"]
pub mod http;
pub mod log_filter;
pub mod logging;
pub mod metrics;
mod repeats;
mod status;

pub use self::address::Http;
pub use self::deaths::{Death, Deaths};
pub use self::metrics::Metrics;
pub use self::repeats::Repeats;
pub use self::status::{
    Broker, Heartbeat, LastError, PartitionStatus, Phase, STALL_TIMEOUT, Snapshot, Status,
};
