//! What holds when nothing goes wrong, in every mode of order.

mod clean_runs;
mod dead_letters;
mod start;
mod transform;
