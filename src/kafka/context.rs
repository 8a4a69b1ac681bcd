//! What our clients do with what librdkafka tells them: connection trouble goes to the [`Link`], which says it once; other
//! lines go to the log, equal ones at most once in ten seconds; rebalances and commits go to the consumer's thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel as Level};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use super::credentials::{Credentials, Seen};
use super::link::{Link, NOBODY};
use super::reason::Reason;
use crate::ops::{LastError, Metrics, Repeats};
use crate::record::TopicPartition;
use crate::sync::Mutex;

/// The target of librdkafka's own debug lines, which `KAFKA_DEBUG` asks for.
pub const LIBRDKAFKA: &str = "librdkafka";

/// For producers, and the part that all clients share.
#[derive(Clone)]
pub struct Context {
    /// Whether the cluster answers.
    pub link: Arc<Link>,
    /// Where errors are counted.
    pub metrics: Arc<Metrics>,
    /// What clients log in with.
    pub credentials: Arc<Credentials>,
    /// What the client with this context has of them.
    seen: Seen,
    repeats: Arc<Mutex<Repeats>>,
    last_error: Arc<Mutex<Option<LastError>>>,
}

impl Context {
    /// One for each process, cloned into every client.
    pub fn new(link: Arc<Link>, metrics: Arc<Metrics>) -> Self {
        Self {
            link,
            metrics,
            credentials: Arc::default(),
            seen: Seen::default(),
            repeats: Arc::default(),
            last_error: Arc::default(),
        }
    }

    /// For clients whose password may change.
    #[must_use]
    pub fn logging_in_with(self, credentials: Credentials) -> Self {
        Self { credentials: Arc::new(credentials), ..self }
    }

    /// The same for clients that tell nobody else whether the cluster answers.
    #[must_use]
    pub fn apart(&self, link: Arc<Link>) -> Self {
        Self { link, ..self.clone() }
    }

    /// For a client that is made now: its properties with the password of now, and a context of its own.
    pub fn of_a_new_client(&self, properties: &ClientConfig) -> (ClientConfig, Self) {
        let (properties, seen) = self.credentials.of_a_new_client(properties);
        (properties, Self { seen, ..self.clone() })
    }

    /// Gives the client with this context the password of now, unless it has it. Costs nothing until it changes.
    pub fn renew<C: ClientContext>(&self, client: &Client<C>) {
        self.credentials.renew(client, &self.seen);
    }

    /// An error of a client as a whole.
    pub fn failed(&self, code: Code, text: &str) {
        self.note("client", &format!("{code:?}"), text);
        let reason = Reason::of(text);
        let known = reason.is_some();
        reason.into_iter().for_each(|reason| self.link.failed(reason));
        match code {
            Code::AllBrokersDown => self.link.lost(&format!("no broker answers: {text}")),
            Code::GroupAuthorizationFailed => {
                self.link.denied(&format!("{text} The user needs Read on the group"), NOBODY)
            }
            Code::Authentication | Code::SaslAuthenticationFailed if !known => self.link.denied(text, NOBODY),
            // One broker's connection: the client tries again by itself, and says so when none is left.
            Code::BrokerTransportFailure | Code::Resolve | Code::OperationTimedOut => {
                tracing::debug!("{code:?}: {text}");
            }
            _ if known => tracing::debug!("{code:?}: {text}"),
            _ => self.say(Level::Warning, &format!("{code:?}"), text),
        }
    }

    /// A line of librdkafka's own log.
    pub fn line(&self, level: Level, facility: &str, text: &str) {
        match facility {
            // Said by the link, once, instead of at every attempt.
            "FAIL" | "ERROR" | "MAXPOLL" if !text.contains("Application maximum poll interval") => {
                detail(facility, text);
                Reason::of(text).into_iter().for_each(|reason| self.link.failed(reason));
            }
            // Said beside with each of the above.
            "SSL" if Reason::of(text).is_some() => detail(facility, text),
            // We set it on purpose, at every start: no news for anybody.
            "CONFWARN" if text.contains("enable.gapless.guarantee") => detail(facility, text),
            _ => self.say(level, facility, text),
        }
    }

    /// Trouble with a topic that lasts: a warning, not more often than every ten seconds for the same topic.
    pub fn complain(&self, topic: &str, text: &str) {
        if let Some(suppressed) = self.admit(topic) {
            tracing::warn!(suppressed, "{text}");
        }
    }

