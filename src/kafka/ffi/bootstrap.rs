//! Brokers for a client that has lost them all.
//!
//! librdkafka forgets brokers that are not in the metadata it gets. A broker that its controller has not heard of for a while
//! (it was frozen, say) answers with no broker at all; then the client has none, and its own way back may be cancelled by just
//! that answer (librdkafka's #5301): from then on it asks nobody, for good, and says nothing. So whoever is told
//! that all brokers are down names the bootstrap servers to it again. A client that has them already does nothing about it.

use std::ffi::CString;
use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};
use rdkafka::config::ClientConfig;
use rdkafka_sys as rd;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// librdkafka keeps a copy of what it is told each time: in an outage of a day that is some hundred kilobytes.
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// The first time the brokers that go may not be gone.
const TIMES: u32 = 2;

/// See the module.
pub struct Bootstrap {
    servers: CString,
    again_at: Option<Instant>,
    /// How often it is to be done.
    left: u32,
    pause: Duration,
}

impl Bootstrap {
    /// For a client of these properties.
    pub fn new(properties: &ClientConfig) -> Self {
        let servers =
            CString::new(properties.get("bootstrap.servers").unwrap_or_default()).unwrap_or_default();
        Self { servers, again_at: None, left: 0, pause: FIRST_PAUSE }
    }

    /// The client says that all brokers are down.
    pub fn all_down(&mut self, now: Instant) {
        self.left = TIMES;
        let soon = now + self.pause;
        self.again_at = Some(self.again_at.map_or(soon, |at| at.min(soon)));
    }

    /// A broker has answered. What is to be done is done all the same: it may have been before they were down.
    pub fn answered(&mut self) {
        self.pause = FIRST_PAUSE;
    }

    /// Names the bootstrap servers to the client again, when it is time.
    pub fn maybe_name<C: ClientContext>(&mut self, client: &Client<C>, now: Instant) {
        if self.is_due(now) {
            // SAFETY: the client is alive, and the servers are a C string, which is copied.
            unsafe { rd::rd_kafka_brokers_add(client.native_ptr(), self.servers.as_ptr()) };
        }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.again_at.is_some_and(|at| now >= at);
        if due {
            self.left -= 1;
            self.pause = (self.pause * 4).min(LAST_PAUSE);
            self.again_at = (self.left > 0).then(|| now + self.pause);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds at which the servers are named, when the client says at these that all brokers are down, and is answered at those.
    fn named(down: impl Fn(u64) -> bool, answered: impl Fn(u64) -> bool, until: u64) -> Vec<u64> {
        let (mut bootstrap, began) = (Bootstrap::new(&ClientConfig::new()), Instant::now());
        let mut look = |second: &u64| {
            let now = began + Duration::from_secs(*second);
            if down(*second) {
                bootstrap.all_down(now);
            }
            if answered(*second) {
                bootstrap.answered();
            }
            bootstrap.is_due(now)
        };
        (0..until).filter(|second| look(second)).collect()
    }

    #[test]
    fn they_are_named_twice_after_the_last_word_and_soon() {
        let down = |second| second == 3 || second == 90;
        assert_eq!(named(down, |second| second == 5 || second == 9, 200), [4, 8, 91, 95]);
        // What is left to be done from the time before does not put it off.
        assert_eq!(named(|second| second < 4 || second == 9, |second| second == 8, 100), [1, 5, 10, 14]);
    }

    #[test]
    fn in_a_long_outage_they_are_named_once_a_minute() {
        let all = named(|second| second % 5 == 0, |_| false, 3_600);
        assert_eq!(all[..4], [1, 5, 21, 81]);
        assert!(all.len() < 65, "{}", all.len());
    }
}
