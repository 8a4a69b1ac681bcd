//! Chance that can be had again: every seed is printed, and can be set.

/// The seed in the environment variable `TEST_SEED`, or a new one. Who takes it prints it.
pub(crate) fn seed() -> u64 {
    match std::env::var("TEST_SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("TEST_SEED={text:?} is no number")),
        Err(_) => fastrand::u64(..1_000_000),
    }
}
