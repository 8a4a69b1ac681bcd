//! What the judge found, as JSON and as text. The names of the JSON's fields are a promise to scripts: [`VERSION`] says which
//! one; fields may be added to it, and none of them changes its meaning.

use std::fmt;

use serde::Serialize;

use super::rules::Limit;

/// Of the JSON.
pub(super) const VERSION: u32 = 1;

/// One kind of fault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// How many there are.
    pub count: u64,
    /// How many are put up with.
    pub allowed: Limit,
    /// Whether there are no more.
    pub ok: bool,
    /// The first of them.
    pub examples: Vec<Example>,
}

/// Where one of them is, as `topic/partition/offset`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Example {
    /// The result's position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Its record's position in the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// What is wrong with it, where the kind does not say all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Finding {
    /// One more; it is named if it is among the first.
    pub(super) fn add(&mut self, most: usize, example: impl FnOnce() -> Example) {
        self.count += 1;
        if self.examples.len() < most {
            self.examples.push(example());
        }
    }

    pub(super) fn settle(&mut self, allowed: Limit) {
        (self.allowed, self.ok) = (allowed, allowed.allows(self.count));
    }
}

/// How many records there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Records {
    /// In the input topics.
    pub input: u64,
    /// In the output topic.
    pub output: u64,
    /// In the dead-letter topic.
    pub dead_letters: u64,
}

/// By what results were matched with their records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Matched {
    /// By the header `processor.source`.
    pub source: u64,
    /// By the headers `__dlq.errors.*`.
    pub dead_letter: u64,
    /// By the generator's stamp.
    pub stamp: u64,
}

/// What is no fault of the program's, and not judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Aside {
    /// Results of records that the input no longer has.
    pub removed: u64,
    /// Results of records of other topics or groups.
    pub foreign: u64,
    /// Records that stand in the input more than once, by their stamp.
    pub twice_in_input: u64,
}

/// A partition of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Progress {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The first offset.
    pub first: i64,
    /// The offset behind the last one looked at.
    pub end: i64,
    /// Records between them.
    pub records: u64,
    /// What the group has committed.
    pub committed: Option<i64>,
    /// The first record without its result.
    pub first_unfinished: Option<i64>,
    /// The last record with its result.
    pub last_finished: Option<i64>,
    /// Finished records behind the committed offset: a restart repeats them, but for those that are `claimed`.
    pub uncommitted: u64,
    /// Records behind the committed offset that the commit's metadata says are finished.
    pub claimed: u64,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// See [`VERSION`].
    pub version: u32,
    /// Whether nothing is wrong, but for what is put up with.
    pub good: bool,
    /// How many records there were.
    pub records: Records,
    /// Records without a result. Where the group's offsets are known: those that the group has left behind it.
    pub lost: Finding,
    /// Records without a result that the group has still before it.
    pub unfinished: Finding,
    /// Results beyond the first.
    pub repeated: Finding,
    /// First results that stand behind a later one of their lane.
    pub out_of_order: Finding,
    /// Keys in more than one partition of the output: of each key the partitions beyond one.
    pub split: Finding,
    /// Records with several results of which some are missing.
    pub torn: Finding,
    /// Results that belong to no record of the input.
    pub phantom: Finding,
    /// Results that do not say which record they are of. Where there are any, records without a result, and offsets
    /// beyond them, are not judged.
    pub unjudged: Finding,
    /// Results whose key, headers or value are not their record's.
    pub corrupt: Finding,
    /// Partitions whose committed offset, or its metadata, says that a record is finished that is not.
    pub watermark: Finding,
    /// By what results were matched.
    pub matched: Matched,
    /// What is not judged.
    pub aside: Aside,
    /// Finished records behind the committed offsets, all partitions together; `null` where no group was asked for.
    pub uncommitted: Option<u64>,
    /// Each partition of the input.
    pub partitions: Vec<Progress>,
    /// For people: what limits the verdict.
    pub notes: Vec<String>,
}

impl Report {
    /// The findings by name, in the order in which they are shown.
    pub(crate) fn findings(&self) -> [(&'static str, &Finding); 10] {
        [
            ("lost", &self.lost),
            ("unfinished", &self.unfinished),
            ("repeated", &self.repeated),
            ("out of order", &self.out_of_order),
            ("split", &self.split),
            ("torn", &self.torn),
            ("phantom", &self.phantom),
            ("corrupt", &self.corrupt),
            ("watermark", &self.watermark),
            ("unjudged", &self.unjudged),
        ]
    }

    /// All of it in a word.
    pub(crate) fn verdict(&self) -> Verdict {
        let wrong = self.findings().iter().filter(|(_, finding)| !finding.ok).count();
        match (wrong, self.unjudged.ok) {
            (0, _) => Verdict::Good,
            (1, false) => Verdict::Unjudged,
            _ => Verdict::NotGood,
        }
    }
}

/// A report in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is wrong, but for what is put up with.
    Good,
    /// Nothing is known to be wrong, and not all could be judged.
    Unjudged,
    /// Something is wrong.
    NotGood,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Unjudged => "UNJUDGED",
            Self::NotGood => "NOT GOOD",
        })
    }
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [self.at.clone(), self.of.as_ref().map(|of| format!("of {of}")), self.why.clone()];
        f.write_str(&words.into_iter().flatten().collect::<Vec<_>>().join(": ").replace(": of ", " of "))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Records { input, output, dead_letters } = self.records;
        writeln!(f, "read          in {input}, out {output}, dead letters {dead_letters}")?;
        for (name, finding) in self.findings() {
            if !self.unjudged.ok && matches!(name, "lost" | "unfinished") {
                writeln!(f, "{name:<13} unjudged")?;
                continue;
            }
            let put_up_with = match (finding.count, finding.ok) {
                (0, _) => String::new(),
                (_, true) => format!("  (allowed: {})", finding.allowed),
                _ if name == "unjudged" => "  do not say which record they are of".to_owned(),
                (_, false) => "  WRONG".to_owned(),
            };
            writeln!(f, "{name:<13} {}{put_up_with}", finding.count)?;
            for example in &finding.examples {
                writeln!(f, "                {example}")?;
            }
            if finding.count > finding.examples.len() as u64 && !finding.examples.is_empty() {
                writeln!(f, "                …")?;
            }
        }
        if let Some(uncommitted) = self.uncommitted {
            writeln!(f, "uncommitted   {uncommitted} finished records behind the committed offsets")?;
        }
        for note in &self.notes {
            writeln!(f, "note          {note}")?;
        }
        write!(f, "verdict       {}", self.verdict())
    }
}
