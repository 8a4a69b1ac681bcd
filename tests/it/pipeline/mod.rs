//! The stages together, without Kafka.

mod failures;
mod flow;
mod revoke;
mod rig;
