//! The worker pool alone, for any work: jobs in, results out, without Kafka. Jobs of one key stay in order; a job that fails is run again
//! later and holds no thread meanwhile.
//!
//! `cargo run --example universal_pool`

use std::time::Duration;

use processor::pool::{Pool, Step};

fn main() {
    let pool = Pool::new(4, 100, |limit: u64, attempt| {
        if limit.is_multiple_of(500_000) && attempt == 1 {
            return Step::Again(limit, Duration::from_millis(50));
        }
        let sum: u64 = (1..=limit).sum();
        Step::Done(format!("1 + 2 + … + {limit} = {sum} (attempt {attempt})"))
    });
    // Three keys: the sums of each keep their order among themselves.
    for number in 1..=12 {
        pool.submit(Some(number % 3), number * 100_000).expect("the pool is open");
    }
    pool.close();
    pool.results().for_each(|line| println!("{line}"));
}
