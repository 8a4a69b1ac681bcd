//! The only module with `unsafe`: librdkafka's batch calls, which the safe crate does not have.
//!
//! Why at all: a record at a time through the safe API costs two to three times the CPU of these (see
//! `docs/non-obvious.md`). Everything that is not on a record's path goes through the safe crate.
//!
//! * [`RecordQueue`]: all fetched records of a consumer in one queue of our own, taken as arrays. Rebalances, commits and
//!   errors stay on the consumer's own queue, so that they are served even when no record is taken.
//! * [`Commits`]: commits with answers.
//! * [`Writer`]: a producer whose delivery reports come as arrays, each with the `Arc` that was handed in.
//! * [`bootstrap`]: brokers for a client that has lost them all.
//! * [`ends`]: where partitions end, without waiting for the answer.
//! * [`topic_ids`]: which topics some names mean.
//! * [`transactions`]: what a [`Writer`] can do beside, and whose offsets it carries.
#![allow(unsafe_code)]

pub mod bootstrap;
pub mod certificate;
pub mod ends;
pub mod login;
pub mod rights;
pub mod topic_ids;
pub mod transactions;

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka_sys as rd;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::errors::{self, Delivery};
use crate::planted::{Bug, planted};
use crate::record::{Headers, Parts};
use crate::sync::Mutex;
use bootstrap::Bootstrap;

/// All fetched records of one consumer.
pub struct RecordQueue {
    /// Owned. Dropped before the consumer, which `_consumer` keeps alive.
    queue: *mut rd::rd_kafka_queue_t,
    /// Owned handles of the partitions' own queues.
    partitions: HashMap<(Arc<str>, i32), *mut rd::rd_kafka_queue_t>,
    client: *mut rd::rd_kafka_t,
    messages: Vec<*mut rd::rd_kafka_message_t>,
    _consumer: Arc<dyn Any + Send + Sync>,
}

// SAFETY: librdkafka's queues may be used from any thread; `&mut self` keeps the buffers to one at a time.
unsafe impl Send for RecordQueue {}

impl RecordQueue {
    /// An empty queue for `consumer`; [`RecordQueue::attach`] the partitions. Takes at most `batch` records at once.
    pub fn new<C: ConsumerContext + 'static>(consumer: &Arc<BaseConsumer<C>>, batch: usize) -> Self {
        let client = consumer.client().native_ptr();
        // SAFETY: `client` is alive, and `_consumer` keeps it so until the queue is destroyed.
        let queue = unsafe { rd::rd_kafka_queue_new(client) };
        let messages = vec![ptr::null_mut(); batch];
        Self { queue, partitions: HashMap::new(), client, messages, _consumer: consumer.clone() }
    }

    /// Makes a partition's records come through this queue. Before the partition is assigned, so that none takes another
    /// way; again after [`RecordQueue::detach`], when what was fetched meanwhile follows in order.
    pub fn attach(&mut self, topic: &Arc<str>, partition: i32) {
        let own = self.partition_queue(topic, partition);
        // SAFETY: both queues are owned by us and alive.
        unsafe { rd::rd_kafka_queue_forward(own, self.queue) }
    }

    /// Keeps a partition's further records in a queue of their own, where the client's limits bound them. Records that
    /// are already here still come.
    pub fn detach(&mut self, topic: &Arc<str>, partition: i32) {
        let own = self.partition_queue(topic, partition);
        // SAFETY: the queue is owned by us and alive; null ends the forwarding.
        unsafe { rd::rd_kafka_queue_forward(own, ptr::null_mut()) }
    }

    /// Gives the handle of a partition's queue back, once the partition is given up.
    pub fn forget(&mut self, topic: &Arc<str>, partition: i32) {
        if let Some(own) = self.partitions.remove(&(topic.clone(), partition)) {
            // SAFETY: we own the handle, and it is in the map no more.
            unsafe { rd::rd_kafka_queue_destroy(own) }
        }
    }

    fn partition_queue(&mut self, topic: &Arc<str>, partition: i32) -> *mut rd::rd_kafka_queue_t {
        *self.partitions.entry((topic.clone(), partition)).or_insert_with(|| {
            let name = CString::new(topic.as_bytes()).expect("topic names have no NUL");
            // SAFETY: the client is alive, the name is a C string.
            let own = unsafe { rd::rd_kafka_queue_get_partition(self.client, name.as_ptr(), partition) };
            assert!(!own.is_null(), "a consumer has a queue for every partition");
            own
        })
    }

    /// Takes what is there, or waits up to `wait` for the first record if there is none, and shows each to `see`. Returns
    /// how many there were, errors included. (With a timeout librdkafka would wait for a *full* batch.)
    pub fn take(&mut self, wait: Duration, mut see: impl FnMut(Message<'_>)) -> usize {
        let most = self.messages.len();
        let mut count = self.consume(0, 0..most);
        if count == 0 && !wait.is_zero() {
            count = self.consume(c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX), 0..1);
            // They come in batches: the others are there with the first.
            count += if count == 1 { self.consume(0, 1..most) } else { 0 };
        }
        for index in 0..count {
            let raw = self.messages[index];
            // SAFETY: librdkafka filled the first `count` entries with messages that are ours until destroyed.
            see(Message { raw: unsafe { &*raw } });
            // SAFETY: as above; `see` could not keep the reference.
            unsafe { rd::rd_kafka_message_destroy(raw) }
        }
        count
    }

    /// How many records and errors are in the queue; some of them may be of partitions that were given up, and do not come.
    pub fn queued(&self) -> usize {
        // SAFETY: the queue is alive.
        unsafe { rd::rd_kafka_queue_length(self.queue) }
    }

    fn consume(&mut self, wait_ms: c_int, into: Range<usize>) -> usize {
        let into = &mut self.messages[into];
        // SAFETY: the queue is alive and the array has room for as many entries as are said.
        let count =
            unsafe { rd::rd_kafka_consume_batch_queue(self.queue, wait_ms, into.as_mut_ptr(), into.len()) };
        usize::try_from(count).unwrap_or(0)
    }
}

