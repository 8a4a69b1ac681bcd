//! Commits: on their way, lost, refused, applied without an answer, fenced by generation; and what the oracle says of each.

use rdkafka::error::RDKafkaErrorCode as Code;

use super::group::place;
use super::plan::Sabotage;
use super::world::{Due, World};
use crate::checkpoint::note::Stamp;
use crate::checkpoint::{Note, OffsetMap};
use crate::record::TopicPartition;
use crate::source::client::{Committed, Event};
use crate::source::start::read_note;

/// The group's name.
pub(super) const GROUP: &str = "group";

/// A commit on its way.
pub(super) struct Commit {
    generation: u64,
    offsets: Vec<(i32, i64, String)>,
    fate: Fate,
    answer: Option<Result<(), Code>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Good,
    Refused(Code),
    Lost,
    AnswerLost,
}

impl World {
    /// The application sends a commit.
    pub(super) fn commit_sent(
        &mut self,
        id: usize,
        offsets: &[(TopicPartition, Committed)],
    ) -> Result<(), Code> {
        let mut offsets: Vec<(i32, i64, String)> = offsets
            .iter()
            .map(|((_, partition), committed)| (*partition, committed.offset, committed.metadata.clone()))
            .collect();
        self.note(|| {
            let offsets: Vec<_> =
                offsets.iter().map(|(partition, offset, map)| (partition, offset, map.len())).collect();
            format!("member {id} commits {offsets:?}")
        });
        if self.group.members[&id].commit.is_some() {
            self.oracle
                .wrong("commit", format!("member {id} sends a commit before the last one is answered"));
        }
        if self.plan.exactly_once {
            self.oracle.wrong("commit", format!("member {id} commits outside of a transaction"));
        }
        self.lie(&mut offsets);
        offsets
            .iter()
            .for_each(|(partition, offset, metadata)| self.judge_commit(id, *partition, *offset, metadata));
        let chances = self.chances();
        let fate = if self.happens(chances.commit_refused) {
            let codes = [
                Code::NotCoordinator,
                Code::CoordinatorLoadInProgress,
                Code::RebalanceInProgress,
                Code::GroupAuthorizationFailed,
            ];
            Fate::Refused(codes[self.random.usize(..codes.len())])
        } else if self.happens(chances.commit_lost) {
            Fate::Lost
        } else if self.happens(chances.commit_answer_lost) {
            Fate::AnswerLost
        } else {
            Fate::Good
        };
        let mut time = self.latency();
        if self.happens(chances.commit_late) {
            time *= 30;
        }
        let member = self.group.members.get_mut(&id).expect("a member");
        member.commit = Some(Commit { generation: member.generation, offsets, fate, answer: None });
        self.after(time, Due::CommitArrives(id));
        Ok(())
    }

    fn lie(&mut self, offsets: &mut [(i32, i64, String)]) {
        if self.sabotages(Sabotage::CommitsTooFar) {
            offsets[0].1 += 1;
            offsets[0].2.clear();
        }
        if offsets[0].1 > 0 && self.plan.sabotage == Some(Sabotage::CommitsBack) {
            let back = self.random.i64(0..offsets[0].1);
            offsets[0].1 = back;
            offsets[0].2.clear();
        }
        if self.sabotages(Sabotage::MapNamesOpenRecords) {
            let (partition, offset, _) = offsets[0];
            let mut map = OffsetMap::default();
            map.push(offset + 1..self.end_of(partition).max(offset + 2));
            let stamp = Stamp { group: GROUP, topic: "in", partition, watermark: offset };
            offsets[0].2 = Note::from(map).encode(&stamp);
        }
    }

    /// What a commit says is true, when it is sent.
    fn judge_commit(&mut self, id: usize, partition: i32, offset: i64, metadata: &str) {
        let committed = Committed { offset, metadata: metadata.to_owned() };
        let map = match read_note(GROUP, &place(partition), &committed) {
            Ok(note) => note.finished,
            Err(error) => {
                self.oracle.wrong("map", format!("partition {partition}: {error}"));
                OffsetMap::default()
            }
        };
        for input in &self.inputs[partition as usize] {
            let open = !self.oracle.is_finished((partition, input.offset), input.draft.kind);
            if open && input.offset < offset {
                self.oracle.wrong(
                    "watermark",
                    format!("{partition}/{} is open, and {offset} is committed", input.offset),
                );
            } else if open && map.ranges().iter().any(|range| range.contains(&input.offset)) {
                self.oracle.wrong(
                    "map",
                    format!("{partition}/{} is open, and named as finished at {offset}", input.offset),
                );
            }
        }
        let member = self.group.members.get_mut(&id).expect("a member");
        let Some(fetch) = member.reads.get_mut(&partition) else {
            self.oracle.wrong("commit", format!("member {id} commits {partition}, which it does not read"));
            return;
        };
        let before = fetch.last_commit.replace(offset).unwrap_or(fetch.start);
        if offset < before {
            self.oracle
                .wrong("backwards", format!("member {id} commits {partition}@{offset} after {before}"));
        }
    }

