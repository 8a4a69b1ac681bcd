//! The one table of settings. Parsing, `--help`, `processor config` and the README's table are all made from it, so that
//! they cannot disagree.

use super::table::Fallback::{Required, Text, Unset};
use super::table::Kind::{
    Address, Choice, Count, Duration, Filter, Group, Name, Property, Servers, Size, Switch, Topic, Topics,
};

/// One setting: how it is called, what it may be, and what it means.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable; the flag is derived from it.
    pub name: &'static str,
    /// Other names of the same variable.
    pub aliases: &'static [&'static str],
    /// What holds when nothing is said.
    pub default: Fallback,
    /// What it may be.
    pub kind: Kind,
    /// The heading under which help shows it.
    pub group: &'static str,
    /// One line for people.
    pub meaning: &'static str,
}

/// What holds when a setting is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing can: it is a fault.
    Required,
    /// This text, read as if the user had given it (`dlq.<group>` is filled in).
    Text(&'static str),
    /// Nothing is set; librdkafka's own default holds.
    Unset,
}

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bootstrap servers.
    Servers,
    /// A consumer group.
    Group,
    /// What a process is called.
    Name,
    /// Topics, separated by comma or blank.
    Topics,
    /// A topic; `off` where that is allowed.
    Topic {
        /// Whether `off` means none.
        off: bool,
    },
    /// A whole number within bounds; `auto` where that is allowed.
    Count {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
        /// Whether `auto` leaves the choice to the program.
        auto: bool,
    },
    /// A duration with its unit, within bounds, both written as a user would.
    Duration {
        /// The least.
        min: &'static str,
        /// The most.
        max: &'static str,
    },
    /// A number of bytes within bounds, both written as a user would.
    Size {
        /// The least.
        min: &'static str,
        /// The most.
        max: &'static str,
    },
    /// Yes or no.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `host:port`, or `off`.
    Address,
    /// A log filter as `RUST_LOG` has it.
    Filter,
    /// A librdkafka property of this name, checked as such.
    Property(&'static str),
}

impl Setting {
    /// The flag that mirrors it, without the dashes.
    pub fn flag(&self) -> String {
        self.name.to_ascii_lowercase().replace('_', "-")
    }

    /// The default as help and README show it.
    pub fn default_text(&self) -> &'static str {
        match self.default {
            Required => "required",
            Text(text) => text,
            Unset => "unset",
        }
    }
}

/// The setting of this name; names are the table's own, so that a missing one is our bug.
pub fn setting(name: &str) -> &'static Setting {
    SETTINGS
        .iter()
        .find(|s| s.name == name)
        .unwrap_or_else(|| panic!("{name} is not in the table of settings"))
}

const KAFKA: &str = "Kafka";
const SECURITY: &str = "Security";
const WORK: &str = "Work";
const FAILURE: &str = "Failures";
const LIMITS: &str = "Limits and times";
const AROUND: &str = "Logs and HTTP";

const fn row(
    group: &'static str,
    name: &'static str,
    default: Fallback,
    kind: Kind,
    meaning: &'static str,
) -> Setting {
    Setting { name, aliases: &[], default, kind, group, meaning }
}

const fn also(aliases: &'static [&'static str], setting: Setting) -> Setting {
    Setting { aliases, ..setting }
}

const fn count(min: u64, max: u64) -> Kind {
    Count { min, max, auto: false }
}

