//! The pending list against lanes that are plain queues.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// Jobs are numbers. A lane is a queue of what is not finished; how many of its first are at a worker; when its first
/// may run again. A job without a lane has one of its own.
#[derive(Default)]
struct Model {
    lanes: BTreeMap<u64, Queue>,
    tries: BTreeMap<u64, u32>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<u64>,
    out: usize,
    not_before: Option<Instant>,
    mark: Option<Mark>,
}

impl Queue {
    fn forget_if_empty(&mut self) {
        if self.jobs.is_empty() {
            self.mark = None;
        }
    }

    fn can_run(&self, now: Instant) -> bool {
        self.out == 0 && !self.jobs.is_empty() && self.not_before.is_none_or(|due| due <= now)
    }
}

const ALONE: u64 = 1 << 32;
const GROUPS: u32 = 2;

fn group_of(job: u64) -> u32 {
    (job / 3) as u32 % GROUPS
}

fn queue_of(lane: Lane, job: u64) -> u64 {
    lane.unwrap_or(ALONE + job)
}

impl Model {
    fn waiting(&self) -> usize {
        self.lanes.values().map(|queue| queue.jobs.len() - queue.out).sum()
    }

    fn running(&self) -> usize {
        self.lanes.values().map(|queue| queue.out).sum()
    }

    fn can_run(&self, now: Instant) -> usize {
        self.lanes.values().filter(|queue| queue.can_run(now)).count()
    }

    /// A worker has these: whole prefixes of lanes that nobody else works on.
    fn taken(&mut self, now: Instant, tasks: &[Task<u64>]) {
        for group in tasks.chunk_by(|a, b| a.lane.is_some() && a.lane == b.lane) {
            let queue = self.lanes.get_mut(&queue_of(group[0].lane, group[0].job)).expect("a known lane");
            assert!(queue.can_run(now), "a lane that is busy or not due was handed out");
            let jobs: Vec<u64> = group.iter().map(|task| task.job).collect();
            assert_eq!(jobs, queue.jobs.iter().take(jobs.len()).copied().collect::<Vec<_>>(), "in order");
            (queue.out, queue.not_before) = (jobs.len(), None);
            for task in group {
                assert_eq!(task.attempt, self.tries.get(&task.job).unwrap_or(&0) + 1);
                assert_eq!(task.mark, queue.mark);
            }
        }
    }

    fn handed_back(&mut self, lane: Lane, job: u64, verdict: &Verdict<u64>) {
        let queue = self.lanes.get_mut(&queue_of(lane, job)).expect("a known lane");
        queue.out -= 1;
        match verdict {
            Verdict::Done => queue.jobs.retain(|other| *other != job),
            Verdict::DoneAndMark(mark) => {
                queue.jobs.retain(|other| *other != job);
                queue.mark = Some(*mark);
            }
            Verdict::Later(due, _) => {
                queue.not_before = Some(*due);
                *self.tries.entry(job).or_default() += 1;
            }
            Verdict::NotCounted(due, _) => queue.not_before = Some(*due),
            Verdict::Untouched(_) => {}
        }
        queue.forget_if_empty();
    }

    fn remove(&mut self, matches: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut removed = Vec::new();
        for queue in self.lanes.values_mut() {
            let first = queue.jobs.front().copied();
            let mut index = 0;
            queue.jobs.retain(|job| {
                let keep = index < queue.out || !matches(*job);
                index += 1;
                removed.extend((!keep).then_some(*job));
                keep
            });
            if queue.jobs.front().copied() != first {
                queue.not_before = None;
            }
            queue.forget_if_empty();
        }
        removed.sort_unstable();
        removed
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(Lane),
    Take {
        lanes: usize,
        max: usize,
    },
    /// One worker hands back what it has, or all but its first lane; four bits of the number say what became of a job, and
    /// some run again after so many ms.
    Finish {
        worker: Index,
        all: bool,
        became: u64,
        ms: u64,
    },
    /// Removes every n-th job of one group.
    Remove(u64),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => prop::option::weighted(0.8, 0u64..4).prop_map(Step::Push),
        3 => (1usize..4, 1usize..6).prop_map(|(lanes, max)| Step::Take { lanes, max }),
        3 => (any::<Index>(), prop::bool::weighted(0.8), any::<u64>(), 0u64..20)
            .prop_map(|(worker, all, became, ms)| Step::Finish { worker, all, became, ms }),
        1 => (1u64..5).prop_map(Step::Remove),
        1 => (1u64..15).prop_map(Step::Pass),
    ]
}

struct Run {
    pending: Pending<u64>,
    model: Model,
    workers: Vec<Vec<Task<u64>>>,
    now: Instant,
    next: u64,
}

