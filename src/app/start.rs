//! Before anything runs: is the cluster there, do the topics exist, may we use them, where does the group stand.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::admin::AdminClient;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

use super::derive::{
    about, client_config, producer_properties, servers, transaction_timeout, transactional_name,
};
use super::ended::{Ended, Exit};
use super::login::Login;
use super::replicas::shortage;
use super::rights;
use super::status::AppStatus;
use super::topics;
use super::{End, Event, Inbox};
use crate::config::Config;
use crate::kafka::admin::{self, Settings, Topic};
use crate::kafka::context::{Context, Member};
use crate::kafka::errors::{self, Beginning};
use crate::kafka::ffi::topic_ids::topic_ids;
use crate::kafka::ffi::transactions::Remedy;
use crate::kafka::ffi::{Writer, certificate};
use crate::kafka::link::Link;
use crate::kafka::offsets::committed;
use crate::kafka::reason::Cause;
use crate::ops::metrics::Metrics;
use crate::policy::{Delivery, OffsetReset};
use crate::sink::Target;
use crate::source::start::Known;

/// How long one question to the cluster may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long a start waits before it asks a silent cluster again.
const PAUSE: Duration = Duration::from_millis(500);
/// How many questions may stay without an answer after a broker refused us: one that is starting up may do so once, and
/// librdkafka does not say it again.
const DENIALS: u32 = 3;
/// How often a topic that is missing is looked up once more: one that has just been made is not known to every broker yet.
const MISSES: u32 = 2;
/// Kafka's own default of `max.message.bytes`, for topics whose configuration we may not read.
const MAX_MESSAGE_BYTES: usize = 1_048_588;

/// What was found out about the cluster.
pub(super) struct Found {
    pub known: HashMap<Arc<str>, Known>,
    pub output_partitions: i32,
    pub dead_letter_partitions: i32,
    /// What to say where nobody has made the dead-letter topic that is the default. Nobody named it, so this is no error:
    /// the first record that fails waits for it.
    pub dead_letters_missing: Option<String>,
    /// What to say where the dead-letter topic may drop letters before their records are gone from the input.
    pub dead_letters_at_risk: Option<String>,
    /// Bytes of the largest batch that the output and the dead-letter topic take (`max.message.bytes`), in the order of `Target`.
    pub largest_batches: [usize; 2],
}

/// One line of `check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, such as `broker`.
    pub what: String,
    /// Whether it is as it should be.
    pub level: Level,
    /// For people.
    pub text: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Good,
    /// It runs, and somebody should know.
    Warning,
    /// It does not run so.
    Fault,
}

/// Waits until the cluster answers, then looks at the topics. Says once that it waits. The clients that asked end meanwhile.
pub(super) fn wait_for_cluster(
    config: &Config,
    context: &Context,
    status: &AppStatus,
    inbox: &Inbox,
    login: &Login,
) -> Result<(Found, Ending), End> {
    let probe = Probe::new(config, context)?;
    let (mut denials, mut misses) = (0, 0);
    loop {
        let silence = match probe.look(config) {
            Ok(found) => {
                context.link.answered();
                return Ok((found, Ending::of(probe)));
            }
            Err(Refused::Ended(ended)) if may_pass(ended.exit) && misses < MISSES => {
                misses += 1;
                thread::park_timeout(PAUSE);
                continue;
            }
            Err(Refused::Ended(ended)) => return Err(ended.into()),
            Err(Refused::Silent(text)) => text,
        };
        probe.serve();
        explain_certificate(config, &context.link);
        if context.link.denial().is_some() && context.credentials.read_again() {
            context.link.forgive();
            probe.renew();
        }
        if let Some(rotated) = login.rotated(config, &context.link) {
            return Err(End::Rotated(rotated));
        }
        if let Some(reason) = context.link.denial() {
            denials += 1;
            if denials >= DENIALS && login.is_over(&context.link) {
                return Err(
                    Ended::new(Exit::Denied, format!("the broker does not let us in: {reason}")).into()
                );
            }
        }
        context.link.lost(&silence);
        status.waiting(&context.link.outage().unwrap_or(silence));
        match inbox.recv_timeout(PAUSE) {
            Ok(Event::Signal) => {
                return Err(Ended::new(
                    Exit::Clean,
                    "stopped by a signal before the cluster answered; nothing was read",
                )
                .into());
            }
            Ok(event) => return Err(Ended::bug(&super::ended::reason(&event)).into()),
            Err(_) => {}
        }
    }
}