impl Drop for RecordQueue {
    fn drop(&mut self) {
        for (_, own) in self.partitions.drain() {
            // SAFETY: we own the handle; the consumer is still alive (`_consumer` is dropped after this).
            unsafe { rd::rd_kafka_queue_destroy(own) }
        }
        // SAFETY: as above.
        unsafe { rd::rd_kafka_queue_destroy(self.queue) }
    }
}

/// A fetched record or a consumer's error, as librdkafka holds it.
pub struct Message<'a> {
    raw: &'a rd::rd_kafka_message_t,
}

impl Message<'_> {
    /// Equal for messages of the same topic and client, and cheap to compare.
    pub fn topic_id(&self) -> usize {
        self.raw.rkt as usize
    }

    /// The topic's name, where the message has one.
    pub fn topic(&self) -> Option<&str> {
        if self.raw.rkt.is_null() {
            return None;
        }
        // SAFETY: the message holds a reference to its topic, whose name is a C string that lives as long.
        unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(self.raw.rkt)) }.to_str().ok()
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.raw.partition
    }

    /// The offset; look at [`Message::error`] first.
    pub fn offset(&self) -> i64 {
        self.raw.offset
    }

    /// The error that this message is, if it is one; with librdkafka's text.
    pub fn error(&self) -> Option<(RDKafkaErrorCode, String)> {
        if self.raw.err == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        // SAFETY: the message is alive; the text lives as long as it, and is copied.
        let text = unsafe { CStr::from_ptr(rd::rd_kafka_message_errstr(self.raw)) }.to_string_lossy();
        Some((self.raw.err.into(), text.into_owned()))
    }

    /// Key, value, headers and timestamp.
    pub fn parts(&self) -> Parts<'_> {
        Parts { key: self.key(), value: self.value(), timestamp: self.timestamp(), headers: self.headers() }
    }

    /// The key, if there is one.
    pub fn key(&self) -> Option<&[u8]> {
        // SAFETY: librdkafka gives pointer and length of memory that lives as long as the message.
        unsafe { bytes(self.raw.key, self.raw.key_len) }
    }

    /// The value, not copied.
    pub fn value(&self) -> Option<&[u8]> {
        // SAFETY: librdkafka gives pointer and length of memory that lives as long as the message.
        unsafe { bytes(self.raw.payload, self.raw.len) }
    }

    /// Milliseconds since 1970, if there is a timestamp; before 1970 it is negative.
    pub fn timestamp(&self) -> Option<i64> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive; `kind` is ours.
        let timestamp = unsafe { rd::rd_kafka_message_timestamp(self.raw, &mut kind) };
        let known = kind != rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
            && timestamp != NO_TIMESTAMP;
        known.then_some(timestamp)
    }

    /// The value of the last header with this name, for readers that need no other: nothing is copied.
    pub fn header(&self, name: &CStr) -> Option<&[u8]> {
        let (mut raw, mut value, mut size) = (ptr::null_mut(), ptr::null(), 0);
        // SAFETY: the message is alive, and the headers stay its own; the name is a C string; the three are ours.
        unsafe {
            let found = rd::rd_kafka_message_headers(self.raw, &mut raw);
            if found != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                return None;
            }
            let found = rd::rd_kafka_header_get_last(raw, name.as_ptr(), &mut value, &mut size);
            (found == Code::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| bytes(value, size)).flatten()
        }
    }

    /// Whether it is known without parsing that there is no header, as usually there is none: librdkafka makes a buffer to find that
    /// out, an eighth of all instructions that a record takes.
    fn is_without_headers(&self) -> bool {
        // SAFETY: the message is alive.
        let epoch = unsafe { rd::rd_kafka_message_leader_epoch(self.raw) };
        // librdkafka gives an empty value memory of its own, and knows an epoch from batches of format 2 only.
        if epoch < 0 || self.raw.payload.is_null() || self.raw.len == 0 {
            return false;
        }
        // SAFETY: the value stands in the batch as it was fetched or unpacked, in one piece, and in format 2 it is followed there
        // by the number of headers, a varint of at least one byte: every broker refuses a record that ends without.
        unsafe { *self.raw.payload.cast::<u8>().add(self.raw.len) == 0 }
    }

    fn headers(&self) -> Headers {
        let mut headers = Headers::new();
        if self.is_without_headers() {
            return headers;
        }
        let mut raw = ptr::null_mut();
        // SAFETY: the message is alive; the headers stay its own.
        if unsafe { rd::rd_kafka_message_headers(self.raw, &mut raw) } != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
            return headers;
        }
        for index in 0.. {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: `raw` lives as long as the message; the three are ours.
            let found = unsafe { rd::rd_kafka_header_get_all(raw, index, &mut name, &mut value, &mut size) };
            if found != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                break;
            }
            // SAFETY: librdkafka ends every name with a NUL, and gives the value's length.
            let (name, value) = unsafe { (CStr::from_ptr(name), bytes(value, size)) };
            headers.push(name.to_bytes(), value);
        }
        headers
    }
}

