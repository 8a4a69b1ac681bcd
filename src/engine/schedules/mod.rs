//! The pipeline under many schedules of its threads: see [`crate::sync::model`]. Workers are the real ones; producers, the
//! thread that takes the broker's answers and the consumer are of a few lines.

mod failures;
mod flow;
mod revoke;
mod rig;
mod room;
mod sink;
