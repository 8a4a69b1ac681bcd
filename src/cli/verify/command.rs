//! The command: reads input, output and dead letters with a plain consumer and says what is wrong with them. It asks no
//! instance, joins no group and writes nothing.
//!
//! What is looked at is fixed before anything is read, in this order, so that it can be judged while the group is at work:
//! the committed offsets (what they say is finished is in the output *now*), where output and dead letters end, where the input
//! ends (whatever is in the output has its record before that). A transaction that is open then is waited for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::app::Ended;
use crate::record::TopicPartition;
use crate::sink::Target;
use crate::source::client::Committed;
use crate::source::start::usable_note;
use clap::ArgMatches;
use serde_json::json;

use super::judge::Judge;
use super::options::Options;
use super::report::{Report, Verdict};
use crate::app::Exit;
use crate::cli::topics::{Reader, Span};
use crate::cli::{memory, output};

/// Judges, and says what came of it.
pub(crate) fn command(arguments: &ArgMatches) -> Exit {
    let options = match Options::read(arguments) {
        Ok(options) => options,
        Err(exit) => return exit,
    };
    let began = Instant::now();
    match judge(&options) {
        Ok(report) => {
            say(&report, options.json, began);
            match report.verdict() {
                Verdict::Good => Exit::Clean,
                Verdict::Unjudged => Exit::Unjudged,
                Verdict::NotGood => Exit::Failure,
            }
        }
        Err(ended) => {
            if options.json {
                output::data(json!({ "error": ended.message }));
            }
            output::say(format_args!("error: {}", ended.message));
            ended.exit
        }
    }
}

fn say(report: &Report, json: bool, began: Instant) {
    let (seconds, peak) = (began.elapsed().as_secs_f64(), memory::peak());
    if !json {
        output::data(report);
        let memory = peak.map_or(String::new(), |bytes| format!(", peak memory {} MiB", bytes >> 20));
        return output::data(format_args!("took          {seconds:.1} s{memory}"));
    }
    let mut value = json!(report);
    value["seconds"] = json!((seconds * 1000.0).round() / 1000.0);
    value["peak_memory_bytes"] = json!(peak);
    output::data(format_args!("{value:#}"));
}

/// See the module.
fn judge(options: &Options) -> Result<Report, Ended> {
    let reader = Reader::new(&options.config, "processor-verify", options.timeout)?;
    let mut judge = Judge::new(options.rules.clone());
    let commits = match &options.rules.group {
        Some(_) => reader.committed(&inputs(options, &reader)?)?,
        None => HashMap::new(),
    };
    let results = results(options, &reader)?;
    let mut inputs = Vec::new();
    for topic in &options.config.input_topics {
        inputs.extend(reader.spans(topic)?);
    }
    for Span { topic, partition, first, end } in &inputs {
        judge.partition(topic, *partition, *first, *end);
    }
    reader.read(&inputs, |span, offset, parts| judge.input(&span.topic, span.partition, offset, parts))?;
    let notes = tell_commits(&mut judge, &inputs, &commits, &options.config.group_id);
    reader.read(&results, |span, offset, parts| {
        let dead = span.topic.as_ref() != options.config.output_topic;
        let target = if dead { Target::DeadLetter } else { Target::Output };
        judge.result(target, span.partition, offset, parts);
    })?;
    let mut report = judge.report();
    report.notes.extend(notes);
    Ok(report)
}

/// All partitions of the input topics.
fn inputs(options: &Options, reader: &Reader) -> Result<Vec<TopicPartition>, Ended> {
    let mut all = Vec::new();
    for topic in &options.config.input_topics {
        let name: Arc<str> = topic.as_str().into();
        all.extend((0..reader.partitions(topic)?).map(|number| (name.clone(), number)));
    }
    Ok(all)
}

/// Shows the judge what is committed, and what its metadata says is finished beyond that. Returns what is to be said of
/// metadata that an instance would ignore.
fn tell_commits(
    judge: &mut Judge,
    inputs: &[Span],
    commits: &HashMap<TopicPartition, Committed>,
    group: &str,
) -> Vec<String> {
    let mut notes = Vec::new();
    for span in inputs {
        let partition = (span.topic.clone(), span.partition);
        let Some(committed) = commits.get(&partition) else { continue };
        judge.committed(&span.topic, span.partition, committed.offset);
        match usable_note(group, &partition, committed, span.end) {
            Ok(note) => {
                let ranges = note.finished.ranges();
                let offsets = ranges.iter().flat_map(|range| range.start.max(span.first)..range.end);
                offsets.for_each(|offset| judge.claimed(&span.topic, span.partition, offset));
            }
            Err(why) => notes.push(format!(
                "the metadata of the committed offset of {}/{} is of no use: {why}",
                span.topic, span.partition
            )),
        }
    }
    notes
}

/// Output and dead letters. A dead-letter topic that nobody named need not be there.
fn results(options: &Options, reader: &Reader) -> Result<Vec<Span>, Ended> {
    let config = &options.config;
    let mut spans = reader.settled_spans(&config.output_topic)?;
    if let Some(topic) = &config.dead_letter_topic
        && (*topic != format!("dlq.{}", config.group_id) || reader.has(topic)?)
    {
        spans.extend(reader.settled_spans(topic)?);
    }
    Ok(spans)
}
