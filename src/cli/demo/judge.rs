//! The judge of `processor verify` at work while the topics grow: a plain consumer without a group reads all three from their beginning
//! and shows him their records. He forgets what is finished, as the demo has no end; `verify` reads topics that have one, first all of
//! the input. Beside him stands what only the demo wants to know: how long records took, to the millisecond.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::topics::{DEAD_LETTERS, GROUP, INPUT, OUTPUT, TOPICS};
use crate::app::Ended;
use crate::cli::topics::{Follower, Reader, Span};
use crate::cli::verify::{Counts, Judge, Limit, Report, Rules, Same};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::policy::Order;
use crate::record::Parts;
use crate::sink::Target;

/// How long the cluster may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The judge, and how long records took. Written by the reader's thread.
struct Bench {
    judge: Judge,
    /// Of all records, and of those since somebody asked last.
    whole: Latency,
    recent: Latency,
}

/// Judges what a thread of its own reads.
pub(super) struct Judging {
    bench: Arc<Mutex<Bench>>,
    finished: Arc<AtomicU64>,
    reader: Reader,
    follower: Follower,
}

impl Judging {
    /// Starts reading.
    ///
    /// # Errors
    /// When there can be no consumer.
    pub(super) fn start(config: &Config) -> Result<Self, Ended> {
        let reader = Reader::new(config, "demo-judge", PATIENCE)?;
        let mut judge = Judge::forgetting(rules());
        (0..TOPICS[0].partitions).for_each(|number| judge.growing_partition(INPUT, number));
        let bench = Bench { judge, whole: Latency::new(), recent: Latency::new() };
        let (bench, finished) = (Arc::new(Mutex::new(bench)), Arc::<AtomicU64>::default());
        let (shown, counted) = (bench.clone(), finished.clone());
        let follower = reader.follow(spans(), move |span, offset, parts| {
            let mut bench = shown.lock();
            bench.see(span, offset, parts);
            counted.store(bench.judge.counts().finished(), Ordering::Relaxed);
        })?;
        Ok(Self { bench, finished, reader, follower })
    }

    /// How many records were read back with their result.
    pub(super) fn finished(&self) -> &Arc<AtomicU64> {
        &self.finished
    }

    /// What was counted so far.
    pub(super) fn counts(&self) -> Counts {
        self.bench.lock().judge.counts()
    }

    /// What 99 of 100 records of the output did not exceed, in milliseconds; of those since this was asked last.
    pub(super) fn recent_p99(&self) -> Option<u64> {
        self.bench.lock().recent.take().p99()
    }

    /// The same of all.
    pub(super) fn p99(&self) -> Option<u64> {
        self.bench.lock().whole.p99()
    }

    /// Why there can be no verdict, if so.
    pub(super) fn trouble(&self) -> Option<String> {
        self.follower.outcome()?.err().map(|ended| ended.message)
    }

    /// Nobody writes any more: reads to where the topics end now. Tells the judge these ends, and what the group has committed.
    ///
    /// # Errors
    /// When the broker does not say.
    pub(super) fn read_to_the_end(&self) -> Result<(), Ended> {
        let mut ends = Vec::new();
        for topic in TOPICS {
            ends.extend(self.reader.spans(topic.name)?);
        }
        let inputs: Vec<_> = ends.iter().filter(|span| *span.topic == *INPUT).collect();
        let partitions: Vec<_> = inputs.iter().map(|span| (span.topic.clone(), span.partition)).collect();
        let committed = self.reader.committed(&partitions)?;
        let judge = &mut self.bench.lock().judge;
        inputs.iter().for_each(|span| judge.ends(&span.topic, span.partition, span.end));
        for ((topic, partition), committed) in &committed {
            judge.committed(topic, *partition, committed.offset);
        }
        self.follower.read_to(ends);
        Ok(())
    }

    /// Whether that is done.
    pub(super) fn has_read(&self) -> bool {
        self.follower.outcome().is_some()
    }

