//! The pending list: what may run, what waits behind its lane, what waits for its retry. Pure: no thread, no clock.
//!
//! A *lane* is what must stay in order. At most one task of a lane is runnable, delayed or at one worker; the others wait
//! in the lane, in the order they came. A worker may take several tasks of one lane at once: it runs them one after
//! another, so the order holds, and the lane is locked and unlocked once for all of them.
//!
//! Each task belongs to a *group*, a small number that whoever pushes it chooses: what belongs to a group is found without a look
//! at anything else.
//!
//! A lane can be *marked*: whoever takes a task that waited behind the one that left the mark is told so. The mark goes
//! when nothing of the lane waits any more.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Instant;

use super::list::{Id, List, Slab};
use crate::planted::{Bug, planted};

/// What must stay in order: tasks with equal lanes run one after another. `None` stands alone.
pub type Lane = Option<u64>;

/// What a lane is marked with: a number that says something to whoever marks and takes.
pub type Mark = i64;

/// A task in a worker's hands. Hand it back to [`Pending::finish`], whatever became of it.
#[derive(Debug)]
pub struct Task<T> {
    id: Id,
    lane: Lane,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// The mark of its lane, if it has one.
    pub mark: Option<Mark>,
    /// It was taken alone, to see how it goes: see [`Pending::take_probe`].
    pub probe: bool,
    /// The job itself.
    pub job: T,
}

impl<T> Task<T> {
    /// The lane that is blocked while this task is out.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Parts the job from the hold it has on its lane, for [`Pending::finish`].
    pub fn split(self) -> (Held, T) {
        (Held { id: self.id, lane: self.lane }, self.job)
    }
}

/// A task's hold on its lane, without its job.
#[derive(Debug)]
pub struct Held {
    id: Id,
    lane: Lane,
}

impl Held {
    /// The lane that it holds.
    pub fn lane(&self) -> Lane {
        self.lane
    }
}

/// What a worker says of a task that it hands back.
#[derive(Debug)]
pub enum Verdict<T> {
    /// Finished here: its lane may go on.
    Done,
    /// As `Done`, and whatever waits behind it in its lane is to be told this.
    DoneAndMark(Mark),
    /// Again, not before this instant; its lane stays blocked, no worker does.
    Later(Instant, T),
    /// As `Later`, and this try is not counted.
    NotCounted(Instant, T),
    /// Not begun: back to its place in the lane.
    Untouched(T),
}

enum Place {
    Runnable,
    Waiting,
    Running,
    Delayed,
}

/// A lane that is not empty, or at a worker.
#[derive(Default)]
struct Waiting {
    /// What waits behind the task that is runnable, delayed or running.
    tasks: List,
    mark: Option<Mark>,
}

struct Entry<T> {
    lane: Lane,
    place: Place,
    attempt: u32,
    /// `None` while a worker has it.
    job: Option<T>,
}

/// See the module. Every method is O(1) a task; what is about a group looks at each of its
/// tasks once.
pub struct Pending<T> {
    slab: Slab<Entry<T>>,
    runnable: List,
    /// A lane is in the map while a task of it is runnable, delayed or running.
    lanes: HashMap<u64, Waiting, BuildHasherDefault<AlreadyHashed>>,
    /// Retries by due time. May hold ids of tasks that were removed since.
    delayed: BinaryHeap<Reverse<(Instant, Id)>>,
    running: usize,
    /// Lanes with a mark: while there is none, nobody looks for one.
    marked: usize,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self {
            slab: Slab::default(),
            runnable: List::default(),
            lanes: HashMap::default(),
            delayed: BinaryHeap::new(),
            running: 0,
            marked: 0,
        }
    }
}

