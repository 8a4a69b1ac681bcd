//! The table of settings. Parsing, `--help`, `processor config` and the reference are all made from it, so that they cannot
//! disagree. A new setting is one row here and one field of [`Config`](super::Config), which the row names.

use std::sync::LazyLock;

use super::parser::{
    Parser, address, choice, choice_and_old, count, duration, filter, name, of_librdkafka, servers, size,
    switch, switched_off, text, topic, topics,
};
use super::problem::Wrong;
use super::resolve::Draft;
use crate::kafka::properties::{self, Property};
use crate::ops::logging::LogFormat;
use crate::policy::{AfterFailure, Delivery, OffsetReset, OnFailure, Order, Partitioning};
use Fallback::{Derived, Required, Text, Unset};

/// One setting: its names, what it may be, and what it means.
pub struct Setting {
    /// The environment variable; the flag is derived from it.
    pub name: &'static str,
    /// Other names of the same variable.
    pub aliases: &'static [&'static str],
    /// What holds when nothing is said.
    pub default: Fallback,
    /// The heading under which help shows it.
    pub group: &'static str,
    /// One line for people.
    pub meaning: &'static str,
    /// What is allowed, as the end of "Expected …".
    pub rule: String,
    /// What stands for the value in help.
    pub placeholder: &'static str,
    /// Whether help and documents show it. One that is not shown has its effect all the same.
    pub is_shown: bool,
    /// The default with `PROCESSOR_DELIVERY=exactly-once`, where it is another.
    pub(super) exactly_once: Option<&'static str>,
    pub(super) target: Target,
    is_choice: bool,
}

/// Puts what a text means into a field of the draft.
type Fill = Box<dyn Fn(&mut Draft, &str) -> Result<(), Wrong> + Send + Sync>;

