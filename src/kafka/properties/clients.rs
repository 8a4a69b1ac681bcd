//! What each client gets: the properties that the guarantees and the measurements ask for, and those of the user on top of them.

use std::fs::{self, File};

use super::property::{Check, Role};
use super::trust::{self, MachineTrust};
use super::{Properties, Refusal, UserProperty, guard, security, trial};
use crate::policy::Delivery;

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

/// What the clients need to know beside properties.
pub struct Needs<'a> {
    /// `host:port`, separated by commas.
    pub servers: &'a str,
    /// The consumer group.
    pub group: &'a str,
    /// How many records may be in flight.
    pub max_in_flight: u64,
    /// Whether results are written in transactions.
    pub delivery: Delivery,
    /// Where this machine says that its trusted authorities are.
    pub trust: &'a MachineTrust,
}

/// The properties of all clients, and what is wrong with those of the user.
pub struct ClientProperties {
    /// Of the consumers.
    pub consumer: Properties,
    /// Of the producer.
    pub producer: Properties,
    /// Where the trusted authorities were found, if the user named none and TLS needs them.
    pub authorities: Option<String>,
    /// All that is refused or doubtful.
    pub refusals: Vec<Refusal>,
}

/// A property of the user's that passed every check by itself.
pub(super) struct Accepted<'a> {
    pub user: &'a UserProperty<'a>,
    /// The value, as librdkafka spells it.
    text: String,
}

/// Makes the properties of all clients of what is needed and of what the user set, those for both clients first. What is refused is
/// left out. `faulty`: something else is wrong with the properties already.
pub fn client_properties(needs: &Needs<'_>, user: &[UserProperty<'_>], faulty: bool) -> ClientProperties {
    let mut refusals = Vec::new();
    let mut accepted = Vec::new();
    for property in user {
        match accept(property) {
            Ok(text) => accepted.push(Accepted { user: property, text }),
            Err(refusal) => refusals.push(refusal),
        }
    }
    refusals.extend(short_queue(needs, &accepted));
    refusals.extend(transaction_timeout(needs, &accepted));
    let mut authorities = None;
    let [consumer, producer] = [Role::Consumer, Role::Producer].map(|role| {
        security::look_at(role, &accepted, &mut refusals);
        let mut all = properties(role, needs, &accepted);
        if security::lacks_authorities(&all) {
            authorities = trust::store(needs.trust);
            match &authorities {
                Some(store) => all.set(AUTHORITIES, store.as_str()),
                None => refusals.push(no_authorities()),
            }
        }
        trial::look_at(role, &all, &accepted, faulty, &mut refusals);
        all
    });
    ClientProperties { consumer, producer, authorities, refusals }
}

const AUTHORITIES: &str = "ssl.ca.location";

fn no_authorities() -> Refusal {
    Refusal {
        code: "PC011",
        about: Some((Role::Both, AUTHORITIES)),
        rule: "not set, and this machine has no list of trusted authorities: no broker's certificate will be accepted".into(),
        fix: "Set it to the PEM file of the authority that signed the brokers' certificates.".into(),
        warning: true,
    }
}

/// Looks at one property by itself. Where only log lines depend on it, it is a warning: others have variables of these names, too
/// (`KAFKA_DEBUG=true`, `KAFKA_LOG_LEVEL=INFO`).
fn accept(user: &UserProperty<'_>) -> Result<String, Refusal> {
    look_at(user).map_err(|refusal| match user.property.log {
        true => Refusal { rule: format!("{}, so it has no effect", refusal.rule), warning: true, ..refusal },
        false => refusal,
    })
}