/// # Safety
/// `start` is null or points to `length` bytes that live for `'a`.
unsafe fn bytes<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: what the caller promises.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast(), length) })
}

/// Commits whose answers come back. (The safe crate's answers only librdkafka's own commits, not ours.)
pub struct Commits {
    /// Owned. Dropped before the consumer, which `_consumer` keeps alive.
    answers: *mut rd::rd_kafka_queue_t,
    client: *mut rd::rd_kafka_t,
    _consumer: Arc<dyn Any + Send + Sync>,
}

// SAFETY: librdkafka's clients and queues may be used from any thread.
unsafe impl Send for Commits {}

impl Commits {
    /// For one consumer.
    pub fn new<C: ConsumerContext + 'static>(consumer: &Arc<BaseConsumer<C>>) -> Self {
        let client = consumer.client().native_ptr();
        // SAFETY: `client` is alive, and `_consumer` keeps it so until the queue is destroyed.
        let answers = unsafe { rd::rd_kafka_queue_new(client) };
        Self { answers, client, _consumer: consumer.clone() }
    }

    /// Sends these offsets; the answer comes by [`Commits::answer`].
    pub fn send(&self, offsets: &TopicPartitionList) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: client, list and queue are alive; the list is copied; no callback, so the answer is an event.
        let code = unsafe {
            rd::rd_kafka_commit_queue(self.client, offsets.ptr(), self.answers, None, ptr::null_mut())
        };
        if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(()) } else { Err(code.into()) }
    }

    /// The answer to an earlier commit, if one has come or comes within `wait`: as a whole, or the first partition's error.
    pub fn answer(&self, wait: Duration) -> Option<Result<(), RDKafkaErrorCode>> {
        let wait_ms = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the queue is alive.
        let event = unsafe { rd::rd_kafka_queue_poll(self.answers, wait_ms) };
        if event.is_null() {
            return None;
        }
        // SAFETY: the event is ours until destroyed; the list is its own, and null or valid.
        let code = unsafe {
            let mut code = rd::rd_kafka_event_error(event);
            let list = rd::rd_kafka_event_topic_partition_list(event);
            if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR && !list.is_null() {
                let elements = std::slice::from_raw_parts((*list).elems, (*list).cnt as usize);
                let mut errors = elements.iter().map(|one| one.err);
                code = errors.find(|err| *err != Code::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap_or(code);
            }
            rd::rd_kafka_event_destroy(event);
            code
        };
        Some(if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(()) } else { Err(code.into()) })
    }
}

