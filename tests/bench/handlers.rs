//! The processor as a library, with handlers that the built-in transform is not: passing a record on, and passing it on after
//! waiting (in a worker, or as a future) or computing. Its settings are the processor's environment variables.

mod options;
mod work;

use std::time::Duration;

use options::Options;
use processor::app::App;
use processor::ops::logging::{self, Stream};
use processor::record::Record;
use processor::transform::{AsyncTransform, Context, Outcome, Output, Transform};
use work::Work;

const USAGE: &str =
    "handlers pass|quick|wait:TIME|await:TIME|cpu:TIME, e.g. handlers wait:1ms, handlers cpu:50us";

/// Does its work, and passes the record on as it is.
struct Pass {
    work: Work,
    quick: bool,
}

impl Transform for Pass {
    fn apply(&self, _: &Record, _: &Context) -> Outcome {
        self.work.run();
        Outcome::Emit(Output::default())
    }

    fn name(&self) -> &str {
        "bench:pass"
    }

    fn is_quick(&self) -> bool {
        self.quick
    }
}

/// Waits without a thread, and passes the record on as it is.
struct Await(Duration);

impl AsyncTransform for Await {
    async fn apply(&self, _: &Record, _: &Context) -> Outcome {
        tokio::time::sleep(self.0).await;
        Outcome::Emit(Output::default())
    }

    fn name(&self) -> &str {
        "bench:await"
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut given = Options::read(USAGE);
    let word = given.word();
    let as_future = word.starts_with("await:");
    let work = match word.replace("await:", "wait:").as_str() {
        "pass" | "quick" => Work::Nothing,
        text => Work::parse(text).unwrap_or_else(|| given.refuse("there is no such handler")),
    };
    given.end();
    let loaded = processor::config::load(std::env::vars_os(), Vec::new())?;
    logging::init(&loaded.config.log_filter, loaded.config.log_format, Stream::Stdout)?;
    let app = App::new(loaded.config);
    let app = match work {
        Work::Wait(time) if as_future => app.with_transform(Await(time)),
        work => app.with_transform(Pass { work, quick: word == "quick" }),
    };
    let ended = app.run();
    if !ended.message.is_empty() {
        eprintln!("{}", ended.message);
    }
    std::process::exit(ended.exit as i32);
}