/// Where the value of a setting goes.
pub(super) enum Target {
    /// Into a field, by what the row's parser makes of it.
    Field(Fill),
    /// To librdkafka.
    Property(&'static Property),
}

/// What holds when a setting is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing can: it is a fault. This is an example.
    Required(&'static str),
    /// This text, read as if the user had given it.
    Text(&'static str),
    /// What these words say.
    Derived(&'static str),
    /// Nothing is set; librdkafka's own default holds.
    Unset,
}

/// A row of the table: the value goes to `field`.
fn row<T: 'static>(
    name: &'static str,
    default: Fallback,
    parser: Parser<T>,
    field: fn(&mut Draft) -> &mut T,
    meaning: &'static str,
) -> Setting {
    let Parser { placeholder, rule, is_choice, parse } = parser;
    let target = Target::Field(Box::new(move |draft, text| {
        *field(draft) = parse(text)?;
        Ok(())
    }));
    Setting {
        name,
        aliases: &[],
        default,
        group: "",
        meaning,
        rule,
        placeholder,
        is_shown: true,
        exactly_once: None,
        target,
        is_choice,
    }
}

/// A row of a librdkafka property, which needs no field.
fn property(name: &'static str, property: &'static str, meaning: &'static str) -> Setting {
    let property = properties::named(property).unwrap_or_else(|| panic!("{property} is no property"));
    let target = Target::Property(property);
    Setting { target, ..row(name, Unset, of_librdkafka(property), |draft| &mut draft.ignored, meaning) }
}

impl Setting {
    fn also(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    fn exactly_once(self, default: &'static str) -> Self {
        Self { exactly_once: Some(default), ..self }
    }

    fn not_shown(self) -> Self {
        Self { is_shown: false, ..self }
    }

    fn group(self, group: &'static str) -> Self {
        Self { group, ..self }
    }
}

/// Every setting, in the order in which help shows them.
pub static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let groups = [
        ("Kafka", kafka()),
        ("Security", security()),
        ("Work", work()),
        ("Failures", failures()),
        ("Limits and times", limits()),
        ("Logs and HTTP", around()),
    ];
    groups.into_iter().flat_map(|(name, rows)| rows.into_iter().map(|row| row.group(name))).collect()
});

#[rustfmt::skip]
fn kafka() -> Vec<Setting> { vec![
    row("KAFKA_SERVERS", Required("KAFKA_SERVERS=localhost:9092"), servers(), |d| &mut d.servers,
        "bootstrap servers: host:port, separated by commas; the default port is 9092")
        .also(&["KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS"]),
    row("KAFKA_GROUP_ID", Required("KAFKA_GROUP_ID=orders-enricher"), text("any text, such as orders-enricher"),
        |d| &mut d.config.group_id, "consumer group, the same for all instances that share the work"),
    row("KAFKA_INPUT_TOPICS", Required("KAFKA_INPUT_TOPICS=orders"), topics(), |d| &mut d.config.input_topics,
        "input topics, separated by commas")
        .also(&["KAFKA_CONSUMER_TOPICS"]),
    row("KAFKA_OUTPUT_TOPIC", Required("KAFKA_OUTPUT_TOPIC=orders.valid"), topic(), |d| &mut d.config.output_topic,
        "output topic (KAFKA_CONSUMER_TOPIC, without an S, is its historic name)")
        .also(&["KAFKA_CONSUMER_TOPIC"]),
    row("KAFKA_OFFSET_RESET", Text("error"), choice(&[
            ("earliest", OffsetReset::Earliest), ("latest", OffsetReset::Latest), ("error", OffsetReset::Error)]),
        |d| &mut d.config.offset_reset, "where a consumer group without committed offsets begins; error: it does not start"),
    row("KAFKA_AUTO_OFFSET_STORE", Text("false"), switched_off(
            "refused: an offset stored before its result is safe loses the record in a crash", "Set it to false, or remove it."),
        |d| &mut d.ignored, "only false is accepted: an offset is stored when its result is safe")
        .not_shown(),
    property("KAFKA_GROUP_INSTANCE_ID", "group.instance.id",
        "static membership: the group instance id; each consumer of the process appends -<n> to it"),
] }

#[rustfmt::skip]
fn security() -> Vec<Setting> { vec![
    property("KAFKA_SECURITY_PROTOCOL", "security.protocol", "security protocol"),
    property("KAFKA_SASL_MECHANISM", "sasl.mechanism", "SASL mechanism"),
    property("KAFKA_SASL_USERNAME", "sasl.username", "SASL user name"),
    property("KAFKA_SASL_PASSWORD", "sasl.password", "SASL password"),
    property("KAFKA_SSL_CA_LOCATION", "ssl.ca.location",
        "CA certificates that brokers' certificates are verified with, a PEM file or a directory; unset: those of the machine"),
    property("KAFKA_SSL_CERTIFICATE_LOCATION", "ssl.certificate.location", "client certificate, a PEM file"),
    property("KAFKA_SSL_KEY_LOCATION", "ssl.key.location", "private key of the client certificate, a PEM file"),
    property("KAFKA_SSL_KEY_PASSWORD", "ssl.key.password", "password of the private key"),
] }

#[rustfmt::skip]
fn work() -> Vec<Setting> { vec![
    row("WORKER_POOL", Text("6"), count(1, 1024), |d| &mut d.config.workers, "workers: transforms that run at a time"),
    row("TASKS_PICK_UP", Text("auto"), count(1, 1024).or("auto"), |d| &mut d.config.tasks_pick_up,
        "most records that a worker takes at once; auto adapts to how long a transform takes"),
    row("CONSUMERS_COUNT", Text("1"), count(1, 256), |d| &mut d.config.consumers,
        "consumers: members of the consumer group in this process, a thread each"),
    row("PRODUCERS_COUNT", Text("1"), count(1, 256), |d| &mut d.config.producers, "threads that write results"),
    row("PROCESSOR_ORDER", Text("key"), choice(&[
            ("key", Order::Key), ("partition", Order::Partition), ("unordered", Order::Unordered)]),
        |d| &mut d.config.order, "what stays in order"),
    row("PROCESSOR_DELIVERY", Text("at-least-once"), choice(&[
            ("at-least-once", Delivery::AtLeastOnce), ("exactly-once", Delivery::ExactlyOnce)]),
        |d| &mut d.config.delivery,
        "exactly-once writes results, dead letters and offsets in one transaction; PRODUCERS_COUNT has no effect then"),
    row("PROCESSOR_INSTANCE", Unset, name().optional(), |d| &mut d.config.instance,
        "name of this process in its transactional ids, unique in the group; default KAFKA_GROUP_INSTANCE_ID, else a new one at \
         each start"),
    row("PROCESSOR_PARTITIONING", Text("murmur2"), choice(&[
            ("murmur2", Partitioning::Murmur2), ("same-partition", Partitioning::SamePartition),
            ("round-robin", Partitioning::RoundRobin)]),
        |d| &mut d.config.partitioning,
        "partition of the output topic: by the key as the Java client, the one of the input record, or in turn"),
    row("PROCESSOR_SOURCE_HEADER", Text("false"), switch(), |d| &mut d.config.source_header,
        "adds the header processor.source to each result: topic/partition/offset of its record, for processor verify"),
] }

#[rustfmt::skip]
fn failures() -> Vec<Setting> { vec![
    row("KAFKA_DLQ_TOPIC", Derived("dlq.<group>"), topic().or("off"), |d| &mut d.config.dead_letter_topic,
        "dead-letter topic, where records go that failed for good; off: none"),
    row("PROCESSOR_ON_FAILURE", Text("dlq"), choice(&[
            ("dlq", OnFailure::DeadLetter), ("skip", OnFailure::Skip), ("stop", OnFailure::Stop)]),
        |d| &mut d.config.on_failure,
        "what happens to a record that failed for good. dlq: it goes to the dead-letter topic; skip: it is logged and dropped; \
         stop: the program stops; without a dead-letter topic the default is stop"),
    row("PROCESSOR_AFTER_FAILURE", Text("continue"), choice_and_old(&[
            ("continue", AfterFailure::Continue), ("block-key", AfterFailure::BlockKey),
            ("dead-letter-key", AfterFailure::DeadLetterKey)],
            &[("hold", AfterFailure::BlockKey), ("run", AfterFailure::DeadLetterKey)]),
        |d| &mut d.config.after_failure,
        "what happens to the records behind a failed one with the same key (with PROCESSOR_ORDER=partition: in its partition). \
         continue: they are processed; block-key: they wait, and it is retried until it succeeds; dead-letter-key: those already \
         read go to the dead-letter topic too"),
    row("PROCESSOR_RETRY_ATTEMPTS", Text("3"), count(1, 1_000_000), |d| &mut d.config.retry.attempts,
        "attempts in all, the first included, at a record whose failure is transient"),
    row("PROCESSOR_RETRY_BACKOFF", Text("200ms"), duration("1ms", "1h"), |d| &mut d.config.retry.backoff,
        "longest delay before the second attempt; it doubles with each attempt"),
    row("PROCESSOR_RETRY_BACKOFF_MAX", Text("30s"), duration("1ms", "24h"), |d| &mut d.config.retry.backoff_max,
        "longest delay before any attempt"),
] }

#[rustfmt::skip]
fn limits() -> Vec<Setting> { vec![
    row("PROCESSOR_MAX_IN_FLIGHT", Text("10000"), count(1, 10_000_000), |d| &mut d.config.max_in_flight,
        "most records in flight: read and not yet finished; at the limit no more are read; 80000 is the default with exactly-once")
        .exactly_once("80000"),
    row("PROCESSOR_MAX_IN_FLIGHT_BYTES", Text("64MiB"), size("64KiB", "1TiB"), |d| &mut d.config.max_in_flight_bytes,
        "the same in bytes; 128MiB is the default with exactly-once")
        .exactly_once("128MiB"),
    row("PROCESSOR_COMMIT_INTERVAL", Text("1s"), duration("10ms", "10m"), |d| &mut d.config.commit_interval,
        "time between commits of offsets; bounds what is repeated after a crash; 100ms is the default with exactly-once")
        .exactly_once("100ms"),
    row("PROCESSOR_DRAIN_TIMEOUT", Text("25s"), duration("0s", "1h"), |d| &mut d.config.drain_timeout,
        "longest time to finish records in flight at a stop; keep it below terminationGracePeriodSeconds"),
] }

#[rustfmt::skip]
fn around() -> Vec<Setting> { vec![
    row("PROCESSOR_HTTP_ADDR", Text("[::]:8890"), address(), |d| &mut d.config.http,
        "address of health checks and metrics; [::] is every interface, with IPv6 and IPv4; off: no listener"),
    row("PROCESSOR_LOG_FORMAT", Text("auto"), choice(&[
            ("auto", None), ("text", Some(LogFormat::Text)), ("json", Some(LogFormat::Json))]),
        |d| &mut d.log_format, "format of log lines; auto is text on a terminal, json elsewhere"),
    row("RUST_LOG", Text("info"), filter(), |d| &mut d.config.log_filter,
        "log level, or target=level separated by commas"),
    row("PROCESSOR_STRICT_CONFIG", Text("false"), switch(), |d| &mut d.strict, "warnings about settings are errors"),
] }

/// The setting of this name; names are the table's own, so that a missing one is our bug.
pub(super) fn setting(name: &str) -> &'static Setting {
    SETTINGS
        .iter()
        .find(|s| s.name == name)
        .unwrap_or_else(|| panic!("{name} is not in the table of settings"))
}

