//! A topic that is deleted and made again.

use super::*;
use crate::checkpoint::Note;
use crate::checkpoint::note::Stamp;
use crate::source::start::Known;
use crate::topic_id::TopicId;

fn id(seed: u8) -> Option<TopicId> {
    TopicId::new([seed; TopicId::SIZE])
}

/// One that has known the topic since its start, by the first id.
fn bench() -> Bench {
    let mut bench = Bench::new(10);
    let known = HashMap::from([("in".into(), Known { partitions: 2, has_offsets: true, topic_id: id(1) })]);
    bench.source.watch = Watch::new(&known, bench.clock.now());
    bench
}

fn at_work() -> Bench {
    let mut bench = bench();
    bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Assigned(vec![partition(0)])));
    bench.source.round();
    bench.client.done();
    bench
}

impl Bench {
    fn hear(&mut self, seed: u8) {
        self.client.tell(Event::TopicIds(Ok(HashMap::from([("in".into(), id(seed))]))));
    }

    fn fail_to_read(&self, number: i32) {
        self.misread(number, 0, Code::AutoOffsetReset);
    }
}

/// What the group has committed of the topic with this id.
fn committed(seed: u8, offset: i64) -> Committed {
    let stamp = Stamp { group: "group", topic: "in", partition: 0, watermark: offset };
    Committed { offset, metadata: Note { topic_id: id(seed), ..Note::default() }.encode(&stamp) }
}

#[test]
fn it_is_asked_once_a_second_which_topics_the_names_mean() {
    let mut bench = at_work();
    let questions = |bench: &Bench| bench.client.0.lock().questions;
    let before = questions(&bench);
    for (ms, more) in [(999, 0), (1, 1), (500, 1), (500, 2)] {
        bench.after(ms);
        assert_eq!(questions(&bench), before + more);
    }
}

#[test]
fn a_topic_that_is_made_again_is_read_from_its_beginning_once_the_old_one_is_finished() {
    let mut bench = at_work();
    bench.feed(3..5);
    bench.hear(2);
    bench.fetch(0, 5..7);
    assert_eq!(bench.after(0), ["park 0@3"]);
    assert_eq!(*bench.desk.retired.lock(), [Slot { index: 0, epoch: 0 }]);
    let begun = Beginning { start: 3, topic_id: id(2), ..Beginning::default() };
    assert_eq!(bench.desk.begun.lock()[1..], [begun], "and the group is told: nothing of it is committed");
    assert_eq!(*bench.desk.admitted.lock(), [3, 4], "what was read beyond is dropped");
    bench.hear(2);
    assert_eq!(bench.after(1_000), NOTHING, "two records of the old topic are in flight");
    *bench.desk.in_flight.lock() = 0;
    assert_eq!(bench.after(0), ["unpark 0"]);
    bench.feed(3..4);
    assert_eq!(*bench.desk.admitted.lock(), [3, 4, 3]);
    assert!(bench.trouble.is_empty());
}

#[test]
fn a_broker_that_is_behind_does_not_bring_the_old_topic_back() {
    let mut bench = at_work();
    for (seed, done) in [(2, &["park 0@3", "unpark 0"][..]), (1, &[]), (2, &[]), (1, &[])] {
        bench.hear(seed);
        assert_eq!(bench.after(0), done, "{seed}");
    }
    assert_eq!(bench.desk.begun.lock().len(), 2);
}

#[test]
fn a_cluster_without_ids_is_asked_in_vain_and_nothing_comes_of_it() {
    let mut bench = at_work();
    bench.client.tell(Event::TopicIds(Ok(HashMap::from([("in".into(), None)]))));
    bench.client.tell(Event::TopicIds(Ok(HashMap::new())));
    bench.client.tell(Event::TopicIds(Err(Code::OperationTimedOut)));
    assert_eq!(bench.after(0), NOTHING);
    // One that has them from now on, such as after an upgrade.
    let mut bench = Bench::at_work(10);
    bench.hear(1);
    assert_eq!(bench.after(0), NOTHING);
}

#[test]
fn a_partition_that_cannot_be_moved_is_tried_again_and_nothing_of_it_is_admitted_meanwhile() {
    let mut bench = at_work();
    bench.client.0.lock().stubborn = true;
    bench.hear(2);
    bench.fetch(0, 5..7);
    assert_eq!(bench.after(0), ["park 0@3", "restart 0@3"]);
    assert_eq!(bench.after(499), NOTHING);
    bench.client.0.lock().stubborn = false;
    bench.fetch(0, 7..9);
    assert_eq!(bench.after(1), ["park 0@3", "unpark 0"]);
    assert!(bench.desk.admitted.lock().is_empty());
}

