//! One binary for all integration tests: one link with librdkafka.

mod pipeline;
