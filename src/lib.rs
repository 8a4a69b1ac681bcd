//! Turns one Kafka topic into another: every record through a fixed worker pool, none lost, in order per key.
//!
//! ```text
//! input topics ─▶ consumer ×N ─▶ pending ─▶ worker ×W ─▶ ready ─▶ producer ×M ─▶ output topic
//!                     ▲            (scheduler: two linked lists)                    │
//!                     └── commit ◀── ledger: one watermark per partition ◀──────────┘ acknowledged
//! ```
//!
//! * **At least once.** An input offset is committed only when every earlier record of its partition is finished: its
//!   output acknowledged, deliberately filtered, or its dead letter acknowledged.
//! * **In order.** Records of one key (or of one partition) are transformed one after another and written in that order,
//!   retries included.
//! * **Bounded.** What is in flight has a limit in records and in bytes.
//!
//! A program is a transform and one call, `processor::main(transform)`: it has every command. Who embeds the engine in a program of
//! another shape uses [`Processor`].
//!
//! The modules in the order in which a record meets them; `docs/ARCHITECTURE.md` tells the journey.

// Some of it is for the tests alone.
#![cfg_attr(not(feature = "internals"), allow(unreachable_pub, dead_code, unused_imports))]

pub use app::{Ended, Exit, Stopper};
#[cfg(feature = "cli")]
pub use cli::main;
pub use config::ConfigError;
pub use embed::{Builder, Processor};
pub use record::{Headers, Parts, Record};
pub use transform::builtin::Validate;
pub use transform::{AsyncTransform, Context, Failure, Field, IntoHandler, Outcome, Output, Transform};

#[cfg(not(feature = "shuttle"))]
pub mod pool;
#[cfg(not(feature = "shuttle"))]
pub mod testing;

/// A Kafka broker in memory, a crate of its own: for the demo and the tests, and for those of whoever uses this library.
#[cfg(feature = "embedded-broker")]
pub use embedded_kafka as embedded;

// The modules in the order in which a record meets them. They are private, unless the program's own tests and benchmarks ask for
// them with the feature `internals`.

#[cfg(not(feature = "internals"))]
mod record;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod record;

#[cfg(not(feature = "internals"))]
mod policy;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod policy;

#[cfg(not(feature = "internals"))]
mod source;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod source;

#[cfg(not(feature = "internals"))]
mod transform;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod transform;

#[cfg(not(feature = "internals"))]
mod sink;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod sink;

#[cfg(not(feature = "internals"))]
mod checkpoint;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod checkpoint;

#[cfg(not(feature = "internals"))]
mod engine;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod engine;

#[cfg(not(feature = "internals"))]
mod app;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod app;

mod embed;

#[cfg(all(feature = "cli", not(feature = "internals")))]
mod cli;
#[cfg(all(feature = "cli", feature = "internals"))]
#[doc(hidden)]
pub mod cli;

#[cfg(not(feature = "internals"))]
mod config;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod config;

#[cfg(not(feature = "internals"))]
mod kafka;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod kafka;

#[cfg(not(feature = "internals"))]
mod ops;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod ops;

#[cfg(not(feature = "internals"))]
mod clock;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod clock;

#[cfg(not(feature = "internals"))]
mod topic_id;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod topic_id;

#[cfg(not(feature = "internals"))]
mod planted;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod planted;

#[cfg(not(feature = "internals"))]
mod sync;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod sync;

#[cfg(test)]
mod layers;
#[cfg(test)]
mod reference;
#[cfg(all(test, feature = "shuttle"))]
mod simulation;
