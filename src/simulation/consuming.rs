//! A consumer's client: what the source asks of it, on the simulated Kafka.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};

use super::group::{Fetch, Member, place};
use super::transform;
use super::world::{Bell, Due, Input, Sim, World};
use crate::kafka::membership::Membership;
use crate::record::TopicPartition;
use crate::record::{Parts, Record};
use crate::source::client::{Batch, Client, Committed, Ends, Event};
use crate::sync::model;
use crate::topic_id::TopicId;

/// The id of the topic: commits carry it.
pub(super) fn topic_id() -> Option<TopicId> {
    TopicId::new([7; TopicId::SIZE])
}

/// How long a question without an answer takes.
const PATIENCE: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct SimConsumer {
    sim: Arc<Sim>,
    id: usize,
    bell: Arc<Bell>,
    ends: Option<Ends>,
}

impl SimConsumer {
    pub(super) fn new(sim: &Arc<Sim>, instance: usize, fixed: Option<String>) -> Self {
        let (id, bell) = sim.with(|world| {
            let id = world.group.members.len();
            let member = Member::new(instance, fixed);
            let bell = member.bell.clone();
            world.group.members.insert(id, member);
            (id, bell)
        });
        Self { sim: sim.clone(), id, bell, ends: None }
    }

    /// Does nothing for who is dead.
    fn ask<R: Default>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        self.sim.with(|world| if world.is_closed(self.id) { R::default() } else { act(world) })
    }
}

/// What the group has committed; no answer for who is `gone`, nor while a transaction is open that could change it.
pub(super) fn stable(
    sim: &Sim,
    gone: bool,
    partitions: &[TopicPartition],
) -> KafkaResult<HashMap<TopicPartition, Committed>> {
    let found = |world: &mut World| {
        let numbers = partitions.iter().map(|(_, partition)| *partition);
        if gone || world.is_silent() || world.transactions.are_unstable(numbers) {
            return None;
        }
        let of = |partition: &TopicPartition| {
            let (offset, metadata) = world.group.committed.get(&partition.1)?.clone();
            Some((partition.clone(), Committed { offset, metadata }))
        };
        Some(partitions.iter().filter_map(of).collect())
    };
    sim.with(found).ok_or_else(|| {
        model::sleep(PATIENCE);
        KafkaError::MetadataFetch(Code::OperationTimedOut)
    })
}

impl World {
    fn is_closed(&self, id: usize) -> bool {
        self.group.members[&id].closed
    }

    fn reading(&mut self, id: usize, partition: i32) -> Option<&mut Fetch> {
        self.group.members.get_mut(&id)?.reads.get_mut(&partition)
    }

    /// What has come since the last time.
    fn fetched(&mut self, id: usize) -> Vec<(TopicPartition, Vec<Record>)> {
        if self.is_silent() {
            return Vec::new();
        }
        let chances = self.chances();
        let reads: Vec<i32> = self.group.members[&id].reads.keys().copied().collect();
        let mut runs = Vec::new();
        for partition in reads {
            let many = self.random.usize(1..=10);
            let back = self.happens(chances.went_back);
            let how_far = self.random.i64(1..8);
            let log = std::mem::take(&mut self.inputs[partition as usize]);
            let records = self
                .reading(id, partition)
                .filter(|fetch| fetch.attached && !fetch.parked)
                .map(|fetch| take(&log, fetch, many));
            self.inputs[partition as usize] = log;
            let Some(records) = records.filter(|records| !records.is_empty()) else { continue };
            let fetch = self.reading(id, partition).expect("read just now");
            if back && !fetch.went_back {
                fetch.went_back = true;
                fetch.position = (fetch.position - how_far).max(fetch.start);
            }
            for offset in records.iter().map(|input| input.offset) {
                let fetch = self.reading(id, partition).expect("read just now");
                if fetch.delivered.insert(offset) && fetch.doomed {
                    self.oracle.may_repeat((partition, offset));
                }
            }
            self.note(|| {
                format!(
                    "member {id} gets {partition}: {:?}",
                    records.iter().map(|input| input.offset).collect::<Vec<_>>()
                )
            });
            runs.push((place(partition), records.iter().map(|input| record(partition, input)).collect()));
        }
        runs
    }
}

fn take(log: &[Input], fetch: &mut Fetch, many: usize) -> Vec<Input> {
    let first = log.partition_point(|input| input.offset < fetch.position);
    let records: Vec<Input> = log[first..].iter().take(many).copied().collect();
    if let Some(last) = records.last() {
        fetch.position = last.offset + 1;
    }
    records
}

fn record(partition: i32, input: &Input) -> Record {
    let key = input.draft.key.map(|key| [key]);
    let value = transform::value(partition, input.offset);
    let parts = Parts {
        key: key.as_ref().map(|key| &key[..]),
        value: Some(value.as_bytes()),
        timestamp: Some(1_700_000_000_000),
        ..Parts::default()
    };
    Record::new("in".into(), partition, input.offset, parts)
}

impl Client for SimConsumer {
    fn subscribe(&mut self, _: &[String]) -> KafkaResult<()> {
        self.ask(|world| {
            let time = world.latency();
            world.after(time, Due::Join(self.id));
        });
        Ok(())
    }

