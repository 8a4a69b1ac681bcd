//! Somebody else writes what the program reads at its start: the group's offsets, and the metadata beside them.

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::{Kind, Made, kind};
use crate::trial::{GRACE, SESSION, Trial};
use crate::wait::{seconds, until};
use crate::watch;

pub(super) const KINDS: &[Kind] = &[
    kind(
        "metadata-garbage",
        "all instances are killed; noise is written as the metadata of the group's offsets",
        garbage,
    ),
    kind(
        "metadata-forged",
        "all instances are killed; each partition's metadata is replaced by another partition's",
        foreign,
    ),
    kind("offsets-reset-back", "all instances are stopped, and the group's offsets are set back", reset_back),
];

fn garbage(trial: &mut Trial<'_>) -> Made {
    for _ in 0..trial.rounds(2) {
        let seed = trial.rng.u64(..);
        forge(trial, |metadata| {
            let mut rng = fastrand::Rng::with_seed(seed);
            for (n, text) in metadata.iter_mut().enumerate() {
                // Noise of its own; the real text with one letter changed; as much as the broker takes.
                *text = match n % 3 {
                    0 => (0..200).map(|_| rng.alphanumeric()).collect(),
                    1 => one_letter_changed(text, &mut rng),
                    _ => (0..4096).map(|_| rng.alphanumeric()).collect(),
                };
            }
        })?;
    }
    Ok(())
}

fn foreign(trial: &mut Trial<'_>) -> Made {
    for _ in 0..trial.rounds(2) {
        let mut real = 0;
        forge(trial, |metadata| {
            real = metadata.iter().filter(|text| !text.is_empty()).count();
            metadata.rotate_left(1);
        })?;
        trial.count.notes.push(format!("{real} partitions had metadata of their own"));
    }
    Ok(())
}

fn one_letter_changed(text: &str, rng: &mut fastrand::Rng) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    if letters.is_empty() {
        return "?".to_owned();
    }
    let at = rng.usize(..letters.len());
    letters[at] = if letters[at] == 'A' { 'B' } else { 'A' };
    letters.into_iter().collect()
}

/// Kills all instances, changes the metadata while the group is empty, and starts as many again.
fn forge(trial: &mut Trial<'_>, change: impl FnOnce(&mut Vec<String>)) -> Made {
    trial.breathe(seconds(3));
    let count = trial.instances.len();
    for instance in std::mem::take(&mut trial.instances) {
        instance.kill()?;
        trial.count.hard += 1;
    }
    let client = watch::client(&trial.cluster.servers(), &trial.topics.group)?;
    let mut before = read(&client, trial)?;
    let mut metadata = before.iter().map(|(_, text)| text.clone()).collect();
    change(&mut metadata);
    before.iter_mut().zip(metadata).for_each(|((_, text), new)| *text = new);
    write_when_empty(&client, trial, &before)?;
    trial.made();
    for _ in 0..count {
        trial.start_instance()?;
    }
    trial.recovered(SESSION + GRACE, "the start with forged metadata").map(drop)
}

fn reset_back(trial: &mut Trial<'_>) -> Made {
    const BACK: i64 = 300;
    trial.breathe(seconds(3));
    let count = trial.instances.len();
    trial.stop()?;
    let client = watch::client(&trial.cluster.servers(), &trial.topics.group)?;
    let mut offsets = read(&client, trial)?;
    let mut again = 0;
    for (offset, text) in &mut offsets {
        let back = BACK.min(*offset);
        *offset -= back;
        again += back;
        text.clear();
    }
    trial.watch.excuse(true);
    write_when_empty(&client, trial, &offsets)?;
    trial.made();
    trial.count.asked_again += u64::try_from(again).unwrap_or(0);
    for _ in 0..count {
        trial.start_instance()?;
    }
    let recovered = trial.recovered(SESSION + GRACE, "the start from offsets set back");
    trial.watch.excuse(false);
    recovered.map(drop)
}

/// Offset and metadata of each partition; offset 0 where nothing is committed.
fn read(client: &BaseConsumer, trial: &Trial<'_>) -> Result<Vec<(i64, String)>, String> {
    let (topic, partitions) = &trial.topics.input;
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, partitions - 1);
    let list =
        client.committed_offsets(list, seconds(20)).map_err(|e| format!("no committed offsets: {e}"))?;
    let offset = |offset| if let Offset::Offset(offset) = offset { offset } else { 0 };
    Ok(list.elements().iter().map(|e| (offset(e.offset()), e.metadata().to_owned())).collect())
}

/// The broker lets nobody write while the group has members, and those that were killed are members for a while.
fn write_when_empty(client: &BaseConsumer, trial: &Trial<'_>, offsets: &[(i64, String)]) -> Made {
    let topic = &trial.topics.input.0;
    let mut list = TopicPartitionList::new();
    for (partition, (offset, text)) in (0..).zip(offsets) {
        let mut element = list.add_partition(topic, partition);
        element.set_offset(Offset::Offset(*offset)).map_err(|e| e.to_string())?;
        element.set_metadata(text);
    }
    until(SESSION + seconds(20), "the group's offsets can be written from outside", || {
        client.commit(&list, CommitMode::Sync).is_ok()
    })
    .map(drop)
}