impl Setting {
    /// The librdkafka property that it sets, if it is one.
    pub(super) fn property(&self) -> Option<&'static Property> {
        match self.target {
            Target::Property(property) => Some(property),
            Target::Field(_) => None,
        }
    }

    /// The flag that mirrors it, without the dashes: of a secret that of its file, as a command line can be read by everybody.
    pub fn flag(&self) -> String {
        flag(&self.variable())
    }

    /// The flags of its other names.
    pub fn other_flags(&self) -> Vec<String> {
        self.aliases.iter().map(|alias| flag(alias)).collect()
    }

    /// The variable that its flag stands for.
    pub fn variable(&self) -> String {
        if self.is_secret() { format!("{}_FILE", self.name) } else { self.name.to_owned() }
    }

    /// Whether its value must never be shown; such a setting has a `_FILE` twin, and only that as a flag.
    pub fn is_secret(&self) -> bool {
        self.property().is_some_and(|property| property.secret)
    }

    /// The line in help: meaning, variable, default. Never the value that is set.
    pub fn help(&self) -> String {
        let meaning = if self.is_secret() {
            format!("file with the {}", self.meaning)
        } else {
            self.meaning.to_owned()
        };
        let words = if self.is_choice { format!(" [values: {}]", self.rule) } else { String::new() };
        let default = match self.default {
            Required(_) => "required".to_owned(),
            Unset => "unset".to_owned(),
            Text(text) | Derived(text) => format!("default: {text}"),
        };
        format!("{meaning}{words} [env: {}] [{default}]", self.variable())
    }
}

