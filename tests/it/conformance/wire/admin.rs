//! Requests of operators and of every client's start: versions, metadata, coordinators, topics, settings, groups.

use super::bytes::{Answer, Body};
use super::{Api, Wire};

/// A topic to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicRequest<'a> {
    pub name: &'a str,
    pub partitions: i32,
    pub copies: i16,
    pub settings: &'a [(&'a str, &'a str)],
    pub only_check: bool,
}

impl<'a> TopicRequest<'a> {
    pub(crate) fn of(name: &'a str, partitions: i32) -> Self {
        Self { name, partitions, copies: 1, settings: &[], only_check: false }
    }
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub name: String,
    pub value: Option<String>,
    /// 1: of the topic; 4: of the broker's file; 5: the default.
    pub source: i8,
}

/// A group as tools see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupDescription {
    pub code: i16,
    pub state: String,
    pub kind: String,
    pub protocol: String,
    pub members: Vec<MemberDescription>,
}

/// A member as tools see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberDescription {
    pub member: String,
    pub instance: Option<String>,
    pub metadata: Vec<u8>,
    pub assignment: Vec<u8>,
}

/// A topic or a broker, whose settings are asked for.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

impl Wire {
    /// The code, and the versions of each request.
    pub(crate) fn versions(&mut self, version: i16) -> (i16, Vec<(i16, i16, i16)>) {
        self.call(Api::Versions, version, Body::new(), |a| {
            let got = (a.i16(), a.list(|a| (a.i16(), a.i16(), a.i16())));
            if version >= 1 {
                a.i32();
            }
            got
        })
    }

    /// Code, host, port.
    pub(crate) fn find_coordinator(&mut self, kind: i8, key: &str) -> (i16, String, i32) {
        self.call(Api::FindCoordinator, 2, Body::new().text(key).i8(kind), |a| {
            a.i32();
            let code = (a.i16(), a.text(), a.i32()).0;
            (code, a.some_text(), a.i32())
        })
    }

    pub(crate) fn create_topic(&mut self, topic: &TopicRequest<'_>) -> i16 {
        self.create_topic_by(4, topic)
    }

    pub(crate) fn create_topic_by(&mut self, version: i16, topic: &TopicRequest<'_>) -> i16 {
        let body = Body::new().count(1).text(topic.name).i32(topic.partitions).i16(topic.copies).count(0);
        let body = body.list(topic.settings, |body, (name, value)| body.text(name).text(value));
        let body = body.i32(30_000).bool(topic.only_check);
        self.call(Api::CreateTopics, version, body, |a| {
            a.i32();
            a.list(|a| (a.text(), a.i16(), a.text()).1)[0]
        })
    }

    pub(crate) fn delete_topic(&mut self, name: &str) -> i16 {
        let body = Body::new().count(1).text(name).i32(30_000);
        self.call(Api::DeleteTopics, 3, body, |a| {
            a.i32();
            a.list(|a| (a.text(), a.i16()).1)[0]
        })
    }

    /// Sets the number of partitions.
    pub(crate) fn create_partitions(&mut self, name: &str, count: i32) -> i16 {
        let body = Body::new().count(1).text(name).i32(count).i32(-1).i32(30_000).bool(false);
        self.call(Api::CreatePartitions, 1, body, |a| {
            a.i32();
            a.list(|a| (a.text(), a.i16(), a.text()).1)[0]
        })
    }

    pub(crate) fn topic_settings(&mut self, name: &str, keys: Option<&[&str]>) -> (i16, Vec<Described>) {
        self.describe(2, TOPIC, name, keys)
    }

    pub(crate) fn broker_settings(&mut self, node: i32) -> (i16, Vec<Described>) {
        self.describe(2, BROKER, &node.to_string(), None)
    }

    pub(crate) fn describe(
        &mut self,
        version: i16,
        kind: i8,
        name: &str,
        keys: Option<&[&str]>,
    ) -> (i16, Vec<Described>) {
        let body = Body::new().count(1).i8(kind).text(name);
        let body = match keys {
            Some(keys) => body.list(keys, |body, key| body.text(key)),
            None => body.i32(-1),
        };
        let mut all = self.call(Api::DescribeConfigs, version, body.bool(false), |a| {
            a.i32();
            a.list(|a| {
                let code = (a.i16(), a.text()).0;
                assert_eq!((a.i8(), a.some_text().as_str()), (kind, name));
                (code, a.list(Described::read))
            })
        });
        all.remove(0)
    }

    /// Sets one setting of a topic and takes all others back.
    pub(crate) fn replace_settings(&mut self, topic: &str, key: &str, value: &str) -> i16 {
        let body = Body::new().count(1).i8(TOPIC).text(topic).count(1).text(key).text(value).bool(false);
        self.call(Api::AlterConfigs, 1, body, altered)
    }

    /// Sets one setting of a topic, or takes it back.
    pub(crate) fn change_setting(&mut self, topic: &str, key: &str, value: Option<&str>) -> i16 {
        let body = Body::new().count(1).i8(TOPIC).text(topic).count(1).text(key);
        let body = body.i8(i8::from(value.is_none())).text_or_null(value).bool(false);
        self.call(Api::IncrementalAlterConfigs, 0, body, altered)
    }

    pub(crate) fn describe_group(&mut self, group: &str) -> GroupDescription {
        self.describe_group_by(4, group)
    }

    pub(crate) fn describe_group_by(&mut self, version: i16, group: &str) -> GroupDescription {
        let body = Body::new().count(1).text(group);
        let body = if version >= 3 { body.bool(false) } else { body };
        let mut all = self.call(Api::DescribeGroups, version, body, |a| {
            if version >= 1 {
                a.i32();
            }
            a.list(|a| GroupDescription::read(a, version))
        });
        all.remove(0)
    }

    /// Name and kind of each group.
    pub(crate) fn list_groups(&mut self, version: i16) -> Vec<(String, String)> {
        self.call(Api::ListGroups, version, Body::new(), |a| {
            if version >= 1 {
                a.i32();
            }
            assert_eq!(a.i16(), 0, "listing groups");
            a.list(|a| (a.some_text(), a.some_text()))
        })
    }

    pub(crate) fn delete_group(&mut self, group: &str) -> i16 {
        self.call(Api::DeleteGroups, 1, Body::new().count(1).text(group), |a| {
            a.i32();
            a.list(|a| (a.text(), a.i16()).1)[0]
        })
    }
}

fn altered(a: &mut Answer) -> i16 {
    a.i32();
    a.list(|a| (a.i16(), a.text(), a.i8(), a.text()).0)[0]
}

impl Described {
    fn read(a: &mut Answer) -> Self {
        let (name, value) = (a.some_text(), a.text());
        let _read_only = a.bool();
        let source = a.i8();
        let _sensitive = a.bool();
        a.list(|a| (a.text(), a.text(), a.i8()));
        Self { name, value, source }
    }
}

impl GroupDescription {
    fn read(a: &mut Answer, version: i16) -> Self {
        let (code, _name, state) = (a.i16(), a.text(), a.some_text());
        let (kind, protocol) = (a.some_text(), a.some_text());
        let members = a.list(|a| {
            let member = a.some_text();
            let instance = if version >= 4 { a.text() } else { None };
            let _client = (a.some_text(), a.some_text());
            MemberDescription { member, instance, metadata: a.blob(), assignment: a.blob() }
        });
        if version >= 3 {
            a.i32();
        }
        Self { code, state, kind, protocol, members }
    }
}