impl<T> Pending<T> {
    /// Adds a job behind all others of its lane.
    pub fn push(&mut self, group: u32, lane: Lane, job: T) {
        let id = self.slab.insert(group, Entry { lane, place: Place::Runnable, attempt: 0, job: Some(job) });
        match lane.map(|lane| self.lanes.entry(lane)) {
            Some(std::collections::hash_map::Entry::Occupied(mut busy)) => {
                self.slab.push_back(&mut busy.get_mut().tasks, id);
                self.entry(id).place = Place::Waiting;
            }
            Some(std::collections::hash_map::Entry::Vacant(free)) => {
                free.insert(Waiting::default());
                self.slab.push_back(&mut self.runnable, id);
            }
            None => self.slab.push_back(&mut self.runnable, id),
        }
    }

    /// Moves up to `max` tasks of up to `lanes` lanes into `out`, retries that are due first. Tasks of one lane are
    /// neighbours in `out` and must be run in that order. Returns whether there was any.
    pub fn take(&mut self, now: Instant, lanes: usize, max: usize, out: &mut Vec<Task<T>>) -> bool {
        self.wake_delayed(now);
        let before = out.len();
        for _ in 0..lanes {
            if out.len() - before >= max {
                break;
            }
            let Some(id) = self.slab.pop_front(&mut self.runnable) else { break };
            let lane = self.start(id, out);
            while out.len() - before < max {
                let Some(next) = lane.and_then(|lane| self.next_in(lane)) else { break };
                self.start(next, out);
            }
        }
        out.len() > before
    }

    /// Takes one task to see how it goes, into `out`. One that failed just now waits for its time and comes last: whatever
    /// else there is may do better. Returns whether there was any.
    pub fn take_probe(&mut self, now: Instant, out: &mut Vec<Task<T>>) -> bool {
        if self.runnable.is_empty() {
            self.wake_delayed(now);
        }
        let Some(id) = self.slab.pop_front(&mut self.runnable) else { return false };
        self.start(id, out);
        if let Some(task) = out.last_mut() {
            task.probe = true;
        }
        true
    }

    /// Takes back tasks from a worker; those of one lane as neighbours in the order they were taken. In a lane, nothing
    /// but [`Verdict::Untouched`] may follow one that is not finished. Empties `results`.
    pub fn finish(&mut self, results: &mut Vec<(Held, Verdict<T>)>) {
        let mut left = Left::default();
        let mut results = results.drain(..).peekable();
        while let Some((held, verdict)) = results.next() {
            let lane = held.lane;
            self.running = self.running.checked_sub(1).expect("a worker gives back what it has taken");
            self.take_back(held, verdict, &mut left);
            let last_of_lane = lane.is_none() || results.peek().is_none_or(|(next, _)| next.lane != lane);
            if last_of_lane {
                self.release(lane, std::mem::take(&mut left));
            }
        }
    }

    fn take_back(&mut self, held: Held, verdict: Verdict<T>, left: &mut Left) {
        let id = held.id;
        match verdict {
            Verdict::Done | Verdict::DoneAndMark(_) => {
                assert!(
                    !left.blocked,
                    "a task finished although an earlier one of its lane has to run again"
                );
                assert!(
                    left.untouched.is_empty(),
                    "a task finished although an earlier one of its lane did not run"
                );
                let entry = self.slab.remove(id).expect("a running task is removed by nobody else");
                assert!(entry.job.is_none(), "a task that is finished was at a worker");
                if let Verdict::DoneAndMark(mark) = verdict {
                    left.mark = Some(mark);
                }
            }
            Verdict::Later(due, job) => {
                assert!(!left.blocked, "two tasks of a lane have to run again");
                assert!(left.untouched.is_empty(), "a task ran although an earlier one of its lane did not");
                self.delay(id, due, job);
                left.blocked = !planted(Bug::RetryFreesItsLane);
            }
            Verdict::NotCounted(due, job) => {
                assert!(
                    !left.blocked && left.untouched.is_empty(),
                    "a task ran before an earlier one of its lane"
                );
                self.delay(id, due, job);
                self.entry(id).attempt -= 1;
                left.blocked = true;
            }
            Verdict::Untouched(job) => {
                let entry = self.entry(id);
                assert!(entry.job.is_none() && entry.attempt > 0, "a task that is given back was taken");
                // The try that did not take place is not counted.
                (entry.place, entry.job, entry.attempt) = (Place::Waiting, Some(job), entry.attempt - 1);
                left.untouched.push(id);
            }
        }
    }

