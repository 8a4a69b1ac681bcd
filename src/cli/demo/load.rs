//! The generator of `processor generate` on a thread of its own, never further ahead than the judge can follow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::Producer;

use super::options::Options;
use super::topics::{AHEAD, INPUT, RECONNECT_MS};
use crate::cli::generator::{Answers, Generator, Load};
use crate::cli::stamp::SIZE;

/// How long the broker may take for the last answers.
const FLUSH: Duration = Duration::from_secs(60);
/// How many customers there are, and so how many keys.
const CUSTOMERS: u32 = 1000;

/// The running generator.
pub(super) struct Producing {
    answers: Arc<Answers>,
    waited_us: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), String>>,
}

impl Producing {
    /// Starts writing. `finished` is how many records were read back with their result.
    ///
    /// # Errors
    /// When there can be no producer.
    pub(super) fn start(servers: &str, options: &Options, finished: Arc<AtomicU64>) -> Result<Self, String> {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", servers)
            .set("client.id", "demo-generator")
            .set("enable.idempotence", "true")
            .set("allow.auto.create.topics", "false")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5")
            .set("reconnect.backoff.max.ms", RECONNECT_MS);
        let load = Load {
            topic: INPUT.to_owned(),
            first: 0,
            rate: options.rate,
            bad: options.bad,
            customers: CUSTOMERS,
            size: SIZE,
            seed: options.seed,
        };
        let answers = Arc::new(Answers::default());
        let generator = Generator::new(&client, load, answers.clone())
            .map_err(|ended| format!("the generator's producer: {}", ended.message))?;
        let (waited_us, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (waits, stopped) = (waited_us.clone(), stop.clone());
        let life = move || write(generator, &finished, &waits, &stopped);
        let thread = std::thread::Builder::new().name("generator".to_owned()).spawn(life);
        let thread = thread.map_err(|error| format!("no thread for the generator: {error}"))?;
        Ok(Self { answers, waited_us, stop, thread })
    }

    /// What the broker said.
    pub(super) fn answers(&self) -> &Answers {
        &self.answers
    }

    /// How long the generator was held back so far.
    pub(super) fn waited(&self) -> Duration {
        Duration::from_micros(self.waited_us.load(Ordering::Relaxed))
    }

    /// Tells it to stop.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether it has ended, told or not.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Why it could not go on, if so. Waits for nothing.
    pub(super) fn end(self) -> Result<(), String> {
        if !self.has_ended() {
            return Err("the generator did not end in time".to_owned());
        }
        self.thread.join().unwrap_or_else(|_| Err("the generator's thread panicked".to_owned()))
    }
}

fn write(
    mut generator: Generator,
    finished: &AtomicU64,
    waited_us: &AtomicU64,
    stop: &AtomicBool,
) -> Result<(), String> {
    while !stop.load(Ordering::Relaxed) {
        let answers = generator.answers();
        let room = room(answers.given(), answers.refused(), finished.load(Ordering::Relaxed));
        let began = Instant::now();
        generator.step(room)?;
        if room == 0 {
            let waited = u64::try_from(began.elapsed().as_micros()).unwrap_or(0);
            waited_us.fetch_add(waited, Ordering::Relaxed);
        }
    }
    let flushed = generator.producer().flush(FLUSH);
    flushed.map_err(|error| format!("the broker did not take all that was generated: {error}"))
}

/// How many more records may be written. The first one goes alone: it waits until the group has formed, and is the only one whose
/// time that spoils.
fn room(given: u64, refused: u64, finished: u64) -> u64 {
    let ahead = if finished == 0 { 1 } else { AHEAD };
    ahead.saturating_sub(given.saturating_sub(finished + refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_goes_alone_and_then_no_more_than_the_judge_can_follow() {
        assert_eq!(room(0, 0, 0), 1);
        assert_eq!(room(1, 0, 0), 0);
        assert_eq!(room(1, 0, 1), AHEAD);
        assert_eq!(room(AHEAD + 1, 0, 1), 0);
        assert_eq!(room(AHEAD + 1, 2, 1), 2, "nobody waits for a record that was not taken");
    }
}