impl Drop for Commits {
    fn drop(&mut self) {
        // SAFETY: ours; the consumer is still alive (`_consumer` is dropped after this).
        unsafe { rd::rd_kafka_queue_destroy(self.answers) }
    }
}

/// The metadata of each element of `list`, in order. It is whatever somebody once committed, and the safe crate's way to it
/// panics on what is not UTF-8; here each part of it that is not becomes U+FFFD.
pub fn metadata(list: &TopicPartitionList) -> Vec<String> {
    let list = list.ptr();
    // SAFETY: the list is alive as long as the reference to it, and has `cnt` elements.
    (0..unsafe { (*list).cnt } as usize)
        .map(|index| {
            // SAFETY: as above; an element's metadata is its own, and is copied.
            let metadata = unsafe {
                let element = &*(*list).elems.add(index);
                bytes(element.metadata, element.metadata_size)
            };
            String::from_utf8_lossy(metadata.unwrap_or_default()).into_owned()
        })
        .collect()
}

/// Ends a consumer without telling its group, for when the group's coordinator is unknown: leaving the group then may
/// crash inside librdkafka 2.12 (fixed in 2.14.2), or wait for long. The group notices after the session timeout.
pub fn destroy_without_leaving<C: ConsumerContext>(consumer: BaseConsumer<C>) {
    let client = consumer.client().native_ptr();
    // Its own drop would leave the group. What is leaked here is a few handles, at the end of the process.
    std::mem::forget(consumer);
    // SAFETY: the client is alive, and nothing uses it after this: we owned the only handle.
    unsafe { rd::rd_kafka_destroy_flags(client, rd::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE) }
}

/// A record to hand to a [`Writer`]: a view of the parcel that carries it.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Which of the writer's topics.
    pub topic: usize,
    /// `None` leaves the choice to the partitioner.
    pub partition: Option<i32>,
    /// The key, if any.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers in order.
    pub headers: &'a Headers,
    /// Milliseconds since 1970; `None` writes a record without one.
    pub timestamp: Option<i64>,
}

/// What a [`Writer`] has to say.
pub enum Report<P> {
    /// A record was acknowledged, or given up.
    Delivery(Arc<P>, Result<(), Undelivered>),
    /// An error of the client as a whole.
    Error(RDKafkaErrorCode, String),
    /// A line for the log.
    Log(RDKafkaLogLevel, String, String),
}

/// Why a record was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// The error.
    pub code: RDKafkaErrorCode,
    /// Where it is that of a batch of several records, and nobody knows which of them is at fault: bytes of keys and values in it.
    pub shared: Option<usize>,
}

impl From<RDKafkaErrorCode> for Undelivered {
    fn from(code: RDKafkaErrorCode) -> Self {
        Self { code, shared: None }
    }
}

