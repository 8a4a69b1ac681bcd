//! `processor offsets`: where the group stands in each partition, and what is finished beyond, as the commits' offset maps say.
//! Joins no group, writes nothing.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::app::Ended;
use crate::checkpoint::note::Unusable;
use crate::checkpoint::{Note, OffsetMap};
use crate::config::Config;
use crate::source::client::Committed;
use crate::source::start::usable_note;
use clap::{Arg, ArgMatches, Command};
use serde_json::{Value, json};

use crate::app::Exit;
use crate::cli::topics::{Reader, Span};
use crate::cli::{flags, output, settings};

const ABOUT: &str = "Shows where the group stands in each partition, and what is finished beyond";
const HELP: &str = "\
A commit says up to where all records of a partition are finished. Its metadata carries an offset map: what is finished beyond
that, so that a restart does not repeat it. Here it is in plain numbers.

  committed        the first record that is not finished
  end              where the partition ends; lag is what is between, finished or not
  topic id         of which topic the committed offset is, as kafka-topics --describe shows it: a topic that was made again
                   has another one
  finished beyond  how many records at or behind `committed` are finished, and which

Exit codes: 0 done; 69 broker or topic missing, or no answer within --timeout; 77 authentication or permission;
78 configuration";
/// Stands for an output that was not named: it is not looked at.
const NO_OUTPUT: &str = "processor-offsets";
/// Ranges shown to people; JSON has all.
const SHOWN: usize = 6;

/// The arguments.
pub(super) fn arguments() -> Command {
    let timeout = Arg::new("timeout").long("timeout").value_name("TIME").value_parser(flags::duration);
    let command = Command::new("offsets")
        .about(ABOUT)
        .after_help(HELP)
        .arg(timeout.default_value("60s").help("how long the cluster may be silent"))
        .arg(flags::switch("json", "writes JSON"));
    flags::with_short(command, &["servers", "input", "group"])
}

/// One partition.
struct Row {
    span: Span,
    committed: Option<Committed>,
    note: Result<Note, Unusable>,
}

/// Asks, and shows.
pub(super) fn command(arguments: &ArgMatches) -> Exit {
    let config = match settings::load_with(arguments, &[("KAFKA_OUTPUT_TOPIC", NO_OUTPUT)]) {
        Ok((loaded, _)) => loaded.config,
        Err(exit) => return exit,
    };
    let timeout = arguments.get_one("timeout").copied().unwrap_or_default();
    match rows(&config, timeout) {
        Ok(rows) if arguments.get_flag("json") => {
            let partitions: Vec<Value> = rows.iter().map(Row::json).collect();
            output::data(json!({ "group": config.group_id, "partitions": partitions }));
            Exit::Clean
        }
        Ok(rows) => {
            output::data(table(&config.group_id, &rows));
            Exit::Clean
        }
        Err(ended) => {
            output::say(format_args!("error: {}", ended.message));
            ended.exit
        }
    }
}

/// Committed offsets first: what they say is below the ends that are asked for after.
fn rows(config: &Config, timeout: Duration) -> Result<Vec<Row>, Ended> {
    let reader = Reader::new(config, "processor-offsets", timeout)?;
    let mut rows = Vec::new();
    for topic in &config.input_topics {
        let count = reader.partitions(topic)?;
        let name: Arc<str> = topic.as_str().into();
        let partitions: Vec<_> = (0..count).map(|number| (name.clone(), number)).collect();
        let mut committed = reader.committed(&partitions)?;
        for span in reader.spans(topic)? {
            let partition = (name.clone(), span.partition);
            let committed = committed.remove(&partition);
            let read = |there: &Committed| usable_note(&config.group_id, &partition, there, span.end);
            let note = committed.as_ref().map_or_else(|| Ok(Note::default()), read);
            rows.push(Row { span, committed, note });
        }
    }
    Ok(rows)
}

impl Row {
    fn lag(&self) -> Option<i64> {
        self.committed.as_ref().map(|committed| self.span.end - committed.offset)
    }

    /// Which topic the committed offset is of, where it says so.
    fn topic_id(&self) -> Option<String> {
        Some(self.note.as_ref().ok()?.topic_id?.to_string())
    }

    fn json(&self) -> Value {
        let note = self.note.as_ref().ok();
        let map = note.map(|note| &note.finished);
        let ranges =
            map.map(|map| map.ranges().iter().map(|range| [range.start, range.end]).collect::<Vec<_>>());
        json!({
            "topic": &*self.span.topic,
            "partition": self.span.partition,
            "committed": self.committed.as_ref().map(|committed| committed.offset),
            "first": self.span.first,
            "end": self.span.end,
            "topic_id": self.topic_id(),
            "lag": self.lag(),
            "finished_beyond": map.map(OffsetMap::count),
            "finished_ranges": ranges,
            "metadata_bytes": self.committed.as_ref().map(|committed| committed.metadata.len()),
            "metadata_unusable": self.note.as_ref().err().map(Unusable::to_string),
        })
    }

    fn beyond(&self) -> String {
        let map = match &self.note {
            Err(unusable) => return format!("metadata not used: {unusable}"),
            Ok(note) if note.finished.is_empty() => return "-".to_owned(),
            Ok(note) => &note.finished,
        };
        let shown = map.ranges().iter().take(SHOWN).map(|range| match range.end - range.start {
            1 => range.start.to_string(),
            _ => format!("{}-{}", range.start, range.end - 1),
        });
        let shown: Vec<String> = shown.collect();
        let more = if map.ranges().len() > SHOWN { " …" } else { "" };
        let bytes = self.committed.as_ref().map_or(0, |committed| committed.metadata.len());
        format!("{}: {}{more} ({bytes} bytes)", map.count(), shown.join(" "))
    }
}

fn table(group: &str, rows: &[Row]) -> String {
    let number = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
    let wide = rows.iter().map(|row| row.span.topic.len()).max().unwrap_or(0).max(5);
    let mut text = format!("group {group}\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{:<wide$} {:>9} {:>12} {:>12} {:>10}  {:<22}  finished beyond",
        "topic", "partition", "committed", "end", "lag", "topic id"
    );
    for row in rows {
        let committed = number(row.committed.as_ref().map(|committed| committed.offset));
        let (topic, partition, end) = (&row.span.topic, row.span.partition, row.span.end);
        let lag = number(row.lag());
        let _ = writeln!(
            text,
            "{topic:<wide$} {partition:>9} {committed:>12} {end:>12} {lag:>10}  {:<22}  {}",
            row.topic_id().unwrap_or_else(|| "-".to_owned()),
            row.beyond()
        );
    }
    text.truncate(text.trim_end().len());
    text
}
