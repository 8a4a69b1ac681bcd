//! The whole pipeline, one to three instances of it, on a simulated Kafka, in model time, with faults: all of it from one
//! seed. The engine's threads are those of the program; only the Kafka clients and the clock are ours.
//!
//! `SIMULATION_SEED=123` runs one seed and prints who did what, at which model time; `SIMULATION_SEEDS=2000` says how many
//! are run, `SIMULATION_FIRST=1` where they begin. A seed that fails names itself. Even seeds run in transactions, and odd ones
//! at least once, unless `SIMULATION_DELIVERY` says which.
//!
//! | file | |
//! | --- | --- |
//! | `plan` | what a seed stands for |
//! | `world` | the simulated Kafka's state, and its one lock |
//! | `group`, `answers`, `commits` | the coordinator, and each member's part in it |
//! | `producing` | the topics that are written to |
//! | `transactions`, `calls` | the coordinator of transactions, and each client's part in it |
//! | `consuming`, `writers` | the clients that the engine is given |
//! | `instance`, `transform` | the program |
//! | `oracle` | what must hold |
//! | `run` | one seed, from beginning to end |

mod answers;
mod calls;
mod commits;
mod consuming;
mod group;
mod instance;
mod oracle;
mod plan;
mod producing;
mod run;
mod tests;
mod trace;
mod transactions;
mod transform;
mod world;
mod writers;

use std::sync::{Arc, LazyLock};

use crate::ops::metrics::{About, Metrics};

/// Making them takes longer than a run.
static METRICS: LazyLock<Arc<Metrics>> = LazyLock::new(|| Arc::new(Metrics::new(About::default())));
