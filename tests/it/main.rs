//! All integration tests in one binary: one link with librdkafka, one set of clients and brokers.

mod guarantees;
mod hazards;
mod support;
