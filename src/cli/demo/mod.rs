//! `processor demo`: the whole job in one process and out of nothing, with a verdict that believes nobody.
//!
//! ```text
//! generator ─▶ demo.orders ─▶ processor ─▶ demo.orders.valid, dlq.demo
//!     ▲             │                            │
//!     └── room ── judge ◀── a plain consumer ◀───┘        all topics in the embedded broker
//! ```
//!
//! * [`load`] is the generator of `processor generate`: [`crate::cli::stamp`]ed orders, some of them broken, at a rate.
//! * [`engine`] is the processor as `run` runs it.
//! * [`judge`] is the judge of `processor verify`, shown the three topics while they grow: what is lost, repeated, out of order,
//!   corrupt. None of the processor's own counters is looked at.
//! * The judge's count of what is finished gives the generator room: what is under way is bounded, so the broker need keep
//!   no more than [`topics::RETENTION`], and never removes what was not judged.
//! * [`chaos`] disturbs the broker, if wanted.
//!
//! From the first record to the verdict, in this order: the flow, until somebody or the clock ends it; the drain, until the judge has
//! read everything back; the processor's stop; the rest of the topics; the verdict.

mod chaos;
mod engine;
mod judge;
mod load;
mod options;
mod progress;
mod screen;
mod topics;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::ArgMatches;
use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::app::Exit;
use crate::cli::{broker, memory, output, signals};
use crate::embedded::{self, Broker};
use chaos::Chaos;
use engine::Engine;
use judge::Judging;
use load::Producing;
use options::Options;
pub(super) use options::arguments;
use progress::{Figures, Progress};
use screen::Screen;
use topics::{RETENTION, TOPICS};
use verdict::Verdict;

/// How often it is looked whether something has come to its end.
const TICK: Duration = Duration::from_millis(20);
/// How long the first record may take: the group has to form.
const START: Duration = Duration::from_secs(60);
/// How long it may take until everything is read back; and again, until the processor has ended.
const DRAIN: Duration = Duration::from_secs(60);
/// How long the rest of the topics may take.
const REST: Duration = Duration::from_secs(10);

/// Shows it.
pub(super) fn command(arguments: &ArgMatches) -> Exit {
    match Demo::start(Options::read(arguments)) {
        Ok(demo) => demo.run(),
        Err(exit) => exit,
    }
}

/// Everything that runs.
struct Demo {
    options: Options,
    /// SIGINT, SIGTERM and SIGHUP.
    signals: Receiver<()>,
    screen: Arc<Screen>,
    broker: Arc<Broker>,
    judging: Judging,
    engine: Engine,
    generator: Producing,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    /// What was waited for has come.
    Done,
    /// The time is over.
    Late,
    /// A signal came.
    Signal,
}

/// What has to be ended when the flow is over.
struct Flow {
    began: Instant,
    chaos: Option<Chaos>,
}

impl Demo {
    fn start(options: Options) -> Result<Self, Exit> {
        let failed = |error: String| {
            output::say(format_args!("error: {error}"));
            Exit::Failure
        };
        let signals =
            signals::catch().map_err(|error| failed(format!("signals cannot be handled: {error}")))?;
        let settings = embedded::Options {
            port: options.port,
            retention_bytes: RETENTION,
            ..embedded::Options::default()
        };
        let broker = Arc::new(broker::start(settings)?);
        for topic in TOPICS {
            broker.create_topic(topic.name, topic.partitions);
        }
        let servers = broker.servers();
        let screen = Screen::new();
        let ready = engine::prepare(&options, &servers, &screen)?;
        output::data(options.banner(&servers, ready.address));
        let judging = Judging::start(&ready.config).map_err(|ended| failed(ended.message))?;
        let engine = ready.start().map_err(failed)?;
        let generator = Producing::start(&servers, &options, judging.finished().clone()).map_err(failed)?;
        Ok(Self { options, signals, screen, broker, judging, engine, generator })
    }

    fn figures(&self) -> Figures {
        Figures {
            duration: self.options.duration,
            acknowledged: self.generator.answers().taken(),
            counts: self.judging.counts(),
            p99: self.judging.recent_p99(),
            waited: self.generator.waited(),
            faults: self.options.chaos.then(|| self.broker.faults().injected()),
        }
    }

    /// To the end.
    fn run(self) -> Exit {
        let mut verdict = Verdict::default();
        let mut progress = Progress::new();
        let flow = self.flow(&mut progress, &mut verdict);
        self.generator.stop();
        verdict.cut_short =
            !self.drain(flow, &mut progress, &mut verdict) || !self.stop_the_engine(&mut progress);
        if !verdict.cut_short {
            self.read_the_rest(&mut progress, &mut verdict);
        }
        progress.show_the_last(&self.screen, || self.figures());
        self.judge(verdict)
    }

