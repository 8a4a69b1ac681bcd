//! Requests of a group's members: join, sync, heartbeat, leave, commit, read what is committed.

use std::collections::BTreeMap;

use super::bytes::{Answer, Body};
use super::{Api, Wire};

/// Who asks: a group, a generation of it, a member, and perhaps its name for life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Me<'a> {
    pub group: &'a str,
    pub generation: i32,
    pub member: &'a str,
    pub instance: Option<&'a str>,
}

impl Default for Me<'_> {
    /// Nobody: what an application commits by that is no member.
    fn default() -> Self {
        Self { group: "", generation: -1, member: "", instance: None }
    }
}

/// What a member learns by joining.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub code: i16,
    pub generation: i32,
    pub protocol: String,
    pub leader: String,
    pub member: String,
    /// Member, name for life, metadata: for the leader only.
    pub members: Vec<(String, Option<String>, Vec<u8>)>,
}

/// One offset to commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    pub metadata: &'a str,
}

/// What is committed for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub metadata: String,
    pub code: i16,
}

/// What a member of type `consumer` says of itself: no topics, and this. A real coordinator reads it, and leaves whoever
/// sends something else without an answer.
pub(crate) fn subscription(data: &str) -> Vec<u8> {
    Body::new().i16(0).count(0).bytes(data.as_bytes()).done()
}

/// The name for life is sent from this version on.
fn instance(body: Body, me: &Me<'_>, version: i16, from: i16) -> Body {
    if version >= from { body.text_or_null(me.instance) } else { body }
}

fn membership(me: &Me<'_>, version: i16, instance_from: i16) -> Body {
    instance(Body::new().text(me.group).i32(me.generation).text(me.member), me, version, instance_from)
}

impl Wire {
    /// Asks to join by protocols that are named with their metadata. The answer comes when all have joined.
    pub(crate) fn ask_to_join(
        &mut self,
        version: i16,
        me: &Me<'_>,
        timeouts_ms: (i32, i32),
        kind: &str,
        protocols: &[(&str, Vec<u8>)],
    ) {
        let body = Body::new().text(me.group).i32(timeouts_ms.0).i32(timeouts_ms.1).text(me.member);
        let body = instance(body, me, version, 5).text(kind);
        let body = body.list(protocols, |body, (name, metadata)| body.text(name).bytes(metadata));
        self.send(Api::JoinGroup, version, body);
    }

    pub(crate) fn joined(&mut self, version: i16) -> Joined {
        self.receive(Api::JoinGroup, version, |a| {
            a.i32();
            let (code, generation, protocol) = (a.i16(), a.i32(), a.some_text());
            let (leader, member) = (a.some_text(), a.some_text());
            let members = a.list(|a| {
                let member = a.some_text();
                let instance = if version >= 5 { a.text() } else { None };
                (member, instance, a.blob())
            });
            Joined { code, generation, protocol, leader, member, members }
        })
    }

    /// Asks for one's assignment, and gives all members theirs when one leads.
    pub(crate) fn ask_to_sync(&mut self, version: i16, me: &Me<'_>, assignments: &[(&str, &[u8])]) {
        let body = membership(me, version, 3);
        let body = body.list(assignments, |body, (member, assignment)| body.text(member).bytes(assignment));
        self.send(Api::SyncGroup, version, body);
    }

    /// The error code and the assignment.
    pub(crate) fn synced(&mut self, version: i16) -> (i16, Vec<u8>) {
        self.receive(Api::SyncGroup, version, |a| {
            if version >= 1 {
                a.i32();
            }
            (a.i16(), a.blob())
        })
    }

    pub(crate) fn heartbeat(&mut self, me: &Me<'_>) -> i16 {
        self.heartbeat_by(3, me)
    }

    pub(crate) fn heartbeat_by(&mut self, version: i16, me: &Me<'_>) -> i16 {
        self.call(Api::Heartbeat, version, membership(me, version, 3), |a| {
            if version >= 1 {
                a.i32();
            }
            a.i16()
        })
    }

    /// A member leaves, by its id.
    pub(crate) fn leave_by(&mut self, version: i16, me: &Me<'_>) -> i16 {
        self.call(Api::LeaveGroup, version, Body::new().text(me.group).text(me.member), |a| {
            if version >= 1 {
                a.i32();
            }
            a.i16()
        })
    }

