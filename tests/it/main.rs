//! All integration tests in one binary: one link with librdkafka, one set of clients and brokers.

mod cli;
mod conformance;
mod guarantees;
mod hazards;

mod pipeline;
mod support;
mod verify;
