//! A full program refuses work; what it refuses must come back.

use crate::support::kafka::Kafka;
use crate::support::record::Input;
use crate::support::setup::{Mode, in_every_mode, setup};

in_every_mode!(a_refused_hand_over_loses_nothing, a_bound_in_bytes_loses_nothing);

fn a_refused_hand_over_loses_nothing(mode: Mode) {
    let Some(kafka) = Kafka::shared() else { return };
    let mut s = setup().mode(mode).set("PROCESSOR_MAX_IN_FLIGHT", 7).on(&kafka);
    s.send_load(2_000);
    s.finish(s.start_with(&[("WORKER_POOL", "3"), ("TASKS_PICK_UP", "64")]));
}

fn a_bound_in_bytes_loses_nothing(mode: Mode) {
    let Some(kafka) = Kafka::shared() else { return };
    let mut s = setup().mode(mode).set("PROCESSOR_MAX_IN_FLIGHT_BYTES", "64KiB").on(&kafka);
    s.send_load(200);
    // One that is larger than the bound itself must go through too, alone.
    let input = Input::valid(&s.id()).key("key-1");
    let text = String::from_utf8(input.value.clone().unwrap_or_default()).expect("JSON is text");
    let large = text.replace("more than ten characters", &"x".repeat(200_000)).into_bytes();
    s.send([Input { value: Some(large), ..input }]);
    s.send_load(800);
    s.finish(s.start());
}