    /// Members leave, by id, name for life, or both; the code of each.
    pub(crate) fn leave(&mut self, group: &str, members: &[(&str, Option<&str>)]) -> Vec<i16> {
        let body = Body::new().text(group);
        let body = body.list(members, |body, (member, instance)| body.text(member).text_or_null(*instance));
        self.call(Api::LeaveGroup, 3, body, |a| {
            a.i32();
            assert_eq!(a.i16(), 0, "leaving as such");
            a.list(|a| (a.text(), a.text(), a.i16()).2)
        })
    }

    /// The code of each offset, in the order asked.
    pub(crate) fn commit(&mut self, me: &Me<'_>, commits: &[Commit<'_>]) -> Vec<i16> {
        self.commit_by(7, me, commits)
    }

    pub(crate) fn commit_by(&mut self, version: i16, me: &Me<'_>, commits: &[Commit<'_>]) -> Vec<i16> {
        let body = membership(me, version, 7);
        let body = if version < 5 { body.i64(-1) } else { body };
        let body = body.list(commits, |body, c| {
            let body = body.text(c.topic).count(1).i32(c.partition).i64(c.offset);
            let body = if version >= 6 { body.i32(-1) } else { body };
            body.text(c.metadata)
        });
        let codes = self.call(Api::OffsetCommit, version, body, |a| {
            if version >= 3 {
                a.i32();
            }
            a.list(|a| {
                let topic = a.some_text();
                a.list(|a| ((topic.clone(), a.i32()), a.i16()))
            })
        });
        // A broker may answer in another order.
        let codes: BTreeMap<_, _> = codes.into_iter().flatten().collect();
        commits.iter().map(|c| codes[&(c.topic.to_owned(), c.partition)]).collect()
    }

    /// What is committed for these partitions, or for all there are; sorted.
    pub(crate) fn committed(&mut self, group: &str, of: Option<&[(&str, i32)]>) -> Vec<Committed> {
        self.committed_by(5, group, of).1
    }

    /// By one of the versions 1 to 5: the code of the whole, too.
    pub(crate) fn committed_by(
        &mut self,
        version: i16,
        group: &str,
        of: Option<&[(&str, i32)]>,
    ) -> (i16, Vec<Committed>) {
        let body = Body::new().text(group);
        let body = match of {
            Some(of) => body.list(of, |body, (topic, partition)| body.text(topic).count(1).i32(*partition)),
            None => body.i32(-1),
        };
        self.call(Api::OffsetFetch, version, body, |a| {
            if version >= 3 {
                a.i32();
            }
            let all = a.list(|a| {
                let topic = a.some_text();
                a.list(|a| Committed::read(a, &topic, version >= 5, Answer::text))
            });
            let mut all = all.concat();
            all.sort_by_key(|c| (c.topic.clone(), c.partition));
            (if version >= 2 { a.i16() } else { 0 }, all)
        })
    }

    /// By version 7, which can wait for open transactions: `require_stable`.
    pub(crate) fn committed_stable(&mut self, group: &str, topic: &str, partition: i32) -> Committed {
        let body = Body::new().compact_text(group);
        let body = body.compact_list(&[topic], |body, topic| {
            body.compact_text(topic).compact_list(&[partition], |body, p| body.i32(*p)).tags()
        });
        let mut all = self.call(Api::OffsetFetch, 7, body.bool(true).tags(), |a| {
            a.i32();
            let all = a.compact_list(|a| {
                let topic = a.compact_text().expect("a topic");
                let partitions = a.compact_list(|a| {
                    let committed = Committed::read(a, &topic, true, Answer::compact_text);
                    a.tags();
                    committed
                });
                a.tags();
                partitions
            });
            assert_eq!(a.i16(), 0, "reading offsets as such");
            a.tags();
            all
        });
        all.remove(0).remove(0)
    }
}

impl Committed {
    fn read(a: &mut Answer, topic: &str, epoch: bool, text: fn(&mut Answer) -> Option<String>) -> Self {
        let (partition, offset) = (a.i32(), a.i64());
        if epoch {
            a.i32();
        }
        let metadata = text(a).unwrap_or_default();
        Self { topic: topic.to_owned(), partition, offset, metadata, code: a.i16() }
    }
}
