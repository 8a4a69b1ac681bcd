//! The stages together, without Kafka.

mod after_failure;
mod direct;
mod failures;
mod flow;
mod origin;
mod outage;
mod revoke;
mod rig;
mod stuck;
mod waiting;
