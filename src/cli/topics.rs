//! What `verify`, `offsets` and the demo ask the cluster: which partitions there are, where they begin and end, what is committed, and
//! the records, up to an end or while they grow.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::app::{Ended, Exit};
use crate::config::Config;
use crate::kafka::admin::{self, Topic};
use crate::kafka::ffi::{Message, RecordQueue};
use crate::kafka::offsets;
use crate::record::Parts;
use crate::record::TopicPartition;
use crate::source::client::Committed;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::cli::kafka::{self, Denial};

/// One question may take so long before it is asked again.
const PATIENCE: Duration = Duration::from_secs(5);
/// Records taken at once.
const BATCH: usize = 1000;
/// How long to wait for one when there is none.
const WAIT: Duration = Duration::from_millis(100);

/// A partition, and what of it is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its number.
    pub partition: i32,
    /// The first offset.
    pub first: i64,
    /// The offset behind the last.
    pub end: i64,
}

/// A client who asks and reads, and is nobody's member.
pub(super) struct Reader {
    config: ClientConfig,
    asker: BaseConsumer<Denial>,
    timeout: Duration,
}

impl Reader {
    /// With these settings, under this name. `timeout` is how long the cluster may be silent.
    pub(super) fn new(config: &Config, name: &str, timeout: Duration) -> Result<Self, Ended> {
        let mut client = kafka::client(&config.consumer_properties);
        client.remove("group.instance.id");
        client.set("client.id", name);
        // The ends are behind transaction markers, which nobody reads: only this tells that one is reached.
        client.set("enable.partition.eof", "true");
        client.set("fetch.wait.max.ms", "50");
        // All partitions are read at once: each may keep less than an instance's.
        client.set("queued.max.messages.kbytes", "2048");
        let asker = connect(&client)?;
        Ok(Self { config: client, asker, timeout })
    }

    fn ask<T>(&self, question: impl Fn() -> Result<T, KafkaError>) -> Result<T, Ended> {
        // The client says what it has to say when it is polled, one thing a call.
        let serve = || {
            (0..16).for_each(|_| _ = self.asker.poll(Duration::ZERO));
            std::thread::park_timeout(WAIT);
        };
        kafka::ask(self.timeout, self.asker.context(), serve, question)
    }

    fn topic(&self, topic: &str) -> Result<Topic, Ended> {
        self.ask(|| admin::topic(self.asker.client(), topic, PATIENCE.min(self.timeout)))
    }

    /// Whether there is such a topic.
    pub(super) fn has(&self, topic: &str) -> Result<bool, Ended> {
        Ok(self.topic(topic)? != Topic::Missing)
    }

    /// How many partitions a topic has, which has to be there.
    pub(super) fn partitions(&self, topic: &str) -> Result<i32, Ended> {
        kafka::existing(topic, &self.topic(topic)?)
    }

    /// Where the partitions of a topic begin and end now, for a reader of committed records.
    pub(super) fn spans(&self, topic: &str) -> Result<Vec<Span>, Ended> {
        self.spans_seen_by(&self.asker, topic)
    }

    fn spans_seen_by(&self, client: &BaseConsumer<Denial>, topic: &str) -> Result<Vec<Span>, Ended> {
        let partitions = self.partitions(topic)?;
        let name: Arc<str> = topic.into();
        let span = |partition| {
            let patience = PATIENCE.min(self.timeout);
            let (first, end) = self.ask(|| client.fetch_watermarks(topic, partition, patience))?;
            Ok(Span { topic: name.clone(), partition, first, end })
        };
        (0..partitions).map(span).collect()
    }

    /// The same, once every transaction that is open now has ended: what is in it, and all behind it, cannot be read before.
    pub(super) fn settled_spans(&self, topic: &str) -> Result<Vec<Span>, Ended> {
        let mut config = self.config.clone();
        config.set("isolation.level", "read_uncommitted");
        let spans = self.spans_seen_by(&connect(&config)?, topic)?;
        let began = Instant::now();
        loop {
            let readable = self.spans(topic)?;
            let hidden = spans.iter().zip(&readable).find(|(span, readable)| readable.end < span.end);
            let Some((Span { partition, .. }, _)) = hidden else { return Ok(spans) };
            if began.elapsed() >= self.timeout {
                let text = format!(
                    "{topic}/{partition}: a transaction has been open for {:.0?}, and nothing behind its first record can be \
                     read. The broker ends one whose producer is gone after its transaction.timeout.ms: try again later",
                    self.timeout
                );
                return Err(Ended::new(Exit::Missing, text));
            }
            std::thread::park_timeout(WAIT);
        }
    }

