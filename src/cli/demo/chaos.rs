//! Torments the broker: faults by chance from a seed, and now and then it stands still for less than a second. Where the
//! processor has processes of its own, now and then one is killed instead.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::embedded::{Broker, Mix};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use fastrand::Rng;

use super::engine::Processes;

/// Of a thousand requests.
const MIX: Mix = Mix { refuse: 4, lose_answer: 4, delay: 4, cut: 4, throttle: 4 };
/// Milliseconds between two pauses, and of a pause.
const BETWEEN: std::ops::Range<u64> = 2_000..8_000;
const PAUSE: std::ops::Range<u64> = 100..900;

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// How often the broker stood still.
    pub pauses: u64,
    /// How many instances were killed.
    pub kills: u64,
}

/// Goes on until it is ended.
pub(super) struct Chaos {
    broker: Arc<Broker>,
    end: Sender<()>,
    thread: JoinHandle<Counts>,
}

impl Chaos {
    /// Begins.
    ///
    /// # Errors
    /// When there is no thread left.
    pub(super) fn start(
        broker: Arc<Broker>,
        processes: Option<Arc<Processes>>,
        seed: u64,
    ) -> std::io::Result<Self> {
        broker.faults().by_chance(seed, MIX);
        let (end, ended) = bounded::<()>(0);
        let victim = broker.clone();
        let mut chance = Rng::with_seed(seed);
        let mut dice = chance.fork();
        let mut wait = move |range| match ended.recv_timeout(Duration::from_millis(chance.u64(range))) {
            Err(RecvTimeoutError::Timeout) => true,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => false,
        };
        let thread = std::thread::Builder::new().name("chaos".to_owned()).spawn(move || {
            let mut counts = Counts::default();
            while wait(BETWEEN) {
                if let Some(processes) = processes.as_ref().filter(|_| dice.bool()) {
                    processes.kill(dice.usize(..));
                    counts.kills += 1;
                    continue;
                }
                victim.pause();
                counts.pauses += 1;
                let goes_on = wait(PAUSE);
                victim.resume();
                if !goes_on {
                    break;
                }
            }
            counts
        })?;
        Ok(Self { broker, end, thread })
    }

    /// Ends it.
    pub(super) fn end(self) -> Counts {
        drop(self.end);
        // A thread that panicked has said so.
        let counts = self.thread.join().unwrap_or_default();
        self.broker.faults().clear();
        self.broker.resume();
        counts
    }
}
