//! One member of a group.

use std::time::{Duration, Instant};

/// A way to share out partitions, and what the member tells the others for it.
pub(crate) type Protocol = (String, Vec<u8>);

/// What a member says when it joins.
#[derive(Clone, Debug)]
pub(crate) struct Application {
    /// Empty when it has none yet.
    pub member_id: String,
    /// Of a static member.
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    pub protocol_type: String,
    /// Best first.
    pub protocols: Vec<Protocol>,
    /// Its version of the request has a member without an id ask twice.
    pub asks_twice: bool,
}

/// What a member has been told at the end of a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub generation: i32,
    pub protocol: String,
    pub leader: String,
    pub member_id: String,
    /// For the leader: id, instance and metadata of each.
    pub members: Vec<(String, Option<String>, Vec<u8>)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    pub protocols: Vec<Protocol>,
    /// When it was heard of last.
    pub seen: Instant,
    /// Which of its requests to join waits; a later one takes the place of an earlier one.
    pub joining: Option<u64>,
    /// The answer to it, until it is fetched.
    pub joined: Option<Joined>,
    /// Whether it has asked for its share since the last joining.
    pub synced: bool,
    /// What the leader gave it.
    pub assignment: Vec<u8>,
}

impl Member {
    pub(super) fn new(application: &Application, now: Instant) -> Self {
        Self {
            instance_id: application.instance_id.clone(),
            client_id: application.client_id.clone(),
            client_host: application.client_host.clone(),
            session_timeout: application.session_timeout,
            rebalance_timeout: application.rebalance_timeout,
            protocols: application.protocols.clone(),
            seen: now,
            joining: None,
            joined: None,
            synced: false,
            assignment: Vec::new(),
        }
    }

    /// Takes what it says anew.
    pub(super) fn update(&mut self, application: &Application, now: Instant) {
        self.session_timeout = application.session_timeout;
        self.rebalance_timeout = application.rebalance_timeout;
        self.protocols.clone_from(&application.protocols);
        self.seen = now;
    }

    /// What it tells for this protocol.
    pub(crate) fn metadata(&self, protocol: &str) -> &[u8] {
        self.protocols.iter().find(|(name, _)| name == protocol).map_or(&[], |(_, metadata)| metadata)
    }

    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }

    /// Not heard of for a session. Who waits for an answer has no reason to say anything: for the others to join, or, while
    /// the leader is `sharing` out, for its share.
    pub(super) fn is_overdue(&self, sharing: bool, now: Instant) -> bool {
        let waits = self.joining.is_some() || (sharing && self.synced);
        !waits && now.saturating_duration_since(self.seen) >= self.session_timeout
    }
}