fn look_at(user: &UserProperty<'_>) -> Result<String, Refusal> {
    let property = user.property;
    if property.check == Check::Api {
        return Err(user.refused("PC020", "refused: only a program can set it", "Remove it."));
    }
    if let Some((reason, fix)) = guard::refusal(property.canonical, user.text) {
        return Err(user.refused("PC020", reason, fix));
    }
    if !property.is_for(user.role) {
        let (other, side) =
            if property.consumer { (Role::Consumer, "consumer") } else { (Role::Producer, "producer") };
        let rule = format!("{} is a property of the {side}", property.name);
        return Err(user.refused("PC003", rule, format!("Set {}.", property.variable(other))));
    }
    if user.text.contains('\0') {
        return Err(user.refused("PC003", "has a NUL character in it", "Write it again without."));
    }
    let expected = |rule| user.refused("PC003", rule, format!("Expected {}.", property.check.rule()));
    let text = property.check.accept(user.text).map_err(expected)?;
    if property.path && text != "probe" {
        let unreadable = |error| {
            user.refused("PC011", format!("cannot be read: {error}"), "Name a file that this user may read.")
        };
        readable(&text).map_err(unreadable)?;
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
fn properties(role: Role, needs: &Needs<'_>, accepted: &[Accepted<'_>]) -> Properties {
    let own = if role == Role::Consumer { CONSUMER } else { PRODUCER };
    let base = COMMON.iter().chain(own).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut all = Properties { all: base.collect(), from_files: Vec::new() };
    all.set("bootstrap.servers", needs.servers);
    match role {
        Role::Consumer => all.set("group.id", needs.group),
        _ => all.set("queue.buffering.max.messages", QUEUE.max(needs.max_in_flight).to_string()),
    }
    let transactions = role != Role::Consumer && needs.delivery == Delivery::ExactlyOnce;
    let own = if transactions { TRANSACTIONS } else { &[] };
    own.iter().for_each(|(name, value)| all.set(name, *value));
    for given in of_role(role, accepted) {
        all.set(given.user.property.name, given.text.as_str());
        all.from_files.extend(given.user.file.map(|path| (given.user.property, path.to_owned())));
    }
    if transactions {
        own.iter().take(1).for_each(|(name, value)| all.set(name, *value));
        let timeout = all.get("transaction.timeout.ms").unwrap_or_default().to_owned();
        all.set("message.timeout.ms", timeout);
    }
    all
}

/// A timeout of transactions where there are none, and one so long that after a crash the group gives a member's partitions away
/// before the transaction ends that holds their offsets.
fn transaction_timeout(needs: &Needs<'_>, accepted: &[Accepted<'_>]) -> Option<Refusal> {
    let of = |role, name: &str| of_role(role, accepted).filter(|a| a.user.property.name == name).last();
    let given = of(Role::Producer, "transaction.timeout.ms")?;
    if needs.delivery == Delivery::AtLeastOnce {
        let rule = "refused: there is no transaction to time";
        return Some(given.user.refused("PC020", rule, "Remove it, or set PROCESSOR_DELIVERY=exactly-once."));
    }
    let number = |accepted: &Accepted<'_>| accepted.text.parse::<u64>().ok();
    let session = of(Role::Consumer, "session.timeout.ms").and_then(number).unwrap_or(SESSION_TIMEOUT);
    number(given).filter(|timeout| *timeout >= session)?;
    let rule = format!(
        "{} ms is not below session.timeout.ms, {session}: after a crash the partitions change hands before the \
         transaction that holds them back has ended, and wait for that",
        given.text
    );
    Some(given.user.doubtful("PC025", rule, "Lower it."))
}

/// What the user set for the client of this role, the more special last, so that it wins.
pub(super) fn of_role<'a, 'b>(
    role: Role,
    accepted: &'b [Accepted<'a>],
) -> impl Iterator<Item = &'b Accepted<'a>> {
    // `Role::Both` sorts first, and so do its values in what was given.
    let concerns = move |user: &UserProperty<'_>| {
        user.property.is_for(role) && (user.role == Role::Both || user.role == role)
    };
    accepted.iter().filter(move |a| concerns(a.user))
}

/// A producer's queue that is shorter than what may be in flight: it, not the bound, would hold records back.
fn short_queue(needs: &Needs<'_>, accepted: &[Accepted<'_>]) -> Option<Refusal> {
    let queue = of_role(Role::Producer, accepted)
        .filter(|a| a.user.property.name == "queue.buffering.max.messages")
        .last()?;
    let length =
        queue.text.parse::<u64>().ok().filter(|length| *length > 0 && *length < needs.max_in_flight)?;
    let rule = format!("{length} is less than PROCESSOR_MAX_IN_FLIGHT, {}", needs.max_in_flight);
    Some(queue.user.doubtful("PC024", rule, "Raise the one or lower the other."))
}

#[cfg(test)]
mod tests {
    use super::super::named;
    use super::*;

    #[test]
    fn our_own_properties_are_librdkafkas_and_pass_its_checks() {
        for (role, own) in [(Role::Consumer, CONSUMER), (Role::Producer, PRODUCER)] {
            for (name, value) in COMMON.iter().chain(own) {
                let property = named(name).unwrap_or_else(|| panic!("{name}"));
                assert!(property.is_for(role), "{name}");
                assert_eq!(property.check.accept(value).as_deref(), Ok(*value), "{name}");
            }
        }
    }
}
