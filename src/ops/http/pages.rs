//! What the listener says, as pure functions of a snapshot.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::ops::Death;
use crate::ops::metrics::About;
use crate::ops::status::{LastError, PartitionStatus, Phase, Snapshot};

pub(super) fn livez(snapshot: &Snapshot) -> Value {
    let checks: Vec<_> = snapshot
        .stalled()
        .map(|beat| check(&beat.name, &format!("no sign of life for {} s", beat.since_last_beat.as_secs())))
        .collect();
    if checks.is_empty() {
        json!({"status": "alive"})
    } else {
        json!({"status": "stalled", "checks": checks})
    }
}

pub(super) fn readyz(snapshot: &Snapshot) -> Value {
    match &snapshot.phase {
        Phase::Starting { reason } => json!({"status": "not_ready", "checks": [check("start", reason)]}),
        Phase::Draining => {
            let reason = format!("draining, {} records in flight", snapshot.in_flight_records);
            json!({"status": "not_ready", "checks": [check("drain", &reason)]})
        }
        Phase::Running if !snapshot.is_ready() => {
            let why = snapshot.broker.trouble().unwrap_or_default();
            json!({"status": "not_ready", "checks": [check("broker", why)]})
        }
        Phase::Running => json!({
            "status": "ready",
            "state": state(snapshot),
            "partitions": snapshot.partitions.len(),
            "broker_reachable": snapshot.broker.trouble().is_none(),
            "broker": snapshot.broker.trouble(),
            "outage": snapshot.outage,
            "stuck": snapshot.stuck,
            "held": snapshot.held_lanes,
        }),
    }
}

pub(super) fn version(about: &About) -> Value {
    json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": about.version,
        "revision": about.revision,
        "librdkafka": about.librdkafka,
    })
}

pub(super) fn endpoints(all: &[(&str, &str)]) -> Value {
    all.iter()
        .map(|(path, what)| ((*path).to_owned(), Value::from(*what)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The state for people with a terminal.
pub(super) fn words(snapshot: &Snapshot, about: &About) -> String {
    let mut page = format!("{} {}: {}\n", env!("CARGO_PKG_NAME"), about.version, state(snapshot));
    if let Phase::Starting { reason } = &snapshot.phase {
        line(&mut page, "waits for", reason);
    }
    for beat in snapshot.stalled() {
        line(
            &mut page,
            "stuck",
            &format!("{}, {} s without a sign of life", beat.name, beat.since_last_beat.as_secs()),
        );
    }
    line(&mut page, "broker", snapshot.broker.trouble().unwrap_or("reachable"));
    line(&mut page, "workers", &format!("{} of {} busy", snapshot.workers_busy, snapshot.workers));
    let Snapshot { pending, ready, producing, in_flight_records, in_flight_bytes, .. } = snapshot;
    let flow = format!(
        "{in_flight_records} records, {in_flight_bytes} bytes; {pending} pending, {ready} ready, {producing} producing"
    );
    line(&mut page, "in flight", &flow);
    if let Some(age) = snapshot.oldest_in_flight {
        line(&mut page, "oldest", &format!("{:.1} s", age.as_secs_f64()));
    }
    if let Some(outage) = &snapshot.outage {
        line(&mut page, "waits for", outage);
    }
    snapshot.stuck.iter().for_each(|stuck| line(&mut page, "stuck", stuck));
    if snapshot.held_lanes > 0 {
        let held = format!(
            "{} failed records, each with what is behind it in its key or partition",
            snapshot.held_lanes
        );
        line(&mut page, "held", &held);
    }
    for Death { reason, total, last, .. } in &snapshot.dead_letters {
        line(&mut page, "dead letter", &format!("{reason}: {total}, the last one of {last}"));
    }
    if let Some(LastError { stage, at, text }) = &snapshot.last_error {
        let age = at.elapsed().unwrap_or_default().as_secs();
        line(&mut page, "last error", &format!("{age} s ago, {stage}: {text}"));
    }
    line(&mut page, "partitions", &snapshot.partitions.len().to_string());
    snapshot.partitions.iter().for_each(|partition| partition_line(&mut page, partition));
    page.push_str("\nmore at /endpoints\n");
    page
}

fn state(snapshot: &Snapshot) -> &'static str {
    match snapshot.phase {
        Phase::Starting { .. } => "starting",
        Phase::Draining => "draining",
        Phase::Running if snapshot.is_idle() => "idle",
        Phase::Running => "running",
    }
}

fn check(name: &str, reason: &str) -> Value {
    json!({"name": name, "ok": false, "reason": reason})
}

// Writing to a String cannot fail: the results below say nothing.

fn line(page: &mut String, name: &str, value: &str) {
    let _ = writeln!(page, "{name:<11} {value}");
}

fn partition_line(page: &mut String, partition: &PartitionStatus) {
    let PartitionStatus {
        topic,
        partition,
        in_flight,
        balance,
        blocked,
        lag_records,
        lag_age,
        lag_seconds,
        ..
    } = partition;
    let _ = write!(page, "  {topic}/{partition}: lag ");
    let _ = match lag_records {
        Some(records) => write!(page, "{records} records"),
        None => write!(page, "unknown"),
    };
    if let Some(age) = lag_age {
        let _ = write!(page, " ({:.1} s ago)", age.as_secs_f64());
    }
    if let Some(seconds) = lag_seconds {
        let _ = write!(page, ", {seconds:.1} s");
    }
    let _ = write!(page, ", {in_flight} in flight");
    if *balance != 0 {
        let _ = write!(page, "; {balance} records went astray: this is our bug");
    }
    if let Some(reason) = blocked {
        let _ = write!(page, "; stopped: {reason}");
    }
    page.push('\n');
}
