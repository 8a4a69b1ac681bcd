//! The hazards of a rebalance once more, in the older protocol: everybody gives up everything, whoever comes or goes.

use super::{rebalance, retries, slow};
use crate::support::setup::setup;

#[test]
fn acknowledgements_outstanding() {
    rebalance::with_acknowledgements_outstanding(setup().eager());
}

#[test]
fn partitions_lost() {
    rebalance::with_partitions_lost(setup().eager());
}

#[test]
fn slow_transforms_run() {
    slow::while_slow_transforms_run(setup().eager());
}

#[test]
fn a_transform_outlives_its_assignment() {
    slow::when_transforms_outlive_their_assignment(setup().eager());
}

#[test]
fn retries_wait() {
    retries::while_retries_never_come(setup().eager());
}