/// Looks at the cluster once, for `processor check`. Never joins the group, never writes.
pub fn check(config: &Config) -> (Vec<Finding>, Exit) {
    let context = Context::new(Arc::new(Link::default()), Arc::new(Metrics::new(about(config))));
    let probe = match Probe::new(config, &context) {
        Ok(probe) => probe,
        Err(ended) => return (vec![fault("properties", ended.message)], ended.exit),
    };
    let until = Instant::now() + PATIENCE;
    let mut result = probe.look(config);
    while matches!(result, Err(Refused::Silent(_))) && Instant::now() < until {
        probe.serve();
        result = probe.look(config);
    }
    probe.serve();
    match result {
        Ok(found) => {
            let exit = match undecided(config, &found) {
                Some(_) => Exit::Config,
                None if found.dead_letters_missing.is_some() => Exit::Missing,
                None => Exit::Clean,
            };
            let mut all = findings(config, &found);
            let lacking = rights::missing(probe.consumer.client(), config);
            if !lacking.is_empty() {
                all.extend(lacking.iter().map(|one| fault("permissions", one.text(config))));
                return (all, Exit::Denied);
            }
            let short = probe.shortages(config);
            if !short.is_empty() {
                all.extend(short.into_iter().map(|text| fault("replicas", text)));
                return (all, Exit::Missing);
            }
            match (config.delivery == Delivery::ExactlyOnce).then(|| transactions(config, &found, &context)) {
                None => (all, exit),
                Some(Ok(finding)) => {
                    all.push(finding);
                    (all, exit)
                }
                Some(Err(ended)) => {
                    all.push(fault("transactions", ended.message));
                    (all, ended.exit)
                }
            }
        }
        Err(Refused::Ended(ended)) => (vec![fault("topics", ended.message)], ended.exit),
        Err(Refused::Silent(silence)) => {
            explain_certificate(config, &context.link);
            match (context.link.denial(), context.link.reason()) {
                (Some(why), _) => (vec![fault("credentials", why)], Exit::Denied),
                (None, Some(reason)) => (vec![fault("broker", reason.to_string())], Exit::Missing),
                (None, None) => (vec![fault("broker", silence)], Exit::Missing),
            }
        }
    }
}

fn findings(config: &Config, found: &Found) -> Vec<Finding> {
    let inputs: Vec<String> = config
        .input_topics
        .iter()
        .map(|topic| {
            format!("{topic} ({})", found.known.get(topic.as_str()).map_or(0, |known| known.partitions))
        })
        .collect();
    let mut topics = format!("{} -> {} ({})", inputs.join(" "), config.output_topic, found.output_partitions);
    if let Some(dead_letters) = &config.dead_letter_topic {
        topics += &format!(", {dead_letters} ({})", found.dead_letter_partitions);
    }
    let at_work = found.known.values().any(|known| known.has_offsets);
    let group = match undecided(config, found) {
        Some(text) => fault("group", text),
        None if at_work => {
            good("group", format!("{} has offsets: goes on where it stopped", config.group_id))
        }
        None => good("group", format!("{} has no offsets yet", config.group_id)),
    };
    let mut all = vec![good("broker", "answers".to_owned()), good("topics", topics), group];
    all.extend(found.dead_letters_missing.iter().map(|text| fault("dead letters", text.clone())));
    all.extend(found.dead_letters_at_risk.iter().map(|text| warning("dead letters", text.clone())));
    all
}

/// What a start would end with at once: the group is new to a topic, and nobody has said where it begins.
fn undecided(config: &Config, found: &Found) -> Option<String> {
    let new = |topic: &&String| found.known.get(topic.as_str()).is_some_and(|known| !known.has_offsets);
    let topics: Vec<&str> = config.input_topics.iter().filter(new).map(String::as_str).collect();
    (config.offset_reset == OffsetReset::Error && !topics.is_empty()).then(|| {
        format!(
            "{} has no offsets for {}, and KAFKA_OFFSET_RESET is error, so run would end at once. Choose where it begins: \
             earliest reads all records that are there, latest only those written from now on",
            config.group_id,
            topics.join(" ")
        )
    })
}

