//! The first words and the last ones: what this is, how to join it, and what to try next.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::oracle::stamp::SIZE;

use super::RETENTION;
use super::options::Options;
use super::progress::grouped;
use super::topics::{GROUP, INPUT, OUTPUT, TOPICS};

/// What is said before anything flows.
pub fn banner(options: &Options, servers: &str, metrics: Option<SocketAddr>) -> String {
    let [input, output, dead_letters] = &TOPICS;
    let rate = match options.rate {
        0 => "as fast as it goes".to_owned(),
        rate => format!("{} records/s", grouped(rate)),
    };
    let until = options.duration.map_or("until Ctrl-C".to_owned(), |time| format!("for {:.0?}", time));
    let metrics = metrics.map_or("off: no port could be had".to_owned(), |at| format!("http://{at}/metrics"));
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
        f64::from(options.bad) / 10_000.0,
        options.seed,
    );
    if options.chaos {
        text += "  chaos: the broker refuses, delays, cuts, loses answers and stands still, by chance\n";
    }
    if options.exactly_once {
        text += "  exactly once: results, dead letters and offsets in one transaction, ten times a second\n";
    }
    if options.exactly_once && options.chaos {
        text += "  the processor is two processes, and now and then one of them is killed with SIGKILL\n";
    }
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n  broker   {servers}\n  metrics  {metrics}\n  watch    kcat -b {servers} -t {OUTPUT} -C -o end\n  \
         join     KAFKA_SERVERS={servers} KAFKA_GROUP_ID={GROUP} KAFKA_CONSUMER_TOPICS={INPUT} \
         KAFKA_OUTPUT_TOPIC={OUTPUT} KAFKA_OFFSET_RESET=earliest {} run\n",
        program()
    );
    text
}

/// What is said at the very end.
pub fn next() -> String {
    let program = program();
    format!(
        "try next:\n  \
         {program} demo --chaos                       with a broker that misbehaves\n  \
         {program} demo --exactly-once --chaos        and instances that are killed, and nothing repeated\n  \
         {program} demo --rate 0 --duration 30s       as fast as this machine goes\n  \
         {program} broker                             the broker alone; then the README's \"Run it against a Kafka\"\n  \
         {program} run --help                         all settings"
    )
}

/// How this program was called.
fn program() -> String {
    std::env::args_os().next().map_or("processor".to_owned(), |name| name.to_string_lossy().into_owned())
}
