//! One test a hazard: what breaks programs of this kind in production, done to ours on purpose.

mod bounds;
mod broker;
mod crash;
mod failures;
mod holes;
mod kills;
mod offsets;
mod rebalance;
mod retries;
mod slow;
mod stop;
mod topics;
