//! Mutex, condition variable and flag with the interface of the real ones, as far as the engine uses it. The data is in a
//! real lock, which is never fought for: who finds it taken waits in the model.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::world::{self, Waiter};

/// See the module.
#[derive(Debug, Default)]
pub struct Mutex<T> {
    data: parking_lot::Mutex<T>,
    waiters: parking_lot::Mutex<Vec<Waiter>>,
}

impl<T> Mutex<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self { data: parking_lot::Mutex::new(value), waiters: parking_lot::Mutex::new(Vec::new()) }
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        if !world::runs() {
            return MutexGuard { mutex: self, data: Some(self.data.lock()) };
        }
        super::pass();
        world::maybe_move();
        self.take()
    }

    fn take(&self) -> MutexGuard<'_, T> {
        loop {
            if let Some(data) = self.data.try_lock() {
                return MutexGuard { mutex: self, data: Some(data) };
            }
            let waiter = Waiter::new();
            self.waiters.lock().push(waiter.clone());
            waiter.suspend();
        }
    }
}

/// The lock, held.
#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// `None` only while its holder waits for a notification.
    data: Option<parking_lot::MutexGuard<'a, T>>,
}

impl<T> MutexGuard<'_, T> {
    fn release(&mut self) {
        self.data = None;
        // All of them: who is first is for the schedule to say.
        let waiters = std::mem::take(&mut *self.mutex.waiters.lock());
        waiters.iter().for_each(|waiter| _ = waiter.wake());
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.release();
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.data.as_ref().expect("a guard is used by its holder only, who waits meanwhile")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.data.as_mut().expect("a guard is used by its holder only, who waits meanwhile")
    }
}

/// Whether a wait ended by the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// It did.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Condvar {
    waiters: parking_lot::Mutex<Vec<Waiter>>,
}

impl Condvar {
    /// One that nobody waits for.
    pub const fn new() -> Self {
        Self { waiters: parking_lot::Mutex::new(Vec::new()) }
    }

    /// Waits for a notification.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.wait_to(guard, None);
    }

    /// Waits for a notification, or for that time.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, time: Duration) -> WaitTimeoutResult {
        self.wait_to(guard, Some(world::now() + time))
    }

    /// Waits for a notification, or until that instant.
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, until: Instant) -> WaitTimeoutResult {
        self.wait_to(guard, Some(until.saturating_duration_since(world::base())))
    }

    fn wait_to<T>(&self, guard: &mut MutexGuard<'_, T>, until: Option<Duration>) -> WaitTimeoutResult {
        // Who changes without the lock what was looked at under it may come in here; from now to the wait nobody does.
        super::pass();
        let waiter = Waiter::new();
        self.waiters.lock().push(waiter.clone());
        guard.release();
        let timed_out = waiter.wait(until);
        if timed_out {
            self.waiters.lock().retain(|other| !other.is(&waiter));
        }
        guard.data = guard.mutex.take().data.take();
        WaitTimeoutResult(timed_out)
    }

    /// Wakes one that waits, and says whether any did.
    pub fn notify_one(&self) -> bool {
        if !meets() {
            return false;
        }
        let mut waiters = self.waiters.lock();
        while !waiters.is_empty() {
            let one = world::random(waiters.len() as u64) as usize;
            // One whose time has come is awake already, and no notification is spent on it.
            if waiters.swap_remove(one).wake() {
                return true;
            }
        }
        false
    }

    /// Wakes all that wait, and says how many did.
    pub fn notify_all(&self) -> usize {
        if !meets() {
            return 0;
        }
        let waiters = std::mem::take(&mut *self.waiters.lock());
        waiters.iter().filter(|waiter| waiter.wake()).count()
    }
}

/// A flag. Whoever asks or changes it lets others go first, if the schedule says so.
#[derive(Debug, Default)]
pub struct AtomicBool(std::sync::atomic::AtomicBool);

impl AtomicBool {
    /// A flag that is `value`.
    pub const fn new(value: bool) -> Self {
        Self(std::sync::atomic::AtomicBool::new(value))
    }

    /// What it is.
    pub fn load(&self, _: Ordering) -> bool {
        meets();
        self.0.load(Ordering::SeqCst)
    }

    /// Makes it `value`.
    pub fn store(&self, value: bool, _: Ordering) {
        meets();
        self.0.store(value, Ordering::SeqCst);
    }

    /// Makes it `value`, and says what it was.
    pub fn swap(&self, value: bool, _: Ordering) -> bool {
        meets();
        self.0.swap(value, Ordering::SeqCst)
    }
}

/// Where threads meet, another may go first. Returns `false` outside of an execution, where there is no other.
fn meets() -> bool {
    let runs = world::runs();
    if runs {
        super::pass();
    }
    runs
}
