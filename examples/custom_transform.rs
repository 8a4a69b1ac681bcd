//! A transform of one's own: values in capitals; what is not text goes to the dead-letter topic.
//!
//! `KAFKA_SERVERS=localhost KAFKA_GROUP_ID=capitals KAFKA_CONSUMER_TOPICS=in KAFKA_OUTPUT_TOPIC=out \
//! KAFKA_OFFSET_RESET=earliest cargo run --release --example custom_transform`

use processor::app::App;
use processor::record::Record;
use processor::telemetry::logging::{self, Stream};
use processor::transform::{Context, Outcome, Transform};

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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let loaded = processor::config::load(std::env::vars_os(), Vec::new()).unwrap_or_else(|faults| {
        eprint!("{faults}");
        std::process::exit(78);
    });
    logging::init(&loaded.config.log_filter, loaded.config.log_format, Stream::Stdout)?;
    let ended = App::new(loaded.config).with_transform(Capitals).run();
    eprintln!("{}", ended.message);
    std::process::exit(ended.exit as i32);
}
