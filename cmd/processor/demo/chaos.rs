//! Torments the broker: faults by chance from a seed, and now and then it stands still for less than a second.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use fastrand::Rng;
use processor::embedded::{Broker, Mix};

/// Of a thousand requests.
const MIX: Mix = Mix { refuse: 4, lose_answer: 4, delay: 4, cut: 4, throttle: 4 };
/// Milliseconds between two pauses, and of a pause.
const BETWEEN: std::ops::Range<u64> = 2_000..8_000;
const PAUSE: std::ops::Range<u64> = 100..900;

/// Goes on until it is ended.
pub struct Chaos {
    broker: Arc<Broker>,
    end: Sender<()>,
    thread: JoinHandle<u64>,
}

impl Chaos {
    /// Begins.
    ///
    /// # Errors
    /// When there is no thread left.
    pub fn start(broker: Arc<Broker>, seed: u64) -> std::io::Result<Self> {
        broker.faults().by_chance(seed, MIX);
        let (end, ended) = bounded::<()>(0);
        let victim = broker.clone();
        let mut chance = Rng::with_seed(seed);
        let mut wait = move |range| match ended.recv_timeout(Duration::from_millis(chance.u64(range))) {
            Err(RecvTimeoutError::Timeout) => true,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => false,
        };
        let thread = std::thread::Builder::new().name("chaos".to_owned()).spawn(move || {
            let mut pauses = 0;
            while wait(BETWEEN) {
                victim.pause();
                pauses += 1;
                let goes_on = wait(PAUSE);
                victim.resume();
                if !goes_on {
                    break;
                }
            }
            pauses
        })?;
        Ok(Self { broker, end, thread })
    }

    /// Ends it. Returns how often the broker stood still.
    pub fn end(self) -> u64 {
        drop(self.end);
        // A thread that panicked has said so.
        let pauses = self.thread.join().unwrap_or(0);
        self.broker.faults().clear();
        self.broker.resume();
        pauses
    }
}