/// Whether the cluster lets us have transactions: tried with a name of its own, so that no running instance is shut out. Nothing
/// is written to a topic.
fn transactions(config: &Config, found: &Found, context: &Context) -> Result<Finding, Ended> {
    let name = format!("{}-check", transactional_name(config));
    let timeout = transaction_timeout(config).as_millis();
    let mut properties = producer_properties(config, found, &[Target::Output, Target::DeadLetter]);
    properties.set("transactional.id", &name);
    let writer: Writer<(), Context> = Writer::new(&properties, context.clone(), &[]).map_err(|error| {
        Ended::new(Exit::Config, format!("librdkafka does not accept these properties: {error}"))
    })?;
    let until = Instant::now() + 2 * PATIENCE;
    loop {
        let Err(failed) = writer.init_transactions(PAUSE) else {
            let text = format!("allowed, as {name}; one lasts {timeout} ms at most");
            return Ok(good("transactions", text));
        };
        writer.poll(Duration::ZERO, &mut |_| {});
        let why = errors::beginning(failed.code);
        let (exit, text) = match (why, why.advice(&name, timeout)) {
            (Beginning::Denied, Some(advice)) => (Exit::Denied, advice),
            (_, Some(advice)) => (Exit::Config, advice),
            _ if failed.remedy == Remedy::Again && Instant::now() < until => continue,
            _ => (
                Exit::Missing,
                "does the transaction coordinator work? It needs as many brokers as \
                 transaction.state.log.replication.factor says (3 by default), and of those \
                 transaction.state.log.min.isr (2) in sync"
                    .to_owned(),
            ),
        };
        return Err(Ended::new(exit, format!("no transactions, as {name}: {}. {text}", failed.text)));
    }
}

fn good(what: &str, text: String) -> Finding {
    Finding { what: what.to_owned(), level: Level::Good, text }
}

fn fault(what: &str, text: String) -> Finding {
    Finding { what: what.to_owned(), level: Level::Fault, text }
}

fn warning(what: &str, text: String) -> Finding {
    Finding { what: what.to_owned(), level: Level::Warning, text }
}

/// Whether a finding may be gone with the next look: a broker may not have heard yet of a topic that was made, made again, or has
/// grown.
fn may_pass(exit: Exit) -> bool {
    matches!(exit, Exit::Missing | Exit::Config)
}

enum Refused {
    Ended(Ended),
    /// Nobody answers, and what was asked.
    Silent(String),
}

impl From<KafkaError> for Refused {
    fn from(error: KafkaError) -> Self {
        Self::Silent(format!(
            "no broker of KAFKA_SERVERS answers within {} s ({error}). Is the address right, and reachable from here?",
            PATIENCE.as_secs()
        ))
    }
}

/// A client that asks and never joins.
pub(super) struct Probe {
    consumer: BaseConsumer<Member>,
    admin: AdminClient<Context>,
    runtime: tokio::runtime::Runtime,
    link: Arc<Link>,
}

/// The end of the clients that asked: a tenth of a second each, which nothing but the end of the process needs to wait for, and
/// whoever drops this does.
pub(super) struct Ending(Option<JoinHandle<()>>);

impl Ending {
    fn of(probe: Probe) -> Self {
        // Where there is no thread to be had it is dropped here.
        Self(thread::Builder::new().name("probe-end".to_owned()).spawn(move || drop(probe)).ok())
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.0.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("ending the first clients failed: this is our bug");
        }
    }
}

impl Probe {
    pub(super) fn new(config: &Config, context: &Context) -> Result<Self, Ended> {
        let wrong = |error: KafkaError| {
            Ended::new(Exit::Config, format!("librdkafka does not accept these properties: {error}"))
        };
        let mut properties = brisk(client_config(&config.consumer_properties));
        properties.remove("group.instance.id");
        // It asks only whether there are offsets. Those of a transaction that a killed instance left open would be waited for, up
        // to the end of its timeout, and it is the next instance of that name that ends it.
        properties.set("isolation.level", "read_uncommitted");
        let (properties, own) = context.of_a_new_client(&properties);
        let consumer = properties.create_with_context(Member::new(own)).map_err(wrong)?;
        let (producer, own) = context.of_a_new_client(&brisk(client_config(&config.producer_properties)));
        let admin = producer.create_with_context(own).map_err(wrong)?;
        let runtime = admin::runtime()
            .map_err(|error| Ended::new(Exit::Failure, format!("no async runtime: {error}")))?;
        Ok(Self { consumer, admin, runtime, link: context.link.clone() })
    }

    /// Logs in with the password of now.
    fn renew(&self) {
        self.consumer.context().renew(self.consumer.client());
        self.admin.inner().context().renew(self.admin.inner());
    }

    /// Whether brokers answer both clients within this time each.
    pub(super) fn is_let_in(&self, wait: Duration) -> bool {
        let clients = (self.consumer.client(), self.admin.inner());
        clients.0.fetch_metadata(None, wait).is_ok() && clients.1.fetch_metadata(None, wait).is_ok()
    }

