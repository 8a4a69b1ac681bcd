//! What the cluster's operator does to the program's user: throttles it, forbids it things, and thinks better of it.

use super::{Kind, Made, kind};
use crate::cluster::USER;
use crate::trial::Trial;
use crate::wait::{pass, seconds};

const AFTER: std::time::Duration = seconds(45);

pub(super) const KINDS: &[Kind] = &[
    kind("quota-throttled", "the user's writes are throttled to 60 KB/s a broker by quota, for 20 s", quota),
    kind("output-forbidden", "the right to write to the output is taken away for 12 s", output),
    kind(
        "dead-letters-refused",
        "the right to write dead letters is taken away for 12 s, while one record in 50 is invalid",
        dead_letters,
    ),
];

fn quota(trial: &mut Trial<'_>) -> Made {
    let alter = |what: &str, limit: &str| {
        let user = ["--alter", "--entity-type", "users", "--entity-name", USER, what, limit];
        trial.cluster.tool("kafka.admin.ConfigCommand", &user)
    };
    alter("--add-config", "producer_byte_rate=60000")?;
    pass(trial.lasting(seconds(20)));
    alter("--delete-config", "producer_byte_rate")?;
    trial.made();
    trial.recovered(AFTER, "the quota is gone").map(drop)
}

fn output(trial: &mut Trial<'_>) -> Made {
    let topic = trial.topics.output.0.clone();
    forbid_for_a_while(trial, &topic)
}

fn dead_letters(trial: &mut Trial<'_>) -> Made {
    let topic = trial.dead_letters.clone();
    forbid_for_a_while(trial, &topic)
}

fn forbid_for_a_while(trial: &mut Trial<'_>, topic: &str) -> Made {
    let principal = format!("User:{USER}");
    let rule = ["--deny-principal", &principal, "--operation", "Write", "--topic", topic];
    let change =
        |words: &[&str]| trial.cluster.tool("org.apache.kafka.tools.AclCommand", &[words, &rule].concat());
    change(&["--add"])?;
    pass(trial.lasting(seconds(12)));
    change(&["--remove", "--force"])?;
    trial.made();
    trial.recovered(AFTER, "it may write again").map(drop)
}