/// A producer with delivery reports in batches. librdkafka reads the values of parcels until it reports them, whatever becomes of this
/// handle's owner meanwhile: so a parcel borrows nothing.
///
/// ```compile_fail,E0597
/// use std::sync::Arc;
///
/// use processor::kafka::ffi::Writer;
/// use rdkafka::client::DefaultClientContext;
/// use rdkafka::config::ClientConfig;
///
/// let bytes = vec![1];
/// let writer: Writer<&[u8], _> = Writer::new(&ClientConfig::new(), DefaultClientContext, &[]).unwrap();
/// let _ = writer.write(Arc::new(&bytes[..]), |_| unreachable!());
/// std::mem::forget(writer);
/// drop(bytes);
/// ```
pub struct Writer<P: 'static, C: ClientContext> {
    /// Owned; destroyed before the client.
    topics: Vec<*mut rd::rd_kafka_topic_t>,
    /// Owned; destroyed before the client.
    reports: *mut rd::rd_kafka_queue_t,
    client: Client<C>,
    /// Something was given up that may have been written.
    in_doubt: AtomicBool,
    /// How many records were given up because of [`Writer::purge`], by topic and partition.
    given_up: Mutex<BTreeMap<String, usize>>,
    bootstrap: Mutex<Bootstrap>,
    parcels: PhantomData<fn(Arc<P>) -> Arc<P>>,
}

// SAFETY: librdkafka's producers, topics and queues may be used from any thread; parcels cross threads, hence the bounds.
unsafe impl<P: Send + Sync + 'static, C: ClientContext> Send for Writer<P, C> {}
// SAFETY: as above.
unsafe impl<P: Send + Sync + 'static, C: ClientContext> Sync for Writer<P, C> {}

