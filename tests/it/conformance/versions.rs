//! Each version of each request is answered in exactly that version's fields.

use super::member::{SESSION_MS, protocols};
use super::topic;
use super::wire::{Api, Batch, Commit, FetchRequest, Me, READ_UNCOMMITTED, TopicRequest, Wire, patiently};
use crate::support::kafka::Kafka;
use crate::support::setup::unique_name;

/// What clients of the last years choose from; the newest may be beyond.
const SPOKEN: &[(Api, i16, i16)] = &[
    (Api::Produce, 3, 8),
    (Api::Fetch, 4, 11),
    (Api::ListOffsets, 1, 3),
    (Api::Metadata, 1, 10),
    (Api::OffsetCommit, 2, 7),
    (Api::OffsetFetch, 1, 7),
    (Api::FindCoordinator, 0, 2),
    (Api::JoinGroup, 2, 5),
    (Api::Heartbeat, 0, 3),
    (Api::LeaveGroup, 0, 3),
    (Api::SyncGroup, 0, 3),
    (Api::DescribeGroups, 0, 4),
    (Api::ListGroups, 0, 2),
    (Api::Versions, 0, 2),
    (Api::CreateTopics, 2, 4),
    (Api::DeleteTopics, 1, 3),
    (Api::DeleteRecords, 0, 1),
    (Api::InitProducerId, 0, 3),
    (Api::AddPartitionsToTxn, 0, 2),
    (Api::AddOffsetsToTxn, 0, 2),
    (Api::EndTxn, 0, 2),
    (Api::TxnOffsetCommit, 0, 3),
    (Api::DescribeConfigs, 1, 2),
    (Api::AlterConfigs, 0, 1),
    (Api::CreatePartitions, 0, 1),
    (Api::DeleteGroups, 0, 1),
    (Api::IncrementalAlterConfigs, 0, 0),
];

#[test]
fn the_broker_names_the_versions_it_speaks() {
    let kafka = Kafka::for_test();
    let mut wire = Wire::to(&kafka);
    for version in 0..=2 {
        let (code, spoken) = wire.versions(version);
        assert_eq!(code, 0);
        for (api, from, to) in SPOKEN {
            let range = spoken.iter().find(|(key, ..)| *key == *api as i16);
            let range = range.unwrap_or_else(|| panic!("{api:?} is spoken"));
            assert!(range.1 <= *from && *to <= range.2, "{api:?} {from} to {to}: spoken are {range:?}");
        }
    }
}

#[test]
fn a_version_of_the_future_is_answered_with_the_versions_there_are() {
    let kafka = Kafka::for_test();
    let mut wire = Wire::to(&kafka);
    wire.send(Api::Versions, 99, super::wire::Body::new().tags());
    // By version 0, which every client understands.
    let (code, spoken) =
        wire.receive(Api::Versions, 99, |a| (a.i16(), a.list(|a| (a.i16(), a.i16(), a.i16()))));
    assert_eq!(code, 35);
    assert!(spoken.iter().any(|(key, ..)| *key == Api::Versions as i16), "{spoken:?}");
    assert_eq!(wire.versions(0).0, 0, "the connection goes on");
}

#[test]
fn every_version_about_logs() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 1);
    for version in 3..=7 {
        let done = wire.produce_to(version, None, &name, &[(0, Batch::of(&["v"]).encode())]).remove(0);
        let log_start = if version >= 5 { 0 } else { -1 };
        assert_eq!((done.code, done.base, done.log_start), (0, i64::from(version - 3), log_start));
    }
    for version in 4..=11 {
        wire.send(Api::Fetch, version, FetchRequest::of(&name, 0, 0).body(version));
        let (code, partitions) = wire.fetched(version);
        assert_eq!((code, partitions[0].code, partitions[0].batches.len()), (0, 0, 5), "version {version}");
    }
    for version in 1..=3 {
        let end = wire.list_offset_by(version, &name, 0, -1, READ_UNCOMMITTED);
        assert_eq!((end.code, end.offset), (0, 5), "version {version}");
    }
}