impl Run {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Push(lane) => {
                self.pending.push(group_of(self.next), lane, self.next);
                self.model.lanes.entry(queue_of(lane, self.next)).or_default().jobs.push_back(self.next);
                self.next += 1;
            }
            Step::Take { lanes, max } => self.take(lanes, max),
            Step::Finish { worker, all, became, ms } if !self.workers.is_empty() => {
                let mut tasks = self.workers.remove(worker.index(self.workers.len()));
                if !all {
                    let (first, job) = (tasks[0].lane, tasks[0].job);
                    let kept = |task: &Task<u64>| task.job == job || (first.is_some() && task.lane == first);
                    let (keeps, gives) = tasks.into_iter().partition(kept);
                    self.workers.push(keeps);
                    tasks = gives;
                }
                self.finish(tasks, became, self.now + Duration::from_millis(ms));
            }
            Step::Finish { .. } => {}
            Step::Remove(nth) => {
                let group = nth as u32 % GROUPS;
                let mut removed = self.pending.remove_if(group, |job| job % nth == 0);
                removed.sort_unstable();
                assert_eq!(removed, self.model.remove(|job| job % nth == 0 && group_of(job) == group));
            }
            Step::Pass(ms) => self.now += Duration::from_millis(ms),
        }
        self.pending.check(0..GROUPS);
        assert_eq!(self.pending.waiting(), self.model.waiting());
        assert_eq!(self.pending.running(), self.model.running());
        assert_eq!(self.pending.is_empty(), self.model.waiting() + self.model.running() == 0);
        let waiting = |group| self.pending.waiting_jobs(group).count();
        assert_eq!((0..GROUPS).map(waiting).sum::<usize>(), self.model.waiting());
        let due = self
            .model
            .lanes
            .values()
            .filter(|queue| !queue.can_run(self.now))
            .filter_map(|q| q.not_before)
            .min();
        assert!(
            due.is_none_or(|due| self.pending.next_due().is_some_and(|next| next <= due)),
            "an alarm for each retry"
        );
    }

    fn take(&mut self, lanes: usize, max: usize) {
        let could = self.model.can_run(self.now);
        let mut tasks = Vec::new();
        let any = self.pending.take(self.now, lanes, max, &mut tasks);
        assert_eq!(any, could > 0, "whoever asks gets something if there is something");
        assert_eq!(any, !tasks.is_empty());
        assert!(tasks.len() <= max);
        self.model.taken(self.now, &tasks);
        assert_eq!(self.pending.runnable(), self.model.can_run(self.now));
        assert!(could - self.pending.runnable() <= lanes);
        if any {
            self.workers.push(tasks);
        }
    }

    fn finish(&mut self, tasks: Vec<Task<u64>>, became: u64, due: Instant) {
        let (mut results, mut blocked) = (Vec::new(), None);
        for (task, index) in tasks.into_iter().zip(0u32..) {
            let lane = task.lane();
            let (held, job) = task.split();
            assert_eq!(held.lane(), lane);
            let verdict = match became >> (4 * (index % 16)) & 15 {
                _ if lane.is_some() && lane == blocked => Verdict::Untouched(job),
                0..8 => Verdict::Done,
                8 => Verdict::DoneAndMark(job as Mark),
                9..12 => Verdict::Later(due, job),
                12 => Verdict::NotCounted(due, job),
                _ => Verdict::Untouched(job),
            };
            if !matches!(verdict, Verdict::Done | Verdict::DoneAndMark(_)) {
                blocked = lane;
            }
            self.model.handed_back(lane, job, &verdict);
            results.push((held, verdict));
        }
        self.pending.finish(&mut results);
        assert!(results.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn lanes_are_as_queues_that_one_worker_at_a_time_takes_from(steps in prop::collection::vec(step(), 1..150)) {
        let (pending, now) = (Pending::default(), Instant::now());
        let mut run = Run { pending, model: Model::default(), workers: Vec::new(), now, next: 0 };
        for step in &steps {
            run.step(step);
        }
        // Nothing is stuck: with time and workers everything gets done.
        while !run.pending.is_empty() {
            run.now += Duration::from_millis(20);
            run.take(usize::MAX, usize::MAX);
            for tasks in std::mem::take(&mut run.workers) {
                run.finish(tasks, 0, run.now);
            }
        }
        prop_assert!(run.pending.lanes.is_empty(), "a lane without tasks is forgotten");
        prop_assert_eq!(run.pending.marked, 0);
    }
}

#[test]
#[should_panic(expected = "has to run again")]
fn a_worker_that_goes_on_after_a_failure_in_the_lane_is_our_bug() {
    let mut pending = Pending::default();
    (0..2).for_each(|job| pending.push(0, Some(1), job));
    let (now, mut tasks) = (Instant::now(), Vec::new());
    pending.take(now, 1, 2, &mut tasks);
    let mut held = tasks.into_iter().map(Task::split);
    let (first, second) = (held.next().expect("two"), held.next().expect("two"));
    pending.finish(&mut vec![(first.0, Verdict::Later(now, first.1)), (second.0, Verdict::Done)]);
}

#[test]
fn what_a_worker_has_already_does_not_count_against_what_it_asks_for() {
    let mut pending = Pending::default();
    (0..6).for_each(|job| pending.push(0, None, job));
    let (now, mut tasks) = (Instant::now(), Vec::new());
    for taken in [2, 4, 6] {
        assert!(pending.take(now, 2, 2, &mut tasks));
        assert_eq!(tasks.len(), taken);
    }
    assert!(!pending.take(now, 2, 2, &mut tasks), "that there are some from before is nothing new");
}
