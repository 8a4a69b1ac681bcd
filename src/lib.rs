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

pub use record::{Headers, Record};
pub use transform::{AsyncTransform, Context, Failure, Field, IntoHandler, Outcome, Output, Transform};

pub use app::{Ended, Exit, Stopper};
#[cfg(feature = "cli")]
pub use cli::main;
pub use config::ConfigError;
pub use embed::{Builder, Processor};

pub mod record;

pub mod policy;

pub mod source;

#[cfg(not(feature = "shuttle"))]
pub mod pool;

pub mod transform;

pub mod sink;

pub mod checkpoint;

pub mod engine;

pub mod app;

mod embed;

#[cfg(not(feature = "shuttle"))]
pub mod testing;

#[cfg(feature = "cli")]
pub mod cli;

pub mod config;

pub mod kafka;

pub mod ops;

pub mod clock;

pub mod topic_id;

pub mod planted;

#[cfg(test)]
mod layers;
#[cfg(test)]
mod reference;

/// A Kafka broker in memory, a crate of its own: for the demo and the tests, and for those of whoever uses this library.
#[cfg(feature = "embedded-broker")]
pub use embedded_kafka as embedded;

#[cfg(not(feature = "shuttle"))]
mod sync;
#[cfg(feature = "shuttle")]
pub mod sync;

#[cfg(all(test, feature = "shuttle"))]
mod simulation;
