//! What the threads of one execution share: its time, who waits for it, and its chance. All of `shuttle`'s threads run on
//! one thread of the operating system, so this is a thread-local; it begins afresh with each execution.
//!
//! It is never borrowed while another thread may go on.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::{Arc, LazyLock};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use shuttle::rand::RngCore;

thread_local! {
    static WORLD: RefCell<World> = const { RefCell::new(World { now: Duration::ZERO, awake: 0, alarms: Vec::new(), random: None }) };
}

/// At how many of 256 locks the time moves.
const MOVES: u8 = 24;
/// By no more than two to the power of this, in microseconds.
const LONGEST_MOVE: u32 = 12;

struct World {
    now: Duration,
    /// Threads that wait for nothing but a lock. 0 outside of an execution.
    awake: usize,
    /// Who waits until when. Few: a list is as good as any.
    alarms: Vec<(Duration, Arc<Sleep>)>,
    random: Option<fastrand::Rng>,
}

/// The first instant of every execution.
pub(super) fn base() -> Instant {
    static BASE: LazyLock<Instant> = LazyLock::new(Instant::now);
    *BASE
}

/// Begins an execution, with one thread: the caller.
pub(super) fn begin() {
    let seed = shuttle::rand::thread_rng().next_u64();
    // The engine's own jitter, too, has to be the same when the schedule is run again.
    fastrand::seed(seed ^ 1);
    let random = Some(fastrand::Rng::with_seed(seed));
    WORLD.set(World { now: Duration::ZERO, awake: 1, alarms: Vec::new(), random });
}

/// Ends it.
pub(super) fn end() {
    WORLD.with_borrow_mut(|world| world.awake = 0);
}

/// Whether an execution runs on this thread.
pub(super) fn runs() -> bool {
    WORLD.with_borrow(|world| world.awake > 0)
}

/// Time since the execution began.
pub(super) fn now() -> Duration {
    WORLD.with_borrow(|world| world.now)
}

/// Below this number, at random.
pub(super) fn random(below: u64) -> u64 {
    WORLD.with_borrow_mut(|world| {
        world.random.as_mut().expect("chance belongs to an execution").u64(..below.max(1))
    })
}

pub(super) fn thread_begins() {
    WORLD.with_borrow_mut(|world| world.awake += 1);
}

pub(super) fn thread_ends() {
    let due = WORLD.with_borrow_mut(World::rest);
    ring(due);
}

/// Moves the time, or does not: called wherever threads meet.
pub(super) fn maybe_move() {
    let due = WORLD.with_borrow_mut(|world| {
        let random = world.random.as_mut().expect("chance belongs to an execution");
        if random.u8(..) >= MOVES {
            return Vec::new();
        }
        let most = 1u64 << random.u32(..=LONGEST_MOVE);
        let step = Duration::from_micros(random.u64(1..=most));
        world.pass(world.now + step)
    });
    ring(due);
}

impl World {
    /// One thread less is at work. If that was the last one, the time jumps to the first deadline.
    fn rest(&mut self) -> Vec<Arc<Sleep>> {
        self.awake = self.awake.checked_sub(1).expect("a thread that rests was awake");
        match self.alarms.iter().map(|(due, _)| *due).min() {
            Some(first) if self.awake == 0 => self.pass(first.max(self.now)),
            _ => Vec::new(),
        }
    }

    /// Whose deadline passes when the time moves on to `now`.
    fn pass(&mut self, now: Duration) -> Vec<Arc<Sleep>> {
        self.now = now;
        let (due, rest) = std::mem::take(&mut self.alarms).into_iter().partition(|(due, _)| *due <= now);
        self.alarms = rest;
        Vec::into_iter(due).map(|(_, sleep): (Duration, _)| sleep).collect()
    }
}

fn ring(due: Vec<Arc<Sleep>>) {
    due.into_iter().for_each(|sleep| _ = sleep.wake(true));
}

#[derive(Debug, Default)]
struct State {
    woken: bool,
    timed_out: bool,
    /// Whether it was counted out of those awake.
    resting: bool,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Sleep(parking_lot::Mutex<State>);

impl Sleep {
    /// Returns whether it slept on.
    fn wake(&self, timed_out: bool) -> bool {
        let mut state = self.0.lock();
        if state.woken {
            return false;
        }
        (state.woken, state.timed_out) = (true, timed_out);
        if state.resting {
            WORLD.with_borrow_mut(|world| world.awake += 1);
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

/// One thread's wait for one thing, or for the time.
#[derive(Clone, Debug)]
pub(super) struct Waiter(Arc<Sleep>);

impl Waiter {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// Whether it is the same wait.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Ends the wait, now or when it begins. Returns whether nothing had ended it before.
    pub(super) fn wake(&self) -> bool {
        self.0.wake(false)
    }

    /// Waits until it is woken, or until that time since the beginning. Returns whether the time was first.
    pub(super) fn wait(&self, until: Option<Duration>) -> bool {
        assert!(runs(), "with the feature `shuttle`, threads wait inside of sync::model::check only");
        if !self.0.0.lock().woken {
            self.0.0.lock().resting = true;
            let due = WORLD.with_borrow_mut(|world| {
                world.alarms.extend(until.map(|until| (until, self.0.clone())));
                world.rest()
            });
            ring(due);
        }
        self.suspend();
        if until.is_some() {
            WORLD.with_borrow_mut(|world| world.alarms.retain(|(_, sleep)| !Arc::ptr_eq(sleep, &self.0)));
        }
        self.0.0.lock().timed_out
    }

    /// Waits until it is woken, and counts as awake meanwhile: for locks.
    pub(super) fn suspend(&self) {
        shuttle::future::block_on(poll_fn(|context| {
            let mut state = self.0.0.lock();
            if state.woken {
                return Poll::Ready(());
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        }));
    }
}
