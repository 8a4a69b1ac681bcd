//! From the first record to the verdict, in this order: the flow, until somebody or the clock ends it; the drain, until the
//! judge has read everything back; the processor's stop; the rest of the topics; the verdict.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::embedded::Broker;
use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::chaos::Chaos;
use super::engine::Engine;
use super::generator::{Counts, Generator};
use super::options::Options;
use super::reader::Reader;
use super::screen::Screen;
use super::teller::Teller;
use super::topics::Asker;
use super::verdict::Verdict;
use super::words;
use crate::app::Exit;
use crate::cli::{memory, output};

/// How often it is looked whether something has come to its end.
const TICK: Duration = Duration::from_millis(20);
/// How long the first record may take: the group has to form.
const START: Duration = Duration::from_secs(60);
/// How long it may take until everything is read back; and again, until the processor has ended.
const DRAIN: Duration = Duration::from_secs(60);
/// How long the rest of the topics may take.
const REST: Duration = Duration::from_secs(10);

/// Everything that runs.
pub struct Show {
    /// What the user wants.
    pub options: Options,
    /// SIGINT, SIGTERM and SIGHUP.
    pub signals: Receiver<()>,
    /// Where it is shown.
    pub screen: Arc<Screen>,
    /// The broker.
    pub broker: Arc<Broker>,
    /// What generator and judge tell each other.
    pub counts: Arc<Counts>,
    /// The judge.
    pub reader: Reader,
    /// The processor.
    pub engine: Engine,
    /// The generator.
    pub generator: Generator,
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

impl Show {
    /// To the end.
    pub fn run(self) -> Exit {
        let mut verdict = Verdict::default();
        let mut teller = Teller::new();
        let flow = self.flow(&mut teller, &mut verdict);
        self.generator.stop();
        verdict.cut_short =
            !self.drain(flow, &mut teller, &mut verdict) || !self.stop_the_engine(&mut teller);
        if !verdict.cut_short {
            self.read_the_rest(&mut teller, &mut verdict);
        }
        teller.tell_the_last(&self);
        self.judge(verdict)
    }

    /// Until the user, the clock or a fault ends it.
    fn flow(&self, teller: &mut Teller, verdict: &mut Verdict) -> Flow {
        let first = self.wait(START, teller, |show| show.counts.settled() > 0 || show.is_broken());
        let began = Instant::now();
        if first == Waited::Late {
            verdict.troubles.push(format!("the first record was not finished within {} s", START.as_secs()));
        }
        if first != Waited::Done {
            return Flow { began, chaos: None };
        }
        teller.begin(began, self.counts.waited());
        let chaos = self.torment(verdict);
        self.wait(self.options.duration.unwrap_or(Duration::MAX), teller, Self::is_broken);
        Flow { began, chaos }
    }

    /// Until everything is read back; `false` when a signal came before.
    fn drain(&self, flow: Flow, teller: &mut Teller, verdict: &mut Verdict) -> bool {
        teller.waits_for("waiting until everything is read back; Ctrl-C again ends at once");
        let drained = self.wait(DRAIN, teller, |show| show.is_read_back() || show.cannot_drain());
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
    fn wait(&self, at_most: Duration, teller: &mut Teller, is_done: impl Fn(&Self) -> bool) -> Waited {
        let started = Instant::now();
        loop {
            if is_done(self) {
                return Waited::Done;
            }
            let left = at_most.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Waited::Late;
            }
            teller.maybe_tell(self);
            match self.signals.recv_timeout(left.min(TICK)) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Waited::Signal,
            }
        }
    }

    fn torment(&self, verdict: &mut Verdict) -> Option<Chaos> {
        if !self.options.chaos {
            return None;
        }
        let chaos = Chaos::start(self.broker.clone(), self.engine.children(), self.options.seed);
        chaos.map_err(|error| verdict.troubles.push(format!("no thread for the chaos: {error}"))).ok()
    }

    /// Whether a part has come to an end that nobody told it to.
    fn is_broken(&self) -> bool {
        self.generator.has_ended() || self.cannot_drain()
    }

    fn cannot_drain(&self) -> bool {
        self.engine.has_ended() || self.reader.trouble().is_some()
    }

    /// Whether all that the broker acknowledged is in the input, and has its result.
    fn is_read_back(&self) -> bool {
        let tally = self.reader.ask(|judge| judge.tally());
        self.generator.has_ended() && tally.without_result() == 0 && tally.input >= self.counts.acknowledged()
    }

    /// Whether it ended before a signal came.
    fn stop_the_engine(&self, teller: &mut Teller) -> bool {
        teller.waits_for("waiting until the processor has committed and left its group");
        self.engine.stop();
        self.wait(DRAIN, teller, |show| show.engine.has_ended()) != Waited::Signal
    }

    /// To the ends of all topics: whatever the processor wrote last is to be judged too.
    fn read_the_rest(&self, teller: &mut Teller, verdict: &mut Verdict) {
        let asked = Asker::new(&self.broker.servers()).and_then(|asker| Ok((asker.ends()?, asker)));
        let (ends, asker) = match asked {
            Ok(asked) => asked,
            Err(error) => {
                return verdict.troubles.push(format!("nobody says where the topics end: {error}"));
            }
        };
        if self.wait(REST, teller, |show| show.reader.has_read(&ends)) != Waited::Done {
            verdict.troubles.push("the topics could not be read to their ends".to_owned());
        }
        verdict.uncommitted = Some(asker.uncommitted(&ends).map_err(|error| error.to_string()));
    }

    fn judge(self, mut verdict: Verdict) -> Exit {
        let trouble = self.reader.trouble();
        (verdict.tally, verdict.p99) = self.reader.ask(|judge| (judge.tally(), judge.p99()));
        verdict.acknowledged = self.counts.acknowledged();
        verdict.refused = self.counts.refused();
        verdict.peak_memory = memory::peak();
        if !verdict.cut_short {
            let parts = [trouble.map_or(Ok(()), Err), self.generator.end(), self.engine.end()];
            verdict.troubles.extend(parts.into_iter().filter_map(Result::err));
            self.reader.stop();
        }
        output::data(format_args!("\n{verdict}\n\n{}", words::next()));
        // It ends with the process: threads of the clients are still closing, and would log that it is gone.
        std::mem::forget(self.broker);
        verdict.exit()
    }
}
