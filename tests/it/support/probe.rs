//! What the tests ask of `examples/probe.rs`, and what it tells them: the headers of both.

use std::path::{Path, PathBuf};

use super::evidence::Span;
use super::record::{Expect, Input, Seen, Sent};
use super::setup::Mode;

/// Bears the spans of what was written.
const SPAN: &str = "probe.span";
/// Bears the number of a part of a record that was split.
const PART: &str = "probe.part";

/// A file that tells the probe what to do for as long as it is there.
pub(crate) struct Flag(PathBuf);

impl Flag {
    pub(crate) fn raise() -> Self {
        let name = format!("{}.flag", super::setup::unique_name());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, "").expect("the folder for temporary files can be written");
        Self(file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn lower(&self) {
        // It may be lowered already.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Drop for Flag {
    fn drop(&mut self) {
        self.lower();
    }
}

impl Input {
    /// The same, with its transform blocking a worker so long.
    pub(crate) fn slow(self, ms: u64) -> Self {
        self.ask("probe.sleep", ms)
    }

    /// The same, failing for now so often.
    pub(crate) fn retried(self, times: u32) -> Self {
        self.ask("probe.retry", times)
    }

    /// The same, rejected.
    pub(crate) fn rejected(self) -> Self {
        self.ask("probe.reject", "").dead("probe_reject")
    }

    /// The same, with a transform that panics.
    pub(crate) fn panicking(self) -> Self {
        self.ask("probe.panic", "").dead("transform_panic")
    }

    /// The same, with a transform that does not return while the file of `PROBE_HANG_WHILE` is there.
    pub(crate) fn hanging(self) -> Self {
        self.ask("probe.hang", "")
    }

    /// The same, filtered.
    pub(crate) fn filtered(self) -> Self {
        Self { expect: Expect::Parts(0), ..self.ask("probe.filter", "") }
    }

    /// The same, written in so many parts.
    pub(crate) fn split(self, parts: usize) -> Self {
        Self { expect: Expect::Parts(parts), ..self.ask("probe.split", parts) }
    }

    fn ask(self, name: &str, value: impl ToString) -> Self {
        self.header(name, Some(value.to_string().as_bytes()))
    }
}

impl Seen {
    /// Which part of its record it is; 0 where a record was not split.
    pub(crate) fn part(&self) -> usize {
        self.text(PART).map_or(0, |part| part.parse().expect("the number of a part"))
    }

    /// Its headers without those that the probe added.
    pub(crate) fn headers_as_sent(&self) -> impl Iterator<Item = &(String, Option<Vec<u8>>)> {
        self.headers.iter().filter(|(name, _)| name != SPAN && name != PART)
    }

    /// When its transform ran, an entry for each attempt. Dead letters say it at the end of their message.
    pub(crate) fn ran(&self) -> Vec<(u64, u64)> {
        let said = |message: &'_ str| message.rsplit_once("; ran ").map(|(_, spans)| spans.to_owned());
        let text = self.text(SPAN).map(str::to_owned);
        let text = text.or_else(|| self.text("__dlq.errors.message").and_then(said)).unwrap_or_default();
        let span = |text: &str| {
            let (begin, end) = text.split_once('-')?;
            Some((begin.parse().ok()?, end.parse().ok()?))
        };
        text.split(',').filter_map(span).collect()
    }
}

/// When which record's transform ran, in the lanes of this mode, as far as what was read back tells.
pub(crate) fn spans<'a>(mode: Mode, written: impl Iterator<Item = (&'a Seen, &'a Sent)>) -> Vec<Span> {
    let spans = written.enumerate().flat_map(|(n, (seen, sent))| {
        let lane = match (mode, &sent.input.key) {
            (Mode::Key, Some(key)) => {
                format!("key {:?} of partition {}", String::from_utf8_lossy(key), sent.partition)
            }
            (Mode::Partition, _) => format!("partition {}", sent.partition),
            // Alone: in a lane of its own.
            (Mode::Key, None) | (Mode::Unordered, _) => format!("record {n}"),
        };
        let span = move |(begin, end)| Span { lane: lane.clone(), id: sent.input.id.clone(), begin, end };
        seen.ran().into_iter().map(span)
    });
    // The parts of a record all tell of the same runs.
    let mut spans: Vec<Span> = spans.collect();
    spans.sort_unstable_by(|a, b| (&a.lane, a.begin, &a.id).cmp(&(&b.lane, b.begin, &b.id)));
    spans.dedup();
    spans
}
