//! The properties of the consumers and of the producer: what the guarantees and the measurements ask for, and what the
//! user says on top of it.

use std::fmt;
use std::fs::{self, File};
use std::ops::Deref;
use std::path::Path;

use super::finding::{Finding, Report};
use super::given::{self, Given, Origin, Value};
use super::guard;
use super::property::{self, Check, Property, Role};
use crate::policy::Delivery;

/// librdkafka properties of one client. Secrets are among them: `Debug` shows only values known to be none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties {
    all: Vec<(String, String)>,
    /// Which of them came from a file, and from which.
    from_files: Vec<(&'static Property, String)>,
}

impl Properties {
    /// The value of this property, under the name it was set by.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Takes a property away, by this name.
    pub(super) fn remove(&mut self, name: &str) {
        self.all.retain(|(key, _)| key != name);
    }

    /// Sets a property; another name of the same property goes, as librdkafka would otherwise take either.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let canonical = canonical(name);
        self.all.retain(|(key, _)| self::canonical(key) != canonical);
        self.from_files.retain(|(property, _)| property.canonical != canonical);
        self.all.push((name.to_owned(), value.into()));
    }

    fn give(&mut self, given: &Accepted<'_>) {
        self.set(given.property.name, given.text.as_str());
        if let Origin::File(path) = &given.value.origin {
            self.from_files.push((given.property, path.clone()));
        }
    }

    /// The file that a property came from, if it came from one.
    pub(super) fn file_of(&self, name: &str) -> Option<&Path> {
        self.from_files.iter().find(|(property, _)| property.name == name).map(|(_, path)| Path::new(path))
    }

    /// What came from files, by the files that it came from.
    pub(super) fn secrets(&self) -> impl Iterator<Item = (&Path, Option<&str>)> {
        self.from_files.iter().map(|(property, path)| (Path::new(path), self.get(property.name)))
    }

    /// The same with what those files have now; `None` where one of them has nothing that it could be.
    pub(super) fn read_again(&self) -> Option<Self> {
        let mut new = self.clone();
        for (property, path) in &self.from_files {
            let text = property.check.accept(&given::secret(path).ok()?).ok()?;
            new.all
                .iter_mut()
                .filter(|(name, _)| name == property.name)
                .for_each(|(_, value)| value.clone_from(&text));
        }
        Some(new)
    }

    /// The files and folders that librdkafka reads when a client is made.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let is_path = |name: &str| property::named(name).is_some_and(|property| property.path);
        self.all.iter().filter(move |(name, _)| is_path(name)).map(|(_, path)| Path::new(path))
    }
}

fn canonical(name: &str) -> &str {
    property::named(name).map_or(name, |property| property.canonical)
}

impl Deref for Properties {
    type Target = [(String, String)];

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl<'a> IntoIterator for &'a Properties {
    type Item = &'a (String, String);
    type IntoIter = std::slice::Iter<'a, (String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}

impl From<Vec<(String, String)>> for Properties {
    fn from(all: Vec<(String, String)>) -> Self {
        Self { all, from_files: Vec::new() }
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = |name: &str| property::named(name).is_some_and(|property| property.public);
        f.debug_map()
            .entries(self.all.iter().map(|(key, value)| (key, if public(key) { value } else { "***" })))
            .finish()
    }
}

/// For every client.
const COMMON: &[(&str, &str)] = &[
    ("client.id", "processor"),
    // It may be the only word of a listener that wants TLS or SASL; the log is spared by us.
    ("log.connection.close", "true"),
    ("topic.metadata.refresh.interval.ms", "30000"),
    ("socket.keepalive.enable", "true"),
    // A producer of librdkafka's asks the broker to make each topic that is not there, with one partition by Kafka's default.
    ("allow.auto.create.topics", "false"),
];

const CONSUMER: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "false"),
    ("auto.offset.reset", "error"),
    ("isolation.level", "read_committed"),
    // A flipped bit in a value would be processed and written as if it were right.
    ("check.crcs", "true"),
    ("group.protocol", "classic"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    // A full queue is looked at again at once: at the default of a second a fast consumer stands still.
    ("fetch.queue.backoff.ms", "1"),
    // Partitions whose queue is full are left out of a fetch; if the others have nothing to give, the full ones wait for them as long
    // as this, and what is queued does not last for half a second.
    ("fetch.wait.max.ms", "100"),
    ("queued.min.messages", "10000"),
    ("queued.max.messages.kbytes", "16384"),
];

const PRODUCER: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    // A producer that gives up on a batch stops there. By itself it would begin a new epoch and write what it still holds: that
    // is later, and would come before what was given up and is written again.
    ("enable.gapless.guarantee", "true"),
    ("acks", "all"),
    // A result waits for the broker as long as it takes.
    ("message.timeout.ms", "0"),
    ("linger.ms", "5"),
    ("partitioner", "murmur2_random"),
];

