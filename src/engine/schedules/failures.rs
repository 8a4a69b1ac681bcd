//! A failure that stops the program.

use super::rig::{Answer, Rig, policy};
use crate::engine::Policy;
use crate::policy::OnFailure;
use crate::sink::Target;
use crate::sync::model::check;
use crate::transform::{Outcome, Output};

/// Nothing of its key is written behind the record that failed, and no commit passes it, whatever others do meanwhile.
#[test]
fn a_stop_writes_nothing_behind_the_failure_and_commits_nothing_from_there_on() {
    check(|| {
        let policy = Policy { on_failure: OnFailure::Stop, ..policy() };
        let apply = |record: &crate::record::Record, _: &_| match record.offset() {
            2 => Outcome::reject("bad", "never"),
            _ => Outcome::Emit(Output::default()),
        };
        let rig = Rig::new(policy, apply, |_| Answer::Deliver);
        let slot = rig.assign(0, 0);
        assert_eq!(rig.offer(slot, 0, 0, &["a", "b", "a", "a", "b", "a"]), 6);
        rig.until("it stops", || !rig.stop.is_empty());
        rig.until("nothing is in flight", || rig.in_flight() == 0);
        assert!(rig.watermark(slot) <= 2, "committed up to {}", rig.watermark(slot));
        let log = rig.end();
        assert!(log.firsts(Target::Output).get("a").is_none_or(|places| *places == [(0, 0)]));
        log.assert_in_order(Target::Output);
    });
}
