//! The reference of all measurements: librdkafka's batch calls in one thread, with nothing in between. No group, no order, no
//! commit, no retry.
//!
//! MODE is `pass` (the value as it is) or `validate` (the built-in transform inline), each with `produce_batch`; or `pass-v`,
//! `validate-v`, with `producev` and the input's timestamps, as the processor writes. The output needs as many partitions as the
//! input: a record goes into the partition of the number it came from. At the end one line of JSON says what the process used.
#![allow(unsafe_code, clippy::undocumented_unsafe_blocks)]

mod options;
mod usage;
mod work;

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use options::Options;
use processor::config::Config;
use processor::record::{Headers, Parts, Record};
use processor::transform::{Context, Field, Outcome, Transform, builtin::Validate};
use rdkafka_sys::*;
use work::Work;

const USAGE: &str = "raw SERVERS INPUT OUTPUT COUNT pass|validate|pass-v|validate-v [NAME=VALUE]...
  in_flight=50000             records that wait for their acknowledgement at most
  in_flight_bytes=67108864    the same in bytes, by the mean size so far
  work=wait:1ms|cpu:50us      what is done for each record beside the mode, in the one thread
  consumer.PROPERTY=VALUE     a property of librdkafka for one client, e.g. consumer.isolation.level=read_uncommitted
  producer.PROPERTY=VALUE     the same for the other, e.g. producer.linger.ms=0";
const BATCH: usize = 1000;
/// How long one call waits for records or for reports.
const PATIENCE_MS: i32 = 20;

struct Plan {
    servers: String,
    input: String,
    output: String,
    count: u64,
    validate: bool,
    producev: bool,
    in_flight: u64,
    in_flight_bytes: u64,
    work: Work,
    consumer: Vec<(String, String)>,
    producer: Vec<(String, String)>,
}

impl Plan {
    fn read() -> Self {
        let mut given = Options::read(USAGE);
        let (servers, input, output) = (given.word(), given.word(), given.word());
        let count = given.word().parse().unwrap_or_else(|_| given.refuse("COUNT is a number"));
        let mode = given.word();
        if !["pass", "validate", "pass-v", "validate-v"].contains(&mode.as_str()) {
            given.refuse("there is no such mode");
        }
        let work = given.text("work").map_or(Some(Work::Nothing), |text| Work::parse(&text));
        let plan = Self {
            servers,
            input,
            output,
            count,
            validate: mode.starts_with("validate"),
            producev: mode.ends_with("-v"),
            in_flight: given.number("in_flight", 50_000),
            in_flight_bytes: given.number("in_flight_bytes", 64 << 20),
            work: work.unwrap_or_else(|| given.refuse("work is wait:TIME or cpu:TIME")),
            consumer: given.beginning_with("consumer."),
            producer: given.beginning_with("producer."),
        };
        given.end();
        plan
    }

