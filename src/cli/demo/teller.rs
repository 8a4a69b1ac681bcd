//! Tells the user how it goes, once a second: takes the figures where they are and hands them to the screen.

use std::time::{Duration, Instant};

use super::progress::Moment;
use super::show::Show;

const SECOND: Duration = Duration::from_secs(1);

/// Remembers what a second needs of the one before.
pub struct Teller {
    next: Instant,
    /// When the flow began; unset as long as the group forms.
    began: Option<Instant>,
    /// Whether it is over, and what is waited for then.
    over: bool,
    waits_for: Option<&'static str>,
    last: Last,
}

#[derive(Clone, Copy)]
struct Last {
    told: Instant,
    settled: u64,
    waited: Duration,
}

impl Teller {
    /// Has told nothing.
    pub fn new() -> Self {
        let told = Instant::now();
        Self {
            next: told,
            began: None,
            over: false,
            waits_for: None,
            last: Last { told, settled: 0, waited: Duration::ZERO },
        }
    }

    /// The flow begins; so long the generator was held back before.
    pub fn begin(&mut self, now: Instant, waited: Duration) {
        self.began = Some(now);
        self.next = now + SECOND;
        self.last = Last { told: now, waited, ..self.last };
    }

    /// The flow is over, and this is waited for.
    pub fn waits_for(&mut self, what: &'static str) {
        self.over = true;
        self.waits_for = Some(what);
    }

    /// Tells, if it is time.
    pub fn maybe_tell(&mut self, show: &Show) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = (self.next + SECOND).max(now);
        let lines = match self.began {
            None => {
                vec!["starting: the processor joins its group, and the first record goes through".to_owned()]
            }
            Some(began) => {
                let moment = self.moment(show, began, now);
                if show.screen.is_live() { moment.lines_on_a_terminal() } else { moment.lines() }
            }
        };
        show.screen.show(lines);
    }

    /// On a terminal the last figures stay where they are. Elsewhere the verdict follows, and says them too.
    pub fn tell_the_last(&mut self, show: &Show) {
        if show.screen.is_live() {
            self.next = Instant::now();
            self.waits_for = None;
            self.maybe_tell(show);
            show.screen.let_stand();
        }
    }

    fn moment(&mut self, show: &Show, began: Instant, now: Instant) -> Moment {
        let (tally, p99) = show.reader.ask(|judge| (judge.tally(), judge.recent_p99()));
        let this = Last { told: now, settled: tally.settled, waited: show.counts.waited() };
        let last = std::mem::replace(&mut self.last, this);
        let time = (this.told - last.told).as_secs_f64().max(0.001);
        Moment {
            elapsed: now - began,
            duration: show.options.duration.filter(|_| !self.over),
            acknowledged: show.counts.acknowledged(),
            tally,
            p99,
            rate: ((this.settled - last.settled) as f64 / time) as u64,
            held_back: ((this.waited - last.waited).as_secs_f64() / time * 100.0) as u64,
            faults: show.options.chaos.then(|| show.broker.faults().injected()),
            waits_for: self.waits_for,
        }
    }
}
