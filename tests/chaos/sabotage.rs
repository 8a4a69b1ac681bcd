//! Whether the oracle would notice. After one run without any fault its output is copied several times, each copy is falsified
//! in one place, and the oracle has to object to each of them, and to nothing in a true copy.

use std::collections::HashMap;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::cluster::Cluster;
use crate::trial::{PARTITIONS, Plan, Trial};
use crate::verdict::{self, Tally};
use crate::wait::seconds;
use crate::watch;

/// Records by partition.
type Records = Vec<Vec<OwnedMessage>>;

/// A way to falsify, and what the oracle has to count then.
struct Lie {
    name: &'static str,
    tell: fn(&mut Records),
    expects: fn(&Tally) -> bool,
}

const LIES: [Lie; 5] = [
    Lie {
        name: "true-copy",
        tell: |_| {},
        expects: |t| (t.lost, t.repeated, t.out_of_order, t.corrupt) == (0, 0, 0, 0),
    },
    Lie { name: "one-left-out", tell: leave_one_out, expects: |t| t.lost == 1 },
    Lie { name: "one-twice", tell: one_twice, expects: |t| (t.lost, t.repeated) == (0, 1) },
    Lie { name: "two-swapped", tell: swap_two, expects: |t| t.lost == 0 && t.out_of_order >= 1 },
    Lie { name: "one-byte-changed", tell: change_a_byte, expects: |t| t.corrupt + t.phantom >= 1 },
];

/// Whether the oracle objects to each falsified copy.
pub(crate) fn run(cluster: &Cluster, plan: &Plan) -> Result<bool, String> {
    let mut trial = Trial::prepare(cluster, plan, "sabotage", &[])?;
    trial.begin(2)?;
    trial.settle()?;
    trial.stop()?;
    let truth = read(&trial)?;
    let mut all = true;
    for lie in &LIES {
        let topic = format!("sabotage.{}", lie.name);
        trial.admin.create(&topic, PARTITIONS, &[])?;
        let mut copy = truth.clone();
        (lie.tell)(&mut copy);
        write(&cluster.servers(), &topic, &copy)?;
        let tally = verdict::ask(&trial, &topic)?;
        let noticed = (lie.expects)(&tally);
        all &= noticed;
        println!("{}: {} {tally:?}", lie.name, if noticed { "as it should be:" } else { "NOT NOTICED:" });
    }
    Ok(all)
}

fn leave_one_out(records: &mut Records) {
    let partition = &mut records[0];
    partition.remove(partition.len() / 2);
}

fn one_twice(records: &mut Records) {
    let again = records[0][records[0].len() / 2].clone();
    records[0].push(again);
}

/// Two of one key.
fn swap_two(records: &mut Records) {
    let partition = &mut records[0];
    let mut seen = HashMap::new();
    let pair = partition.iter().enumerate().find_map(|(at, record)| {
        let key = record.key()?.to_vec();
        seen.insert(key, at).map(|before| (before, at))
    });
    if let Some((one, other)) = pair {
        partition.swap(one, other);
    }
}

fn change_a_byte(records: &mut Records) {
    let at = records[0].len() / 2;
    let record = records[0][at].clone();
    let mut value = record.payload().unwrap_or_default().to_vec();
    // Well inside the field `data`, which the transform leaves alone.
    if let Some(byte) = value.iter_mut().rev().nth(60) {
        *byte = if *byte == b'x' { b'y' } else { b'x' };
    }
    records[0][at] = record.set_payload(Some(value));
}

fn read(trial: &Trial<'_>) -> Result<Records, String> {
    let client = watch::client(&trial.cluster.servers(), "sabotage.reader")?;
    let output = &trial.topics.output;
    let ends = watch::ends(&client, output).ok_or("the output has no ends")?;
    let mut list = TopicPartitionList::new();
    for partition in 0..output.1 {
        list.add_partition_offset(&output.0, partition, Offset::Beginning).map_err(|e| e.to_string())?;
    }
    client.assign(&list).map_err(|e| e.to_string())?;
    let mut records: Records = vec![Vec::new(); output.1 as usize];
    let mut left: i64 = ends.iter().sum();
    while left > 0 {
        let record = next(&client)?;
        records[record.partition() as usize].push(record.detach());
        left -= 1;
    }
    Ok(records)
}

fn next(client: &BaseConsumer) -> Result<BorrowedMessage<'_>, String> {
    match client.poll(seconds(20)) {
        Some(Ok(record)) => Ok(record),
        Some(Err(error)) => Err(format!("the output cannot be read: {error}")),
        None => Err("the output ends before its end".to_owned()),
    }
}

fn write(servers: &str, topic: &str, records: &Records) -> Result<(), String> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("enable.idempotence", "true")
        .set("queue.buffering.max.messages", "1000000")
        .create()
        .map_err(|e| e.to_string())?;
    for (partition, records) in (0..).zip(records) {
        for record in records {
            let mut copy: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(partition);
            copy.key = record.key();
            copy.payload = record.payload();
            copy.timestamp = record.timestamp().to_millis();
            copy.headers = record.headers().cloned().map(|headers: OwnedHeaders| headers);
            producer.send(copy).map_err(|(e, _)| format!("a copy cannot be written: {e}"))?;
        }
    }
    producer.flush(seconds(60)).map_err(|e| format!("a copy cannot be written: {e}"))
}