impl<P: Send + Sync + 'static, C: ClientContext> Writer<P, C> {
    /// A producer that writes to `topics`.
    pub fn new(config: &ClientConfig, context: C, topics: &[&str]) -> KafkaResult<Self> {
        let native = config.create_native_config()?;
        // SAFETY: the configuration is alive and not yet given to a client.
        unsafe {
            rd::rd_kafka_conf_set_events(native.ptr(), rd::RD_KAFKA_EVENT_DR | rd::RD_KAFKA_EVENT_ERROR)
        }
        let client = Client::new(config, native, rd::rd_kafka_type_t::RD_KAFKA_PRODUCER, context)?;
        // SAFETY: the client is alive.
        let reports = unsafe { rd::rd_kafka_queue_get_main(client.native_ptr()) };
        let (in_doubt, given_up) = (AtomicBool::new(false), Mutex::default());
        let bootstrap = Mutex::new(Bootstrap::new(config));
        let mut writer =
            Self { topics: Vec::new(), reports, client, in_doubt, given_up, bootstrap, parcels: PhantomData };
        for topic in topics {
            let name = CString::new(*topic).expect("topic names have no NUL");
            // SAFETY: the client is alive, the name is a C string, and null asks for the default configuration.
            let raw =
                unsafe { rd::rd_kafka_topic_new(writer.client.native_ptr(), name.as_ptr(), ptr::null_mut()) };
            assert!(!raw.is_null(), "topic {topic:?} was checked by the configuration");
            writer.topics.push(raw);
        }
        Ok(writer)
    }

    /// The client, for metadata.
    pub fn client(&self) -> &Client<C> {
        &self.client
    }

    /// Hands a record over; `parcel` comes back with its [`Report::Delivery`], or at once with an error. The value is not
    /// copied: `view` can only show what lives in the parcel, and librdkafka holds the parcel until it reports.
    pub fn write(
        &self,
        parcel: Arc<P>,
        view: impl for<'a> FnOnce(&'a P) -> Outgoing<'a>,
    ) -> Result<(), (Arc<P>, RDKafkaErrorCode)> {
        let record = view(&parcel);
        let partition = record.partition.unwrap_or(UNASSIGNED);
        let (key, key_size) = pointer(record.key);
        let (value, value_size) = pointer(record.value);
        let (topic, timestamp) = (self.topics[record.topic], native_timestamp(record.timestamp));
        let headers =
            if record.headers.is_empty() { ptr::null_mut() } else { native_headers(record.headers) };
        let parcel = Arc::into_raw(parcel);
        // SAFETY: the arguments are pairs of a tag and the values that librdkafka documents for it, ended by END. The key is
        // copied before the call returns; the value is borrowed (no flag) until the delivery report, and lives in the parcel
        // or longer, which cannot change while librdkafka holds the count given to it here. Headers are librdkafka's if the
        // call succeeds; an END where their tag would stand leaves them out.
        let code = unsafe {
            rd::rd_kafka_producev(
                self.client.native_ptr(),
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
                topic,
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
                partition,
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY,
                key,
                key_size,
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
                value,
                value_size,
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP,
                timestamp,
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE,
                parcel.cast_mut().cast::<c_void>(),
                if headers.is_null() {
                    rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_END
                } else {
                    rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS
                },
                headers,
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
            )
        };
        if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok(());
        }
        if !headers.is_null() {
            // SAFETY: the call failed, so the headers are still ours.
            unsafe { rd::rd_kafka_headers_destroy(headers) }
        }
        // SAFETY: the call failed, so librdkafka has no claim on the parcel that `into_raw` gave a moment ago.
        Err((unsafe { Arc::from_raw(parcel) }, code.into()))
    }

    /// Waits up to `wait` for reports and shows each to `see`; returns whether there was one.
    pub fn poll(&self, wait: Duration, see: &mut dyn FnMut(Report<P>)) -> bool {
        let wait_ms = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the queue is alive.
        let event = unsafe { rd::rd_kafka_queue_poll(self.reports, wait_ms) };
        if event.is_null() {
            self.bootstrap.lock().maybe_name(&self.client, Instant::now());
            return false;
        }
        // SAFETY: the event is ours until destroyed below.
        match unsafe { rd::rd_kafka_event_type(event) } {
            rd::RD_KAFKA_EVENT_DR => self.deliveries(event, see),
            rd::RD_KAFKA_EVENT_ERROR => {
                // SAFETY: the event is alive; its text is copied.
                let (code, text) = unsafe {
                    (rd::rd_kafka_event_error(event), text(rd::rd_kafka_event_error_string(event)))
                };
                if code == Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN {
                    self.bootstrap.lock().all_down(Instant::now());
                }
                // librdkafka may name the cause, and not say with it that the client is broken.
                let broken = self.client.fatal_error().is_some();
                see(Report::Error(if broken { RDKafkaErrorCode::Fatal } else { code.into() }, text));
            }
            rd::RD_KAFKA_EVENT_LOG => {
                let (mut facility, mut line, mut level) = (ptr::null(), ptr::null(), 0);
                // SAFETY: the event is a log event and alive; the three are ours.
                if unsafe { rd::rd_kafka_event_log(event, &mut facility, &mut line, &mut level) } == 0 {
                    // SAFETY: librdkafka gave two C strings that live as long as the event.
                    let (facility, line) = unsafe { (text(facility), text(line)) };
                    see(Report::Log(severity(level), facility, line));
                }
            }
            _ => {}
        }
        // SAFETY: we own the event and use it no more.
        unsafe { rd::rd_kafka_event_destroy(event) }
        true
    }

    fn deliveries(&self, event: *mut rd::rd_kafka_event_t, see: &mut dyn FnMut(Report<P>)) {
        // SAFETY: the event is a delivery report and alive.
        let (code, records) =
            unsafe { (rd::rd_kafka_event_error(event), rd::rd_kafka_event_message_count(event)) };
        if records > 1 && errors::delivery(code.into()) == Delivery::Refused {
            return self.refused(event, code, records, see);
        }
        let mut messages: [*const rd::rd_kafka_message_t; 256] = [ptr::null(); 256];
        // SAFETY: the event is a delivery report and alive.
        if unsafe { rd::rd_kafka_event_error(event) } == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
            self.bootstrap.lock().answered();
        }
        loop {
            // SAFETY: the event is alive; the array has the room that is said.
            let count =
                unsafe { rd::rd_kafka_event_message_array(event, messages.as_mut_ptr(), messages.len()) };
            messages[..count].iter().for_each(|message| see(self.delivery(*message, |code| code.into())));
            if count < messages.len() {
                return;
            }
        }
    }

    /// A batch of several records: all of them are looked at before the first is reported.
    fn refused(
        &self,
        event: *mut rd::rd_kafka_event_t,
        code: Code,
        records: usize,
        see: &mut dyn FnMut(Report<P>),
    ) {
        let mut messages: Vec<*const rd::rd_kafka_message_t> = vec![ptr::null(); records];
        // SAFETY: the event is alive; the array has the room that is said.
        let count = unsafe { rd::rd_kafka_event_message_array(event, messages.as_mut_ptr(), records) };
        let batch = Refused::of(code, &messages[..count]);
        messages[..count].iter().for_each(|message| see(self.delivery(*message, |code| batch.judge(code))));
    }

    /// What became of a record; `judge` says what its error means for it.
    fn delivery(
        &self,
        message: *const rd::rd_kafka_message_t,
        judge: impl FnOnce(RDKafkaErrorCode) -> Undelivered,
    ) -> Report<P> {
        // SAFETY: the message lives as long as its event, which the caller holds.
        let (code, offset, parcel, status) = unsafe {
            ((*message).err, (*message).offset, (*message)._private, rd::rd_kafka_message_status(message))
        };
        if status == rd::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED {
            self.in_doubt.store(true, Ordering::Relaxed);
        }
        if matches!(code, Code::RD_KAFKA_RESP_ERR__PURGE_QUEUE | Code::RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) {
            // SAFETY: the message holds a reference to its topic, whose name is a C string; it is copied.
            let place = unsafe {
                format!("{}/{}", text(rd::rd_kafka_topic_name((*message).rkt)), (*message).partition)
            };
            *self.given_up.lock().entry(place).or_default() += 1;
        }
        // SAFETY: this is the pointer that `write` made with `into_raw`, and each message is reported once.
        let parcel = unsafe { Arc::from_raw(parcel.cast::<P>().cast_const()) };
        Report::Delivery(parcel, delivered(code, offset).map_err(judge))
    }

    /// Makes librdkafka give up what it has not sent, and with `in_flight` what it has sent and is not answered too; the reports
    /// still come. Waits for none of its threads: it would do so without end.
    pub fn purge(&self, in_flight: bool) {
        let sent = if in_flight { rd::RD_KAFKA_PURGE_F_INFLIGHT } else { 0 };
        let flags = rd::RD_KAFKA_PURGE_F_QUEUE | rd::RD_KAFKA_PURGE_F_NON_BLOCKING | sent;
        // SAFETY: the client is alive.
        unsafe { rd::rd_kafka_purge(self.client.native_ptr(), flags) };
    }

    /// What was given up because of [`Writer::purge`], by topic and partition.
    pub fn given_up(&self) -> Vec<(String, usize)> {
        self.given_up.lock().clone().into_iter().collect()
    }
}

