//! The kinds of faults, a file for each family. A kind has a name, a sentence, and a function that makes the fault, as often as
//! it should happen, while records flow; when it returns, the fault is over.
//!
//! A function that cannot make its fault returns an error, and the run has failed: it would prove nothing.

mod brokers;
mod clock;
mod groups;
mod instances;
mod network;
mod offsets;
mod permissions;

use crate::trial::Trial;

/// What a fault's function returns.
pub(crate) type Made = Result<(), String>;

/// A kind of fault.
pub(crate) struct Kind {
    /// Its name, in the table and at the command line.
    pub name: &'static str,
    /// What happens.
    pub says: &'static str,
    /// Instances at the start.
    pub instances: usize,
    /// Settings of the instances beside those that all runs have.
    pub settings: &'static [(&'static str, &'static str)],
    /// Whether it can keep an instance from its coordinator for longer than a session. Then what the group took away from it
    /// may be repeated, as after a kill.
    pub cuts_off: bool,
    /// Makes it.
    pub make: fn(&mut Trial<'_>) -> Made,
}

const fn kind(name: &'static str, says: &'static str, make: fn(&mut Trial<'_>) -> Made) -> Kind {
    Kind { name, says, instances: 2, settings: &[], cuts_off: false, make }
}

impl Kind {
    const fn instances(mut self, instances: usize) -> Self {
        self.instances = instances;
        self
    }

    const fn settings(mut self, settings: &'static [(&'static str, &'static str)]) -> Self {
        self.settings = settings;
        self
    }

    const fn cuts_off(mut self) -> Self {
        self.cuts_off = true;
        self
    }
}

/// The five that continuous integration runs: one of each way in which a process, a group, a broker and a network fail.
pub(crate) const SHORT: [&str; 5] =
    ["instance-kill9", "rebalance-storm", "broker-kill9", "connections-cut", "produce-answers-lost"];

/// All kinds, in the order in which they are run: those that take longest come last.
pub(crate) fn all() -> impl Iterator<Item = &'static Kind> {
    [
        instances::KINDS,
        groups::KINDS,
        network::KINDS,
        offsets::KINDS,
        permissions::KINDS,
        clock::KINDS,
        brokers::KINDS,
    ]
    .into_iter()
    .flatten()
}