/// Every setting, in the order in which help shows them.
#[rustfmt::skip]
pub static SETTINGS: &[Setting] = &[
    also(&["KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS"], row(KAFKA, "KAFKA_SERVERS", Required, Servers,
        "brokers to begin with, host:port separated by comma or blank; no port means 9092")),
    row(KAFKA, "KAFKA_GROUP_ID", Required, Group,
        "consumer group; all instances that share the work share it"),
    also(&["KAFKA_INPUT_TOPICS"], row(KAFKA, "KAFKA_CONSUMER_TOPICS", Required, Topics,
        "input topics, separated by comma or blank")),
    also(&["KAFKA_OUTPUT_TOPIC"], row(KAFKA, "KAFKA_CONSUMER_TOPIC", Required, Topic { off: false },
        "OUTPUT topic (the name is historic; KAFKA_OUTPUT_TOPIC says the same)")),
    row(KAFKA, "KAFKA_OFFSET_RESET", Text("error"), Choice(&["earliest", "latest", "error"]),
        "where a group without offsets begins; error stops and asks"),
    row(KAFKA, "KAFKA_AUTO_OFFSET_STORE", Text("false"), Switch,
        "only false is accepted: an offset is stored when its result is safe"),
    row(KAFKA, "KAFKA_GROUP_INSTANCE_ID", Unset, Property("group.instance.id"),
        "static membership; each of several consumers in a process gets -<n> appended, as each needs an id of its own"),
    row(SECURITY, "KAFKA_SECURITY_PROTOCOL", Unset, Property("security.protocol"),
        "how to talk to the brokers"),
    row(SECURITY, "KAFKA_SASL_MECHANISM", Unset, Property("sasl.mechanism"),
        "how to say who we are"),
    row(SECURITY, "KAFKA_SASL_USERNAME", Unset, Property("sasl.username"), "SASL user"),
    row(SECURITY, "KAFKA_SASL_PASSWORD", Unset, Property("sasl.password"), "SASL password"),
    row(SECURITY, "KAFKA_SSL_CA_LOCATION", Unset, Property("ssl.ca.location"),
        "PEM file or folder of the authorities that signed the brokers' certificates; without it those that this machine trusts"),
    row(SECURITY, "KAFKA_SSL_CERTIFICATE_LOCATION", Unset, Property("ssl.certificate.location"),
        "PEM file of our own certificate"),
    row(SECURITY, "KAFKA_SSL_KEY_LOCATION", Unset, Property("ssl.key.location"), "PEM file of its private key"),
    row(SECURITY, "KAFKA_SSL_KEY_PASSWORD", Unset, Property("ssl.key.password"), "password of that key"),
    row(WORK, "WORKER_POOL", Text("6"), count(1, 1024), "transforms that run at a time"),
    row(WORK, "TASKS_PICK_UP", Text("auto"), Count { min: 1, max: 1024, auto: true },
        "records a worker takes at once, at most; auto adapts to the transform's pace"),
    row(WORK, "CONSUMERS_COUNT", Text("1"), count(1, 256), "members of the group in this process, a thread each"),
    row(WORK, "PRODUCERS_COUNT", Text("1"), count(1, 256), "threads that write results"),
    row(WORK, "PROCESSOR_ORDER", Text("key"), Choice(&["key", "partition", "unordered"]), "what stays in order"),
    row(WORK, "PROCESSOR_DELIVERY", Text("at-least-once"), Choice(&["at-least-once", "exactly-once"]),
        "exactly-once writes results, dead letters and offsets in one transaction; PRODUCERS_COUNT does not count then"),
    row(WORK, "PROCESSOR_INSTANCE", Unset, Name,
        "name of this process in its transactions, no other's in the group; default KAFKA_GROUP_INSTANCE_ID, else a new one at \
         each start"),
    row(WORK, "PROCESSOR_PARTITIONING", Text("murmur2"), Choice(&["murmur2", "same-partition", "round-robin"]),
        "output partition: from the key as the Java client, the input's own, or in turn"),
    row(WORK, "PROCESSOR_SOURCE_HEADER", Text("false"), Switch,
        "adds to each result the header processor.source: topic/partition/offset of its record, for processor verify"),
    row(FAILURE, "KAFKA_DLQ_TOPIC", Text("dlq.<group>"), Topic { off: true },
        "where records go that failed for good; off means nowhere"),
    row(FAILURE, "PROCESSOR_ON_FAILURE", Text("dlq"), Choice(&["dlq", "skip", "stop"]),
        "what happens to them; without a dead-letter topic the default is stop"),
    row(FAILURE, "PROCESSOR_AFTER_FAILURE", Text("continue"), Choice(&["continue", "hold", "run"]),
        "what happens behind them in their key or partition: it goes on, is held while they are tried again, or what waits \
         follows them to the dead-letter topic"),
    row(FAILURE, "PROCESSOR_RETRY_ATTEMPTS", Text("3"), count(1, 1_000_000),
        "tries of a transient failure, the first included"),
    row(FAILURE, "PROCESSOR_RETRY_BACKOFF", Text("200ms"), Duration { min: "1ms", max: "1h" },
        "first delay at most; it doubles with each try"),
    row(FAILURE, "PROCESSOR_RETRY_BACKOFF_MAX", Text("30s"), Duration { min: "1ms", max: "24h" },
        "every delay at most"),
    row(LIMITS, "PROCESSOR_MAX_IN_FLIGHT", Text("10000"), count(1, 10_000_000),
        "records read and not yet finished; at the limit nothing more is taken; 80000 is the default with exactly-once"),
    row(LIMITS, "PROCESSOR_MAX_IN_FLIGHT_BYTES", Text("64MiB"), Size { min: "64KiB", max: "1TiB" },
        "the same in bytes; 128MiB is the default with exactly-once"),
    row(LIMITS, "PROCESSOR_COMMIT_INTERVAL", Text("1s"), Duration { min: "10ms", max: "10m" },
        "how often offsets are committed; bounds what a crash repeats; 100ms is the default with exactly-once"),
    row(LIMITS, "PROCESSOR_DRAIN_TIMEOUT", Text("25s"), Duration { min: "0s", max: "1h" },
        "time to finish at a stop; keep it below the grace period of whoever stops it"),
    row(AROUND, "PROCESSOR_HTTP_ADDR", Text("[::]:8890"), Address,
        "where probes and metrics listen; [::] is every interface, with IPv6 and IPv4; off means nowhere"),
    row(AROUND, "PROCESSOR_LOG_FORMAT", Text("auto"), Choice(&["auto", "text", "json"]),
        "auto is text on a terminal, json elsewhere"),
    row(AROUND, "RUST_LOG", Text("info"), Filter, "what is logged: a level, or target=level separated by comma"),
    row(AROUND, "PROCESSOR_STRICT_CONFIG", Text("false"), Switch, "warnings about settings become faults"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_name_is_used_twice() {
        let mut seen = HashSet::new();
        for setting in SETTINGS {
            for name in [setting.name].iter().chain(setting.aliases) {
                assert!(seen.insert(*name), "{name} is there twice");
            }
        }
    }

    #[test]
    fn a_flag_mirrors_its_variable() {
        assert_eq!(setting("KAFKA_GROUP_ID").flag(), "kafka-group-id");
    }
}
