//! Whether the cluster answers, as told by all clients of this process: said once when it is gone and why, once when it is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::reason::{Cause, Reason};
use crate::sync::Mutex;

/// What was said about a connection counts as the reason for so long. librdkafka repeats itself every 30 seconds.
const MEMORY: Duration = Duration::from_secs(45);

/// Shared by all clients of the process.
#[derive(Debug, Default)]
pub struct Link {
    state: Mutex<State>,
    down: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    down_since: Option<Instant>,
    /// Why a connection failed last.
    reason: Option<(Reason, Instant)>,
    /// What is to be said where no connection failed.
    silence: String,
    /// The cause that was said in this outage.
    said: Option<Cause>,
    denied: Option<Denied>,
}

#[derive(Debug)]
struct Denied {
    why: String,
    first: Instant,
    last: Instant,
}

impl Link {
    /// No broker answers: says so the first time, with the reason if one is known, else as `silence` has it.
    pub fn lost(&self, silence: &str) {
        let mut state = self.state.lock();
        self.down.store(true, Ordering::Relaxed);
        if state.down_since.is_some() {
            return;
        }
        state.down_since = Some(Instant::now());
        state.silence = silence.to_owned();
        state.said = state.reason().map(|reason| reason.cause);
        tracing::warn!("{}. Trying again", state.why());
    }

    /// A connection failed, which is the reason if no broker answers.
    pub fn failed(&self, reason: Reason) {
        let mut state = self.state.lock();
        let down = state.down_since.is_some();
        // The certificate of one broker is that broker's trouble; that of all is ours.
        if reason.cause.is_denial() || (down && reason.cause == Cause::Certificate) {
            state.deny(&reason.to_string());
        }
        // That it was closed says less than what was known before.
        if reason.cause == Cause::Closed && state.reason().is_some() {
            return;
        }
        let news = down && state.said != Some(reason.cause) && state.denied().is_none();
        state.said = Some(reason.cause).filter(|_| down);
        state.reason = Some((reason, Instant::now()));
        if news {
            tracing::warn!("{}. Trying again", state.why());
        }
    }

    /// Why a connection failed last, if that was lately.
    pub fn reason(&self) -> Option<Reason> {
        self.state.lock().reason().cloned()
    }

    /// A broker answered. Says so, if it was gone.
    pub fn answered(&self) {
        if !self.down.swap(false, Ordering::Relaxed) {
            return;
        }
        let State { down_since, .. } = std::mem::take(&mut *self.state.lock());
        if let Some(since) = down_since {
            tracing::info!("the broker is back after {:.1} s", since.elapsed().as_secs_f64());
        }
    }

    /// Whether no broker answers, as far as we know.
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Why no broker answers, where none does.
    pub fn outage(&self) -> Option<String> {
        let state = self.state.lock();
        state.down_since.map(|_| state.why())
    }

    /// A broker did not accept who we are, or does not let us into the group.
    pub fn denied(&self, why: &str) {
        self.state.lock().deny(why);
    }

    /// Why a broker did not let us in, if one did not lately and since the last answer.
    pub fn denial(&self) -> Option<String> {
        self.state.lock().denied().map(|denied| denied.why.clone())
    }

    /// Forgets that we were not let in: the next login is with something else.
    pub fn forgive(&self) {
        self.state.lock().denied = None;
    }

    /// How long one denial has followed another.
    pub fn denied_for(&self) -> Duration {
        self.state.lock().denied().map_or(Duration::ZERO, |denied| denied.last - denied.first)
    }
}

impl State {
    fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref().filter(|(_, at)| at.elapsed() < MEMORY).map(|(reason, _)| reason)
    }

    fn denied(&self) -> Option<&Denied> {
        self.denied.as_ref().filter(|denied| denied.last.elapsed() < MEMORY)
    }

    fn why(&self) -> String {
        self.reason().map_or_else(|| self.silence.clone(), |reason| format!("no broker answers: {reason}"))
    }

    fn deny(&mut self, why: &str) {
        let now = Instant::now();
        let first = self.denied().map(|denied| denied.first);
        if first.is_none() {
            tracing::error!("the broker does not let us in: {why}");
        }
        self.denied = Some(Denied { why: why.to_owned(), first: first.unwrap_or(now), last: now });
    }
}