fn flag(variable: &str) -> String {
    variable.to_ascii_lowercase().replace('_', "-")
}

/// The table of settings in the reference.
pub fn markdown() -> String {
    let mut table = String::from("| variable | default | allowed | meaning |\n| --- | --- | --- | --- |\n");
    for setting in SETTINGS.iter().filter(|setting| setting.is_shown) {
        let twin = setting.is_secret().then(|| setting.variable());
        let own = std::iter::once(&setting.name).chain(setting.aliases).map(|name| (*name).to_owned());
        let names: Vec<String> = own.chain(twin).map(|name| format!("`{name}`")).collect();
        let default = match setting.default {
            Required(_) => "required".to_owned(),
            Unset => "unset".to_owned(),
            Text(text) | Derived(text) => format!("`{text}`"),
        };
        let [allowed, meaning] = [&setting.rule, setting.meaning].map(|words| words.replace('<', "&lt;"));
        table.push_str(&format!("| {} | {default} | {allowed} | {meaning} |\n", names.join(", ")));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn help_names_variable_and_default() {
        let help = setting("WORKER_POOL").help();
        assert_eq!(help, "workers: transforms that run at a time [env: WORKER_POOL] [default: 6]");
    }

    #[test]
    fn no_name_is_used_twice() {
        let mut seen = HashSet::new();
        for setting in SETTINGS.iter() {
            for name in [setting.name].iter().chain(setting.aliases) {
                assert!(seen.insert(*name), "{name} is there twice");
            }
        }
    }

    #[test]
    fn a_flag_mirrors_its_variable() {
        assert_eq!(setting("KAFKA_GROUP_ID").flag(), "kafka-group-id");
    }

    /// Text that is no default of its row would be a fault that nobody made.
    #[test]
    fn every_default_is_a_value_of_its_setting() {
        for setting in SETTINGS.iter() {
            let own = if let Text(text) = setting.default { Some(text) } else { None };
            let Target::Field(read) = &setting.target else { continue };
            for text in own.into_iter().chain(setting.exactly_once) {
                assert!(read(&mut Draft::default(), text).is_ok(), "{}={text}", setting.name);
            }
        }
    }
}