    /// The configuration that the processor makes of its defaults: its clients' properties are the reference's too.
    fn as_the_processor_has_it(&self) -> Config {
        let variables = [
            ("KAFKA_SERVERS", self.servers.as_str()),
            ("KAFKA_GROUP_ID", "raw"),
            ("KAFKA_CONSUMER_TOPICS", &self.input),
            ("KAFKA_OUTPUT_TOPIC", &self.output),
            ("KAFKA_DLQ_TOPIC", "off"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        processor::config::load(variables, Vec::new()).expect("these are in order").config
    }
}

fn main() {
    let plan = Plan::read();
    let started = Instant::now();
    // SAFETY: all pointers are librdkafka's own, and one thread uses them.
    unsafe {
        let mut raw = Raw::new(&plan);
        while raw.delivered < plan.count {
            raw.turn();
        }
    }
    let mut said = usage::all();
    said["wall_s"] = started.elapsed().as_secs_f64().into();
    said["records"] = plan.count.into();
    println!("{said}");
    // The process ends here: nothing is worth closing.
}

struct Raw<'a> {
    plan: &'a Plan,
    /// Where records come from, and where reports do.
    records: *mut rd_kafka_queue_t,
    reports: *mut rd_kafka_queue_t,
    producer: *mut rd_kafka_t,
    topic: *mut rd_kafka_topic_t,
    name: Arc<str>,
    messages: Vec<*mut rd_kafka_message_t>,
    outgoing: Vec<rd_kafka_message_t>,
    values: Vec<Vec<u8>>,
    taken: u64,
    taken_bytes: u64,
    delivered: u64,
}

impl<'a> Raw<'a> {
    unsafe fn new(plan: &'a Plan) -> Self {
        unsafe {
            let own = plan.as_the_processor_has_it();
            let consumer =
                client(rd_kafka_type_t::RD_KAFKA_CONSUMER, &own.consumer_properties, &plan.consumer);
            let producer =
                client(rd_kafka_type_t::RD_KAFKA_PRODUCER, &own.producer_properties, &plan.producer);
            rd_kafka_poll_set_consumer(consumer);
            assign(consumer, &plan.input);
            let output = c_string(&plan.output);
            Self {
                plan,
                records: rd_kafka_queue_get_consumer(consumer),
                reports: rd_kafka_queue_get_main(producer),
                producer,
                topic: rd_kafka_topic_new(producer, output.as_ptr(), ptr::null_mut()),
                name: plan.input.as_str().into(),
                messages: vec![ptr::null_mut(); BATCH],
                outgoing: Vec::with_capacity(BATCH),
                values: Vec::with_capacity(BATCH),
                taken: 0,
                taken_bytes: 0,
                delivered: 0,
            }
        }
    }

    /// Takes what is there, hands it on, counts reports.
    unsafe fn turn(&mut self) {
        let may_take = self.taken < self.plan.count && self.has_room();
        let got = if may_take { unsafe { self.take() } } else { 0 };
        unsafe {
            self.prepare(got);
            if self.plan.producev {
                self.send_each()
            } else {
                self.send_batch()
            }
            for &message in &self.messages[..got] {
                rd_kafka_message_destroy(message);
            }
            self.count_reports(if may_take { 0 } else { PATIENCE_MS });
        }
    }

    fn has_room(&self) -> bool {
        let open = self.taken - self.delivered;
        let mean = self.taken_bytes / self.taken.max(1);
        open < self.plan.in_flight && (open == 0 || open * mean < self.plan.in_flight_bytes)
    }

    unsafe fn take(&mut self) -> usize {
        let into = self.messages.as_mut_ptr();
        let mut got = unsafe { rd_kafka_consume_batch_queue(self.records, 0, into, BATCH) };
        if got == 0 {
            // It waits for as many as are asked for: for one, then.
            got = unsafe { rd_kafka_consume_batch_queue(self.records, PATIENCE_MS, into, 1) };
        }
        usize::try_from(got).expect("the queue can be read")
    }

    /// From what was taken to what is to be written.
    unsafe fn prepare(&mut self, got: usize) {
        self.outgoing.clear();
        self.values.clear();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let context = Context::new(now.map_or(0, |since| since.as_millis() as i64), 1);
        for index in 0..got {
            let message = unsafe { &*self.messages[index] };
            assert_eq!(message.err as i32, 0, "a record was asked for and an error came");
            let mut next: rd_kafka_message_t = unsafe { std::mem::zeroed() };
            (next.payload, next.len) = (message.payload, message.len);
            (next.key, next.key_len, next.partition) = (message.key, message.key_len, message.partition);
            self.plan.work.run();
            if self.plan.validate {
                let value = unsafe { std::slice::from_raw_parts(message.payload.cast::<u8>(), message.len) };
                let made = validate(&self.name, value, &context);
                (next.payload, next.len) = (made.as_ptr().cast_mut().cast::<c_void>(), made.len());
                self.values.push(made);
            }
            self.taken_bytes += message.len as u64;
            self.outgoing.push(next);
        }
        self.taken += got as u64;
    }

    unsafe fn send_batch(&mut self) {
        if self.outgoing.is_empty() {
            return;
        }
        let flags = RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_PARTITION;
        let (first, count) = (self.outgoing.as_mut_ptr(), self.outgoing.len());
        let sent = unsafe { rd_kafka_produce_batch(self.topic, -1, flags, first, count as i32) };
        assert_eq!(sent as usize, count, "the queue is large enough for what may be in flight");
    }