    /// A partition cannot be read. What is `grave` is an error, anything else a warning, not more often than every ten seconds for the
    /// same partition.
    pub fn cannot_read(&self, (topic, number): &TopicPartition, code: Code, text: &str, grave: bool) {
        self.note("consume", &format!("{code:?}"), text);
        if grave {
            tracing::error!("{text}");
        } else {
            self.complain(&format!("{topic}/{number}"), text);
        }
    }

    /// Nothing comes of a partition, and no client has an error to tell of. The caller says it once.
    pub fn stands(&self, code: &str, text: &str) {
        self.note("consume", code, text);
        tracing::warn!("{text}");
    }

    /// Counts an error, and remembers it as the last one.
    fn note(&self, stage: &'static str, code: &str, text: &str) {
        self.metrics.kafka_error(code);
        *self.last_error.lock() = Some(LastError { stage, at: SystemTime::now(), text: text.to_owned() });
    }

    /// What went wrong last.
    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().clone()
    }

    fn admit(&self, key: &str) -> Option<u64> {
        let admitted = self.repeats.lock().admit(key, Instant::now());
        self.metrics.log_suppressed(admitted.unwrap_or(0));
        admitted
    }

    fn say(&self, level: Level, facility: &str, text: &str) {
        if matches!(level, Level::Notice | Level::Info | Level::Debug) {
            // What librdkafka takes for news is none for an operator.
            detail(facility, text);
            return;
        }
        let Some(suppressed) = self.admit(facility) else { return };
        match level {
            Level::Emerg | Level::Alert | Level::Critical | Level::Error => {
                tracing::error!(suppressed, "librdkafka {facility}: {text}");
            }
            _ => tracing::warn!(suppressed, "librdkafka {facility}: {text}"),
        }
    }
}

/// Whoever sets KAFKA_DEBUG wants all of it, whatever else is logged: hence a target of its own.
fn detail(facility: &str, text: &str) {
    tracing::debug!(target: LIBRDKAFKA, "{facility}: {text}");
}

impl ClientContext for Context {
    fn log(&self, level: Level, facility: &str, text: &str) {
        self.line(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.failed(error.rdkafka_error_code().unwrap_or(Code::Unknown), reason);
    }
}

/// What the group tells a consumer, in the order it was told.
#[derive(Debug)]
pub enum RebalanceEvent {
    /// These are ours now, once we accept them.
    Assigned(Vec<TopicPartition>),
    /// These are to be given up.
    Revoked(Vec<TopicPartition>),
}

/// For consumers: keeps what the group tells until the consumer's thread asks.
pub struct Member {
    shared: Context,
    told: Mutex<Vec<RebalanceEvent>>,
    /// The consumer is being closed: the group is answered at once, as nobody asks any more.
    closing: AtomicBool,
    /// And has been answered.
    answered: AtomicBool,
}

impl Member {
    /// For one consumer.
    pub fn new(shared: Context) -> Self {
        Self {
            shared,
            told: Mutex::default(),
            closing: AtomicBool::new(false),
            answered: AtomicBool::new(false),
        }
    }

    /// As [`Context::renew`].
    pub fn renew(&self, client: &Client<Self>) {
        self.shared.renew(client);
    }

    /// From now on a rebalance is answered by giving up everything.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Gives up everything, once. librdkafka may have a word of its own in the queue behind one that nobody had answered; it
    /// closes after one answer to both, and from then on leaves calls without an answer: a second one would block for ever.
    pub fn give_up_everything(&self, consumer: &BaseConsumer<Self>) {
        if !self.answered.swap(true, Ordering::Relaxed)
            && let Err(error) = consumer.unassign()
        {
            tracing::debug!("leaving the group: {error}");
        }
    }

    /// What was told since the last time.
    pub fn take(&self) -> Vec<RebalanceEvent> {
        std::mem::take(&mut self.told.lock())
    }
}

impl ClientContext for Member {
    fn log(&self, level: Level, facility: &str, text: &str) {
        self.shared.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.shared.error(error, reason);
    }
}

impl ConsumerContext for Member {
    /// Does not answer the group yet: the consumer's thread does, when the work is drained, and polls meanwhile.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::Relaxed) {
            self.give_up_everything(consumer);
            return;
        }
        let list =
            partitions.elements().iter().map(|one| (Arc::from(one.topic()), one.partition())).collect();
        let assigned = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        self.told.lock().push(if assigned {
            RebalanceEvent::Assigned(list)
        } else {
            RebalanceEvent::Revoked(list)
        });
    }
}
