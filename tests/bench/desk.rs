//! What `scripts/bench` asks of the cluster: topics made and deleted, how far they are filled, how far a group has come. One
//! process for the whole suite, so that a question costs a request and not the start of a program. A line on standard input is a
//! question, a line of JSON on standard output its answer; it ends when its input does.
//!
//! ```text
//! create NAME PARTITIONS [SETTING=VALUE]...    {"ok": true}      on=3: all partitions on broker 3 alone
//! delete NAME...                               {"ok": true}
//! end NAME                                     {"end": 2000000}  next offsets of all partitions together
//! lag GROUP TOPIC                              {"lag": 0}        what is between committed offset and end
//! leaders NAME                                 {"leaders": [1]}  the broker of each partition
//! ```

use std::collections::HashMap;
use std::future::Future;
use std::io::BufRead;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};

type Answer = Result<Value, String>;

const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a question is asked again that is not answered.
const PATIENCE: Duration = Duration::from_secs(120);
/// Partitions of one request, where there are many.
const AT_ONCE: usize = 100;

fn main() {
    let Some(servers) = std::env::args().skip(1).find(|word| word != "--bench") else {
        eprintln!("usage: desk SERVERS, then questions on standard input");
        std::process::exit(2);
    };
    let mut desk = Desk::new(&servers);
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let words: Vec<&str> = line.split_whitespace().collect();
        println!("{}", desk.answer(&words).unwrap_or_else(|error| json!({ "error": error })));
    }
}

struct Desk {
    config: ClientConfig,
    admin: AdminClient<DefaultClientContext>,
    reader: BaseConsumer,
    /// A client for each group that was asked for: the last one is kept.
    member: Option<(String, BaseConsumer)>,
    partitions: HashMap<String, i32>,
}

