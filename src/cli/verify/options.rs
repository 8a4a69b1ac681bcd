//! The arguments of `processor verify`, and the rules that follow from them and from the settings.

use std::time::Duration;

use super::rules::{Limit, Rules, Same};
use crate::config::Config;
use crate::policy::{Order, Partitioning};
use clap::{Arg, ArgMatches, Command, value_parser};

use crate::app::Exit;
use crate::cli::{flags, settings};

const ABOUT: &str = "Reads input, output and dead letters, and says what is lost, repeated, out of order, …";
const HELP: &str = "\
A result is held against its record by the header processor.source (PROCESSOR_SOURCE_HEADER=true in the instances that
wrote it), a dead letter by __dlq.errors.*, and records of `processor generate` also by their stamp.

  lost          a record without a result, and without a dead letter; with a group: one that its offset has passed
  unfinished    a record without a result that the group has still before it
  repeated      a result beyond the first
  out of order  a first result behind a later one of its key (or partition, by --order), within an output partition
  split         a partition of the output beyond a key's first (only looked at where PROCESSOR_PARTITIONING is murmur2)
  torn          a record with several results of which some are missing
  phantom       a result that belongs to no record of the input
  corrupt       a result whose key, headers or value are not its record's, as far as --same says so; a dead letter that is not
                its record byte for byte
  watermark     a committed offset beyond a record without a result
  unjudged      a result that does not say which record it is of; with any such, lost, unfinished and watermark are not judged

Topics are read from their first offset to where they end when it begins; with a group also while it is at work
(--max-unfinished any). A transaction that is open in the output is waited for. It needs some 120 bytes a record.

Exit codes: 0 nothing wrong; 1 something is; 2 usage; 65 unjudged: nothing is known to be wrong, and there are results that do not
say which record they are of; 69 broker or topic missing, or no answer within --timeout;
77 authentication or permission; 78 configuration";

/// What the user wants to know.
pub(super) struct Options {
    /// The settings, with stand-ins where they do not matter.
    pub config: Config,
    /// What to look for.
    pub rules: Rules,
    /// How long the cluster may be silent.
    pub timeout: Duration,
    /// Whether to write JSON.
    pub json: bool,
}

/// The arguments.
pub(crate) fn arguments() -> Command {
    let value =
        |name: &'static str, placeholder: &'static str| Arg::new(name).long(name).value_name(placeholder);
    let limit = |name, help: &'static str| {
        value(name, "N|any").value_parser(|text: &str| text.parse::<Limit>()).default_value("0").help(help)
    };
    let command = Command::new("verify")
        .about(ABOUT)
        .after_help(HELP)
        .arg(limit("max-repeats", "repeated results that are put up with"))
        .arg(limit("filtered", "records without a result that the transform filters; lost ones cannot be told from them"))
        .arg(limit("max-unfinished", "unfinished records that are put up with, because the group is at work"))
        .arg(limit("max-split", "partitions beyond a key's first that are put up with, because the output got more of them"))
        .arg(
            value("order", "ORDER")
                .value_parser(["key", "partition", "none"])
                .help("what has to be in order [default: PROCESSOR_ORDER; none where results go round-robin]"),
        )
        .arg(
            value("same", "WHAT")
                .value_parser(["key", "headers", "value", "stamp", "none"])
                .value_delimiter(',')
                .default_value("key,headers,stamp")
                .help("what of a result is as its record has it; stamp: the value of a generated record, but for its status"),
        )
        .arg(
            value("examples", "N")
                .value_parser(value_parser!(u32).range(0..=1_000_000))
                .default_value("20")
                .help("how many of each kind are named"),
        )
        .arg(
            value("timeout", "TIME")
                .value_parser(flags::duration)
                .default_value("60s")
                .help("how long the cluster may be silent"),
        )
        .arg(flags::switch("json", "writes JSON"));
    flags::with_short(command, &["servers", "input", "output", "dlq", "group"])
}

/// Stands for a group that was not named, where one has to be. Never joined, never asked for.
const NO_GROUP: &str = "processor-verify";

impl Options {
    /// From arguments that were checked, and the environment.
    pub(super) fn read(arguments: &ArgMatches) -> Result<Self, Exit> {
        let has_group = settings::load_with(arguments, &[("KAFKA_GROUP_ID", NO_GROUP)]);
        let (loaded, missing) = has_group?;
        let mut config = loaded.config;
        let group = missing.is_empty().then(|| config.group_id.clone());
        if group.is_none() && config.dead_letter_topic == Some(format!("dlq.{NO_GROUP}")) {
            config.dead_letter_topic = None;
        }
        let rules = rules(arguments, &config, group);
        let timeout = arguments.get_one("timeout").copied().unwrap_or_default();
        Ok(Self { config, rules, timeout, json: arguments.get_flag("json") })
    }
}

fn rules(arguments: &ArgMatches, config: &Config, group: Option<String>) -> Rules {
    let limit = |name: &str| arguments.get_one::<Limit>(name).copied().unwrap_or_default();
    let same: Vec<&str> =
        arguments.get_many::<String>("same").into_iter().flatten().map(String::as_str).collect();
    let round_robin = config.partitioning == Partitioning::RoundRobin;
    let order = match arguments.get_one::<String>("order").map(String::as_str) {
        Some("key") => Order::Key,
        Some("partition") => Order::Partition,
        None if !round_robin => config.order,
        _ => Order::Unordered,
    };
    Rules {
        output: config.output_topic.clone(),
        dead_letters: config.dead_letter_topic.clone(),
        group,
        order,
        keys_stay: config.partitioning == Partitioning::Murmur2,
        same: Same {
            key: same.contains(&"key"),
            headers: same.contains(&"headers"),
            value: same.contains(&"value"),
            stamped: same.contains(&"stamp"),
        },
        repeated: limit("max-repeats"),
        filtered: limit("filtered"),
        unfinished: limit("max-unfinished"),
        split: limit("max-split"),
        examples: arguments.get_one::<u32>("examples").map_or(0, |examples| *examples as usize),
    }
}
