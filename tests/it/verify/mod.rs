//! `processor verify` on topics that were written by hand, each with one fault: it is found and named, and nothing else is.

mod faults;
mod program;

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::client::Sender;
use crate::support::kafka::Kafka;
use crate::support::record::{Headers, Input, Sent};
use crate::support::setup::unique_name;
use crate::support::{admin, process};

const SOURCE: &str = "processor.source";

/// Three topics, a group, and what was sent.
struct World {
    kafka: Kafka,
    name: String,
    sender: Sender,
    sent: Vec<Sent>,
}

impl World {
    /// Topics without records.
    fn empty() -> Self {
        let kafka = Kafka::for_test();
        let name = unique_name();
        for (suffix, partitions) in [("in", 2), ("out", 3), ("dead", 1)] {
            admin::create_topic(&kafka, &format!("{name}.{suffix}"), partitions, &[]);
        }
        let sender = Sender::new(&kafka);
        Self { kafka, name, sender, sent: Vec::new() }
    }

    /// Forty records with five keys in the input.
    fn new() -> Self {
        let mut world = Self::empty();
        let inputs = (0..40).map(|n| Input::valid(&format!("r{n}")).key(format!("key-{}", n % 5)));
        let inputs = inputs.map(|input| input.header("trace", Some(b"\xff\x00")));
        world.sent = world.sender.send(&world.topic("in"), inputs.collect());
        world
    }

    fn topic(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.name)
    }

    /// `topic/partition/offset` of a record of the input.
    fn place(&self, index: usize) -> String {
        let Sent { topic, partition, offset, .. } = &self.sent[index];
        format!("{topic}/{partition}/{offset}")
    }

    /// What has to be written for a record: every eighth is a dead letter.
    fn result(&self, index: usize) -> (String, Input) {
        let sent = &self.sent[index];
        let input = sent.input.clone();
        if index % 8 != 7 {
            return (self.topic("out"), input.header(SOURCE, Some(self.place(index).as_bytes())));
        }
        let place = [
            ("topic", sent.topic.clone()),
            ("partition", sent.partition.to_string()),
            ("offset", sent.offset.to_string()),
        ];
        let named = place.iter().map(|(name, value)| (format!("__dlq.errors.{name}"), value));
        let input = named.fold(input, |input, (name, value)| input.header(&name, Some(value.as_bytes())));
        (self.topic("dead"), input)
    }

    fn results(&self) -> Vec<(String, Input)> {
        (0..self.sent.len()).map(|index| self.result(index)).collect()
    }

    fn write(&self, results: Vec<(String, Input)>) {
        for suffix in ["out", "dead"] {
            let topic = self.topic(suffix);
            let of_it = results.iter().filter(|(name, _)| *name == topic).map(|(_, input)| input.clone());
            self.sender.send(&topic, of_it.collect());
        }
    }

    /// `processor verify` on these topics, without any variable.
    fn verify(&self, more: &[&str]) -> Verdict {
        let topics = ["in", "out", "dead"].map(|suffix| self.topic(suffix));
        let [input, output, dead] = topics.each_ref().map(String::as_str);
        let mut arguments =
            vec!["verify", "--servers", &self.kafka.servers, "--input", input, "--output", output];
        arguments.extend(["--dlq", dead, "--json", "--same", "key,headers,value"]);
        arguments.extend(more);
        let output = run(&arguments);
        let text = String::from_utf8(output.stdout).expect("text");
        let report = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        Verdict { code: output.status.code(), report }
    }
}

/// Runs the program with these arguments and no variable.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(process::processor()).args(arguments).env_clear().output().expect("the program can be run")
}

/// What `verify` said.
struct Verdict {
    code: Option<i32>,
    report: Value,
}

const KINDS: [&str; 9] =
    ["lost", "unfinished", "repeated", "out_of_order", "split", "torn", "phantom", "corrupt", "watermark"];

impl Verdict {
    /// Nothing else than so many of these kinds, and an exit code that says whether that is good.
    fn assert(&self, expected: &[(&str, u64)], good: bool) {
        let count = |kind: &str| {
            self.report[kind]["count"].as_u64().unwrap_or_else(|| panic!("{kind}: {}", self.report))
        };
        let found: Vec<_> =
            KINDS.into_iter().map(|kind| (kind, count(kind))).filter(|(_, count)| *count > 0).collect();
        assert_eq!(found, expected, "{:#}", self.report);
        assert_eq!(
            (self.report["good"].as_bool(), self.code),
            (Some(good), Some(i32::from(!good))),
            "{:#}",
            self.report
        );
    }

    /// The first example of a kind.
    fn example(&self, kind: &str) -> &Value {
        &self.report[kind]["examples"][0]
    }
}

/// The header's value replaced.
fn with_header(mut input: Input, name: &str, value: &str) -> Input {
    let kept: Headers = input.headers.into_iter().filter(|(known, _)| known != name).collect();
    input.headers = kept;
    input.header(name, Some(value.as_bytes()))
}
