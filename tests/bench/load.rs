//! Load of a shape that `processor generate` does not have: one hot key, and a steady rate with the time from written to read
//! back. Its records are stamped as the generator's, so `processor verify` can judge them.
//!
//! `fill` writes as fast as it can. `steady` writes one record and waits until it is in the output (the client under test is
//! then ready), writes at its rate for `warmup` and `seconds`, and reads the output all the while. It prints `{"at": "begin"}`
//! and `{"at": "end"}` around the measured part, and then what it measured.

mod options;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use options::Options;
use processor::cli::stamp::{self, Stamper};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};
use serde_json::{Value, json};

const USAGE: &str = "load fill SERVERS TOPIC [records=1000000]
       load steady SERVERS INPUT OUTPUT [rate=10000] [seconds=20] [warmup=5]
       both: [keys=10000] [hot=0.0] [size=300] [seed=1] [producer.PROPERTY=VALUE]...
  hot    the share of the records that have the key c-000000; the others have one of `keys` others";
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let mut given = Options::read(USAGE);
    let (what, servers, topic) = (given.word(), given.word(), given.word());
    match what.as_str() {
        "fill" => {
            let records = given.number("records", 1_000_000);
            let mut pen = Pen::read(&mut given, &servers, &topic);
            given.end();
            (0..records).for_each(|number| _ = pen.write(number));
            pen.flush();
        }
        "steady" => {
            let output = given.word();
            let plan = Plan {
                rate: given.number("rate", 10_000.0),
                warmup: given.number("warmup", 5.0),
                seconds: given.number("seconds", 20.0),
            };
            let pen = Pen::read(&mut given, &servers, &topic);
            given.end();
            println!("{}", plan.run(pen, &servers, &output));
        }
        _ => given.refuse("fill or steady"),
    }
}

/// Writes stamped records.
struct Pen {
    producer: BaseProducer,
    topic: String,
    stamper: Stamper,
    chance: Rng,
    keys: u32,
    hot: f64,
    looked_at: Instant,
}

impl Pen {
    fn read(given: &mut Options, servers: &str, topic: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers).set("log_level", "2").set("enable.idempotence", "true");
        config.set("linger.ms", "1").set("partitioner", "murmur2_random");
        given.beginning_with("producer.").into_iter().for_each(|(name, value)| _ = config.set(name, value));
        let mut pen = Self {
            producer: config.create().unwrap_or_else(|error| given.refuse(&error.to_string())),
            topic: topic.to_owned(),
            stamper: Stamper::new(given.number("size", stamp::SIZE)),
            chance: Rng::with_seed(given.number("seed", 1)),
            keys: given.number("keys", 10_000),
            hot: given.number("hot", 0.0),
            looked_at: Instant::now(),
        };
        pen.set_time();
        pen
    }

    /// Whether it was the hot key's.
    fn write(&mut self, number: u64) -> bool {
        if self.looked_at.elapsed() > Duration::from_millis(100) {
            self.set_time();
        }
        // Exactly this share, evenly spread.
        let so_far = |count: u64| (count as f64 * self.hot) as u64;
        let hot = so_far(number + 1) > so_far(number);
        let customer = if hot { 0 } else { 1 + self.chance.u32(..self.keys) };
        let (key, value) = self.stamper.fill(number, customer);
        let mut record = BaseRecord::to(&self.topic).key(key).payload(value);
        while let Err((error, refused)) = self.producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full, "a record cannot be written");
            self.producer.poll(Duration::from_millis(1));
            record = refused;
        }
        hot
    }

    fn set_time(&mut self) {
        self.looked_at = Instant::now();
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        self.stamper.set_time(since.map_or(0, |since| since.as_millis() as i64));
        self.producer.poll(Duration::ZERO);
    }

    fn flush(&self) {
        self.producer.flush(PATIENCE).expect("the broker takes what was written");
    }
}

struct Plan {
    rate: f64,
    warmup: f64,
    seconds: f64,
}

/// When each record was written and read, nanoseconds since the start; 0: not yet. The reader writes what is read.
struct Times {
    start: Instant,
    written: Vec<AtomicU64>,
    read: Vec<AtomicU64>,
    seen: AtomicU64,
    done: AtomicBool,
}

