//! Reads what `load` wrote and what the processor made of it, and counts: `verify SERVERS INPUT OUTPUT DLQ`.
//!
//! Believes nobody: reads the three topics to their ends with a plain consumer. Prints lost, repeated and out of order per
//! key, and exits 1 if a record is lost or a key out of order.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, Message};

/// (key, sequence number) of each record, in the order of its partition.
type Stamps = Vec<Vec<(u32, u32)>>;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [servers, input, output, dead_letters] = args.as_slice() else {
        eprintln!("usage: verify SERVERS INPUT OUTPUT DLQ");
        std::process::exit(2);
    };
    let (sent, written, dead) = (read(servers, input), read(servers, output), read(servers, dead_letters));
    let mut copies: HashMap<(u32, u32), u32> = sent.iter().flatten().map(|stamp| (*stamp, 0)).collect();
    let mut phantom = 0;
    for stamp in written.iter().chain(&dead).flatten() {
        match copies.get_mut(stamp) {
            Some(count) => *count += 1,
            None => phantom += 1,
        }
    }
    let lost = copies.values().filter(|count| **count == 0).count();
    let repeated: u64 = copies.values().map(|count| u64::from(count.saturating_sub(1))).sum();
    let (disordered, split) = order(&written);
    let total = |stamps: &Stamps| stamps.iter().map(Vec::len).sum::<usize>();
    println!(
        "in {} · out {} · dead {} · lost {lost} · repeated {repeated} · phantom {phantom} · out of order {disordered} · \
         keys in two partitions {split}",
        total(&sent),
        total(&written),
        total(&dead)
    );
    std::process::exit(i32::from(lost + disordered + split + phantom > 0));
}

/// First occurrences of a key's records must ascend; and a key stays in one partition.
fn order(written: &Stamps) -> (usize, usize) {
    let mut last: HashMap<u32, (u32, usize)> = HashMap::new();
    let (mut disordered, mut split) = (0, 0);
    let mut seen = std::collections::HashSet::new();
    for (partition, stamps) in written.iter().enumerate() {
        for &(key, sequence) in stamps {
            let first_time = seen.insert((key, sequence));
            let entry = last.entry(key).or_insert((0, partition));
            if entry.1 != partition {
                split += 1;
            }
            if first_time && sequence < entry.0 {
                disordered += 1;
            }
            entry.0 = entry.0.max(sequence);
        }
    }
    (disordered, split)
}

fn read(servers: &str, topic: &str) -> Stamps {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "verify")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("fetch.queue.backoff.ms", "1")
        .create()
        .expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).expect("metadata");
    let count = metadata.topics()[0].partitions().len();
    let mut list = TopicPartitionList::new();
    let mut ends = HashMap::new();
    for partition in 0..count as i32 {
        let (low, high) =
            consumer.fetch_watermarks(topic, partition, Duration::from_secs(10)).expect("watermarks");
        if high > low {
            ends.insert(partition, high);
            list.add_partition_offset(topic, partition, Offset::Beginning).expect("valid");
        }
    }
    consumer.assign(&list).expect("assigned");
    let mut stamps = vec![Vec::new(); count];
    while !ends.is_empty() {
        let message =
            consumer.poll(Duration::from_secs(20)).expect("a record before the end").expect("no error");
        let partition = message.partition();
        stamps[partition as usize].extend(stamp(message.payload().unwrap_or_default()));
        if ends.get(&partition).is_some_and(|end| message.offset() + 1 >= *end) {
            ends.remove(&partition);
        }
    }
    stamps
}

fn stamp(value: &[u8]) -> Option<(u32, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let key = text.split_once(r#""key":"k"#)?.1.split('"').next()?.parse().ok()?;
    let sequence =
        text.split_once(r#""seq":"#)?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some((key, sequence))
}
