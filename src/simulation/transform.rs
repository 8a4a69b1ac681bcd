//! The transform of the simulation: does with each record what its kind says, and tells the oracle what it is at.

use std::sync::Arc;
use std::time::Duration;

use super::oracle::{Place, What};
use super::plan::Kind;
use super::world::Sim;
use crate::policy::Order;
use crate::record::Record;
use crate::sink::client::Outgoing;
use crate::sync::model;
use crate::transform::{Context, Field, Outcome, Output, Transform};

/// What an input record holds.
pub(super) fn value(partition: i32, offset: i64) -> String {
    format!("{partition}/{offset}")
}

/// Which record this is, and what of it.
pub(super) fn read(outgoing: &Outgoing<'_>) -> (Place, What) {
    let number = |text: Option<&[u8]>| std::str::from_utf8(text?).ok()?.parse::<i64>().ok();
    let (place, what) = if outgoing.topic == 1 {
        let header = |name| number(outgoing.headers.last(name));
        ((header("__dlq.errors.partition"), header("__dlq.errors.offset")), What::Dead)
    } else {
        let mut parts =
            outgoing.value.unwrap_or_default().split(|byte| *byte == b'/').map(|part| number(Some(part)));
        let mut part = || parts.next().flatten();
        let place = (part(), part());
        (place, What::Leg(part().map_or(0, |leg| leg as u32)))
    };
    let unknown = -1;
    ((place.0.unwrap_or(unknown) as i32, place.1.unwrap_or(unknown)), what)
}

/// See the module.
pub(super) struct Scripted {
    pub sim: Arc<Sim>,
    pub instance: usize,
    pub quick: bool,
}

impl Transform for Scripted {
    fn apply(&self, record: &Record, context: &Context) -> Outcome {
        let place = (record.partition(), record.offset());
        let key = record.key().map(|key| key[0]);
        let kind = self.sim.with(|world| {
            world
                .note(|| format!("instance {} begins {place:?}, attempt {}", self.instance, context.attempt));
            let lane = match (world.plan.order, key) {
                (Order::Partition, _) => Some(None),
                (Order::Key, Some(key)) => Some(Some(key)),
                _ => None,
            };
            let lane = lane.map(|key| (self.instance, place.0, key));
            if !world.dead.contains(&self.instance) {
                world.oracle.begins(lane, place);
            }
            world.kind_of(place)
        });
        model::pass();
        if let Some(Kind::Slow(ms)) = kind {
            model::sleep(Duration::from_millis(ms));
        }
        self.sim.with(|world| {
            world.oracle.ends(self.instance, place);
            if kind == Some(Kind::Filter) && !world.dead.contains(&self.instance) {
                world.oracle.filtered(place);
            }
        });
        outcome(place, kind, context.attempt)
    }

    fn is_quick(&self) -> bool {
        self.quick
    }
}

fn outcome((partition, offset): Place, kind: Option<Kind>, attempt: u32) -> Outcome {
    let leg = |leg| Output {
        value: Field::New(Some(format!("{}/{leg}", value(partition, offset)).into_bytes())),
        ..Output::default()
    };
    match kind {
        Some(Kind::Several(legs)) => Outcome::EmitMany((0..legs).map(leg).collect()),
        Some(Kind::Filter) => Outcome::Filter,
        Some(Kind::Reject) => Outcome::reject("invalid", "never"),
        // Past the hook that prints.
        Some(Kind::Panic) => std::panic::resume_unwind(Box::new("a planned panic")),
        Some(Kind::Fails(times)) if attempt <= times => Outcome::retry("busy", "not now"),
        Some(Kind::Hopeless) => Outcome::retry("busy", "never"),
        _ => Outcome::Emit(leg(0)),
    }
}
