//! Fills a topic with stamped JSON records, for benchmarks: `load SERVERS TOPIC COUNT SIZE KEYS [RECORDS-A-SECOND]`.
//!
//! Key `k<n>` carries a sequence number of its own in the field `seq`, so that a reader can tell loss and order per key.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let ([servers, topic, count, size, keys] | [servers, topic, count, size, keys, _]) = args.as_slice()
    else {
        eprintln!("usage: load SERVERS TOPIC COUNT SIZE KEYS [RECORDS-A-SECOND]");
        std::process::exit(2);
    };
    let number = |text: &String| text.parse::<u64>().expect("a number");
    let (count, size, keys) = (number(count), number(size) as usize, number(keys));
    let rate = args.get(5).map(number);
    let started = std::time::Instant::now();
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("linger.ms", "50")
        .set("partitioner", "murmur2_random")
        .set("enable.idempotence", "true")
        .create()
        .expect("a producer");
    let now = jiff::Timestamp::now();
    let mut sequence = vec![0u64; keys as usize];
    for index in 0..count {
        let number = (index.wrapping_mul(2_654_435_761) % keys) as usize;
        let key = format!("k{number}");
        let value = value(index, &key, sequence[number], size, &now);
        sequence[number] += 1;
        let mut record = BaseRecord::to(topic).key(&key).payload(&value);
        while let Err((error, back)) = producer.send(record) {
            assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
            producer.poll(Duration::from_millis(10));
            record = back;
        }
        if index % 1000 == 0 {
            let due = rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(index as f64 / rate as f64));
            producer.poll(due.saturating_sub(started.elapsed()));
        }
    }
    producer.flush(Duration::from_secs(120)).expect("all written");
    println!("{count} records of {size} B with {keys} keys in {topic}");
}

fn value(index: u64, key: &str, sequence: u64, size: usize, now: &jiff::Timestamp) -> String {
    let mut text = format!(
        r#"{{"id":"{index:016x}","timestamp":"{now:.3}","key":"{key}","seq":{sequence},"status":"","data":""#
    );
    let mut noise = index.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    while text.len() + 2 < size {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        text.push_str(["user=", "view ", "item-", "price=", "country:"][(noise % 5) as usize]);
        text.push_str(&format!("{:x} ", (noise >> 20) & 0xff_ffff));
    }
    text.truncate(size.saturating_sub(2).max(text.find(r#""data":""#).map_or(0, |at| at + 8)));
    text.push_str("\"}");
    text
}
