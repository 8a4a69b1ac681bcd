//! Whether the cluster answers, as told by all clients of this process: said once when it is gone, once when it is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::sync::Mutex;

/// Shared by all clients of the process.
#[derive(Debug, Default)]
pub struct Link {
    down_since: Mutex<Option<Instant>>,
    denied: Mutex<Option<String>>,
    down: AtomicBool,
}

impl Link {
    /// No broker answers. Says so, the first time.
    pub fn lost(&self, reason: &str) {
        let mut since = self.down_since.lock();
        if since.is_none() {
            *since = Some(Instant::now());
            self.down.store(true, Ordering::Relaxed);
            tracing::warn!("no broker answers ({reason}); trying again until one does");
        }
    }

    /// A broker answered. Says so, if it was gone.
    pub fn answered(&self) {
        if !self.down.swap(false, Ordering::Relaxed) {
            return;
        }
        *self.denied.lock() = None;
        if let Some(since) = self.down_since.lock().take() {
            tracing::info!("the broker is back after {:.1} s", since.elapsed().as_secs_f64());
        }
    }

    /// Whether no broker answers, as far as we know.
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// A broker did not accept who we are, or does not let us into the group.
    pub fn denied(&self, reason: &str) {
        let mut denied = self.denied.lock();
        if denied.is_none() {
            tracing::error!("the broker does not let us in: {reason}");
            *denied = Some(reason.to_owned());
        }
    }

    /// Why a broker did not let us in, if one did not since the last answer.
    pub fn denial(&self) -> Option<String> {
        self.denied.lock().clone()
    }
}
