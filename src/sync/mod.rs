//! Locks as parameters of the build: the real ones, or with the feature `shuttle` those of [`model`] in their place, which
//! a test schedules as it likes. Whatever blocks a thread of the engine comes from here.

#[cfg(not(feature = "shuttle"))]
pub use parking_lot::{Condvar, Mutex, MutexGuard};

#[cfg(feature = "shuttle")]
pub mod model;
#[cfg(feature = "shuttle")]
pub use model::{Condvar, Mutex, MutexGuard};

/// Flags that threads share. Their orderings are not modelled: under `shuttle` all are sequentially consistent.
pub mod atomic {
    #[cfg(feature = "shuttle")]
    pub use super::model::AtomicBool;
    #[cfg(not(feature = "shuttle"))]
    pub use std::sync::atomic::AtomicBool;
}