    /// Lets the client say what it has to say.
    pub(super) fn serve(&self) {
        // One event a call, and no telling whether there was one.
        for _ in 0..64 {
            self.consumer.poll(Duration::ZERO);
        }
    }

    fn look(&self, config: &Config) -> Result<Found, Refused> {
        let client = self.consumer.client();
        let mut missing = Vec::new();
        let mut denied = Vec::new();
        let mut partitions = HashMap::new();
        for topic in config.input_topics.iter().map(String::as_str).chain(outputs(config)) {
            match admin::topic(client, topic, PATIENCE)? {
                Topic::Exists(count) => _ = partitions.insert(topic.to_owned(), count),
                Topic::Missing => missing.push(topic.to_owned()),
                Topic::Denied => denied.push(topic.to_owned()),
            }
        }
        if !denied.is_empty() {
            let text = format!(
                "not allowed to use {}: the user needs Describe and Read on input topics, Describe and \
                                Write on the output and the dead-letter topic",
                denied.join(" ")
            );
            return Err(Refused::Ended(Ended::new(Exit::Denied, text)));
        }
        let found_dead_letters = !missing.iter().any(|topic| is_default_dead_letter(config, topic));
        missing.retain(|topic| !is_default_dead_letter(config, topic));
        if !missing.is_empty() {
            return Err(Refused::Ended(Ended::new(
                Exit::Missing,
                missing_text(config, &missing, &partitions),
            )));
        }
        if let Some(text) = topics::without_a_place(config, &partitions) {
            return Err(Refused::Ended(Ended::new(Exit::Config, text)));
        }
        let count = |topic: &String| partitions.get(topic).copied().unwrap_or(1);
        // By two clients, each with a broker to find.
        let (known, settings) = thread::scope(|scope| {
            let settings = scope.spawn(|| self.settings(config));
            (self.known(config, &partitions), settings.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        Ok(Found {
            known: known?,
            output_partitions: count(&config.output_topic),
            dead_letter_partitions: config.dead_letter_topic.as_ref().map_or(1, count),
            dead_letters_missing: (!found_dead_letters)
                .then(|| missing_text(config, config.dead_letter_topic.as_slice(), &partitions)),
            dead_letters_at_risk: dead_letters_at_risk(config, &settings),
            largest_batches: largest_batches(config, &settings),
        })
    }

    /// Of all our topics that let us know.
    fn settings(&self, config: &Config) -> HashMap<String, Settings> {
        let topics: Vec<&str> =
            config.input_topics.iter().map(String::as_str).chain(outputs(config)).collect();
        let settings = admin::settings(&self.admin, &topics, &self.runtime);
        topics.into_iter().zip(settings).filter_map(|(topic, one)| Some((topic.to_owned(), one?))).collect()
    }

    /// Outputs that take no records now, as too few of their replicas are in sync.
    fn shortages(&self, config: &Config) -> Vec<String> {
        let topics: Vec<&str> = outputs(config).collect();
        let settings = admin::settings(&self.admin, &topics, &self.runtime);
        let short = |(topic, settings): (&str, Option<Settings>)| {
            let all = admin::replicas(self.consumer.client(), topic, PATIENCE).ok()?;
            shortage(topic, &all, settings?.least_in_sync?)
        };
        topics.into_iter().zip(settings).filter_map(short).collect()
    }

    /// Other brokers answered before: what is missing is the one that keeps the group's offsets, or the right to ask it.
    fn no_coordinator(&self, config: &Config, error: &KafkaError) -> Refused {
        self.serve();
        if self.link.denial().is_some_and(|why| why.contains("roup authorization failed")) {
            let text = rights::Missing::of_group(config).text(config);
            return Refused::Ended(Ended::new(Exit::Denied, text));
        }
        Refused::Silent(format!(
            "the brokers answer, but none of them coordinates group {} ({error}). Its offsets are in the topic __consumer_offsets, \
             which needs as many brokers as offsets.topic.replication.factor says (3 by default), with a leader for each partition",
            config.group_id
        ))
    }

    fn known(
        &self,
        config: &Config,
        partitions: &HashMap<String, i32>,
    ) -> Result<HashMap<Arc<str>, Known>, Refused> {
        // Before the offsets: what is made again in between is noticed later.
        let ids = topic_ids(self.consumer.client(), &config.input_topics, PATIENCE)?;
        let topics = config
            .input_topics
            .iter()
            .filter_map(|topic| Some((Arc::from(topic.as_str()), *partitions.get(topic)?)));
        let topics: Vec<(Arc<str>, i32)> = topics.collect();
        let all: Vec<_> = topics
            .iter()
            .flat_map(|(topic, count)| (0..*count).map(|number| (topic.clone(), number)))
            .collect();
        let offsets = committed(&self.consumer, &all).map_err(|error| self.no_coordinator(config, &error))?;
        let known = topics
            .into_iter()
            .map(|(topic, partitions)| {
                let has_offsets = offsets.keys().any(|(name, _)| *name == topic);
                let topic_id = ids.get(&topic).copied().flatten();
                (topic, Known { partitions, has_offsets, topic_id })
            })
            .collect();
        match topics::of_others(config, &ids, &known, &offsets) {
            Some(text) => Err(Refused::Ended(Ended::new(Exit::Config, text))),
            None => Ok(known),
        }
    }
}

/// What one batch may have in each of the topics that are written.
fn largest_batches(config: &Config, settings: &HashMap<String, Settings>) -> [usize; 2] {
    let of = |topic: Option<&String>| {
        topic.and_then(|topic| settings.get(topic)?.max_message_bytes).unwrap_or(MAX_MESSAGE_BYTES)
    };
    [of(Some(&config.output_topic)), of(config.dead_letter_topic.as_ref())]
}

/// Why a dead letter may be gone while its record still stands in the input.
fn dead_letters_at_risk(config: &Config, settings: &HashMap<String, Settings>) -> Option<String> {
    let topic = config.dead_letter_topic.as_ref()?;
    let letters = settings.get(topic)?;
    if letters.is_compacted {
        return Some(format!(
            "{topic} is compacted: of the failed records of a key only the last one is kept, and one without a key is refused. \
             Set its cleanup.policy to delete"
        ));
    }
    let kept = letters.keeps_ms?;
    // For ever is longer than any time.
    let longer =
        |input: &&String| settings.get(*input).is_some_and(|one| one.keeps_ms.is_none_or(|ms| ms > kept));
    let input = config.input_topics.iter().find(longer)?;
    let keeps = settings.get(input)?.keeps_ms.map_or("for ever".to_owned(), |ms| format!("{ms} ms"));
    Some(format!(
        "{topic} keeps a record {kept} ms (retention.ms) and the input {input} {keeps}: a failed record is gone from there first. \
         Raise retention.ms of {topic}"
    ))
}

/// librdkafka waits half of this time before it connects to the broker that the first one named: 50 ms by its default, for a
/// client that lives as long.
fn brisk(mut properties: ClientConfig) -> ClientConfig {
    const NAMES: [&str; 2] = ["reconnect.backoff.ms", "reconnect.backoff.max.ms"];
    if NAMES.iter().all(|name| properties.get(name).is_none()) {
        properties.set(NAMES[0], "20");
    }
    properties
}

/// Where results and dead letters go.
fn outputs(config: &Config) -> impl Iterator<Item = &str> {
    std::iter::once(config.output_topic.as_str()).chain(config.dead_letter_topic.as_deref())
}

/// librdkafka does not say what it is about a broker's certificate: this asks once more, and looks.
fn explain_certificate(config: &Config, link: &Link) {
    let Some(reason) =
        link.reason().filter(|reason| reason.cause == Cause::Certificate && !reason.is_precise())
    else {
        return;
    };
    if let Some(why) = certificate::refusal(&client_config(&config.producer_properties), PATIENCE) {
        let reason = reason.because(why);
        link.denied(&reason.to_string(), reason.address());
        link.failed(reason);
    }
}

fn is_default_dead_letter(config: &Config, topic: &str) -> bool {
    config.dead_letter_topic.as_deref() == Some(topic) && topic == format!("dlq.{}", config.group_id)
}

fn missing_text(config: &Config, missing: &[String], partitions: &HashMap<String, i32>) -> String {
    let like = config.input_topics.iter().find_map(|topic| partitions.get(topic)).copied().unwrap_or(6);
    let mut text = String::from("these topics do not exist, or the user may not see them; make them with:");
    let servers = servers(config);
    for topic in missing {
        text += &format!(
            "\n  kafka-topics --bootstrap-server {servers} --create --topic {topic} --partitions {like}"
        );
    }
    if missing.iter().any(|topic| Some(topic) == config.dead_letter_topic.as_ref()) {
        text += "\nor set KAFKA_DLQ_TOPIC to another topic for failed records (off: stop at the first one)";
    }
    text
}
