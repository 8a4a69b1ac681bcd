//! The scheduler alone, without Kafka: what a task costs on its way through pending list, worker and ready list, and what it cost
//! in earlier and other ways of doing the same (`scheduler/*.rs`). Prints a line of JSON for each shape.
//!
//! One thread pushes, W workers pass on what they get, one thread takes the results. So many tasks are in flight before the
//! workers start, and as many are kept in flight while a fixed number of tasks is measured. CPU time of all threads is what
//! counts (a record's price); the wall time stands beside it. Every contender is first shown to keep the order of each key.

mod options;
#[path = "scheduler/perf.rs"]
mod perf;
mod usage;

#[path = "scheduler/channels.rs"]
mod channels;
#[path = "scheduler/course.rs"]
mod course;
#[path = "scheduler/ours.rs"]
mod ours;
#[path = "scheduler/plain.rs"]
mod plain;

use course::{Contender, Measured, Shape};
use options::Options;
use perf::Counter;
use serde_json::json;

const USAGE: &str =
    "scheduler [tasks=2000000] [repeats=5] [most_in_flight=1000000] [most_keys=10000000] [only=AXIS,...] [contend=1,6,64]
  AXIS      contenders, workers, in-flight, keys
  contend   how many workers the contenders are run with";

const MANY: (usize, usize) = (1000, 64);
const ONE: (usize, usize) = (1, 1);
/// What stands in a shape where its axis does not vary.
const USUAL: Shape = Shape { workers: 6, in_flight: 10_000, keys: 10_000, push: MANY.0, pick: MANY.1 };

type Make = fn(&Shape) -> Box<dyn Contender>;

/// Name, how many tasks a lock or a send, and how it is made.
const CONTENDERS: &[(&str, (usize, usize), Make)] = &[
    ("scheduler, in batches", MANY, ours::make),
    ("scheduler, one by one", ONE, ours::make),
    ("std VecDeque and a lock, in batches", MANY, plain::deque),
    ("std VecDeque and a lock, one by one", ONE, plain::deque),
    ("std LinkedList and a lock, in batches", MANY, plain::list),
    ("std LinkedList and a lock, one by one", ONE, plain::list),
    ("a channel a worker, in batches", MANY, channels::batches),
    ("a channel a worker, one by one", ONE, channels::singles),
];

fn main() {
    let mut given = Options::read(USAGE);
    let bench = Bench {
        tasks: given.number("tasks", 2_000_000),
        repeats: given.number("repeats", 5),
        counter: Counter::open(),
    };
    let (most_in_flight, most_keys) =
        (given.number("most_in_flight", 1_000_000), given.number("most_keys", 10_000_000));
    let only = given.text("only");
    let contend: Vec<usize> = given
        .text("contend")
        .unwrap_or_else(|| "1,6,64".to_owned())
        .split(',')
        .map(|number| number.parse().unwrap_or_else(|_| given.refuse("contend is a list of numbers")))
        .collect();
    given.end();
    let wanted = |axis: &str| only.as_ref().is_none_or(|only| only.split(',').any(|one| one == axis));
    println!(
        "{}",
        json!({ "about": "instructions", "available": bench.counter.is_ok(),
                           "why": bench.counter.as_ref().err() })
    );
    if wanted("contenders") {
        bench.contenders(&contend);
    }
    let scheduler = CONTENDERS[0];
    for (axis, shapes) in [
        ("workers", workers()),
        ("in-flight", up_to(most_in_flight, &[1_000, 10_000, 100_000, 1_000_000], Shape::with_in_flight)),
        ("keys", up_to(most_keys, &[1, 100, 10_000, 1_000_000, 10_000_000], Shape::with_keys)),
    ] {
        for shape in shapes.into_iter().filter(|_| wanted(axis)) {
            bench.say(axis, scheduler.0, scheduler.2, shape);
        }
    }
}

fn workers() -> Vec<Shape> {
    [1, 2, 4, 6, 8, 16, 32, 64].map(|workers| Shape { workers, ..USUAL }).to_vec()
}

fn up_to(most: usize, values: &[usize], with: fn(Shape, usize) -> Shape) -> Vec<Shape> {
    values.iter().filter(|value| **value <= most).map(|value| with(USUAL, *value)).collect()
}

struct Bench {
    tasks: u64,
    repeats: usize,
    counter: Result<Counter, String>,
}

impl Bench {
    fn contenders(&self, workers: &[usize]) {
        for &(name, (push, pick), make) in CONTENDERS {
            for &workers in workers {
                self.say("contenders", name, make, Shape { workers, push, pick, ..USUAL });
            }
        }
    }

    fn say(&self, axis: &str, name: &str, make: Make, shape: Shape) {
        course::check_order(make(&shape).as_ref(), &shape);
        let tasks = self.tasks.max(shape.in_flight as u64);
        let mut runs: Vec<Measured> = (0..self.repeats)
            .map(|_| course::measure(make(&shape).as_ref(), &shape, tasks, self.counter.as_ref().ok()))
            .collect();
        runs.sort_by(|one, other| one.cpu_ns.total_cmp(&other.cpu_ns));
        let Some(median) = runs.get(runs.len() / 2) else { return };
        println!(
            "{}",
            json!({
                "axis": axis, "name": name, "workers": shape.workers, "in_flight": shape.in_flight,
                "keys": shape.keys, "push": shape.push, "pick": shape.pick, "tasks": tasks,
                "cpu_ns": median.cpu_ns, "cpu_ns_min": runs[0].cpu_ns, "cpu_ns_max": runs[runs.len() - 1].cpu_ns,
                "wall_ns": median.wall_ns, "instructions": median.instructions,
            })
        );
    }
}