impl Plan {
    fn run(&self, mut pen: Pen, servers: &str, output: &str) -> Value {
        let total = 1 + (self.rate * (self.warmup + self.seconds)) as u64;
        let times = Arc::new(Times::new(total));
        let reader = reader(servers, output);
        let reading = {
            let times = times.clone();
            std::thread::spawn(move || times.read_all(&reader))
        };
        let mut hot = vec![times.write(&mut pen, 0)];
        pen.flush();
        times.wait_for(1);
        let first = 1 + (self.rate * self.warmup) as u64;
        self.write(&mut pen, &times, 1..first, &mut hot);
        println!("{}", json!({ "at": "begin" }));
        self.write(&mut pen, &times, first..total, &mut hot);
        println!("{}", json!({ "at": "end" }));
        pen.flush();
        let missing = times.wait_for(total);
        times.done.store(true, Ordering::Relaxed);
        reading.join().expect("the reader does not panic");
        let of = |wanted: &dyn Fn(bool) -> bool| {
            times.summary((first..total).filter(|number| wanted(hot[*number as usize])))
        };
        json!({ "records": total - first, "missing": missing, "all": of(&|_| true), "hot": of(&|hot| hot),
                "others": of(&|hot| !hot) })
    }

    /// By the clock: whatever is due since the last look, at each tick of a millisecond.
    fn write(&self, pen: &mut Pen, times: &Times, numbers: std::ops::Range<u64>, hot: &mut Vec<bool>) {
        let (began, mut next) = (Instant::now(), numbers.start);
        while next < numbers.end {
            let due = numbers.start + (began.elapsed().as_secs_f64() * self.rate) as u64;
            while next < due.min(numbers.end) {
                hot.push(times.write(pen, next));
                next += 1;
            }
            pen.producer.poll(Duration::ZERO);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Times {
    fn new(total: u64) -> Self {
        let zeros = || (0..total).map(|_| AtomicU64::new(0)).collect();
        Self {
            start: Instant::now(),
            written: zeros(),
            read: zeros(),
            seen: AtomicU64::new(0),
            done: AtomicBool::new(false),
        }
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn write(&self, pen: &mut Pen, number: u64) -> bool {
        self.written[number as usize].store(self.now(), Ordering::Relaxed);
        pen.write(number)
    }

    fn read_all(&self, reader: &BaseConsumer) {
        while !self.done.load(Ordering::Relaxed) {
            let Some(Ok(message)) = reader.poll(Duration::from_millis(20)) else { continue };
            let number = stamp::read(None, message.payload());
            let Some(place) = number.and_then(|number| self.read.get(number as usize)) else { continue };
            if place.compare_exchange(0, self.now(), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                self.seen.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// How many of so many are missing after a minute without a new one.
    fn wait_for(&self, count: u64) -> u64 {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let seen = self.seen.load(Ordering::Relaxed);
            if seen >= count || since.elapsed() > PATIENCE {
                return count.saturating_sub(seen);
            }
            if seen != last {
                (last, since) = (seen, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn summary(&self, numbers: impl Iterator<Item = u64>) -> Value {
        let mut times: Vec<u64> = numbers
            .filter_map(|number| {
                let read = self.read[number as usize].load(Ordering::Relaxed);
                (read > 0).then(|| read - self.written[number as usize].load(Ordering::Relaxed))
            })
            .collect();
        times.sort_unstable();
        let at = |share: f64| {
            let index = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
            times.get(index).map(|nanos| *nanos as f64 / 1e6)
        };
        json!({ "count": times.len(), "p50_ms": at(0.5), "p99_ms": at(0.99), "p999_ms": at(0.999), "max_ms": at(1.0) })
    }
}

/// Reads all partitions of a topic from their beginning.
fn reader(servers: &str, topic: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("group.id", "bench-load").set("log_level", "2");
    config.set("enable.auto.commit", "false").set("fetch.queue.backoff.ms", "1");
    let reader: BaseConsumer = config.create().expect("these settings are valid");
    let metadata = reader.fetch_metadata(Some(topic), PATIENCE).expect("the cluster answers");
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        let added = list.add_partition_offset(topic, partition.id(), Offset::Beginning);
        added.expect("a valid offset");
    }
    reader.assign(&list).expect("partitions can be read");
    reader
}