    pub(super) fn commit_arrives(&mut self, id: usize) {
        if self.is_silent() {
            let time = self.silent_until - crate::sync::model::now();
            self.after(time, Due::CommitArrives(id));
            return;
        }
        let Some(commit) = self.group.members.get_mut(&id).and_then(|member| member.commit.take()) else {
            return;
        };
        if commit.answer.is_some() {
            self.group.members.get_mut(&id).expect("a member").commit = Some(commit);
            return;
        }
        let answer = self.apply(id, &commit);
        let commit = Commit { answer: Some(answer), ..commit };
        self.group.members.get_mut(&id).expect("a member").commit = Some(commit);
        let time = self.latency();
        self.after(time, Due::CommitAnswered(id));
    }

    fn apply(&mut self, id: usize, commit: &Commit) -> Result<(), Code> {
        if !self.group.joined.contains(&id) {
            return Err(Code::UnknownMemberId);
        }
        if commit.generation != self.group.generation {
            return Err(Code::IllegalGeneration);
        }
        match commit.fate {
            Fate::Refused(code) => return Err(code),
            Fate::Lost => return Err(Code::RequestTimedOut),
            _ => {}
        }
        if commit.offsets.iter().any(|(_, _, metadata)| metadata.len() > self.plan.metadata_limit) {
            return Err(Code::OffsetMetadataTooLarge);
        }
        for (partition, offset, metadata) in &commit.offsets {
            self.group.committed.insert(*partition, (*offset, metadata.clone()));
        }
        self.note(|| format!("commit of member {id} is applied"));
        if commit.fate == Fate::AnswerLost { Err(Code::RequestTimedOut) } else { Ok(()) }
    }

    pub(super) fn commit_answered(&mut self, id: usize) {
        let commit = self
            .group
            .members
            .get_mut(&id)
            .and_then(|member| member.commit.take_if(|commit| commit.answer.is_some()));
        if let Some(answer) = commit.and_then(|commit| commit.answer) {
            self.tell(id, Event::Committed(answer));
        }
    }

    /// A round ends: what was sent before is answered before.
    pub(super) fn flush_commit(&mut self, id: usize) {
        let Some(commit) = self.group.members.get_mut(&id).and_then(|member| member.commit.take()) else {
            return;
        };
        let behind = self.random.u8(..3) == 0;
        let answer = match commit.answer {
            Some(answer) => answer,
            None if behind => Err(Code::IllegalGeneration),
            None => self.apply(id, &commit),
        };
        self.tell(id, Event::Committed(answer));
    }

    /// Which offsets the group's commit covers.
    pub(super) fn covered(&self, partition: i32) -> impl Fn(i64) -> bool + use<> {
        let (offset, metadata) = self.group.committed.get(&partition).cloned().unwrap_or_default();
        let note = read_note(GROUP, &place(partition), &Committed { offset, metadata }).unwrap_or_default();
        let map = note.finished.within(self.end_of(partition)).unwrap_or_default();
        move |one| one < offset || map.ranges().iter().any(|range| range.contains(&one))
    }

    /// The group has run before, without transactions: some records are finished beyond its offsets.
    pub(super) fn leave_maps(&mut self) {
        for partition in 0..self.plan.partitions {
            let offsets: Vec<i64> =
                self.inputs[partition as usize].iter().map(|input| input.offset).collect();
            let Some((first, rest)) = offsets.split_first() else { continue };
            let done: Vec<i64> = rest.iter().copied().filter(|_| self.random.bool()).collect();
            let mut map = OffsetMap::default();
            done.iter().for_each(|one| map.push(*one..one + 1));
            let stamp = Stamp { group: GROUP, topic: "in", partition, watermark: *first };
            self.note(|| format!("finished before, of {partition}: {done:?} beyond {first}"));
            done.iter().for_each(|one| self.oracle.was_finished((partition, *one)));
            self.group.committed.insert(partition, (*first, Note::from(map).encode(&stamp)));
        }
    }

    /// Somebody commits in the group's name, while it has no member.
    pub(super) fn forge(&mut self) {
        if !self.group.joined.is_empty() || self.has_open() {
            return;
        }
        let partition = self.random.i32(0..self.plan.partitions);
        let (offset, metadata) = self.group.committed.get(&partition).cloned().unwrap_or_default();
        let covered = self.covered(partition);
        let repeated: Vec<i64> = self.inputs[partition as usize]
            .iter()
            .map(|input| input.offset)
            .filter(|one| *one >= offset && covered(*one))
            .collect();
        repeated.into_iter().for_each(|one| self.oracle.may_repeat((partition, one)));
        let forged = match self.random.u8(..4) {
            0 => "anything".to_owned(),
            1 => metadata.chars().rev().collect(),
            2 => "\u{1F980}".repeat(500),
            _ => {
                let mut map = OffsetMap::default();
                map.push(offset + 1..offset + 1_000);
                let group = if self.random.bool() { "other" } else { GROUP };
                Note::from(map).encode(&Stamp { group, topic: "in", partition, watermark: offset })
            }
        };
        self.note(|| format!("forged metadata for {partition}@{offset}"));
        self.group.committed.insert(partition, (offset, forged));
    }
}