impl Desk {
    fn new(servers: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers).set("log_level", "2").set("group.id", "bench-desk");
        config.set("allow.auto.create.topics", "false").set("isolation.level", "read_uncommitted");
        config.set("topic.metadata.refresh.fast.interval.ms", "50").set("enable.auto.commit", "false");
        Self {
            admin: config.create().expect("these settings are valid"),
            reader: config.create().expect("these settings are valid"),
            config,
            member: None,
            partitions: HashMap::new(),
        }
    }

    fn answer(&mut self, words: &[&str]) -> Answer {
        match words {
            ["create", name, partitions, settings @ ..] => self.create(name, partitions, settings),
            ["delete", names @ ..] => self.delete(names),
            ["end", name] => Ok(json!({ "end": self.ends(name)?.values().sum::<i64>() })),
            ["lag", group, topic] => Ok(json!({ "lag": self.lag(group, topic)? })),
            ["leaders", name] => Ok(json!({ "leaders": self.leaders(name)? })),
            _ => Err(format!("no such question: {}", words.join(" "))),
        }
    }

    fn create(&mut self, name: &str, partitions: &str, settings: &[&str]) -> Answer {
        let count: i32 = partitions.parse().map_err(|_| format!("{partitions} is no number"))?;
        let settings: HashMap<_, _> = settings.iter().filter_map(|setting| setting.split_once('=')).collect();
        let broker = settings.get("on").map(|id| id.parse::<i32>().map_err(|_| format!("{id} is no broker")));
        let broker = [broker.transpose()?.unwrap_or_default()];
        let replicas: Vec<&[i32]> = vec![&broker; count as usize];
        let replication = match settings.contains_key("on") {
            true => TopicReplication::Variable(&replicas),
            false => TopicReplication::Fixed(1),
        };
        let mut topic = NewTopic::new(name, count, replication);
        for (key, value) in settings.iter().filter(|(key, _)| **key != "on") {
            topic = topic.set(key, value);
        }
        let made = wait(self.admin.create_topics([&topic], &options())).map_err(|error| error.to_string())?;
        made.into_iter().try_for_each(|one| match one {
            Ok(_) => Ok(()),
            Err((name, code)) => Err(format!("topic {name} cannot be made: {code}")),
        })?;
        self.wait_for_leaders(name, count)?;
        self.partitions.insert(name.to_owned(), count);
        Ok(json!({ "ok": true }))
    }

    fn wait_for_leaders(&self, name: &str, count: i32) -> Result<(), String> {
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            let metadata =
                self.reader.fetch_metadata(Some(name), TIMEOUT).map_err(|error| error.to_string())?;
            let led = metadata.topics().iter().flat_map(|topic| topic.partitions());
            if led.filter(|one| one.leader() >= 0 && one.error().is_none()).count() == count as usize {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("topic {name} has partitions without a leader"))
    }

    fn leaders(&self, name: &str) -> Result<Vec<i32>, String> {
        let metadata = self.reader.fetch_metadata(Some(name), TIMEOUT).map_err(|error| error.to_string())?;
        let mut led: Vec<_> = metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions())
            .map(|one| (one.id(), one.leader()))
            .collect();
        led.sort_unstable();
        Ok(led.into_iter().map(|(_, leader)| leader).collect())
    }

    fn delete(&mut self, names: &[&str]) -> Answer {
        // A thousand partitions take their time; what an earlier try has deleted after all is gone.
        let gone = |code: RDKafkaErrorCode| code == RDKafkaErrorCode::UnknownTopicOrPartition;
        patiently(|| {
            let answers =
                wait(self.admin.delete_topics(names, &options())).map_err(|error| error.to_string())?;
            answers.into_iter().try_for_each(|one| match one {
                Err((name, code)) if !gone(code) => Err(format!("topic {name} cannot be deleted: {code}")),
                _ => Ok(()),
            })
        })?;
        names.iter().for_each(|name| _ = self.partitions.remove(*name));
        Ok(json!({ "ok": true }))
    }

    fn count(&mut self, name: &str) -> Result<i32, String> {
        if let Some(count) = self.partitions.get(name) {
            return Ok(*count);
        }
        let metadata = self.reader.fetch_metadata(Some(name), TIMEOUT).map_err(|error| error.to_string())?;
        let count = metadata.topics().first().map_or(0, |topic| topic.partitions().len()) as i32;
        self.partitions.insert(name.to_owned(), count);
        Ok(count)
    }

    /// The next offset of each partition.
    fn ends(&mut self, name: &str) -> Result<HashMap<i32, i64>, String> {
        let mut list = TopicPartitionList::new();
        for partition in 0..self.count(name)? {
            let at_end = list.add_partition_offset(name, partition, Offset::End);
            at_end.map_err(|error| error.to_string())?;
        }
        let reader = &self.reader;
        patiently(|| {
            let answer =
                reader.offsets_for_times(list.clone(), TIMEOUT).map_err(|error| error.to_string())?;
            let ends = numbers(&answer);
            let missing = list.count() - ends.len();
            if missing == 0 { Ok(ends) } else { Err(format!("{missing} partitions of {name} have no end")) }
        })
    }

    fn lag(&mut self, group: &str, topic: &str) -> Result<i64, String> {
        let ends = self.ends(topic)?;
        if self.member.as_ref().is_none_or(|(name, _)| name != group) {
            let client = self.config.clone().set("group.id", group).create();
            self.member = Some((group.to_owned(), client.map_err(|error| error.to_string())?));
        }
        let Some((_, member)) = &self.member else { return Err("no client".into()) };
        let mut lag = 0;
        let partitions: Vec<i32> = ends.keys().copied().collect();
        for some in partitions.chunks(AT_ONCE) {
            let mut list = TopicPartitionList::new();
            some.iter().for_each(|partition| _ = list.add_partition(topic, *partition));
            let ask = || member.committed_offsets(list.clone(), TIMEOUT).map_err(|error| error.to_string());
            let committed = numbers(&patiently(ask)?);
            lag += some.iter().map(|p| ends[p] - committed.get(p).copied().unwrap_or_default()).sum::<i64>();
        }
        Ok(lag)
    }
}

/// A topic or a group that was just made has no leader yet, or the client does not know of it; a broker has much to do.
fn patiently<T>(mut ask: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// The partitions that have an offset.
fn numbers(list: &TopicPartitionList) -> HashMap<i32, i64> {
    let elements = list.elements();
    let known = elements.iter().filter_map(|one| match one.offset() {
        Offset::Offset(offset) => Some((one.partition(), offset)),
        _ => None,
    });
    known.collect()
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT))
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}