#[test]
fn a_partition_that_is_taken_away_meanwhile_is_given_up_when_the_old_work_is_done() {
    let mut bench = at_work();
    bench.feed(3..5);
    bench.hear(2);
    bench.after(0);
    bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Revoked(vec![partition(0)])));
    assert_eq!(bench.after(10_000), NOTHING);
    *bench.desk.in_flight.lock() = 0;
    assert_eq!(bench.after(0), ["unpark 0", "forget 0", "give up 0"]);
}

#[test]
fn an_offset_that_is_not_there_is_no_loss_if_the_topic_is_another_one() {
    let mut bench = at_work();
    bench.fail_to_read(0);
    bench.after(0);
    assert_eq!(bench.after(1_000), NOTHING);
    bench.hear(2);
    // Another one that was there before the position was set.
    bench.client.0.lock().queued = 1;
    assert_eq!(bench.after(0), ["park 0@3"]);
    bench.fail_to_read(0);
    assert_eq!(bench.after(0), NOTHING);
    bench.client.0.lock().queued = 0;
    assert_eq!(bench.after(0), ["unpark 0"]);
    for _ in 0..10 {
        bench.hear(2);
        bench.after(1_000);
    }
    assert!(bench.trouble.is_empty());
}

#[test]
fn an_offset_that_is_not_there_is_a_loss_if_the_topic_is_the_same() {
    let mut bench = at_work();
    bench.fail_to_read(0);
    bench.after(0);
    for (ms, lost) in [(2_999, false), (1, true)] {
        bench.hear(1);
        bench.after(ms);
        bench.hear(1);
        bench.after(0);
        assert_eq!(!bench.trouble.is_empty(), lost);
    }
    let Ok(Trouble::Failed(text)) = bench.trouble.try_recv() else { panic!("it failed") };
    assert!(text.contains("in/0") && text.contains("records were lost"), "{text}");
}

#[test]
fn what_was_committed_of_a_topic_that_was_there_meanwhile_is_not_where_the_new_one_begins() {
    let mut bench = bench();
    bench.hear(2);
    assert_eq!(bench.after(0), NOTHING);
    bench.client.0.lock().committed.insert(partition(0), committed(1, 7));
    bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Assigned(vec![partition(0)])));
    assert_eq!(bench.after(0), ["attach 0", "accept 0@3"]);
    let begun = Beginning { start: 3, topic_id: id(2), ..Beginning::default() };
    assert_eq!(*bench.desk.begun.lock(), [begun]);
}

#[test]
fn what_was_committed_of_a_topic_that_nobody_here_saw_ends_the_program_unless_a_broker_was_behind() {
    for heard in [1, 3] {
        let mut bench = bench();
        bench.client.0.lock().committed.insert(partition(0), committed(3, 7));
        bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Assigned(vec![partition(0)])));
        for _ in 0..8 {
            assert_eq!(bench.after(500), NOTHING);
        }
        bench.hear(heard);
        bench.after(0);
        let done = bench.after(500);
        if heard == 3 {
            assert_eq!(done, ["attach 0", "accept 0@7"]);
            continue;
        }
        let Ok(Trouble::Undecided(text)) = bench.trouble.try_recv() else { panic!("it cannot choose") };
        for part in [
            "(partitions 0)",
            &id(3).unwrap().to_string(),
            &id(1).unwrap().to_string(),
            "--bootstrap-server kafka:9092 --group group --topic in:0 --reset-offsets --to-earliest --execute",
            "--reset-offsets --to-current --execute",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[test]
fn an_offset_that_says_nothing_of_a_topic_is_taken_as_it_is() {
    for (metadata, known) in [("", 1), ("anything", 1), (&committed(1, 7).metadata, 1)] {
        let mut bench = bench();
        bench
            .client
            .0
            .lock()
            .committed
            .insert(partition(0), Committed { offset: 7, metadata: metadata.to_owned() });
        bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Assigned(vec![partition(0)])));
        assert_eq!(bench.after(0), ["attach 0", "accept 0@7"]);
        assert_eq!(bench.desk.begun.lock()[0].topic_id, id(known));
    }
}