/// A batch of several records that failed as one: librdkafka reports each batch by itself.
#[derive(Clone, Copy)]
struct Refused {
    code: Code,
    /// Bytes of keys and values.
    bytes: usize,
    /// The broker has said which records are at fault.
    names: bool,
}

impl Refused {
    /// Of the records at fault librdkafka keeps what the broker says of each, and gives the others an error of their own; where the
    /// broker names none, all have its one text, or none. (The texts are freed by now: only where they were is looked at.)
    fn of(code: Code, messages: &[*const rd::rd_kafka_message_t]) -> Self {
        // SAFETY: the messages live as long as their event.
        let error = |message: *const rd::rd_kafka_message_t| unsafe { (*message).err };
        // SAFETY: as above; the pointer is not followed.
        let text = |message| unsafe { rd::rd_kafka_message_produce_errstr(message) };
        // SAFETY: as above.
        let bytes = messages.iter().map(|message| unsafe { (**message).len + (**message).key_len }).sum();
        let others = messages.iter().filter(|message| error(**message) == DIFFERENT).count();
        let each_its_own =
            || messages.windows(2).all(|two| !text(two[0]).is_null() && text(two[0]) != text(two[1]));
        let names = if others > 0 { others < messages.len() } else { each_its_own() };
        Self { code, bytes, names }
    }

