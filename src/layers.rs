//! The layers of the source: which part may import which, and why. A test reads the imports, so that this stays true.
//!
//! Imports go down only. A part that needs something from above declares a trait, and the part above implements it. There is no circle.

use std::fs;
use std::path::{Path, PathBuf};

/// From top to bottom: a part, what it may import (each of them stands below it), and why no more.
const LAYERS: &[(&str, &[&str], &str)] = &[
    (
        "cli",
        &[
            "app",
            "config",
            "source",
            "sink",
            "transform",
            "checkpoint",
            "kafka",
            "ops",
            "policy",
            "record",
            "clock",
            "planted",
            "embedded",
        ],
        "a command drives the program from outside: it must not reach into the engine",
    ),
    (
        "testing",
        &["embed", "app", "transform", "record", "embedded"],
        "it uses the program as a stranger would",
    ),
    ("embed", &["app", "config", "transform"], "it drives the program from outside"),
    (
        "app",
        &[
            "config",
            "engine",
            "source",
            "sink",
            "transform",
            "checkpoint",
            "kafka",
            "ops",
            "policy",
            "record",
            "topic_id",
            "clock",
            "sync",
        ],
        "it puts the parts together and owns their threads",
    ),
    (
        "config",
        &["kafka", "ops", "policy"],
        "settings are for the app alone: what the engine obeys is in policy",
    ),
    ("pool", &["engine", "sync"], "a worker pool for any job: no Kafka"),
    (
        "engine",
        &["source", "sink", "transform", "checkpoint", "ops", "policy", "record", "clock", "sync", "planted"],
        "of source and sink it knows traits and values, of Kafka nothing: simulation and schedules run it without",
    ),
    (
        "source",
        &["checkpoint", "kafka", "ops", "policy", "record", "topic_id", "clock", "sync", "planted"],
        "records come in here: it knows neither the engine nor the sink",
    ),
    (
        "sink",
        &["transform", "checkpoint", "kafka", "ops", "policy", "record", "clock", "sync", "planted"],
        "results go out here: it knows neither the engine nor the source",
    ),
    ("transform", &["record"], "a function of a record: nothing else"),
    ("checkpoint", &["topic_id", "planted"], "which offset may be committed follows from offsets alone"),
    (
        "kafka",
        &["ops", "policy", "record", "topic_id", "sync", "planted"],
        "all that knows librdkafka; it knows no settings and no stage",
    ),
    ("ops", &[], "metrics, logs and HTTP are written to by all and read nothing of them"),
    ("record", &[], "a value"),
    ("policy", &[], "values"),
    ("topic_id", &[], "a value"),
    ("sync", &["clock"], "locks and time, real or of a model"),
    ("clock", &[], "time"),
    ("planted", &[], "bugs on purpose"),
];

/// What is for tests alone may import all.
fn is_test(file: &str) -> bool {
    ["simulation/", "reference.rs", "layers.rs", "lib.rs", "engine/lanes/testing.rs"]
        .iter()
        .any(|start| file.starts_with(start))
        || ["tests", "schedules"].iter().any(|part| file.split(['/', '.']).any(|piece| piece == *part))
}

/// The files of `src`, by their paths below it.
fn files() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                walk(&entry, found);
            } else if entry.extension().is_some_and(|kind| kind == "rs") {
                found.push(entry);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    let name = |path: &Path| path.strip_prefix(&root).expect("below src").display().to_string();
    found.iter().map(|path| (name(path), fs::read_to_string(path).expect("source"))).collect()
}

/// The code of a file without comments and without the tests at its end, with the numbers of its lines.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end]
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(n, line)| (n + 1, line))
}

#[test]
fn imports_go_down_only() {
    let mut wrong = Vec::new();
    let files = files();
    assert!(files.len() > 100, "{} files", files.len());
    for (file, text) in files.iter().filter(|(file, _)| !is_test(file)) {
        let part = file.split(['/', '.']).next().unwrap_or_default();
        let Some((_, allowed, why)) = LAYERS.iter().find(|(name, ..)| *name == part) else {
            wrong.push(format!("src/{file}: {part} has no place in src/layers.rs"));
            continue;
        };
        for (line, code) in code(text) {
            assert!(!code.contains("crate::{"), "src/{file}:{line}: one line for each part that is imported");
            // The broker is a crate of its own, which the root names.
            let code = code.replace("embedded_kafka::", "crate::embedded::");
            for other in code
                .split("crate::")
                .skip(1)
                .filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next())
            {
                if (LAYERS.iter().any(|(name, ..)| *name == other) || other == "embedded")
                    && other != part
                    && !allowed.contains(&other)
                {
                    wrong.push(format!("src/{file}:{line} imports {other}. {part}: {why}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a part may import stands below it, so that there is no circle.
#[test]
fn the_layers_have_an_order() {
    for (index, (part, allowed, _)) in LAYERS.iter().enumerate() {
        for other in *allowed {
            let below = LAYERS[index + 1..].iter().any(|(name, ..)| name == other);
            assert!(
                below || *other == "embedded",
                "{part} may import {other}, which does not stand below it"
            );
        }
    }
}

#[test]
fn unsafe_code_is_below_kafka_ffi_and_every_file_says_what_it_is() {
    let mut wrong = Vec::new();
    for (file, text) in files() {
        if !text.starts_with("//!") {
            wrong.push(format!("src/{file} does not begin with //! and what it is for"));
        }
        let may = file.starts_with("kafka/ffi") || is_test(&file);
        for (line, code) in code(&text).filter(|_| !may) {
            if code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe") {
                wrong.push(format!("src/{file}:{line} has unsafe code, which belongs below src/kafka/ffi"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
