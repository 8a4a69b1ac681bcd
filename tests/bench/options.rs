//! The arguments of the benchmark's programs: some words in their order, then NAME=VALUE in any order. A name that nobody asks
//! for is a mistake and ends the program.
#![allow(dead_code)] // Each program uses a part of it.

use std::collections::BTreeMap;
use std::str::FromStr;

/// See the module.
pub(crate) struct Options {
    usage: &'static str,
    words: std::vec::IntoIter<String>,
    named: BTreeMap<String, String>,
}

impl Options {
    /// Those of this process. `cargo bench` adds `--bench`, which says nothing.
    pub(crate) fn read(usage: &'static str) -> Self {
        let all = std::env::args().skip(1).filter(|word| word != "--bench");
        let (named, words): (Vec<_>, Vec<_>) = all.partition(|word| word.contains('='));
        let named = named
            .into_iter()
            .filter_map(|word| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
        Self { usage, words: words.into_iter(), named: named.collect() }
    }

    /// The next word.
    pub(crate) fn word(&mut self) -> String {
        self.words.next().unwrap_or_else(|| self.refuse("a word is missing"))
    }

    /// What was given under this name.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.named.remove(name)
    }

    /// The same, as a number.
    pub(crate) fn number<T: FromStr>(&mut self, name: &str, default: T) -> T {
        match self.text(name) {
            None => default,
            Some(text) => {
                text.parse().unwrap_or_else(|_| self.refuse(&format!("{name}={text} is no number")))
            }
        }
    }

    /// All names with this beginning, without it.
    pub(crate) fn beginning_with(&mut self, prefix: &str) -> Vec<(String, String)> {
        let (chosen, rest): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.named).into_iter().partition(|(name, _)| name.starts_with(prefix));
        self.named = rest;
        chosen.into_iter().map(|(name, value)| (name[prefix.len()..].to_owned(), value)).collect()
    }

    /// Nothing may be left over.
    pub(crate) fn end(mut self) {
        if let Some(name) = self.named.keys().next() {
            self.refuse(&format!("{name} is no option"));
        }
        if let Some(word) = self.words.next() {
            self.refuse(&format!("{word} is too much"));
        }
    }

    /// Ends the program with this complaint and the usage.
    pub(crate) fn refuse(&self, complaint: &str) -> ! {
        eprintln!("{complaint}\nusage: {}", self.usage);
        std::process::exit(2)
    }
}
