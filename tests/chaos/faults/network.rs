//! What lies between the program and the brokers: cut, slow, silent, or losing an answer when it matters.

use std::time::Instant;

use super::{Kind, Made, kind};
use crate::proxy::{Api, Rules};
use crate::trial::{RECONNECTED, Trial};
use crate::wait::{pass, seconds, until};

pub(super) const KINDS: &[Kind] = &[
    kind("connections-cut", "all connections to all brokers are cut, about every second", cut).cuts_off(),
    kind("connections-delayed", "every request and every answer comes 150 ms late", delayed),
    kind(
        "connections-half-open",
        "nothing passes and nothing is closed, for 10 s, to all brokers",
        half_open,
    )
    .cuts_off(),
    kind(
        "broker-unreachable",
        "one broker refuses the program's connections, and the others still name it as leader",
        unreachable,
    )
    .cuts_off(),
    kind("output-slow", "requests go at 40 KB/s a connection: less than what comes in", slow),
    kind("output-stalled", "no write is answered for 20 s", stalled),
    kind(
        "produce-answers-lost",
        "a write is done, its answer is lost and the connection with it",
        produce_answers,
    ),
    kind(
        "commit-answers-lost",
        "a commit is done, its answer is lost and the connection with it",
        commit_answers,
    )
    .cuts_off(),
];

/// Rules for a while, and then none. They have to have touched something.
fn for_a_while(trial: &mut Trial<'_>, rules: Rules, time: std::time::Duration) -> Made {
    let before = trial.cluster.touched();
    trial.cluster.weather(rules);
    pass(trial.lasting(time));
    trial.cluster.weather(Rules::default());
    let touched = trial.cluster.touched() - before;
    if touched == 0 {
        return Err("the fault touched no connection".to_owned());
    }
    trial.made();
    trial.count.notes.push(format!("{touched} frames touched"));
    trial.recovered(RECONNECTED, "the network is well again").map(drop)
}

fn cut(trial: &mut Trial<'_>) -> Made {
    let (begin, time) = (Instant::now(), trial.lasting(seconds(20)));
    while begin.elapsed() < time {
        let cut: u64 = trial.cluster.proxies().iter().map(crate::proxy::Proxy::cut).sum();
        trial.count.faults += cut;
        trial.breathe(seconds(1));
    }
    if trial.count.faults == 0 {
        return Err("there was no connection to cut".to_owned());
    }
    trial.recovered(RECONNECTED, "the last cut").map(drop)
}

fn delayed(trial: &mut Trial<'_>) -> Made {
    for_a_while(trial, Rules { delay: seconds(1).mul_f64(0.15), ..Rules::default() }, seconds(20))
}

fn half_open(trial: &mut Trial<'_>) -> Made {
    for _ in 0..trial.rounds(2) {
        for_a_while(trial, Rules { silent: true, ..Rules::default() }, seconds(10))?;
        trial.breathe(seconds(3));
    }
    Ok(())
}

fn unreachable(trial: &mut Trial<'_>) -> Made {
    let cluster = trial.cluster;
    for proxy in cluster.proxies() {
        proxy.rule(Rules { refuses: true, ..Rules::default() });
        let cut = proxy.cut();
        if cut == 0 {
            return Err("nobody was connected to the broker".to_owned());
        }
        trial.made();
        pass(trial.lasting(seconds(8)));
        proxy.rule(Rules::default());
        trial.recovered(RECONNECTED, "the broker can be reached again")?;
    }
    Ok(())
}

fn slow(trial: &mut Trial<'_>) -> Made {
    for_a_while(trial, Rules { bytes_a_second: Some(40_000), ..Rules::default() }, seconds(20))
}

fn stalled(trial: &mut Trial<'_>) -> Made {
    for_a_while(trial, Rules { holds: Some(Api::Produce), ..Rules::default() }, seconds(20))
}

fn produce_answers(trial: &mut Trial<'_>) -> Made {
    lose(trial, &[Api::Produce])
}

fn commit_answers(trial: &mut Trial<'_>) -> Made {
    match trial.plan.exactly_once {
        true => lose(trial, &[Api::TxnOffsetCommit, Api::EndTxn]),
        false => lose(trial, &[Api::OffsetCommit]),
    }
}

/// Until one answer at least is lost, to one kind of request after the other; then all is well for a moment; and so on.
fn lose(trial: &mut Trial<'_>, apis: &[Api]) -> Made {
    let (begin, time) = (Instant::now(), trial.lasting(seconds(20)));
    for &api in apis.iter().cycle().take_while(|_| begin.elapsed() < time) {
        let before = trial.cluster.touched();
        trial.cluster.weather(Rules { loses: Some(api), ..Rules::default() });
        // A client that was cut off again and again waits up to ten seconds before it connects anew.
        let lost = until(seconds(45), "an answer was lost", || trial.cluster.touched() > before);
        trial.cluster.weather(Rules::default());
        lost?;
        trial.count.faults += trial.cluster.touched() - before;
        trial.breathe(seconds(1));
    }
    trial.recovered(RECONNECTED, "the last answer that was lost").map(drop)
}
