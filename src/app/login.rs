//! What a broker that does not let us in is answered with: the files of passwords and certificates are read again.
//!
//! A password that all clients have from one file is given to the clients that live. All else librdkafka reads when a client is made: the
//! life of the process begins anew then, as after a restart.

use std::sync::Arc;
use std::time::Duration;

use super::start::Probe;
use crate::config::Config;
use crate::kafka::context::Context;
use crate::kafka::link::Link;

/// How long brokers may refuse our login: a new password may come to its file later than to them.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How long a broker that refused us may take to answer when it is asked again.
const ANSWER: Duration = Duration::from_secs(1);

/// What the files had before the first client was made, so that none has older contents.
pub(super) struct Login {
    files: u64,
    /// Whether the life of the process has begun anew because of them.
    again: bool,
}

impl Login {
    pub(super) fn new(config: &Config, again: bool) -> Self {
        Self { files: config.hash_of_files(), again }
    }

    /// The settings to begin anew with: one of the files has changed since the clients were made, and a broker refuses these.
    pub(super) fn rotated(&self, config: &Config, link: &Link) -> Option<Box<Config>> {
        if !link.is_refused() {
            return None;
        }
        let files = config.hash_of_files();
        let now = config.read_again()?;
        (files != self.files || now.has_other_secrets(config))
            .then_some(now)
            .filter(Config::makes_clients)
            .map(Box::new)
    }

    /// Whether a start need not wait any longer for a login that is refused. What was there when the process was started is not mended by
    /// waiting.
    pub(super) fn is_over(&self, link: &Link) -> bool {
        !self.again || link.denied_for() >= PATIENCE
    }
}

/// Asks a broker that refused us, with what clients are made from now. librdkafka says when a login fails, and nothing when one does
/// not any more.
pub(super) fn ask_again(config: &Config, context: &Context) {
    let Some(address) = context.link.refuses() else { return };
    let mut there = config.clone();
    for properties in [&mut there.consumer_properties, &mut there.producer_properties] {
        *properties = properties.at(&address);
    }
    let own = Arc::new(Link::quiet());
    let Ok(probe) = Probe::new(&there, &context.apart(own.clone())) else { return };
    if probe.is_let_in(ANSWER) {
        context.link.let_in(&address);
        return;
    }
    probe.serve();
    if let Some(why) = own.denial() {
        context.link.denied(&why, &address);
    }
}
