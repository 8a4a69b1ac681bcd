//! What the threads of a scenario tell each other, and the wait until something stands there.

use super::{Condvar, Mutex};

/// A value that threads change and wait for. A wait without an end is what makes a lost wake-up a deadlock.
#[derive(Debug, Default)]
pub struct Board<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Board<T> {
    /// A board with this on it.
    pub const fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Condvar::new() }
    }

    /// Changes what is on it, and lets those look who wait.
    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut value = self.value.lock();
        let result = change(&mut value);
        drop(value);
        self.changed.notify_all();
        result
    }

    /// Looks at it.
    pub fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value.lock())
    }

    /// Waits until it says so.
    pub fn wait(&self, says_so: impl Fn(&T) -> bool) {
        let mut value = self.value.lock();
        while !says_so(&value) {
            self.changed.wait(&mut value);
        }
    }
}