    /// What the group has committed, where it has something.
    pub(super) fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<HashMap<TopicPartition, Committed>, Ended> {
        self.ask(|| offsets::committed(&self.asker, partitions))
    }

    /// Shows every record of these partitions, each one's in order.
    pub(super) fn read(&self, spans: &[Span], see: impl FnMut(&Span, i64, &Parts<'_>)) -> Result<(), Ended> {
        let spans = spans.iter().filter(|span| span.first < span.end).cloned().collect();
        let (mut reading, mut client) = self.reading(spans, see)?;
        reading.run(&mut client, self.timeout, || None)
    }

    /// Shows every record of these partitions while they grow, on a thread of its own. Their ends are told later.
    pub(super) fn follow(
        &self,
        spans: Vec<Span>,
        see: impl FnMut(&Span, i64, &Parts<'_>) + Send + 'static,
    ) -> Result<Follower, Ended> {
        let (mut reading, mut client) = self.reading(spans, see)?;
        let (ends, outcome) = (Arc::<Mutex<Option<Vec<Span>>>>::default(), Arc::default());
        let (told, result): (_, Arc<Mutex<_>>) = (ends.clone(), Arc::clone(&outcome));
        let life = move || {
            let ended = reading.run(&mut client, Duration::MAX, || told.lock().take());
            *result.lock() = Some(ended);
        };
        let thread = std::thread::Builder::new().name("reader".to_owned()).spawn(life);
        let thread =
            thread.map_err(|error| Ended::new(Exit::Failure, format!("no thread for a reader: {error}")))?;
        Ok(Follower { ends, outcome, thread })
    }

    fn reading<F>(&self, open: Vec<Span>, see: F) -> Result<(Reading<F>, Client), Ended> {
        let failed = |error| Ended::new(Exit::Failure, format!("the partitions cannot be read: {error}"));
        let consumer = Arc::new(connect(&self.config)?);
        let mut queue = RecordQueue::new(&consumer, BATCH);
        let mut list = TopicPartitionList::new();
        for span in &open {
            queue.attach(&span.topic, span.partition);
            list.add_partition_offset(&span.topic, span.partition, Offset::Offset(span.first))
                .map_err(failed)?;
        }
        consumer.assign(&list).map_err(failed)?;
        let positions = open.iter().map(|span| span.first).collect();
        let reading = Reading { known: Vec::new(), left: open.len(), positions, open, see };
        Ok((reading, Client { consumer, queue }))
    }
}

fn connect(config: &ClientConfig) -> Result<BaseConsumer<Denial>, Ended> {
    config.create_with_context(Denial::default()).map_err(kafka::unusable)
}

/// A thread that reads partitions while they grow.
pub(super) struct Follower {
    ends: Arc<Mutex<Option<Vec<Span>>>>,
    outcome: Arc<Mutex<Option<Result<(), Ended>>>>,
    thread: JoinHandle<()>,
}

impl Follower {
    /// The partitions end here: it ends when all before is read. Those that are not named have ended.
    pub(super) fn read_to(&self, ends: Vec<Span>) {
        *self.ends.lock() = Some(ends);
    }

    /// How it ended, if it has.
    pub(super) fn outcome(&self) -> Option<Result<(), Ended>> {
        let ended = self.thread.is_finished();
        let panicked = || ended.then(|| Err(Ended::new(Exit::Bug, "the reader's thread panicked")));
        self.outcome.lock().clone().or_else(panicked)
    }
}

/// What the records come from.
struct Client {
    consumer: Arc<BaseConsumer<Denial>>,
    queue: RecordQueue,
}

/// How far reading has come.
struct Reading<F> {
    open: Vec<Span>,
    /// The offset behind the last record read, of each of them.
    positions: Vec<i64>,
    /// How many are not read to their end.
    left: usize,
    /// By the client's cheap name of a topic: the places of its partitions in `open`.
    known: Vec<(usize, Vec<Option<usize>>)>,
    see: F,
}

impl<F: FnMut(&Span, i64, &Parts<'_>)> Reading<F> {
    fn run(
        &mut self,
        client: &mut Client,
        timeout: Duration,
        new_ends: impl Fn() -> Option<Vec<Span>>,
    ) -> Result<(), Ended> {
        let mut heard = Instant::now();
        while self.left > 0 {
            if let Some(ends) = new_ends() {
                self.set_ends(&ends);
                continue;
            }
            let (mut moved, mut trouble) = (false, Ok(()));
            client.queue.take(WAIT, |message| match self.take(&message) {
                Ok(one_more) => moved |= one_more,
                Err(ended) => trouble = Err(ended),
            });
            trouble?;
            client.consumer.poll(Duration::ZERO);
            if moved {
                heard = Instant::now();
                continue;
            }
            let late = KafkaError::MessageConsumption(Code::OperationTimedOut);
            kafka::refused(client.consumer.context(), &late)?;
            if heard.elapsed() >= timeout {
                return Err(self.stuck(timeout));
            }
        }
        Ok(())
    }

    fn set_ends(&mut self, ends: &[Span]) {
        for span in &mut self.open {
            let same = |end: &&Span| end.topic == span.topic && end.partition == span.partition;
            span.end = ends.iter().find(same).map_or(span.first, |end| end.end);
        }
        self.left = self.open.iter().zip(&self.positions).filter(|(span, at)| **at < span.end).count();
    }

    /// Whether the message brings reading on.
    fn take(&mut self, message: &Message<'_>) -> Result<bool, Ended> {
        let error = message.error();
        let at_end = matches!(error, Some((Code::PartitionEOF, _)));
        if let Some((code, text)) = error.filter(|_| !at_end) {
            return trouble(message, code, &text).map(|()| false);
        }
        let Some(place) = self.place(message) else { return Ok(false) };
        let (span, offset) = (&self.open[place], message.offset());
        if self.positions[place] >= span.end {
            return Ok(false);
        }
        if !at_end && offset < span.end {
            (self.see)(span, offset, &message.parts());
        }
        self.positions[place] = offset + i64::from(!at_end);
        if self.positions[place] >= span.end {
            self.left -= 1;
        }
        Ok(true)
    }

    fn place(&mut self, message: &Message<'_>) -> Option<usize> {
        let (id, partition) = (message.topic_id(), usize::try_from(message.partition()).ok()?);
        if let Some((_, places)) = self.known.iter().find(|(known, _)| *known == id) {
            return *places.get(partition)?;
        }
        let name = message.topic()?;
        let mut places = Vec::new();
        for (place, span) in self.open.iter().enumerate().filter(|(_, span)| *span.topic == *name) {
            let number = span.partition as usize;
            places.resize(places.len().max(number + 1), None);
            places[number] = Some(place);
        }
        let found = places.get(partition).copied().flatten();
        self.known.push((id, places));
        found
    }

    fn stuck(&self, timeout: Duration) -> Ended {
        let open = self.open.iter().zip(&self.positions).find(|(span, at)| **at < span.end);
        let name = open.map_or(String::new(), |(span, _)| format!("{}/{}", span.topic, span.partition));
        Ended::new(
            Exit::Missing,
            format!(
                "no record for {timeout:.0?}, and {} partitions are not read to their end, such as {name}",
                self.left
            ),
        )
    }
}

/// librdkafka tries again by itself, except where it cannot help.
fn trouble(message: &Message<'_>, code: Code, text: &str) -> Result<(), Ended> {
    let place = format!("{}/{}", message.topic().unwrap_or("a topic"), message.partition());
    match code {
        Code::AutoOffsetReset | Code::OffsetOutOfRange => {
            let text = format!("{place}: records were removed before they could be read ({text}); try again");
            Err(Ended::new(Exit::Failure, text))
        }
        Code::TopicAuthorizationFailed => Err(kafka::denied_topic(&place)),
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            Err(Ended::new(Exit::Missing, format!("{place} went away while it was read")))
        }
        _ => Ok(()),
    }
}
