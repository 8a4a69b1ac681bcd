//! While the gate is shut nobody takes anything but a probe.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::unbounded;

use super::*;

fn shut(version: u64, probe_at: Instant) -> Gate {
    Gate { version, probe_at: Some(probe_at) }
}

#[test]
fn behind_a_shut_gate_one_is_taken_when_it_is_time_and_all_when_it_opens() {
    const WORKERS: usize = 3;
    let scheduler = Arc::new(Scheduler::<u32, ()>::new(WORKERS, 1));
    let (taken, all_taken) = unbounded();
    let (ended, all_ended) = unbounded();
    let tomorrow = Instant::now() + Duration::from_secs(24 * 3600);
    scheduler.set_gate(shut(2, tomorrow));
    for _ in 0..WORKERS {
        let (scheduler, taken) = (scheduler.clone(), taken.clone());
        spawn(&ended, move || {
            work(&scheduler, 4, |job, attempt| {
                let _ = taken.send((*job, attempt));
                None
            });
        });
    }
    eventually("all sleep", || scheduler.pending.lock().idle == WORKERS);
    scheduler.push((0..10).map(|job| (Some(u64::from(job % 3)), job)));
    eventually("one sleeps until the probe", || {
        let side = scheduler.pending.lock();
        side.idle == WORKERS && side.alarm == Some(tomorrow)
    });
    scheduler.set_gate(Gate { version: 1, probe_at: None });
    assert!(scheduler.pending.lock().gate.probe_at.is_some(), "what is older is ignored");
    scheduler.set_gate(shut(3, Instant::now() + Duration::from_millis(10)));
    assert_eq!(all_taken.recv_timeout(DEADLINE), Ok((0, 1)));
    eventually("they sleep until the next", || scheduler.pending.lock().idle == WORKERS);
    assert!(all_taken.try_recv().is_err(), "one at a time");
    assert_eq!(scheduler.depth(), Depth { pending: 9, running: 0, ready: 0 });
    scheduler.set_gate(Gate { version: 4, probe_at: None });
    for _ in 1..10 {
        assert!(all_taken.recv_timeout(DEADLINE).is_ok());
    }
    scheduler.close();
    wait_for(&all_ended, WORKERS);
}

#[test]
fn a_probe_is_another_record_than_the_one_that_failed_just_now() {
    let scheduler = Scheduler::<u32, ()>::new(1, 1);
    scheduler.push((0..3).map(|job| (Some(u64::from(job)), job)));
    let (mut tasks, mut results, mut order) = (Vec::new(), Vec::new(), Vec::new());
    for version in 1..=6 {
        scheduler.set_gate(shut(version, Instant::now()));
        assert!(scheduler.exchange(&mut results, 64, &Instant::now, &mut tasks));
        assert!(tasks.len() == 1 && tasks[0].probe && tasks[0].attempt == 1, "no try counts");
        order.push(tasks[0].job);
        results.extend(tasks.drain(..).map(|task| {
            let (held, job) = task.split();
            (held, Verdict::NotCounted(Instant::now(), job))
        }));
    }
    order.sort_unstable();
    assert_eq!(order, [0, 0, 1, 1, 2, 2]);
}

#[test]
fn a_closed_scheduler_ends_workers_behind_a_shut_gate() {
    let scheduler = Arc::new(Scheduler::<u32, ()>::new(2, 1));
    let (ended, all_ended) = unbounded();
    scheduler.set_gate(shut(1, Instant::now() + Duration::from_secs(3600)));
    scheduler.push([(None, 1), (None, 2)]);
    for _ in 0..2 {
        let scheduler = scheduler.clone();
        spawn(&ended, move || work(&scheduler, 1, |_, _| None));
    }
    eventually("all sleep", || scheduler.pending.lock().idle == 2);
    scheduler.close();
    wait_for(&all_ended, 2);
}

#[test]
fn a_shut_gate_wakes_nobody_while_there_is_nothing_to_probe_with() {
    let scheduler = Scheduler::<u32, ()>::new(2, 1);
    let at = Instant::now() + Duration::from_secs(60);
    let due = || scheduler.pending.lock().next_due();
    scheduler.set_gate(shut(1, at));
    assert_eq!(due(), None);
    scheduler.push([(None, 1), (None, 2)]);
    assert_eq!(due(), Some(at));
    assert_eq!(scheduler.pending.lock().takers(), 0, "whoever comes finds the gate shut");
    scheduler.set_gate(Gate { version: 2, probe_at: None });
    assert_eq!(scheduler.pending.lock().takers(), 2);
}

#[test]
fn a_probe_is_taken_at_its_instant_and_the_next_one_is_not_waited_for_without_end() {
    let scheduler = Scheduler::<u32, ()>::new(1, 1);
    let (at, mut tasks) = (Instant::now(), Vec::new());
    scheduler.set_gate(shut(1, at));
    scheduler.push([(None, 1), (None, 2)]);
    let mut side = scheduler.pending.lock();
    assert!(!side.take(at - Duration::from_millis(1), 1, 64, &mut tasks));
    assert!(side.take(at, 1, 64, &mut tasks));
    assert_eq!((tasks.len(), side.gate.probe_at), (1, Some(at + PROBE_PATIENCE)));
}

#[test]
fn a_version_of_the_gate_counts_once() {
    let scheduler = Scheduler::<u32, ()>::new(1, 1);
    let at = Instant::now();
    for (version, says, holds) in
        [(2, None, None), (2, Some(at), None), (3, Some(at), Some(at)), (1, None, Some(at))]
    {
        scheduler.set_gate(Gate { version, probe_at: says });
        assert_eq!(scheduler.pending.lock().gate.probe_at, holds, "version {version}");
    }
}
