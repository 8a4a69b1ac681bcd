//! One test a hazard: what breaks programs of this kind in production, done to ours on purpose.

mod after_failure;
mod bounds;
mod broker;
mod commits;
mod crash;
mod eager;
mod failures;
mod faults;
mod holes;
mod kills;
mod leaving;
mod maps;
mod memory;
mod offsets;
mod outage;
mod permissions;
mod producer;
mod reassigned;
mod rebalance;
mod retries;
mod slow;
mod static_members;
mod stop;
mod storm;
mod stuck;
mod topics;
