//! `processor generate`: writes stamped records into the input topic, which `processor verify` knows again. For trials.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::app::{Ended, Exit};
use crate::config::Config;
use crate::kafka::admin;
use crate::oracle::stamp::{LEAST_SIZE, MOST_CUSTOMERS};
use clap::{Arg, ArgMatches, Command, value_parser};
use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use serde_json::json;

use crate::cli::kafka::{self, Denial};
use crate::cli::pace::Pace;
use crate::cli::pen::{Pen, Style};
use crate::cli::{flags, output, pen, settings};

const ABOUT: &str =
    "Writes stamped records into the input topic, for trials: processor verify knows them again";
const HELP: &str = "\
Orders in JSON that the built-in transform accepts; those that are broken it refuses, each for one of its reasons. They are
numbered from --first on: give a second call for the same topic other numbers than the first.

Exit codes: 0 all are written; 1 they are not; 2 usage; 69 broker or topic missing, or no answer within --timeout;
77 authentication or permission; 78 configuration";
/// Records between two looks at the clock and at the broker's answers.
const CHUNK: u64 = 100;

/// The arguments.
pub fn arguments() -> Command {
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

/// Counts the broker's answers.
#[derive(Default)]
struct Answers {
    taken: AtomicU64,
    refused: AtomicU64,
    denial: Denial,
}

impl Answers {
    fn all(&self) -> u64 {
        self.taken.load(Ordering::Relaxed) + self.refused.load(Ordering::Relaxed)
    }
}

/// The same, shared with the client.
struct Shared(Arc<Answers>);

impl ClientContext for Shared {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, text: &str) {
        self.0.denial.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.denial.error(error, reason);
    }
}

impl ProducerContext for Shared {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.0.taken } else { &self.0.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes them, and says how many.
pub fn command(arguments: &ArgMatches) -> Exit {
    // A producer needs none of these.
    let stand_ins = [
        ("KAFKA_GROUP_ID", "none"),
        ("KAFKA_CONSUMER_TOPIC", "processor-generate.none"),
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
    pen: Pen<Shared>,
    answers: Arc<Answers>,
    topic: String,
    numbers: std::ops::Range<u64>,
    rate: u64,
    seed: u64,
    timeout: Duration,
    json: bool,
}

impl Work {
    fn new(arguments: &ArgMatches, config: &Config) -> Result<Self, Ended> {
        let number = |name: &str| arguments.get_one::<u64>(name).copied();
        let (first, records) = (number("first").unwrap_or_default(), number("records").unwrap_or_default());
        let answers = Arc::new(Answers::default());
        let mut client = kafka::client(&config.producer_properties);
        client.set("client.id", "processor-generate");
        // Transactions bound how long a record may wait, and it has none: `--timeout` says how long.
        client.set("message.timeout.ms", "0");
        let producer: BaseProducer<Shared> =
            client.create_with_context(Shared(answers.clone())).map_err(kafka::unusable)?;
        let topic = config.input_topics.first().cloned().unwrap_or_default();
        let seed = number("seed").unwrap_or_else(|| fastrand::u64(..1_000_000));
        let style = Style {
            topic: topic.clone(),
            bad: arguments.get_one("bad").copied().unwrap_or_default(),
            customers: arguments.get_one("keys").copied().unwrap_or(1),
            size: arguments.get_one::<u32>("size").map_or(0, |size| *size as usize),
            seed,
        };
        Ok(Self {
            pen: Pen::new(producer, style),
            answers,
            topic,
            numbers: first..first.saturating_add(records),
            rate: number("rate").unwrap_or_default(),
            seed,
            timeout: arguments.get_one("timeout").copied().unwrap_or_default(),
            json: arguments.get_flag("json"),
        })
    }

    fn run(mut self) -> Result<(), Ended> {
        self.find_topic()?;
        let began = Instant::now();
        let mut pace = Pace::new(self.rate);
        let (mut next, mut broken) = (self.numbers.start, 0);
        let mut patience = Patience::new(self.timeout);
        while next < self.numbers.end {
            let due = pace.due(Instant::now()).min(self.numbers.end - next).min(CHUNK);
            self.pen.look_at_the_clock();
            for number in next..next + due {
                broken += u64::from(self.pen.write(number).map_err(failed)?);
            }
            next += due;
            pace.went(due);
            self.take_answers(due == 0, next - self.numbers.start, &mut patience)?;
        }
        let given = self.numbers.end - self.numbers.start;
        while self.answers.all() < given {
            self.take_answers(true, given, &mut patience)?;
        }
        self.say(given, broken, began)
    }

    /// The topic is not made by writing into it.
    fn find_topic(&self) -> Result<(), Ended> {
        let producer = &self.pen.producer;
        let wait = self.timeout.min(Duration::from_secs(5));
        let serve = || pen::rest(producer);
        let topic = kafka::ask(self.timeout, &self.answers.denial, serve, || {
            admin::topic(producer.client(), &self.topic, wait)
        })?;
        kafka::existing(&self.topic, &topic).map(drop)
    }

    fn take_answers(&self, wait: bool, given: u64, patience: &mut Patience) -> Result<(), Ended> {
        if wait {
            pen::rest(&self.pen.producer);
        } else {
            self.pen.producer.poll(Duration::ZERO);
        }
        let answered = self.answers.all();
        if patience.is_over(answered, answered == given) {
            let text = format!(
                "the brokers took no record for {:.0?}; {answered} of {given} are answered",
                self.timeout
            );
            return Err(Ended::new(Exit::Missing, text));
        }
        Ok(())
    }

    fn say(&self, given: u64, broken: u64, began: Instant) -> Result<(), Ended> {
        let refused = self.answers.refused.load(Ordering::Relaxed);
        if refused > 0 {
            return Err(failed(format!("{refused} of {given} records were not taken by {}", self.topic)));
        }
        let (topic, seed, seconds) = (&self.topic, self.seed, began.elapsed().as_secs_f64());
        if self.json {
            output::data(json!({
                "topic": topic, "records": given, "broken": broken, "seed": seed,
                "first": self.numbers.start, "seconds": (seconds * 1000.0).round() / 1000.0,
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
