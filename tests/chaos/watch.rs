//! Looks at a run from outside, all the time, with clients of its own: what is committed, how far the output has come. It asks
//! the processor nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::wait::seconds;

const BEAT: Duration = Duration::from_millis(150);

/// What is known of a run at one moment.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// The committed offset of each input partition; 0 where there is none yet.
    pub committed: Vec<i64>,
    /// The end of each input partition.
    pub ends: Vec<i64>,
    /// Records in the output.
    pub written: i64,
    /// Records in the output a second, at the fastest so far, over [`Rate::WINDOW`] or more.
    pub peak: f64,
    /// How often a committed offset was seen to go back.
    pub went_back: u64,
    /// How often all this was looked at.
    pub looks: u64,
}

impl Seen {
    /// Records of the input that nothing is committed for.
    pub(crate) fn lag(&self) -> i64 {
        self.ends.iter().zip(&self.committed).map(|(end, committed)| end - committed).sum()
    }

    /// Whether each partition that had something open `before` has moved since.
    pub(crate) fn moved_since(&self, before: &Self) -> bool {
        let mut all = self.committed.iter().zip(&before.committed).zip(&self.ends);
        !self.committed.is_empty() && all.all(|((now, then), end)| now > then || now == end)
    }
}

/// The topics to look at.
#[derive(Clone)]
pub(crate) struct Topics {
    /// The input, and how many partitions it has.
    pub input: (String, i32),
    /// The output, likewise.
    pub output: (String, i32),
    /// The processor's group.
    pub group: String,
}

/// A thread that looks. It ends with the value.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    client: BaseConsumer,
    topics: Topics,
    seen: Mutex<Seen>,
    /// Offsets may go back now: the run itself sets them.
    excused: AtomicBool,
    stop: AtomicBool,
}

impl Watch {
    /// Begins to look.
    pub(crate) fn start(servers: &str, topics: Topics) -> Result<Self, String> {
        let shared = Arc::new(Shared {
            client: client(servers, &topics.group)?,
            topics,
            seen: Mutex::default(),
            excused: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || of_thread.look_on());
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What was seen last.
    pub(crate) fn seen(&self) -> Seen {
        self.shared.seen().clone()
    }

    /// From now on (or no more) offsets that go back are the run's own doing.
    pub(crate) fn excuse(&self, excused: bool) {
        self.shared.excused.store(excused, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ended by a panic only if a client did, and that was shown.
            let _ = thread.join();
        }
    }
}

/// A client that is no member of the group: it reads the group's offsets, and disturbs nobody.
pub(crate) fn client(servers: &str, group: &str) -> Result<BaseConsumer, String> {
    ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("reconnect.backoff.max.ms", "500")
        .set("log_level", "2")
        .create()
        .map_err(|e| format!("no client for {servers}: {e}"))
}

/// What a group has committed for a topic; 0 where nothing is.
pub(crate) fn committed(client: &BaseConsumer, (topic, partitions): &(String, i32)) -> Option<Vec<i64>> {
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, partitions - 1);
    let list = client.committed_offsets(list, seconds(5)).ok()?;
    let offset = |offset| if let Offset::Offset(offset) = offset { offset } else { 0 };
    let answered = list.elements().iter().all(|e| e.error().is_ok());
    answered.then(|| list.elements().iter().map(|e| offset(e.offset())).collect())
}

/// The end of each partition.
pub(crate) fn ends(client: &BaseConsumer, (topic, partitions): &(String, i32)) -> Option<Vec<i64>> {
    (0..*partitions).map(|p| client.fetch_watermarks(topic, p, seconds(5)).ok().map(|(_, end)| end)).collect()
}

impl Shared {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_on(&self) {
        let mut rate = Rate::default();
        while !self.stop.load(Ordering::Relaxed) {
            // Asked before the ends: so a lag of 0 was one.
            let committed = committed(&self.client, &self.topics.input);
            let ends = ends(&self.client, &self.topics.input);
            let written = ends.as_ref().and_then(|_| self::ends(&self.client, &self.topics.output));
            if let (Some(committed), Some(ends), Some(written)) = (committed, ends, written) {
                self.take(committed, ends, written.iter().sum(), &mut rate);
            }
            std::thread::park_timeout(BEAT);
        }
    }

    fn take(&self, committed: Vec<i64>, ends: Vec<i64>, written: i64, rate: &mut Rate) {
        let mut seen = self.seen();
        let back = seen.committed.iter().zip(&committed).filter(|(before, now)| now < before).count();
        if !self.excused.load(Ordering::Relaxed) {
            seen.went_back += back as u64;
        }
        seen.peak = seen.peak.max(rate.of(written));
        (seen.committed, seen.ends, seen.written) = (committed, ends, written);
        seen.looks += 1;
    }
}

/// How fast a count grows.
#[derive(Default)]
struct Rate(Option<(Instant, i64)>);

impl Rate {
    const WINDOW: Duration = Duration::from_secs(1);

    /// A second's growth since the last window began, once that is long enough ago; else 0.
    fn of(&mut self, count: i64) -> f64 {
        let now = Instant::now();
        let Some((since, before)) = self.0 else {
            self.0 = Some((now, count));
            return 0.0;
        };
        let time = now - since;
        if time < Self::WINDOW {
            return 0.0;
        }
        self.0 = Some((now, count));
        (count - before) as f64 / time.as_secs_f64()
    }
}
