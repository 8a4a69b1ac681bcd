//! What `verify` and `offsets` ask the cluster: which partitions there are, where they begin and end, what is committed, and the records.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::app::{Ended, Exit};
use crate::config::Config;
use crate::kafka::admin::{self, Topic};
use crate::kafka::ffi::{Message, RecordQueue};
use crate::kafka::offsets;
use crate::record::Parts;
use crate::source::client::{Committed, TopicPartition};
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
pub struct Span {
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
pub struct Reader {
    config: ClientConfig,
    asker: BaseConsumer<Denial>,
    timeout: Duration,
}

impl Reader {
    /// With these settings, under this name. `timeout` is how long the cluster may be silent.
    pub fn new(config: &Config, name: &str, timeout: Duration) -> Result<Self, Ended> {
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
    pub fn has(&self, topic: &str) -> Result<bool, Ended> {
        Ok(self.topic(topic)? != Topic::Missing)
    }

    /// How many partitions a topic has, which has to be there.
    pub fn partitions(&self, topic: &str) -> Result<i32, Ended> {
        kafka::existing(topic, &self.topic(topic)?)
    }

    /// Where the partitions of a topic begin and end now, for a reader of committed records.
    pub fn spans(&self, topic: &str) -> Result<Vec<Span>, Ended> {
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
    pub fn settled_spans(&self, topic: &str) -> Result<Vec<Span>, Ended> {
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
    pub fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<HashMap<TopicPartition, Committed>, Ended> {
        self.ask(|| offsets::committed(&self.asker, partitions))
    }

    /// Shows every record of these partitions, each one's in order.
    pub fn read(&self, spans: &[Span], see: impl FnMut(&Span, i64, &Parts<'_>)) -> Result<(), Ended> {
        let open: Vec<&Span> = spans.iter().filter(|span| span.first < span.end).collect();
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
        let mut reading =
            Reading { known: Vec::new(), left: open.len(), done: vec![false; open.len()], open, see };
        reading.run(&consumer, &mut queue, self.timeout)
    }
}

fn connect(config: &ClientConfig) -> Result<BaseConsumer<Denial>, Ended> {
    config.create_with_context(Denial::default()).map_err(kafka::unusable)
}

/// How far reading has come.
struct Reading<'a, F> {
    open: Vec<&'a Span>,
    /// Which of them are read to their end.
    done: Vec<bool>,
    left: usize,
    /// By the client's cheap name of a topic: the places of its partitions in `open`.
    known: Vec<(usize, Vec<Option<usize>>)>,
    see: F,
}

impl<F: FnMut(&Span, i64, &Parts<'_>)> Reading<'_, F> {
    fn run(
        &mut self,
        consumer: &Arc<BaseConsumer<Denial>>,
        queue: &mut RecordQueue,
        timeout: Duration,
    ) -> Result<(), Ended> {
        let mut heard = Instant::now();
        while self.left > 0 {
            let (mut moved, mut trouble) = (false, Ok(()));
            queue.take(WAIT, |message| match self.take(&message) {
                Ok(one_more) => moved |= one_more,
                Err(ended) => trouble = Err(ended),
            });
            trouble?;
            consumer.poll(Duration::ZERO);
            if moved {
                heard = Instant::now();
                continue;
            }
            let late = KafkaError::MessageConsumption(Code::OperationTimedOut);
            kafka::refused(consumer.context(), &late)?;
            if heard.elapsed() >= timeout {
                return Err(self.stuck(timeout));
            }
        }
        Ok(())
    }

    /// Whether the message brings reading on.
    fn take(&mut self, message: &Message<'_>) -> Result<bool, Ended> {
        let error = message.error();
        let at_end = matches!(error, Some((Code::PartitionEOF, _)));
        if let Some((code, text)) = error.filter(|_| !at_end) {
            return trouble(message, code, &text).map(|()| false);
        }
        let Some(place) = self.place(message) else { return Ok(false) };
        let (span, offset) = (self.open[place], message.offset());
        if self.done[place] {
            return Ok(false);
        }
        if !at_end && offset < span.end {
            (self.see)(span, offset, &message.parts());
        }
        if offset + i64::from(!at_end) >= span.end {
            self.done[place] = true;
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
        let open = self.open.iter().zip(&self.done).find(|(_, done)| !**done);
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
