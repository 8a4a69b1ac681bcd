//! The arguments of `processor demo`, and what is said of them before anything flows: what this is, and how to join it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::cli::flags::{duration, percent};

use super::screen::{grouped, program};
use super::topics::{GROUP, INPUT, OUTPUT, RETENTION, SOURCE_HEADER, TOPICS};
use crate::cli::stamp::{BREAKS, SIZE};

const ABOUT: &str = "Shows the whole job on this machine alone, and proves that nothing is lost";
const HELP: &str = "\
One process: an embedded broker (in memory, for demo and tests only), a generator of orders, the processor as `run` runs
it, and a judge who reads the topics with a plain consumer. The judge's count is the verdict, not the processor's own.

The line a second:
  in             records in the input topic
  out            those of them that the judge has read in the output topic
  dead-lettered  those of them that the judge has read in the dead-letter topic
  lag            in - out - dead-lettered
  p99            of the last second: from a record's timestamp (when it was generated) until the judge read its result
  held back      how much of the last second the generator waited, because 30,000 records were not finished

Ctrl-C, or the end of --duration, stops the generator, waits until everything is read back, stops the processor and
prints the verdict. A second Ctrl-C ends at once. --chaos ends when everything is read back, so the processor's last
commit is not disturbed.

With --exactly-once the judge, as everybody who wants it, reads with read_committed: a result is there when its transaction
is committed, which is every 100 ms. With --chaos the processor is two processes then, and now and then one is killed.

Settings of the environment (KAFKA_…, PROCESSOR_…, WORKER_POOL and so on) are not read, but for RUST_LOG (here: warn)
and PROCESSOR_LOG_FORMAT; log lines go to standard error.

Exit codes: 0 nothing lost, repeated or out of order; 1 otherwise, or no verdict; 2 usage; 69 the port is taken;
78 the settings of the log are wrong.";

/// What the user wants to see.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Options {
    /// Records a second; 0 is as fast as it goes.
    pub rate: u64,
    /// Which part of the records is broken, of a million.
    pub bad: u32,
    /// How long records are generated; `None` is until a signal.
    pub duration: Option<Duration>,
    /// Whether the broker is tormented; and with exactly once instances are killed.
    pub chaos: bool,
    /// `PROCESSOR_DELIVERY=exactly-once`.
    pub exactly_once: bool,
    /// What chance begins with: which records are broken, and which requests.
    pub seed: u64,
    /// `WORKER_POOL`.
    pub workers: u16,
    /// The broker's port; 0 is a free one.
    pub port: u16,
}

/// The arguments.
pub(crate) fn arguments() -> Command {
    let value =
        |name: &'static str, placeholder: &'static str| Arg::new(name).long(name).value_name(placeholder);
    Command::new("demo")
        .about(ABOUT)
        .after_help(HELP)
        .arg(
            value("rate", "N")
                .value_parser(value_parser!(u64).range(0..=10_000_000))
                .default_value("5000")
                .help("records a second; 0 is as fast as it goes"),
        )
        .arg(
            value("bad", "PERCENT")
                .value_parser(percent)
                .default_value("2%")
                .help(format!("how many of them are broken: {}", BREAKS.map(|one| one.code).join(", "))),
        )
        .arg(
            value("duration", "TIME")
                .value_parser(duration)
                .help("how long records are generated, such as 30s [default: until Ctrl-C]"),
        )
        .arg(
            Arg::new("chaos")
                .long("chaos")
                .action(ArgAction::SetTrue)
                .help("the broker refuses, delays, cuts, loses answers and stands still, by chance"),
        )
        .arg(
            Arg::new("exactly-once")
                .long("exactly-once")
                .action(ArgAction::SetTrue)
                .help("results and offsets in one transaction; with --chaos two processes, which are killed with SIGKILL"),
        )
        .arg(
            value("seed", "N")
                .value_parser(value_parser!(u64))
                .help("what chance begins with [default: another one each time]"),
        )
        .arg(
            value("workers", "N")
                .value_parser(value_parser!(u16).range(1..=1024))
                .default_value("6")
                .help("the processor's WORKER_POOL"),
        )
        .arg(
            value("port", "PORT")
                .value_parser(value_parser!(u16))
                .default_value("0")
                .help("the broker's port on 127.0.0.1; 0 takes a free one"),
        )
}