    /// Until the user, the clock or a fault ends it.
    fn flow(&self, progress: &mut Progress, verdict: &mut Verdict) -> Flow {
        let first = self.wait(START, progress, |demo| {
            demo.judging.finished().load(Ordering::Relaxed) > 0 || demo.is_broken()
        });
        let began = Instant::now();
        if first == Waited::Late {
            verdict.troubles.push(format!("the first record was not finished within {} s", START.as_secs()));
        }
        if first != Waited::Done {
            return Flow { began, chaos: None };
        }
        progress.begin(began, self.generator.waited());
        let chaos = self.start_chaos(verdict);
        self.wait(self.options.duration.unwrap_or(Duration::MAX), progress, Self::is_broken);
        Flow { began, chaos }
    }

    /// Until everything is read back; `false` when a signal came before.
    fn drain(&self, flow: Flow, progress: &mut Progress, verdict: &mut Verdict) -> bool {
        progress.waits_for("waiting until everything is read back; Ctrl-C again ends at once");
        let drained = self.wait(DRAIN, progress, |demo| demo.is_read_back() || demo.cannot_drain());
        verdict.elapsed = flow.began.elapsed();
        if drained == Waited::Late {
            verdict.troubles.push(format!("not everything was read back within {} s", DRAIN.as_secs()));
        }
        if let Some(chaos) = flow.chaos {
            verdict.chaos = Some((self.broker.faults().injected(), chaos.end(), self.options.seed));
        }
        drained != Waited::Signal
    }

    /// Waits for something, and tells meanwhile.
    fn wait(&self, at_most: Duration, progress: &mut Progress, is_done: impl Fn(&Self) -> bool) -> Waited {
        let started = Instant::now();
        loop {
            if is_done(self) {
                return Waited::Done;
            }
            let left = at_most.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Waited::Late;
            }
            progress.maybe_show(&self.screen, || self.figures());
            match self.signals.recv_timeout(left.min(TICK)) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Waited::Signal,
            }
        }
    }

    fn start_chaos(&self, verdict: &mut Verdict) -> Option<Chaos> {
        if !self.options.chaos {
            return None;
        }
        let chaos = Chaos::start(self.broker.clone(), self.engine.processes(), self.options.seed);
        chaos.map_err(|error| verdict.troubles.push(format!("no thread for the chaos: {error}"))).ok()
    }

    /// Whether a part has come to an end that nobody told it to.
    fn is_broken(&self) -> bool {
        self.generator.has_ended() || self.cannot_drain()
    }

    fn cannot_drain(&self) -> bool {
        self.engine.has_ended() || self.judging.trouble().is_some()
    }

    /// Whether all that the broker acknowledged is in the input, and has its result.
    fn is_read_back(&self) -> bool {
        let counts = self.judging.counts();
        self.generator.has_ended()
            && counts.unfinished() == 0
            && counts.input >= self.generator.answers().taken()
    }

    /// Whether it ended before a signal came.
    fn stop_the_engine(&self, progress: &mut Progress) -> bool {
        progress.waits_for("waiting until the processor has committed and left its group");
        self.engine.stop();
        self.wait(DRAIN, progress, |demo| demo.engine.has_ended()) != Waited::Signal
    }

    /// To the ends of all topics: whatever the processor wrote last is to be judged too.
    fn read_the_rest(&self, progress: &mut Progress, verdict: &mut Verdict) {
        if let Err(ended) = self.judging.read_to_the_end() {
            return verdict.troubles.push(format!("nobody says where the topics end: {}", ended.message));
        }
        if self.wait(REST, progress, |demo| demo.judging.has_read()) != Waited::Done {
            verdict.troubles.push("the topics could not be read to their ends".to_owned());
        }
    }

    fn judge(self, mut verdict: Verdict) -> Exit {
        (verdict.judged, verdict.p99) = (self.judging.counts(), self.judging.p99());
        verdict.acknowledged = self.generator.answers().taken();
        verdict.refused = self.generator.answers().refused();
        verdict.peak_memory = memory::peak();
        verdict.take(&self.judging.report(), self.judging.has_read());
        if !verdict.cut_short {
            let parts = [self.judging.trouble().map_or(Ok(()), Err), self.generator.end(), self.engine.end()];
            verdict.troubles.extend(parts.into_iter().filter_map(Result::err));
        }
        output::data(format_args!("\n{verdict}\n\n{}", verdict::next()));
        // It ends with the process: threads of the clients are still closing, and would log that it is gone.
        std::mem::forget(self.broker);
        verdict.exit()
    }
}
