//! What holds when nothing goes wrong, in every mode of order.

mod clean_runs;
mod dead_letters;
mod exactly_once;
mod one_at_a_time;
mod outcomes;
mod start;
mod timestamps;
mod transform;