impl Options {
    /// From arguments that were checked.
    pub(super) fn read(arguments: &ArgMatches) -> Self {
        Self {
            rate: arguments.get_one("rate").copied().unwrap_or_default(),
            bad: arguments.get_one("bad").copied().unwrap_or_default(),
            duration: arguments.get_one("duration").copied(),
            chaos: arguments.get_flag("chaos"),
            exactly_once: arguments.get_flag("exactly-once"),
            // Short, so that it can be typed.
            seed: arguments.get_one("seed").copied().unwrap_or_else(|| fastrand::u64(..1_000_000)),
            workers: arguments.get_one("workers").copied().unwrap_or(1),
            port: arguments.get_one("port").copied().unwrap_or_default(),
        }
    }
}

impl Options {
    /// What is said before anything flows.
    pub(super) fn banner(&self, servers: &str, metrics: Option<SocketAddr>) -> String {
        let [input, output, dead_letters] = &TOPICS;
        let rate = match self.rate {
            0 => "as fast as it goes".to_owned(),
            rate => format!("{} records/s", grouped(rate)),
        };
        let until = self.duration.map_or("until Ctrl-C".to_owned(), |time| format!("for {:.0?}", time));
        let metrics =
            metrics.map_or("off: no port could be had".to_owned(), |at| format!("http://{at}/metrics"));
        let mut text = format!(
            "processor demo: an embedded broker, a generator, the processor and a judge, and nothing else\n\
             the broker is in memory, {} MiB a partition, and gone at the end: for demo and tests only, never for production\n\
             \n  {} ({} partitions) -> processor -> {} ({}); what fails -> {} ({})\n  \
             {rate} of {SIZE} bytes, {} % of them broken, {until}; seed {}\n",
            RETENTION >> 20,
            input.name,
            input.partitions,
            output.name,
            output.partitions,
            dead_letters.name,
            dead_letters.partitions,
            f64::from(self.bad) / 10_000.0,
            self.seed,
        );
        if self.chaos {
            text += "  chaos: the broker refuses, delays, cuts, loses answers and stands still, by chance\n";
        }
        if self.exactly_once {
            text +=
                "  exactly once: results, dead letters and offsets in one transaction, ten times a second\n";
        }
        if self.exactly_once && self.chaos {
            text += "  the processor is two processes, and now and then one of them is killed with SIGKILL\n";
        }
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n  broker   {servers}\n  metrics  {metrics}\n  watch    kcat -b {servers} -t {OUTPUT} -C -o end\n  \
             join     KAFKA_SERVERS={servers} KAFKA_GROUP_ID={GROUP} KAFKA_INPUT_TOPICS={INPUT} \
             KAFKA_OUTPUT_TOPIC={OUTPUT} KAFKA_OFFSET_RESET=earliest {}={} {} run\n",
            SOURCE_HEADER.0,
            SOURCE_HEADER.1,
            program()
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Options, clap::Error> {
        let all = [&["demo"][..], arguments].concat();
        super::arguments().try_get_matches_from(all).map(|matches| Options::read(&matches))
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let options = read(&["--seed", "7"]).unwrap();
        let expected = Options {
            rate: 5000,
            bad: 20_000,
            duration: None,
            chaos: false,
            exactly_once: false,
            seed: 7,
            workers: 6,
            port: 0,
        };
        assert_eq!(options, expected);
        assert_eq!(read(&["--duration", "1m30s"]).unwrap().duration, Some(Duration::from_secs(90)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let wrong = [
            "--duration=30",
            "--duration=0s",
            "--rate=-1",
            "--rate=fast",
            "--workers=0",
            "--port=65536",
            "--bad=-2",
        ];
        for argument in wrong {
            assert!(read(&[argument]).is_err(), "{argument}");
        }
    }
}
