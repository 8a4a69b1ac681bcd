//! A transform of one's own: values in capitals; what is not text goes to the dead-letter topic. The program has all the commands:
//! `run`, `check`, `health`, `verify` and so on.
//!
//! `KAFKA_SERVERS=localhost KAFKA_GROUP_ID=capitals KAFKA_INPUT_TOPICS=in KAFKA_OUTPUT_TOPIC=out \
//! KAFKA_OFFSET_RESET=earliest cargo run --release --example custom_transform run`

use processor::{Context, Outcome, Record, Transform};

struct Capitals;

impl Transform for Capitals {
    fn apply(&self, record: &Record, _: &Context) -> Outcome {
        match record.value().map(std::str::from_utf8) {
            None => Outcome::Filter,
            Some(Ok(text)) => Outcome::value(text.to_uppercase().into_bytes()),
            Some(Err(error)) => Outcome::reject("not_text", error.to_string()),
        }
    }
}

fn main() -> std::process::ExitCode {
    processor::main(Capitals)
}
