//! What a test sends: records as they come in life, all at once or while something happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::record::{Input, Sent};
use super::scenario::Scenario;

/// What six workers do at most of [`Scenario::send_slow_load`]: the bound on what one commit interval may repeat.
pub(crate) const SLOW_LOAD_A_SECOND: usize = 6_000;

/// How long a feeder waits between two batches.
const BEAT: Duration = Duration::from_millis(15);

impl Scenario {
    /// Sends `count` records as they come in life: 37 keys and none, with and without headers, one in 40 invalid.
    pub(crate) fn send_load(&mut self, count: usize) {
        let load: Vec<_> = (0..count).map(|_| self.load(37)).collect();
        self.send(load);
    }

    /// The same, but each record keeps its worker for a millisecond, so that no machine does more than
    /// [`SLOW_LOAD_A_SECOND`] of them. For the probe.
    pub(crate) fn send_slow_load(&mut self, count: usize) {
        let load: Vec<_> = (0..count).map(|_| self.load(37).slow(1)).collect();
        self.send(load);
    }

    /// The next record of a load with so many keys.
    pub(crate) fn load(&self, keys: usize) -> Input {
        let id = self.id();
        let n: usize = id[1..].parse().expect("an identity ends in a number");
        let input = if n % 40 == 39 { Input::invalid(&id) } else { Input::valid(&id) };
        let input = if n.is_multiple_of(3) { input.header("trace", Some(b"\xff\x00")) } else { input };
        if n % 11 == 10 { input } else { input.key(format!("key-{}", n * 7919 % keys)) }
    }

    /// Runs `body` while records keep coming, some thousands a second, until it is done.
    pub(crate) fn while_sending<T>(&mut self, body: impl FnOnce(&Self) -> T) -> T {
        self.while_sending_such(4_000, |s| s.load(37), body)
    }

    /// Runs `body` while records of `input` keep coming, no more than so many a second, until it is done: however long that takes,
    /// there is work.
    pub(crate) fn while_sending_such<T>(
        &mut self,
        a_second: usize,
        input: impl Fn(&Self) -> Input + Sync,
        body: impl FnOnce(&Self) -> T,
    ) -> T {
        struct StopOnDrop<'a>(&'a AtomicBool);
        impl Drop for StopOnDrop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let stop = AtomicBool::new(false);
        let (result, sent) = self.beside(
            |s| s.feed(a_second, &input, &stop),
            |s| {
                let _stopped_at_the_end = StopOnDrop(&stop);
                body(s)
            },
        );
        self.sent.extend(sent);
        result
    }

    /// Runs `body` while these records are sent, no more than so many a second.
    pub(crate) fn while_sending_all<T>(
        &mut self,
        inputs: Vec<Input>,
        a_second: usize,
        body: impl FnOnce(&Self) -> T,
    ) -> T {
        let (result, sent) = self.beside(|s| s.feed_all(inputs, a_second), body);
        self.sent.extend(sent);
        result
    }

    fn beside<T>(
        &self,
        feed: impl FnOnce(&Self) -> Vec<Sent> + Send,
        body: impl FnOnce(&Self) -> T,
    ) -> (T, Vec<Sent>) {
        std::thread::scope(|scope| {
            let feeder = scope.spawn(|| feed(self));
            let result = body(self);
            (result, feeder.join().expect("the cluster takes what the test sends"))
        })
    }

    fn feed(&self, a_second: usize, input: impl Fn(&Self) -> Input, stop: &AtomicBool) -> Vec<Sent> {
        let (mut before, mut sent) = (Instant::now(), Vec::new());
        while !stop.load(Ordering::Relaxed) {
            // What was missed for longer than some beats is not made up for: a slow machine gets no more than it takes.
            let now = Instant::now();
            let due = (now - before).min(4 * BEAT).as_secs_f64() * a_second as f64;
            if due >= 1.0 {
                sent.extend(self.sender.send(&self.input, (0..due as usize).map(|_| input(self)).collect()));
                before = now;
            }
            std::thread::park_timeout(BEAT);
        }
        sent
    }

    fn feed_all(&self, inputs: Vec<Input>, a_second: usize) -> Vec<Sent> {
        let (begin, mut inputs, mut sent) = (Instant::now(), inputs.into_iter(), Vec::new());
        loop {
            let due = (begin.elapsed().as_secs_f64() * a_second as f64) as usize;
            let batch: Vec<_> = inputs.by_ref().take(due.saturating_sub(sent.len())).collect();
            sent.extend(self.sender.send(&self.input, batch));
            if inputs.len() == 0 {
                return sent;
            }
            std::thread::park_timeout(BEAT);
        }
    }
}