    fn serve(&mut self, wait: Duration) -> Vec<Event> {
        let events = || {
            self.ask(|world| {
                world.group.members.get_mut(&self.id).map(|member| std::mem::take(&mut member.events))
            })
        };
        let mut told = events().unwrap_or_default();
        if told.is_empty() && !wait.is_zero() {
            self.bell.wait(wait);
            told = events().unwrap_or_default();
        }
        told.into()
    }

    fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> KafkaResult<HashMap<TopicPartition, Committed>> {
        let closed = self.sim.with(|world| world.is_closed(self.id));
        stable(&self.sim, closed, partitions)
    }

    /// Draws no chance and lets nobody go first: in which order a map's entries are asked about is not for the seed to say.
    fn bounds(&mut self, partition: &TopicPartition) -> KafkaResult<(i64, i64)> {
        Ok(self.sim.with(|world| (0, world.end_of(partition.1))))
    }

    /// There is one topic, and it stays what it is.
    fn ask_topic_ids(&mut self, _: &[String]) {
        self.ask(|world| {
            let ids = HashMap::from([("in".into(), topic_id())]);
            if let Some(member) = world.group.members.get_mut(&self.id) {
                member.events.push_back(Event::TopicIds(Ok(ids)));
            }
        });
    }

    fn commit(&mut self, offsets: &[(TopicPartition, Committed)]) -> Result<(), Code> {
        self.sim.with(|world| match world.is_closed(self.id) {
            true => Err(Code::UnknownMemberId),
            false => world.commit_sent(self.id, offsets),
        })
    }

    fn take(&mut self, wait: Duration) -> Batch {
        let mut runs = self.ask(|world| world.fetched(self.id));
        if runs.is_empty() {
            self.bell.wait(wait);
            runs = self.ask(|world| world.fetched(self.id));
        }
        Batch { runs, errors: Vec::new() }
    }

    /// A record is fetched when it is taken.
    fn queued(&self) -> usize {
        0
    }

    fn attach(&mut self, (_, partition): &TopicPartition) {
        self.ask(|world| {
            world.group.members.get_mut(&self.id).map(|member| member.attached.insert(*partition));
            world.reading(self.id, *partition).map(|fetch| fetch.attached = true)
        });
    }

    fn detach(&mut self, (_, partition): &TopicPartition) {
        self.ask(|world| {
            world.group.members.get_mut(&self.id).map(|member| member.attached.remove(partition));
            world.reading(self.id, *partition).map(|fetch| fetch.attached = false)
        });
    }

    fn park(&mut self, (_, partition): &TopicPartition, offset: i64) -> bool {
        self.ask(|world| {
            world.note(|| format!("member {} parks {partition} at {offset}", self.id));
            world.group.members.get_mut(&self.id).map(|member| member.attached.insert(*partition));
            world.reading(self.id, *partition).map(|fetch| {
                (fetch.attached, fetch.parked, fetch.position) = (true, true, offset);
            })
        })
        .is_some()
    }

    /// No partition is given up here.
    fn restart_paused(&mut self, _: &TopicPartition, _: i64) {}

    fn unpark(&mut self, (_, partition): &TopicPartition) {
        self.ask(|world| world.reading(self.id, *partition).map(|fetch| fetch.parked = false));
    }

    /// Nothing is unreadable here.
    fn restart(&mut self, partition: &TopicPartition, _: &[(TopicPartition, i64)]) -> KafkaResult<()> {
        self.unpark(partition);
        Ok(())
    }

    fn forget(&mut self, (_, partition): &TopicPartition) {
        self.ask(|world| {
            world.group.members.get_mut(&self.id).map(|member| member.attached.remove(partition))
        });
    }

    fn ask_ends(&mut self, partitions: &[TopicPartition]) {
        let ends = partitions.iter();
        self.ends = Some(self.ask(|world| ends.map(|one| (one.clone(), world.end_of(one.1))).collect()));
    }

    fn ends(&mut self) -> Option<Ends> {
        self.ends.take()
    }

    fn accept(&mut self, starts: &[(TopicPartition, i64)]) -> KafkaResult<()> {
        self.ask(|world| world.accepted(self.id, starts));
        Ok(())
    }

    fn give_up(&mut self, partitions: &[TopicPartition]) -> KafkaResult<()> {
        self.ask(|world| world.given_up(self.id, partitions));
        Ok(())
    }

    fn membership(&mut self) -> Option<Membership> {
        self.ask(|world| {
            let member = &world.group.members[&self.id];
            (member.generation > 0).then(|| Membership {
                group: super::commits::GROUP.to_owned(),
                generation: member.generation as i32,
                member: member.name(self.id),
                instance: member.fixed.clone(),
            })
        })
    }

    fn is_lost(&mut self) -> bool {
        self.ask(|world| world.group.members[&self.id].lost)
    }

    fn leave(self, _: bool, _: Duration) {
        self.ask(|world| world.left(self.id, true));
    }

    fn abandon(self) {
        self.ask(|world| world.left(self.id, false));
    }
}