    unsafe fn send_each(&mut self) {
        for (next, &message) in self.outgoing.iter().zip(&self.messages) {
            let code = unsafe {
                rd_kafka_producev(
                    self.producer,
                    rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
                    self.topic,
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
                    rd_kafka_message_timestamp(message, ptr::null_mut()),
                    rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
                )
            };
            assert_eq!(code as i32, 0, "the queue is large enough for what may be in flight");
        }
    }

    unsafe fn count_reports(&mut self, wait_ms: i32) {
        unsafe {
            let event = rd_kafka_queue_poll(self.reports, wait_ms);
            if event.is_null() {
                return;
            }
            if rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR {
                self.delivered += rd_kafka_event_message_count(event) as u64;
            }
            rd_kafka_event_destroy(event);
        }
    }
}

fn validate(name: &Arc<str>, value: &[u8], context: &Context) -> Vec<u8> {
    let parts = Parts { key: None, value: Some(value), timestamp: None, headers: Headers::new() };
    let record = Record::new(name.clone(), 0, 0, parts);
    match Validate.apply(&record, context) {
        Outcome::Emit(made) => match made.value {
            Field::New(Some(value)) => value,
            _ => panic!("the built-in transform always writes a value"),
        },
        _ => panic!("the input has a record that is not valid"),
    }
}

unsafe fn client(
    kind: rd_kafka_type_t,
    settings: &[(String, String)],
    more: &[(String, String)],
) -> *mut rd_kafka_t {
    unsafe {
        let conf = rd_kafka_conf_new();
        let mut error = [0 as c_char; 512];
        for (name, value) in settings.iter().chain(more) {
            let (c_name, c_value) = (c_string(name), c_string(value));
            let done = rd_kafka_conf_set(conf, c_name.as_ptr(), c_value.as_ptr(), error.as_mut_ptr(), 512);
            let why = CStr::from_ptr(error.as_ptr()).to_string_lossy();
            assert_eq!(done, rd_kafka_conf_res_t::RD_KAFKA_CONF_OK, "{name}={value}: {why}");
        }
        if kind == rd_kafka_type_t::RD_KAFKA_PRODUCER {
            rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
        }
        let client = rd_kafka_new(kind, conf, error.as_mut_ptr(), 512);
        assert!(!client.is_null(), "{}", CStr::from_ptr(error.as_ptr()).to_string_lossy());
        client
    }
}

/// All partitions of the topic, from their beginning. Asking for them first is what lets the client know their leaders: without
/// that it looks for offsets in vain, and again after half a second.
unsafe fn assign(consumer: *mut rd_kafka_t, input: &str) {
    let topic = c_string(input);
    unsafe {
        let parts = rd_kafka_topic_partition_list_new(1);
        for partition in 0..partitions(consumer, &topic) {
            (*rd_kafka_topic_partition_list_add(parts, topic.as_ptr(), partition)).offset = -2;
        }
        rd_kafka_assign(consumer, parts);
        rd_kafka_topic_partition_list_destroy(parts);
    }
}

unsafe fn partitions(client: *mut rd_kafka_t, topic: &CStr) -> i32 {
    unsafe {
        let handle = rd_kafka_topic_new(client, topic.as_ptr(), ptr::null_mut());
        let mut metadata = ptr::null();
        let code = rd_kafka_metadata(client, 0, handle, &raw mut metadata, 10_000);
        assert_eq!(code as i32, 0, "the cluster does not answer");
        assert_eq!((*metadata).topic_cnt, 1, "one topic was asked for");
        let count = (*(*metadata).topics).partition_cnt;
        assert!(count > 0, "{} does not exist", topic.to_string_lossy());
        rd_kafka_metadata_destroy(metadata);
        rd_kafka_topic_destroy(handle);
        count
    }
}

fn c_string(text: &str) -> CString {
    CString::new(text).expect("no text here has a zero byte in it")
}
