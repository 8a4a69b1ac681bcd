//! A partition without room: held back, out of the way of the others, parked, and read on.

use super::{Bench, Event, NOTHING, RebalanceEvent, partition};

#[test]
fn a_partition_without_room_is_detached_until_what_is_held_of_it_is_admitted() {
    let mut bench = Bench::at_work(2);
    bench.feed(3..6);
    assert_eq!(bench.after(49), NOTHING, "room may come soon");
    assert_eq!(bench.after(1), ["detach 0"]);
    assert_eq!(bench.after(0), NOTHING);
    *bench.desk.in_flight.lock() = 0;
    assert_eq!(bench.after(0), ["attach 0"]);
    assert_eq!(*bench.desk.admitted.lock(), [3, 4, 5]);
}

/// One whose partition went apart and left four records in the queue of all; there is room again.
fn one_apart() -> Bench {
    let mut bench = Bench::at_work(2);
    bench.feed(3..6);
    bench.client.0.lock().queued = 4;
    assert_eq!(bench.after(50), ["detach 0"]);
    *bench.desk.room.lock() = 20;
    bench
}

/// What gathered in its own queue stands in that of all when it comes back, and would do so each time.
#[test]
fn a_partition_does_not_come_back_before_what_it_left_in_the_queue_of_all_has_come() {
    let mut bench = one_apart();
    assert_eq!(bench.after(0), NOTHING, "nothing of it is held, but some is in the queue");
    bench.feed(6..9);
    assert_eq!(bench.after(0), NOTHING);
    bench.feed(9..10);
    assert_eq!(bench.client.done(), ["attach 0"]);
    assert_eq!(*bench.desk.admitted.lock(), [3, 4, 5, 6, 7, 8, 9]);
}

/// Records of a partition that was given up are counted, and never come.
#[test]
fn a_partition_comes_back_when_the_queue_of_all_is_empty() {
    let mut bench = one_apart();
    assert_eq!(bench.after(0), NOTHING);
    bench.client.0.lock().queued = 0;
    assert_eq!(bench.after(0), ["attach 0"]);
}

/// One that owns six partitions, with more in flight than there is room for, and has fetched some of each of the first five.
fn five_without_room() -> Bench {
    let mut bench = Bench::new(0);
    *bench.desk.in_flight.lock() = 1;
    bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Assigned((0..6).map(partition).collect())));
    bench.source.round();
    bench.client.done();
    for number in 0..5 {
        bench.fetch(number, 3..if number == 4 { 6 } else { 4 });
    }
    assert_eq!(bench.after(0), NOTHING);
    assert_eq!(bench.after(50), ["detach 0", "detach 1", "detach 2", "detach 3"], "and no fifth");
    bench
}

#[test]
fn nothing_is_taken_while_a_fifth_partition_without_room_is_in_the_way() {
    let mut bench = five_without_room();
    bench.fetch(5, 3..5);
    assert_eq!(bench.after(949), NOTHING);
    assert_eq!(bench.client.0.lock().records.len(), 1, "it is not taken");
    *bench.desk.room.lock() = 10;
    let back = ["attach 0", "attach 1", "attach 2", "attach 3"];
    assert_eq!(bench.after(0), back);
    assert_eq!(bench.after(0), NOTHING);
    assert_eq!(*bench.desk.admitted.lock(), [3, 3, 3, 3, 3, 4, 5, 3, 4]);
}

#[test]
fn what_is_held_for_a_second_is_parked_and_read_again_when_half_of_the_room_is_free() {
    let mut bench = five_without_room();
    assert_eq!(bench.after(950), ["park 0@3", "park 1@3", "park 2@3", "park 3@3", "park 4@3"]);
    bench.fetch(0, 3..9);
    assert_eq!(bench.after(0), NOTHING, "it comes again when it is read on");
    *bench.desk.room.lock() = 8;
    *bench.desk.in_flight.lock() = 5;
    assert_eq!(bench.after(2_000), NOTHING, "there is some room, but not half");
    *bench.desk.in_flight.lock() = 4;
    assert_eq!(bench.after(0), ["unpark 0", "unpark 1", "unpark 2", "unpark 3", "unpark 4"]);
    assert_eq!(*bench.desk.admitted.lock(), [0; 0]);
    bench.feed(3..6);
    assert_eq!(*bench.desk.admitted.lock(), [3, 4, 5]);
}

#[test]
fn a_partition_that_moves_on_is_not_parked_however_slowly() {
    let mut bench = Bench::at_work(1);
    bench.feed(3..6);
    assert_eq!(bench.after(50), ["detach 0"]);
    *bench.desk.in_flight.lock() = 0;
    assert_eq!(bench.after(900), NOTHING);
    assert_eq!(bench.after(999), NOTHING);
    assert_eq!(*bench.desk.admitted.lock(), [3, 4]);
    assert_eq!(bench.after(1), ["park 0@5"]);
}

#[test]
fn a_partition_in_the_way_of_the_others_is_parked_though_it_moves_on() {
    let mut bench = five_without_room();
    bench.desk.admitted.lock().clear();
    (*bench.desk.blocked.lock(), *bench.desk.room.lock()) = (4, 2);
    assert_eq!(bench.after(550), NOTHING);
    *bench.desk.room.lock() = 3;
    assert_eq!(bench.after(400), ["park 0@3", "park 1@3", "park 2@3", "park 3@3", "park 4@5"]);
    assert_eq!(*bench.desk.admitted.lock(), [3, 4], "of the fifth");
}

#[test]
fn a_partition_that_cannot_be_parked_stays_as_it_is_and_loses_nothing() {
    let mut bench = Bench::at_work(1);
    bench.client.0.lock().stubborn = true;
    bench.feed(3..6);
    assert_eq!(bench.after(50), ["detach 0"]);
    assert_eq!(bench.after(950), ["park 0@4"]);
    assert_eq!(bench.after(999), NOTHING);
    assert_eq!(bench.after(1), ["park 0@4"], "tried again");
    *bench.desk.room.lock() = 9;
    assert_eq!(bench.after(0), ["attach 0"]);
    assert_eq!(*bench.desk.admitted.lock(), [3, 4, 5]);
}

#[test]
fn a_parked_partition_that_is_given_up_is_not_parked_when_it_comes_back() {
    let mut bench = Bench::at_work(0);
    bench.feed(3..4);
    assert_eq!(bench.after(1_000), ["park 0@3"]);
    bench.client.tell(Event::RebalanceEvent(RebalanceEvent::Revoked(vec![partition(0)])));
    assert_eq!(bench.after(0), ["unpark 0", "forget 0", "give up 0"]);
}