/// On top of it where results are written in transactions: what is not written is aborted, and nothing of it is seen, so that
/// a gap between batches is no danger to the order.
const TRANSACTIONS: &[(&str, &str)] =
    &[("enable.gapless.guarantee", "false"), ("transaction.timeout.ms", "10000")];

/// librdkafka's default length of the producer's queue, and the least that we set.
const QUEUE: u64 = 100_000;
/// librdkafka's default of `session.timeout.ms`.
const SESSION_TIMEOUT: u64 = 45_000;

/// A property that passed every check.
pub(super) struct Accepted<'a> {
    pub role: Role,
    pub property: &'static Property,
    pub value: &'a Value,
    text: String,
}

/// What the clients need to know beside properties.
pub(super) struct Basics<'a> {
    pub servers: &'a str,
    pub group: &'a str,
    pub max_in_flight: u64,
    pub delivery: Delivery,
}

/// The properties the user gave, each looked at by itself.
pub(super) fn accept<'a>(given: &'a Given, report: &mut Report) -> Vec<Accepted<'a>> {
    let mut accepted = Vec::new();
    for (role, property, value) in given.properties() {
        match look_at(role, property, value) {
            Ok(text) => accepted.push(Accepted { role, property, value, text }),
            // Others have variables of these names, too: `KAFKA_DEBUG=true`, `KAFKA_LOG_LEVEL=INFO`.
            Err(finding) if property.log => {
                report.warn(Finding { rule: format!("{}, so it has no effect", finding.rule), ..*finding });
            }
            Err(finding) => report.fault(*finding),
        }
    }
    accepted
}

fn look_at(role: Role, property: &'static Property, value: &Value) -> Result<String, Box<Finding>> {
    if property.check == Check::Api {
        return Err(Box::new(value.wrong("PC020", "refused: only a program can set it", "Remove it.")));
    }
    if let Some((refusal, fix)) = guard::refusal(property.canonical, &value.text) {
        return Err(Box::new(value.wrong(refusal.code, refusal.reason, fix)));
    }
    if !property.is_for(role) {
        let (other, side) =
            if property.consumer { (Role::Consumer, "consumer") } else { (Role::Producer, "producer") };
        let fix = format!("Set {}.", property.variable(other));
        return Err(Box::new(value.wrong(
            "PC003",
            format!("{} is a property of the {side}", property.name),
            fix,
        )));
    }
    if value.text.contains('\0') {
        return Err(Box::new(value.wrong("PC003", "has a NUL character in it", "Write it again without.")));
    }
    let text = property
        .check
        .accept(&value.text)
        .map_err(|rule| value.wrong("PC003", rule, format!("Expected {}.", property.check.rule())))?;
    if property.path && text != "probe" {
        readable(&text).map_err(|error| {
            value.wrong("PC011", format!("cannot be read: {error}"), "Name a file that this user may read.")
        })?;
    }
    Ok(text)
}

/// A pipe is left alone: to open it would wait for whoever writes to it.
fn readable(path: &str) -> std::io::Result<()> {
    match fs::metadata(path)? {
        meta if meta.is_dir() => fs::read_dir(path).map(|_| ()),
        meta if meta.is_file() => File::open(path).map(|_| ()),
        _ => Ok(()),
    }
}

