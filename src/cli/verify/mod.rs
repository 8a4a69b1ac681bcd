//! `processor verify`: holds what was written against what was read, and says what is wrong.
//!
//! [`command`] reads the topics and shows the [`Judge`] their records. The judge believes no counter of the program and knows no Kafka;
//! the demo shows it its topics while they grow.
//!
//! ```text
//!            input(…) first, in offset order            result(…), a partition's in offset order
//! input topics ──────▶ one entry a record ◀── whose? ── output topic, dead-letter topic
//!                           │                           by processor.source, __dlq.errors.*, or the generator's stamp
//! committed offsets ──────▶ report(): lost, repeated, out of order, torn, phantom, corrupt, watermark, unjudged
//! ```
//!
//! The judge keeps some forty bytes a record and no contents; what it says names positions and never a record's contents.

mod command;
mod digest;
mod inputs;
mod judge;
mod options;
mod order;
mod report;
mod rules;
#[cfg(test)]
mod tests;

pub(super) use command::command;
pub(super) use judge::{Counts, Judge};
pub(super) use options::arguments;
pub(super) use report::{Progress, Report};
pub(super) use rules::{Limit, Rules, Same};