    fn delay(&mut self, id: Id, due: Instant, job: T) {
        let entry = self.entry(id);
        assert!(
            matches!(entry.place, Place::Running) && entry.job.is_none(),
            "what runs again was at a worker"
        );
        (entry.place, entry.job) = (Place::Delayed, Some(job));
        self.delayed.push(Reverse((due, id)));
    }

    /// Takes out every task of a group that no worker has and that `matches`, and hands the jobs back.
    pub fn remove_if(&mut self, group: u32, mut matches: impl FnMut(&T) -> bool) -> Vec<T> {
        let found: Vec<Id> = self
            .slab
            .group(group)
            .filter(|(_, entry)| entry.job.as_ref().is_some_and(&mut matches))
            .map(|(id, _)| id)
            .collect();
        found.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// The jobs of a group that no worker has, in no particular order.
    pub fn waiting_jobs(&self, group: u32) -> impl Iterator<Item = &T> {
        self.slab.group(group).filter_map(|(_, entry)| entry.job.as_ref())
    }

    /// When the next retry is due, if one waits.
    pub fn next_due(&self) -> Option<Instant> {
        self.delayed.peek().map(|Reverse((due, _))| *due)
    }

    /// Lanes that a worker could take now.
    pub fn runnable(&self) -> usize {
        self.runnable.len()
    }

    /// Tasks that are not at a worker.
    pub fn waiting(&self) -> usize {
        assert!(self.running <= self.slab.len(), "{} of {} tasks run", self.running, self.slab.len());
        self.slab.len() - self.running
    }

    /// Tasks that are at a worker.
    pub fn running(&self) -> usize {
        self.running
    }

    /// See [`Slab`].
    #[cfg(all(test, not(feature = "shuttle")))]
    pub(super) fn visits(&self) -> u64 {
        self.slab.visits.get()
    }

    /// Whether nothing is left, at a worker or here.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// All that must be true of the tasks of these groups, all there are, whatever it costs to see.
    #[cfg(test)]
    pub(super) fn check(&self, groups: std::ops::Range<u32>) {
        let (mut count, mut runnable, mut waiting, mut running, mut busy) = (0, 0, 0, 0, HashMap::new());
        for (_, entry) in groups.flat_map(|group| self.slab.group(group)) {
            count += 1;
            match entry.place {
                Place::Runnable => runnable += 1,
                Place::Waiting => waiting += 1,
                Place::Running => running += 1,
                Place::Delayed => {}
            }
            assert_eq!(
                entry.job.is_none(),
                matches!(entry.place, Place::Running),
                "a worker has the jobs that run"
            );
            if let Some(lane) = entry.lane {
                let (free, at_worker) = busy.entry(lane).or_insert((0, 0));
                *free += usize::from(matches!(entry.place, Place::Runnable | Place::Delayed));
                *at_worker += usize::from(matches!(entry.place, Place::Running));
                assert!(self.lanes.contains_key(&lane), "a lane is known while a task of it is");
            }
        }
        assert_eq!((count, running), (self.slab.len(), self.running), "each task belongs to a group");
        assert_eq!(runnable, self.runnable.len(), "what may run is listed");
        assert_eq!(
            waiting,
            self.lanes.values().map(|lane| lane.tasks.len()).sum::<usize>(),
            "what waits does so in its lane"
        );
        for (lane, (free, at_worker)) in busy {
            assert!(
                free + usize::from(at_worker > 0) == 1,
                "lane {lane}: {free} may run, {at_worker} are at a worker"
            );
        }
        assert_eq!(
            self.marked,
            self.lanes.values().filter(|lane| lane.mark.is_some()).count(),
            "marks are counted"
        );
    }

    fn entry(&mut self, id: Id) -> &mut Entry<T> {
        self.slab.get_mut(id).expect("the list holds only tasks that exist")
    }

    fn start(&mut self, id: Id, out: &mut Vec<Task<T>>) -> Lane {
        let entry = self.entry(id);
        assert!(matches!(entry.place, Place::Runnable | Place::Waiting), "one worker at a time has a task");
        entry.place = Place::Running;
        entry.attempt += 1;
        let job = entry.job.take().expect("only a running task is without its job");
        let (lane, attempt) = (entry.lane, entry.attempt);
        let mark = lane.filter(|_| self.marked > 0).and_then(|lane| self.lanes.get(&lane)?.mark);
        out.push(Task { id, lane, attempt, mark, probe: false, job });
        self.running += 1;
        lane
    }

    fn next_in(&mut self, lane: u64) -> Option<Id> {
        self.lanes.get_mut(&lane).and_then(|waiting| self.slab.pop_front(&mut waiting.tasks))
    }

    /// A worker is done with a lane: what it did not touch goes back to the lane's front, and unless a retry blocks the
    /// lane, its next task becomes runnable.
    fn release(&mut self, lane: Lane, mut left: Left) {
        let Some(lane) = lane else {
            // It stands alone: it waits for nobody but a worker.
            assert!(left.untouched.len() <= 1, "what stands alone is given back alone");
            if let Some(id) = left.untouched.pop() {
                self.entry(id).place = Place::Runnable;
                self.slab.push_front(&mut self.runnable, id);
            }
            return;
        };
        let waiting = self.lanes.get_mut(&lane).expect("a lane stays known while a worker has it");
        while let Some(id) = left.untouched.pop() {
            if planted(Bug::UntouchedToTheBack) {
                self.slab.push_back(&mut waiting.tasks, id);
                continue;
            }
            self.slab.push_front(&mut waiting.tasks, id);
        }
        if let Some(mark) = left.mark {
            self.marked += usize::from(waiting.mark.replace(mark).is_none());
        }
        if !left.blocked {
            self.advance(lane);
        }
    }

    /// The lane is free: its next task becomes runnable, or the lane is forgotten.
    fn advance(&mut self, lane: u64) {
        match self.next_in(lane) {
            Some(id) => {
                let entry = self.entry(id);
                assert!(matches!(entry.place, Place::Waiting), "one task of a lane is free to run");
                entry.place = Place::Runnable;
                self.slab.push_back(&mut self.runnable, id);
            }
            None => {
                let forgotten = self.lanes.remove(&lane);
                assert!(forgotten.is_some(), "a lane is known while a task of it is");
                self.marked -= usize::from(forgotten.is_some_and(|lane| lane.mark.is_some()));
            }
        }
    }

    fn wake_delayed(&mut self, now: Instant) {
        while let Some(&Reverse((due, id))) = self.delayed.peek() {
            if due > now {
                break;
            }
            self.delayed.pop();
            if let Some(entry) = self.slab.get_mut(id) {
                assert!(matches!(entry.place, Place::Delayed), "what waits for its time is at no worker");
                entry.place = Place::Runnable;
                self.slab.push_front(&mut self.runnable, id);
            }
        }
    }

    fn remove(&mut self, id: Id) -> Option<T> {
        let entry = self.slab.get(id)?;
        assert!(
            matches!(entry.place, Place::Running) == entry.job.is_none(),
            "a worker has the jobs that run"
        );
        let lane = entry.lane;
        match entry.place {
            Place::Running => return None,
            Place::Runnable => self.slab.unlink(&mut self.runnable, id),
            Place::Waiting => {
                let waiting = lane.and_then(|lane| self.lanes.get_mut(&lane)).expect("it waits in its lane");
                self.slab.unlink(&mut waiting.tasks, id);
                return self.slab.remove(id)?.job;
            }
            Place::Delayed => {}
        }
        let job = self.slab.remove(id)?.job;
        if let Some(lane) = lane {
            self.advance(lane);
        }
        job
    }
}

/// What a worker leaves of a lane that it gives back.
#[derive(Default)]
struct Left {
    untouched: Vec<Id>,
    /// One of them has to run again.
    blocked: bool,
    mark: Option<Mark>,
}

/// Lanes are hashes already; hashing them again would cost time and gain nothing.
#[derive(Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed with this")
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests;