    fn judge(self, code: RDKafkaErrorCode) -> Undelivered {
        let whole = RDKafkaErrorCode::from(self.code);
        match code {
            RDKafkaErrorCode::InvalidDifferentRecord if self.names => code.into(),
            // Of several records at fault each has this code, whatever the batch has.
            RDKafkaErrorCode::InvalidRecord if self.names => whole.into(),
            _ if self.names => code.into(),
            _ => Undelivered { code: whole, shared: Some(self.bytes) },
        }
    }
}

/// What librdkafka gives a record of a batch in which others are at fault.
const DIFFERENT: Code = Code::RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD;

/// Whether the broker has the record. A record without an offset was not acknowledged itself: librdkafka takes the answer to
/// a later batch for it, because a broker refuses a gap in a producer's sequence. Not if that is the first it has of this
/// producer: the batch before may have been refused, as when the topic was made, or its replicas came back, in between.
fn delivered(code: Code, offset: i64) -> Result<(), RDKafkaErrorCode> {
    match (code, offset) {
        (Code::RD_KAFKA_RESP_ERR_NO_ERROR, NO_OFFSET) if !planted(Bug::DeliveryWithoutOffset) => {
            Err(RDKafkaErrorCode::Inconsistent)
        }
        (Code::RD_KAFKA_RESP_ERR_NO_ERROR, _) => Ok(()),
        _ => Err(code.into()),
    }
}

impl<P: 'static, C: ClientContext> Drop for Writer<P, C> {
    fn drop(&mut self) {
        for topic in self.topics.drain(..) {
            // SAFETY: ours; the client is dropped after this.
            unsafe { rd::rd_kafka_topic_destroy(topic) }
        }
        // SAFETY: as above.
        unsafe { rd::rd_kafka_queue_destroy(self.reports) }
    }
}

/// RD_KAFKA_PARTITION_UA: the partitioner decides.
const UNASSIGNED: i32 = -1;
/// What a record has for an offset when no answer gave it one.
const NO_OFFSET: i64 = rd::RD_KAFKA_OFFSET_INVALID as i64;

/// What a record has for a timestamp that has none.
const NO_TIMESTAMP: i64 = -1;

/// librdkafka takes 0 for the time of the call, so the first millisecond of 1970 is written as the second one.
fn native_timestamp(timestamp: Option<i64>) -> i64 {
    match timestamp {
        None => NO_TIMESTAMP,
        Some(0) => 1,
        Some(timestamp) => timestamp,
    }
}

fn severity(level: c_int) -> RDKafkaLogLevel {
    match level {
        ..=3 => RDKafkaLogLevel::Error,
        4 => RDKafkaLogLevel::Warning,
        5 | 6 => RDKafkaLogLevel::Info,
        _ => RDKafkaLogLevel::Debug,
    }
}

fn pointer(bytes: Option<&[u8]>) -> (*const c_void, usize) {
    bytes.map_or((ptr::null(), 0), |bytes| (bytes.as_ptr().cast(), bytes.len()))
}

fn native_headers(headers: &Headers) -> *mut rd::rd_kafka_headers_t {
    // SAFETY: no precondition.
    let native = unsafe { rd::rd_kafka_headers_new(headers.len()) };
    for (name, value) in headers.iter() {
        let (value, size) = pointer(value);
        // SAFETY: names and values are copied; a header that was just made can be added to.
        unsafe {
            rd::rd_kafka_header_add(native, name.as_ptr().cast(), name.len() as isize, value, size as isize);
        }
    }
    native
}

/// # Safety
/// `line` is null or a C string.
unsafe fn text(line: *const c_char) -> String {
    if line.is_null() {
        return String::new();
    }
    // SAFETY: what the caller promises.
    unsafe { CStr::from_ptr(line) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_may_be_missing_empty_or_no_text_at_all() {
        let mut list = TopicPartitionList::new();
        list.add_partition("t", 0).set_metadata("größe");
        list.add_partition("t", 1);
        list.add_partition("t", 2).set_metadata("");
        list.add_partition("t", 3).set_metadata("xyz");
        // SAFETY: the list is alive and has four elements, the last one with three bytes of metadata.
        unsafe { *(*(*list.ptr()).elems.add(3)).metadata.cast::<u8>() = 0xff }
        assert_eq!(metadata(&list), ["größe", "", "", "\u{fffd}yz"]);
    }
}