#[test]
fn every_version_about_topics() {
    let kafka = Kafka::for_test();
    let (mut wire, name) = topic(&kafka, 2);
    for version in 1..=10 {
        let (brokers, topics) = wire.metadata_by(version, Some(&[&name]));
        assert!(!brokers.is_empty() && topics[0].partitions.len() == 2, "version {version}");
    }
    for version in 2..=4 {
        assert_eq!(
            wire.create_topic_by(version, &TopicRequest::of(&unique_name(), 1)),
            0,
            "version {version}"
        );
    }
    for version in 1..=2 {
        let (code, settings) = wire.describe(version, 2, &name, Some(&["cleanup.policy"]));
        assert_eq!((code, settings.len()), (0, 1), "version {version}");
    }
}

#[test]
fn every_version_of_a_members_life() {
    let kafka = Kafka::for_test();
    let (_, name) = topic(&kafka, 1);
    for version in 0..=3 {
        let group = unique_name();
        let mut wire = Wire::to_group(&kafka, &group);
        let me = Me { group: &group, ..Me::default() };
        let timeouts = (SESSION_MS, SESSION_MS);
        wire.ask_to_join(version + 2, &me, timeouts, "consumer", &protocols());
        let mut joined = wire.joined(version + 2);
        if version + 2 >= 4 {
            assert_eq!(joined.code, 79, "from version 4 on an id comes first");
            wire.ask_to_join(
                version + 2,
                &Me { member: &joined.member, ..me },
                timeouts,
                "consumer",
                &protocols(),
            );
            joined = wire.joined(version + 2);
        }
        assert_eq!((joined.code, joined.generation, joined.protocol.as_str()), (0, 1, "range"));
        let me = Me { member: &joined.member, generation: 1, ..me };
        wire.ask_to_sync(version, &me, &[(&joined.member, b"mine")]);
        assert_eq!(wire.synced(version), (0, b"mine".to_vec()));
        assert_eq!(wire.heartbeat_by(version, &me), 0);
        for version in 2..=7 {
            let commit = Commit { topic: &name, partition: 0, offset: version.into(), metadata: "here" };
            assert_eq!(wire.commit_by(version, &me, &[commit]), [0], "commit {version}");
        }
        for version in 1..=5 {
            let (code, got) = wire.committed_by(version, &group, Some(&[(&name, 0)]));
            assert_eq!((code, got[0].offset, got[0].metadata.as_str()), (0, 7, "here"), "read {version}");
        }
        assert_eq!(wire.committed_stable(&group, &name, 0).offset, 7);
        for version in 0..=4 {
            assert_eq!(wire.describe_group_by(version, &group).members.len(), 1, "describe {version}");
        }
        for version in 0..=2 {
            assert!(wire.list_groups(version).iter().any(|(name, _)| name == &group), "list {version}");
        }
        let left = if version < 3 {
            wire.leave_by(version, &me)
        } else {
            wire.leave(&group, &[(me.member, None)])[0]
        };
        assert_eq!(left, 0, "leave {version}");
    }
}

#[test]
fn every_version_of_a_coordinator() {
    let kafka = Kafka::for_test();
    let mut wire = Wire::to(&kafka);
    let group = unique_name();
    // Version 0 knows groups only.
    let address = |a: &mut super::wire::Answer| (a.i32(), a.text(), a.i32());
    let code = patiently(|| {
        wire.call(Api::FindCoordinator, 0, super::wire::Body::new().text(&group), |a| (a.i16(), address(a)).0)
    });
    assert_eq!(code, 0);
    for (kind, key) in [(0, &group), (1, &group)] {
        assert_eq!(patiently(|| wire.find_coordinator(kind, key).0), 0, "kind {kind}");
    }
    assert_eq!(wire.find_coordinator(9, &group).0, 42, "there is no such kind");
}
