//! `processor broker`: the embedded broker alone, to try things out where no Kafka is installed.

use std::io;

use crate::config::topic_name;
use crate::embedded::{Broker, Options};
use crate::ops::logging::{self, LogFormat, Stream};
use clap::{Arg, ArgMatches, Command, value_parser};

use crate::app::Exit;
use crate::cli::{output, signals};

const ABOUT: &str = "Runs the embedded broker alone, to try things out without a Kafka";
const HELP: &str = "\
It is in memory, one node, and reachable from this machine only. It is not durable, not replicated and not secured:
everything is gone when it ends. For trials and tests, never for production.

A topic that a client asks for is made. Ctrl-C ends it. Log lines go to standard error; RUST_LOG says which (info).";

/// Its arguments.
pub(super) fn arguments() -> Command {
    let port = Arg::new("port").long("port").value_name("PORT").default_value("9092");
    let topics = Arg::new("topics").long("topics").value_name("NAME[:PARTITIONS],…").value_delimiter(',');
    let partitions = Arg::new("partitions").long("partitions").value_name("N").default_value("6");
    Command::new("broker")
        .about(ABOUT)
        .after_help(HELP)
        .arg(port.value_parser(value_parser!(u16)).help("the port on 127.0.0.1; 0 takes a free one"))
        .arg(topics.value_parser(topic).help("topics to begin with, such as orders:6,orders.valid:3"))
        .arg(
            partitions
                .value_parser(value_parser!(i32).range(1..=MOST_PARTITIONS))
                .help("partitions of a topic where none are said"),
        )
}

const MOST_PARTITIONS: i64 = 1000;

/// A topic to make.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Topic {
    name: String,
    partitions: Option<i32>,
}

fn topic(text: &str) -> Result<Topic, String> {
    let (name, partitions) = match text.trim().split_once(':') {
        Some((name, count)) => (name, Some(count)),
        None => (text.trim(), None),
    };
    let name = topic_name(name)?;
    let partitions = partitions.map(|count| match count.parse() {
        Ok(count) if (1..=MOST_PARTITIONS).contains(&i64::from(count)) => Ok(count),
        _ => Err(format!("{count:?} is no number of partitions: 1 to {MOST_PARTITIONS}")),
    });
    Ok(Topic { name, partitions: partitions.transpose()? })
}

/// Runs until a signal.
pub(super) fn command(arguments: &ArgMatches) -> Exit {
    match serve(arguments) {
        Ok(()) => Exit::Clean,
        Err(exit) => exit,
    }
}

fn serve(arguments: &ArgMatches) -> Result<(), Exit> {
    let port = arguments.get_one("port").copied().unwrap_or_default();
    let partitions = arguments.get_one("partitions").copied().unwrap_or(1);
    begin_log()?;
    let stop = signals::catch().map_err(|error| {
        output::say(format_args!("error: signals cannot be handled: {error}"));
        Exit::Failure
    })?;
    let options = Options { port, auto_create: Some(partitions), ..Options::default() };
    let retention = options.retention_bytes;
    let broker = start(options)?;
    output::data(format_args!("embedded broker at {}", broker.servers()));
    output::data(
        "for trials and tests only: in memory, not durable, not replicated, not secured; gone when it ends",
    );
    for topic in arguments.get_many("topics").unwrap_or_default() {
        make(&broker, topic, partitions);
    }
    output::data(format_args!(
        "other topics are made when a client asks for them, with {partitions} partitions; a partition keeps {} MiB; Ctrl-C \
         ends it",
        retention >> 20
    ));
    // Whoever could send has gone: nothing will end it any more but a kill, so it ends.
    let _ = stop.recv();
    output::data("the broker has ended, and with it all that it held");
    Ok(())
}

/// Loud is what the broker has to be where it removes records.
fn begin_log() -> Result<(), Exit> {
    let filter = std::env::var("RUST_LOG").ok().filter(|filter| !filter.trim().is_empty());
    logging::init(filter.as_deref().unwrap_or("info"), LogFormat::Text, Stream::Stderr).map_err(|error| {
        output::say(format_args!("error: {error}"));
        Exit::Config
    })
}

fn make(broker: &Broker, topic: &Topic, partitions: i32) {
    let (name, partitions) = (&topic.name, topic.partitions.unwrap_or(partitions));
    if broker.create_topic(name, partitions) {
        output::data(format_args!("topic {name} with {partitions} partitions"));
    } else {
        output::say(format_args!(
            "warning: topic {name} is named twice; its first number of partitions holds"
        ));
    }
}

/// The broker; or, said with the port, why there is none.
pub(super) fn start(options: Options) -> Result<Broker, Exit> {
    let port = options.port;
    Broker::start(options).map_err(|error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            output::say(format_args!(
                "error: port {port} of 127.0.0.1 is in use by another program; choose another with --port, or --port 0 for a \
                 free one"
            ));
        } else {
            output::say(format_args!("error: the broker cannot listen at 127.0.0.1:{port}: {error}"));
        }
        Exit::Missing
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names are checked as settings here and as Kafka checks them there: what one takes the other takes.
    #[test]
    fn the_configuration_and_the_broker_take_the_same_names() {
        let broker = Broker::start(Options::default()).unwrap();
        let (longest, longer) = ("a".repeat(249), "a".repeat(250));
        let odd = ["", ".", "..", "...", "a b", "ä", "^a", &longest, &longer].map(str::to_owned);
        for name in (0..=127u8).map(|c| format!("a{}", char::from(c))).chain(odd) {
            assert_eq!(topic_name(&name).is_ok(), broker.create_topic(&name, 1), "{name:?}");
        }
    }

    #[test]
    fn a_topic_may_say_its_partitions() {
        let is = |text, name: &str, partitions| {
            assert_eq!(topic(text).unwrap(), Topic { name: name.to_owned(), partitions }, "{text}");
        };
        is("orders:3", "orders", Some(3));
        is(" orders ", "orders", None);
        for wrong in
            ["", ":3", "orders:", "orders:0", "orders:1001", "orders:-1", "orders:x", "or ders:1", "a:1:2"]
        {
            assert!(topic(wrong).is_err(), "{wrong}");
        }
    }
}
