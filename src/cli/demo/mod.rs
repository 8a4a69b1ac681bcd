//! `processor demo`: the whole job in one process and out of nothing, with a verdict that believes nobody.
//!
//! ```text
//! generator ─▶ demo.orders ─▶ processor ─▶ demo.orders.valid, dlq.demo
//!     ▲             │                            │
//!     └── room ── judge ◀── a plain consumer ◀───┘        all topics in the embedded broker
//! ```
//!
//! * [`generator`] writes [`crate::oracle::stamp`]ed orders, some of them broken, at a [`crate::cli::pace`].
//! * [`engine`] is the processor as `run` runs it.
//! * [`reader`] reads the three topics while they grow and shows them to the [`judge`], who counts by number: what is lost,
//!   repeated, out of order. None of the processor's own counters is looked at.
//! * The judge's count of what is finished gives the generator room: what is under way is bounded, so the broker need keep
//!   no more than [`RETENTION`], and never removes what was not judged.
//! * [`chaos`] torments the broker, if wanted.
//! * [`show`] runs it all from the first record to the [`verdict`].

mod chaos;
mod children;
mod engine;
mod generator;
mod judge;
mod latency;
mod options;
mod progress;
mod reader;
mod screen;
mod show;
mod teller;
mod topics;
mod verdict;
mod window;
mod words;

use std::sync::Arc;

use crate::embedded;
use clap::ArgMatches;

use crate::app::Exit;
use crate::cli::{broker, output, signals};
use generator::{Counts, Generator};
use options::Options;
pub use options::arguments;
use reader::Reader;
use screen::Screen;
use show::Show;
use topics::TOPICS;

/// Bytes that a partition keeps. [`generator::AHEAD`] records may be under way. In the output they are of [`crate::oracle::stamp::SIZE`], 10 MiB
/// together, which fit even if all have one partition; as dead letters of 1.4 KiB, and their three partitions share them.
const RETENTION: u64 = 16 << 20;

/// Shows it.
pub fn command(arguments: &ArgMatches) -> Exit {
    match prepare(Options::read(arguments)) {
        Ok(show) => show.run(),
        Err(exit) => exit,
    }
}

fn prepare(options: Options) -> Result<Show, Exit> {
    let failed = |error: String| {
        output::say(format_args!("error: {error}"));
        Exit::Failure
    };
    let signals = signals::catch().map_err(|error| failed(format!("signals cannot be handled: {error}")))?;
    let settings =
        embedded::Options { port: options.port, retention_bytes: RETENTION, ..embedded::Options::default() };
    let broker = Arc::new(broker::start(settings)?);
    for topic in TOPICS {
        broker.create_topic(topic.name, topic.partitions);
    }
    let servers = broker.servers();
    let screen = Screen::new();
    let ready = engine::prepare(&options, &servers, &screen)?;
    output::data(words::banner(&options, &servers, ready.address));
    let counts = Arc::new(Counts::default());
    let reader = Reader::start(&servers, counts.clone()).map_err(failed)?;
    let engine = ready.start().map_err(failed)?;
    let generator = Generator::start(&servers, options.rate, options.bad, options.seed, counts.clone())
        .map_err(failed)?;
    Ok(Show { options, signals, screen, broker, counts, reader, engine, generator })
}
