//! `processor generate`: writes stamped records into the input topic, which `processor verify` knows again. For trials.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command, value_parser};
use rdkafka::producer::Producer;
use serde_json::json;

use crate::app::{Ended, Exit};
use crate::cli::generator::{self, Answers, Generator, Load};
use crate::cli::kafka;
use crate::cli::stamp::{LEAST_SIZE, MOST_CUSTOMERS};
use crate::cli::{flags, output, settings};
use crate::config::Config;
use crate::kafka::admin;

const ABOUT: &str =
    "Writes stamped records into the input topic, for trials: processor verify knows them again";
const HELP: &str = "\
Orders in JSON that the built-in transform accepts; those that are broken it refuses, each for one of its reasons. They are
numbered from --first on: give a second call for the same topic other numbers than the first.

Exit codes: 0 all are written; 1 they are not; 2 usage; 69 broker or topic missing, or no answer within --timeout;
77 authentication or permission; 78 configuration";

/// The arguments.
pub(super) fn arguments() -> Command {
    let value = |name: &'static str, placeholder: &'static str, default: &'static str| {
        Arg::new(name).long(name).value_name(placeholder).default_value(default)
    };
    let number = |name, default| value(name, "N", default).value_parser(value_parser!(u64));
    let command = Command::new("generate")
        .about(ABOUT)
        .after_help(HELP)
        .arg(number("records", "100000").help("how many"))
        .arg(number("first", "0").help("the number of the first one"))
        .arg(
            value("keys", "N", "1000")
                .value_parser(value_parser!(u32).range(1..=i64::from(MOST_CUSTOMERS)))
                .help("of how many keys; the first come about twice as often as the average one"),
        )
        .arg(number("rate", "0").help("records a second; 0 is as fast as it goes"))
        .arg(
            value("bad", "PERCENT", "0")
                .value_parser(flags::percent)
                .help("how many of them are broken, so that they become dead letters"),
        )
        .arg(
            value("size", "BYTES", "300")
                .value_parser(value_parser!(u32).range(LEAST_SIZE as i64..=1_000_000))
                .help("bytes of a value"),
        )
        .arg(
            Arg::new("seed")
                .long("seed")
                .value_name("N")
                .value_parser(value_parser!(u64))
                .help("what chance begins with [default: another one each time]"),
        )
        .arg(
            value("timeout", "TIME", "60s")
                .value_parser(flags::duration)
                .help("how long the cluster may take no record"),
        )
        .arg(flags::switch("json", "writes JSON"));
    flags::with_short(command, &["servers", "input"])
}

/// Writes them, and says how many.
pub(super) fn command(arguments: &ArgMatches) -> Exit {
    // A producer needs none of these.
    let stand_ins = [
        ("KAFKA_GROUP_ID", "none"),
        ("KAFKA_OUTPUT_TOPIC", "processor-generate.none"),
        ("KAFKA_DLQ_TOPIC", "off"),
    ];
    let config = match settings::load_with(arguments, &stand_ins) {
        Ok((loaded, _)) => loaded.config,
        Err(exit) => return exit,
    };
    match Work::new(arguments, &config).and_then(Work::run) {
        Ok(()) => Exit::Clean,
        Err(ended) => {
            output::say(format_args!("error: {}", ended.message));
            ended.exit
        }
    }
}

struct Work {
    generator: Generator,
    answers: Arc<Answers>,
    load: Load,
    records: u64,
    timeout: Duration,
    json: bool,
}

impl Work {
    fn new(arguments: &ArgMatches, config: &Config) -> Result<Self, Ended> {
        let number = |name: &str| arguments.get_one::<u64>(name).copied();
        let mut client = kafka::client(&config.producer_properties);
        client.set("client.id", "processor-generate");
        // Transactions bound how long a record may wait, and it has none: `--timeout` says how long.
        client.set("message.timeout.ms", "0");
        let load = Load {
            topic: config.input_topics.first().cloned().unwrap_or_default(),
            first: number("first").unwrap_or_default(),
            rate: number("rate").unwrap_or_default(),
            bad: arguments.get_one("bad").copied().unwrap_or_default(),
            customers: arguments.get_one("keys").copied().unwrap_or(1),
            size: arguments.get_one::<u32>("size").map_or(0, |size| *size as usize),
            seed: number("seed").unwrap_or_else(|| fastrand::u64(..1_000_000)),
        };
        let answers = Arc::new(Answers::default());
        Ok(Self {
            generator: Generator::new(&client, load.clone(), answers.clone())?,
            answers,
            records: number("records").unwrap_or_default().min(u64::MAX - load.first),
            load,
            timeout: arguments.get_one("timeout").copied().unwrap_or_default(),
            json: arguments.get_flag("json"),
        })
    }

    fn run(mut self) -> Result<(), Ended> {
        self.find_topic()?;
        let began = Instant::now();
        let mut patience = Patience::new(self.timeout);
        while self.answers.all() < self.records {
            let left = self.records - self.answers.given();
            if left > 0 {
                self.generator.step(left).map_err(failed)?;
            } else {
                self.generator.rest();
            }
            let (answered, given) = (self.answers.all(), self.answers.given());
            if patience.is_over(answered, answered == given) {
                let text = format!(
                    "the brokers took no record for {:.0?}; {answered} of {given} are answered",
                    self.timeout
                );
                return Err(Ended::new(Exit::Missing, text));
            }
        }
        self.say(began)
    }

    /// The topic is not made by writing into it.
    fn find_topic(&self) -> Result<(), Ended> {
        let producer = self.generator.producer();
        let (topic, wait) = (&self.load.topic, self.timeout.min(Duration::from_secs(5)));
        let found = kafka::ask(
            self.timeout,
            &self.answers.denial,
            || generator::rest(producer),
            || admin::topic(producer.client(), topic, wait),
        )?;
        kafka::existing(topic, &found).map(drop)
    }

    fn say(&self, began: Instant) -> Result<(), Ended> {
        let (given, broken, refused) = (self.records, self.generator.broken(), self.answers.refused());
        let Load { topic, seed, first, .. } = &self.load;
        if refused > 0 {
            return Err(failed(format!("{refused} of {given} records were not taken by {topic}")));
        }
        let seconds = began.elapsed().as_secs_f64();
        if self.json {
            output::data(json!({
                "topic": topic, "records": given, "broken": broken, "seed": seed,
                "first": first, "seconds": (seconds * 1000.0).round() / 1000.0,
            }));
        } else {
            let rate = given as f64 / seconds.max(0.001);
            output::data(format_args!(
                "{given} records in {topic}, {broken} of them broken; {rate:.0} a second; seed {seed}"
            ));
        }
        Ok(())
    }
}

fn failed(text: String) -> Ended {
    Ended::new(Exit::Failure, text)
}

/// How long nothing was answered.
struct Patience {
    limit: Duration,
    answered: u64,
    since: Instant,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { limit, answered: 0, since: Instant::now() }
    }

    /// So many are answered; whether that was too long ago, unless there is nothing to answer.
    fn is_over(&mut self, answered: u64, is_all: bool) -> bool {
        if answered != self.answered || is_all {
            (self.answered, self.since) = (answered, Instant::now());
        }
        self.since.elapsed() >= self.limit
    }
}
