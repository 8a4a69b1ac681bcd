//! A transform that does to each record what the record's own headers ask for. The integration tests run it, to see the
//! program with transforms that fail, panic, take their time, or make of one record several or none.
//!
//! | header | what is done, in this order |
//! |---|---|
//! | `probe.sleep: MS` | blocks its worker so long, at every attempt |
//! | `probe.retry: N` | the first N attempts fail for now, with the code `probe_retry` |
//! | `probe.panic` | panics |
//! | `probe.reject` | fails for good, with the code `probe_reject` |
//! | `probe.filter` | writes nothing |
//! | `probe.split: N` | writes the record N times, with its number from 0 in the header `probe.part` |
//! | `probe.hang` | does not return while the file `PROBE_HANG_WHILE` is there; before all others |
//!
//! With `PROBE_ASYNC` set it is an asynchronous transform, and waits without blocking anything.
//!
//! While the file `PROBE_DEAD_WHILE` is there, every record fails for now, with the code `probe_dead`.
//!
//! Beside that it is the built-in transform. Whatever is written bears in the header `probe.span` when the transform ran,
//! once for each attempt: `BEGIN-END,…`, nanoseconds since 1970. A failure says the same at the end of its message.
//!
//! Settings as for `processor run`, by environment only.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use processor::app::App;
use processor::ops::logging::{self, Stream};
use processor::record::{Headers, Record};
use processor::transform::builtin::Validate;
use processor::transform::{AsyncTransform, Context, Field, Outcome, Output, Transform};

/// Topic, partition and offset.
type Place = (Arc<str>, i32, i64);

#[derive(Default)]
struct Probe {
    /// The spans of records that will be tried again.
    earlier: Mutex<HashMap<Place, String>>,
    dead_while: Option<PathBuf>,
    hang_while: Option<PathBuf>,
}

impl Transform for Probe {
    fn apply(&self, record: &Record, context: &Context) -> Outcome {
        let begin = now_ns();
        if asks(record, "probe.hang") {
            while is_there(&self.hang_while) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        if let Some(ms) = number(record, "probe.sleep") {
            std::thread::sleep(Duration::from_millis(ms));
        }
        self.outcome(record, context, begin)
    }

    fn name(&self) -> &str {
        "probe"
    }
}

/// The same, asynchronously.
struct Patient(Probe);

impl AsyncTransform for Patient {
    async fn apply(&self, record: &Record, context: &Context) -> Outcome {
        let begin = now_ns();
        if asks(record, "probe.hang") {
            while is_there(&self.0.hang_while) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        if let Some(ms) = number(record, "probe.sleep") {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        self.0.outcome(record, context, begin)
    }

    fn name(&self) -> &str {
        "probe"
    }
}

impl Probe {
    /// What it says when it has waited.
    fn outcome(&self, record: &Record, context: &Context, begin: u128) -> Outcome {
        let again =
            number(record, "probe.retry").is_some_and(|retries| u64::from(context.attempt) <= retries);
        let dead = is_there(&self.dead_while);
        let spans = self.spans(record, context.attempt, begin, again || dead);
        if dead {
            tracing::info!(?record, "found what it needs dead");
            return Outcome::retry("probe_dead", format!("nothing works; ran {spans}"));
        }
        if again {
            // The tests wait for this line: a retry that waits is to be seen nowhere else.
            tracing::info!(?record, attempt = context.attempt, "asked to fail for now");
            return Outcome::retry("probe_retry", format!("asked to fail for now; ran {spans}"));
        }
        match () {
            () if asks(record, "probe.panic") => panic!("asked to panic; ran {spans}"),
            () if asks(record, "probe.reject") => {
                Outcome::reject("probe_reject", format!("asked to fail; ran {spans}"))
            }
            () if asks(record, "probe.filter") => Outcome::Filter,
            () => written(record, Validate.apply(record, context), &spans),
        }
    }

    /// When this attempt and those before it ran. An entry of an earlier delivery of the same record is forgotten.
    fn spans(&self, record: &Record, attempt: u32, begin: u128, again: bool) -> String {
        let place = (record.topic().clone(), record.partition(), record.offset());
        let mut earlier = self.earlier.lock().expect("nobody panics under this lock");
        let before = earlier.remove(&place).filter(|_| attempt > 1);
        let span = format!("{begin}-{}", now_ns());
        let spans = before.map_or_else(|| span.clone(), |before| format!("{before},{span}"));
        if again {
            earlier.insert(place, spans.clone());
        }
        spans
    }
}

/// What the built-in transform made of it, with the spans, and as often as asked for.
fn written(record: &Record, outcome: Outcome, spans: &str) -> Outcome {
    let Outcome::Emit(output) = outcome else { return outcome };
    match number(record, "probe.split") {
        None => Outcome::Emit(marked(record, output, spans, None)),
        Some(parts) => Outcome::EmitMany(
            (0..parts).map(|part| marked(record, output.clone(), spans, Some(part))).collect(),
        ),
    }
}

fn marked(record: &Record, output: Output, spans: &str, part: Option<u64>) -> Output {
    let mut headers = record.headers().clone();
    push(&mut headers, "probe.span", spans);
    if let Some(part) = part {
        push(&mut headers, "probe.part", part);
    }
    Output { headers: Field::New(headers), ..output }
}

fn push(headers: &mut Headers, name: &str, value: impl Display) {
    headers.push(name.as_bytes(), Some(value.to_string().as_bytes()));
}

fn asks(record: &Record, name: &str) -> bool {
    record.headers().last(name).is_some()
}

fn is_there(file: &Option<PathBuf>) -> bool {
    file.as_ref().is_some_and(|file| file.exists())
}

fn number(record: &Record, name: &str) -> Option<u64> {
    std::str::from_utf8(record.headers().last(name)?).ok()?.parse().ok()
}

fn now_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let loaded = processor::config::load(std::env::vars_os(), Vec::new())?;
    logging::init(&loaded.config.log_filter, loaded.config.log_format, Stream::Stdout)?;
    let file = |name| std::env::var_os(name).map(PathBuf::from);
    let (dead_while, hang_while) = (file("PROBE_DEAD_WHILE"), file("PROBE_HANG_WHILE"));
    let (app, probe) = (App::new(loaded.config), Probe { dead_while, hang_while, ..Probe::default() });
    let app = match std::env::var_os("PROBE_ASYNC") {
        None => app.with_transform(probe),
        Some(_) => app.with_transform(Patient(probe)),
    };
    let ended = app.run();
    eprintln!("{}", ended.message);
    std::process::exit(ended.exit as i32);
}
