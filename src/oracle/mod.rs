//! The oracle: holds what was written against what was read, and says what is wrong. It believes no counter of the program
//! and knows no Kafka: whoever reads the topics shows it their records, in any tool and in any simulation.
//!
//! ```text
//!            input(…) first, in offset order            result(…), a partition's in offset order
//! input topics ──────▶ one entry a record ◀── whose? ── output topic, dead-letter topic
//!                           │                           by processor.source, __dlq.errors.*, or the generator's stamp
//! committed offsets ──────▶ report(): lost, repeated, out of order, torn, phantom, corrupt, watermark, unjudged
//! ```
//!
//! It keeps some forty bytes a record and no contents; what it says names positions and never a record's contents.

mod digest;
mod inputs;
mod judge;
mod order;
pub mod report;
pub mod rules;
pub mod stamp;
#[cfg(test)]
mod tests;

pub use judge::Judge;
pub use report::{Report, Verdict};
pub use rules::{Limit, Rules, Same};