    /// What he found.
    pub(super) fn report(&self) -> Report {
        let judge = &mut self.bench.lock().judge;
        std::mem::replace(judge, Judge::forgetting(rules())).report()
    }
}

/// All partitions, without an end.
fn spans() -> Vec<Span> {
    let of = |topic: &str, partitions| {
        let topic: Arc<str> = topic.into();
        (0..partitions).map(move |partition| Span {
            topic: topic.clone(),
            partition,
            first: 0,
            end: i64::MAX,
        })
    };
    TOPICS.iter().flat_map(|topic| of(topic.name, topic.partitions)).collect()
}

fn rules() -> Rules {
    Rules {
        output: OUTPUT.to_owned(),
        dead_letters: Some(DEAD_LETTERS.to_owned()),
        group: Some(GROUP.to_owned()),
        order: Order::Key,
        keys_stay: true,
        same: Same::default(),
        repeated: Limit::default(),
        filtered: Limit::default(),
        unfinished: Limit::default(),
        split: Limit::default(),
        examples: 1,
    }
}

impl Bench {
    fn see(&mut self, span: &Span, offset: i64, parts: &Parts<'_>) {
        let target = TOPICS.iter().find(|topic| *topic.name == *span.topic).and_then(|topic| topic.target);
        let Some(target) = target else {
            return self.judge.input(&span.topic, span.partition, offset, parts);
        };
        // The first record waits until the group has formed, which says nothing of those that follow.
        let is_first = self.judge.counts().finished() == 0;
        let counts = self.judge.result(target, span.partition, offset, parts);
        if let Some(timestamp) = parts.timestamp.filter(|_| counts && !is_first && target == Target::Output) {
            let age_ms = SystemClock.unix_ms() - timestamp;
            self.whole.add(age_ms);
            self.recent.add(age_ms);
        }
    }
}

/// To the millisecond below this, and above it to 64 ms.
const FINE: usize = 1024;
const STEP: usize = 64;
const COARSE: usize = 1024;

/// How long records took, in a fixed number of counters.
#[derive(Clone, Debug)]
struct Latency {
    /// The last one counts all that took longer than a minute.
    counts: Box<[u64]>,
    total: u64,
}

impl Latency {
    /// Empty.
    fn new() -> Self {
        Self { counts: vec![0; FINE + COARSE].into_boxed_slice(), total: 0 }
    }

    /// A record took so long. (A clock that was set back gives a negative time; it counts as none.)
    fn add(&mut self, ms: i64) {
        let ms = usize::try_from(ms).unwrap_or(0);
        let index = if ms < FINE { ms } else { FINE + (ms - FINE) / STEP };
        self.counts[index.min(FINE + COARSE - 1)] += 1;
        self.total += 1;
    }

    /// What 99 of 100 records did not exceed, in milliseconds.
    fn p99(&self) -> Option<u64> {
        let rank = self.total - self.total / 100;
        let mut sum = 0;
        let index = self.counts.iter().position(|count| {
            sum += count;
            sum >= rank && sum > 0
        })?;
        let ms = if index < FINE { index } else { FINE + (index - FINE + 1) * STEP };
        Some(ms as u64)
    }

    /// Empties it, and gives what was in it.
    fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: impl IntoIterator<Item = i64>) -> Option<u64> {
        let mut latency = Latency::new();
        times.into_iter().for_each(|ms| latency.add(ms));
        latency.p99()
    }

    #[test]
    fn the_ninety_ninth_of_a_hundred() {
        assert_eq!(of([]), None);
        assert_eq!(of([7]), Some(7));
        assert_eq!(of(1..=100), Some(99));
        assert_eq!(of(1..=1000), Some(990));
        assert_eq!(of([-5, -5]), Some(0));
    }

    #[test]
    fn what_is_long_is_rounded_up_and_what_is_very_long_is_bounded() {
        assert_eq!(of([1024]), Some(1088));
        assert_eq!(of([5000]), Some(5056));
        assert_eq!(of([i64::MAX]), Some(66_560));
    }
}