/// All properties of the client of this role.
pub(super) fn properties(role: Role, basics: &Basics<'_>, accepted: &[Accepted<'_>]) -> Properties {
    let own = if role == Role::Consumer { CONSUMER } else { PRODUCER };
    let base = COMMON.iter().chain(own).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut all = Properties::from(base.collect::<Vec<_>>());
    all.set("bootstrap.servers", basics.servers);
    match role {
        Role::Consumer => all.set("group.id", basics.group),
        _ => all.set("queue.buffering.max.messages", QUEUE.max(basics.max_in_flight).to_string()),
    }
    let transactions = role != Role::Consumer && basics.delivery == Delivery::ExactlyOnce;
    let own = if transactions { TRANSACTIONS } else { &[] };
    own.iter().for_each(|(name, value)| all.set(name, *value));
    for given in of_role(role, accepted) {
        all.give(given);
    }
    if transactions {
        own.iter().take(1).for_each(|(name, value)| all.set(name, *value));
        let timeout = all.get("transaction.timeout.ms").unwrap_or_default().to_owned();
        all.set("message.timeout.ms", timeout);
    }
    all
}

/// A time for transactions where there are none, and one in which the group gives a dead member's partitions away sooner than
/// the transaction that holds their offsets ends.
pub(super) fn look_at_transactions(basics: &Basics<'_>, accepted: &[Accepted<'_>], report: &mut Report) {
    let of = |role, name: &str| of_role(role, accepted).filter(|a| a.property.name == name).last();
    let Some(given) = of(Role::Producer, "transaction.timeout.ms") else { return };
    if basics.delivery == Delivery::AtLeastOnce {
        let rule = "refused: there is no transaction to time";
        return report.fault(given.value.wrong(
            "PC020",
            rule,
            "Remove it, or set PROCESSOR_DELIVERY=exactly-once.",
        ));
    }
    let number = |accepted: &Accepted<'_>| accepted.text.parse::<u64>().ok();
    let session = of(Role::Consumer, "session.timeout.ms").and_then(number).unwrap_or(SESSION_TIMEOUT);
    if number(given).is_some_and(|timeout| timeout >= session) {
        let rule = format!(
            "{} ms is not below session.timeout.ms, {session}: after a crash the partitions change hands before the \
             transaction that holds them back has ended, and wait for that",
            given.text
        );
        report.warn(given.value.wrong("PC025", rule, "Lower it."));
    }
}

/// What the user gave for the client of this role, the more special last, so that it wins.
pub(super) fn of_role<'a, 'b>(
    role: Role,
    accepted: &'b [Accepted<'a>],
) -> impl Iterator<Item = &'b Accepted<'a>> {
    // `Role::Both` sorts first, and so do its values in what was given.
    accepted.iter().filter(move |a| a.property.is_for(role) && (a.role == Role::Both || a.role == role))
}

/// Warns of a producer's queue that is shorter than what may be in flight: it, not the bound, would hold records back.
pub(super) fn look_at_queue(basics: &Basics<'_>, accepted: &[Accepted<'_>], report: &mut Report) {
    let queue = of_role(Role::Producer, accepted)
        .filter(|a| a.property.name == "queue.buffering.max.messages")
        .last();
    let length = queue.and_then(|a| a.text.parse::<u64>().ok()).filter(|length| *length > 0);
    if let (Some(queue), Some(length)) = (queue, length.filter(|length| *length < basics.max_in_flight)) {
        let rule = format!("{length} is less than PROCESSOR_MAX_IN_FLIGHT, {}", basics.max_in_flight);
        report.warn(queue.value.wrong("PC024", rule, "Raise the one or lower the other."));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_properties_are_librdkafkas_and_pass_its_checks() {
        for (role, own) in [(Role::Consumer, CONSUMER), (Role::Producer, PRODUCER)] {
            for (name, value) in COMMON.iter().chain(own) {
                let property = property::named(name).unwrap_or_else(|| panic!("{name}"));
                assert!(property.is_for(role), "{name}");
                assert_eq!(property.check.accept(value).as_deref(), Ok(*value), "{name}");
            }
        }
    }

    #[test]
    fn another_name_of_a_property_replaces_it() {
        let mut properties = Properties::default();
        properties.set("linger.ms", "5");
        properties.set("queue.buffering.max.ms", "7");
        assert_eq!(properties.len(), 1);
        assert_eq!(properties.get("queue.buffering.max.ms"), Some("7"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut properties = Properties::default();
        properties.set("sasl.password", "hunter2");
        properties.set("linger.ms", "5");
        let text = format!("{properties:?}");
        assert!(!text.contains("hunter2") && text.contains("linger.ms"), "{text}");
    }
}
