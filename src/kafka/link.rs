//! Whether the cluster answers, as told by all clients of this process: said once when it is gone and why, once when it is back.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::reason::{Cause, Reason};
use crate::sync::Mutex;

/// What was said about a connection counts as the reason for so long. librdkafka repeats itself every 30 seconds.
const MEMORY: Duration = Duration::from_secs(45);

/// Who does not let us in, where that is not known: the group's coordinator, for example.
pub const NOBODY: &str = "";

/// Shared by all clients of the process.
#[derive(Debug, Default)]
pub struct Link {
    state: Mutex<State>,
    down: AtomicBool,
    /// Says nothing.
    quiet: bool,
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
    /// The addresses of those who said so.
    by: BTreeSet<String>,
    first: Instant,
    last: Instant,
}

impl Link {
    /// For a client that asks only once: whoever asks has said why.
    pub fn quiet() -> Self {
        Self { quiet: true, ..Self::default() }
    }

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
        self.warn(&state);
    }

    fn warn(&self, state: &State) {
        if !self.quiet {
            tracing::warn!("{}. Trying again", state.why());
        }
    }

    /// A connection failed, which is the reason if no broker answers.
    pub fn failed(&self, reason: Reason) {
        let mut state = self.state.lock();
        let down = state.down_since.is_some();
        // The certificate of one broker is that broker's trouble; that of all is ours.
        if reason.cause.is_denial() || (down && reason.cause == Cause::Certificate) {
            self.deny(&mut state, &reason.to_string(), reason.address());
        }
        // That it was closed says less than what was known before.
        if reason.cause == Cause::Closed && state.reason().is_some() {
            return;
        }
        let news = down && state.said != Some(reason.cause) && state.denied().is_none();
        state.said = Some(reason.cause).filter(|_| down);
        state.reason = Some((reason, Instant::now()));
        if news {
            self.warn(&state);
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
        let mut state = self.state.lock();
        // Another one may not let us in all the same.
        let State { down_since, denied, .. } = std::mem::take(&mut *state);
        state.denied = denied;
        state.let_in(NOBODY);
        drop(state);
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
    pub fn denied(&self, why: &str, by: &str) {
        self.deny(&mut self.state.lock(), why, by);
    }

    fn deny(&self, state: &mut State, why: &str, by: &str) {
        let is_news = state.deny(why, by);
        if is_news && !self.quiet {
            tracing::error!("the broker does not let us in: {why}");
        }
    }

    /// This broker lets us in.
    pub fn let_in(&self, by: &str) {
        self.state.lock().let_in(by);
    }

    /// The address of a broker that did not let us in lately.
    pub fn refuses(&self) -> Option<String> {
        let state = self.state.lock();
        state.denied().and_then(|denied| denied.by.iter().find(|by| *by != NOBODY).cloned())
    }

    /// Whether a broker and we have not agreed lately on who we are, or who it is.
    pub fn is_refused(&self) -> bool {
        let state = self.state.lock();
        state.denied().is_some() || state.reason().is_some_and(|reason| reason.cause.is_of_credentials())
    }

    /// Why a broker did not let us in, if one did not lately and has not since.
    pub fn denial(&self) -> Option<String> {
        self.state.lock().denied().map(|denied| denied.why.clone())
    }

    /// Forgets that we were not let in: the next login is with something else.
    pub fn forgive(&self) {
        self.state.lock().denied = None;
    }

    /// Denials count from now on: the next login is with something else.
    pub fn count_anew(&self) {
        if let Some(denied) = &mut self.state.lock().denied {
            (denied.first, denied.last) = (Instant::now(), Instant::now());
        }
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

    /// Notes it; whether it is news.
    fn deny(&mut self, why: &str, by: &str) -> bool {
        let now = Instant::now();
        let before = self.denied.take().filter(|denied| denied.last.elapsed() < MEMORY);
        let is_news = before.is_none();
        let (first, mut all) = before.map_or((now, BTreeSet::new()), |denied| (denied.first, denied.by));
        all.insert(by.to_owned());
        self.denied = Some(Denied { why: why.to_owned(), by: all, first, last: now });
        is_news
    }

    fn let_in(&mut self, by: &str) {
        if let Some(denied) = &mut self.denied {
            denied.by.remove(by);
        }
        self.denied.take_if(|denied| denied.by.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_refuses_us_does_so_until_that_broker_lets_us_in() {
        let link = Link::default();
        link.denied("no", "one:1");
        link.denied("no", "two:2");
        link.lost("silence");
        // The third of three answers: that is no word of the others.
        link.answered();
        assert!(link.denial().is_some() && !link.is_down());
        link.let_in("one:1");
        link.let_in("three:3");
        assert_eq!((link.denial().as_deref(), link.refuses().as_deref()), (Some("no"), Some("two:2")));
        link.let_in("two:2");
        assert!(link.denial().is_none() && link.refuses().is_none() && !link.is_refused());
    }

    #[test]
    fn a_denial_by_nobody_known_ends_with_an_outage_or_an_assignment() {
        let link = Link::default();
        link.denied("not in this group", NOBODY);
        link.answered();
        assert!(link.denial().is_some() && link.refuses().is_none());
        link.lost("silence");
        link.answered();
        assert!(link.denial().is_none());
        link.denied("not in this group", NOBODY);
        link.let_in(NOBODY);
        assert!(link.denial().is_none());
    }
}
