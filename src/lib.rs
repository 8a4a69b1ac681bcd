//! Turns one Kafka topic into another: every record through a fixed worker pool, none lost, in order per key.
//!
//! ```text
//! input topics ─▶ consumer ×N ─▶ pending ─▶ worker ×W ─▶ ready ─▶ producer ×M ─▶ output topic
//!                     ▲            (scheduler: two linked lists)                    │
//!                     └── commit ◀── offset tracker: one watermark per partition ◀──┘ acknowledged
//! ```

pub mod record;

pub mod config;
pub mod telemetry;
pub mod transform;
