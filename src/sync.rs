//! Locks as parameters of the build: the real ones here, model-checked ones in their place when a checker runs the code.

pub use parking_lot::{Condvar, Mutex, MutexGuard};
