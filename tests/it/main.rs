//! All integration tests in one binary: one link with librdkafka, one set of clients and brokers.

mod cli;
mod guarantees;
mod hazards;
mod pipeline;
mod support;
