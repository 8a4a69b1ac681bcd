//! The reference of all measurements: librdkafka's batch calls in one thread, with nothing in between.
//! `raw SERVERS INPUT OUTPUT COUNT MODE`, where MODE is `pass` (the value as it is), `validate` (the built-in transform inline),
//! each with `produce_batch`; or `pass-v`, `validate-v`, with `producev` and the input's timestamps, as the processor writes.
//!
//! No group, no order, no commit, no retry, no bound. Prints CPU-seconds per million records of its own process.
#![allow(unsafe_code, clippy::undocumented_unsafe_blocks)]

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::time::Instant;

use processor::record::{Headers, Parts, Record};
use processor::transform::{Context, Field, Outcome, Transform, builtin::Validate};
use rdkafka_sys::*;

const BATCH: usize = 1000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [servers, input, output, count, mode] = args.as_slice() else {
        eprintln!("usage: raw SERVERS INPUT OUTPUT COUNT pass|validate|pass-v|validate-v");
        std::process::exit(2);
    };
    let count: u64 = count.parse().expect("a number");
    let started = Instant::now();
    unsafe { run(servers, input, output, count, mode.starts_with("validate"), mode.ends_with("-v")) };
    let cpu = cpu_seconds();
    println!(
        "raw {mode}: {:.3} CPU-s per million, {:.0} records/s",
        cpu / count as f64 * 1e6,
        count as f64 / started.elapsed().as_secs_f64()
    );
}

unsafe fn client(kind: rd_kafka_type_t, settings: &[(&str, &str)]) -> *mut rd_kafka_t {
    unsafe {
        let conf = rd_kafka_conf_new();
        let mut error = [0 as c_char; 512];
        for (name, value) in settings {
            let (name, value) = (CString::new(*name).expect("text"), CString::new(*value).expect("text"));
            rd_kafka_conf_set(conf, name.as_ptr(), value.as_ptr(), error.as_mut_ptr(), 512);
        }
        if kind == rd_kafka_type_t::RD_KAFKA_PRODUCER {
            rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
        }
        let client = rd_kafka_new(kind, conf, error.as_mut_ptr(), 512);
        assert!(!client.is_null());
        client
    }
}

unsafe fn run(servers: &str, input: &str, output: &str, count: u64, validate: bool, producev: bool) {
    unsafe {
        let consumer = client(
            rd_kafka_type_t::RD_KAFKA_CONSUMER,
            &[
                ("bootstrap.servers", servers),
                ("group.id", "raw"),
                ("enable.auto.commit", "false"),
                ("fetch.queue.backoff.ms", "1"),
                ("queued.min.messages", "10000"),
            ],
        );
        rd_kafka_poll_set_consumer(consumer);
        let queue = rd_kafka_queue_get_consumer(consumer);
        let topic = CString::new(input).expect("text");
        let parts = rd_kafka_topic_partition_list_new(6);
        for partition in 0..6 {
            (*rd_kafka_topic_partition_list_add(parts, topic.as_ptr(), partition)).offset = -2;
        }
        rd_kafka_assign(consumer, parts);
        rd_kafka_topic_partition_list_destroy(parts);
        let producer = client(
            rd_kafka_type_t::RD_KAFKA_PRODUCER,
            &[
                ("bootstrap.servers", servers),
                ("enable.idempotence", "true"),
                ("linger.ms", "5"),
                ("partitioner", "murmur2_random"),
            ],
        );
        let out_name = CString::new(output).expect("text");
        let out = rd_kafka_topic_new(producer, out_name.as_ptr(), ptr::null_mut());
        let reports = rd_kafka_queue_get_main(producer);
        let (mut taken, mut delivered) = (0u64, 0u64);
        let mut messages = vec![ptr::null_mut(); BATCH];
        let mut outgoing: Vec<rd_kafka_message_t> = Vec::with_capacity(BATCH);
        let mut values: Vec<Vec<u8>> = Vec::with_capacity(BATCH);
        let name: std::sync::Arc<str> = input.into();
        while delivered < count {
            let mut got = 0;
            if taken < count && taken - delivered < 50_000 {
                got = rd_kafka_consume_batch_queue(queue, 0, messages.as_mut_ptr(), BATCH);
                if got == 0 {
                    got = rd_kafka_consume_batch_queue(queue, 20, messages.as_mut_ptr(), 1);
                }
            }
            let context = Context {
                now_ms: std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, |since| since.as_millis() as i64),
                attempt: 1,
            };
            outgoing.clear();
            values.clear();
            for &message in &messages[..got.max(0) as usize] {
                let message = &*message;
                assert_eq!(message.err as i32, 0);
                let mut next: rd_kafka_message_t = std::mem::zeroed();
                (next.payload, next.len, next.key, next.key_len) =
                    (message.payload, message.len, message.key, message.key_len);
                next.partition = message.partition;
                if validate {
                    let value = std::slice::from_raw_parts(message.payload.cast::<u8>(), message.len);
                    let parts =
                        Parts { key: None, value: Some(value), timestamp: None, headers: Headers::new() };
                    let record = Record::new(name.clone(), 0, 0, parts);
                    let Outcome::Emit(made) = Validate.apply(&record, &context) else { panic!("invalid") };
                    let Field::New(Some(value)) = made.value else { panic!("no value") };
                    (next.payload, next.len) = (value.as_ptr().cast_mut().cast::<c_void>(), value.len());
                    values.push(value);
                }
                outgoing.push(next);
            }
            taken += outgoing.len() as u64;
            if producev {
                for (index, next) in outgoing.iter().enumerate() {
                    let timestamp = rd_kafka_message_timestamp(messages[index], ptr::null_mut());
                    let code = rd_kafka_producev(
                        producer,
                        rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
                        out,
                        rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
                        -1i32,
                        rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS,
                        RD_KAFKA_MSG_F_COPY,
                        rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY,
                        next.key,
                        next.key_len,
                        rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
                        next.payload,
                        next.len,
                        rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP,
                        timestamp,
                        rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
                    );
                    assert_eq!(code as i32, 0);
                }
            } else if !outgoing.is_empty() {
                let sent = rd_kafka_produce_batch(
                    out,
                    -1,
                    RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_PARTITION,
                    outgoing.as_mut_ptr(),
                    outgoing.len() as i32,
                );
                assert_eq!(sent as usize, outgoing.len(), "the queue is large enough for 50,000");
            }
            for &message in &messages[..got.max(0) as usize] {
                rd_kafka_message_destroy(message);
            }
            let wait = if got > 0 { 0 } else { 20 };
            let event = rd_kafka_queue_poll(reports, wait);
            if !event.is_null() {
                if rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR {
                    delivered += rd_kafka_event_message_count(event) as u64;
                }
                rd_kafka_event_destroy(event);
            }
        }
        // The process ends here: nothing is worth closing.
        let _ = consumer;
    }
}

/// User and system time of this process, seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().expect("utime") + fields[12].parse::<f64>().expect("stime");
    ticks / 100.0
}
