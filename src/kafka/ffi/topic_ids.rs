//! Which topics some names mean: the safe crate does not show topics' ids.

use std::any::Any;
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka_sys as rd;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use crate::topic_id::{Ids, TopicId};

/// The ids of topics by their names: of those that exist and may be seen.
///
/// # Errors
/// When the cluster does not answer in time.
pub fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[String],
    wait: Duration,
) -> KafkaResult<Ids> {
    // SAFETY: the client is alive while this runs, and the queue goes before it.
    let queue = unsafe { Queue::new(client.native_ptr()) };
    queue.ask(topics, wait);
    // The question has that time, so its answer comes a little later at most.
    let answer = queue.answer(wait + Duration::from_secs(1));
    answer.unwrap_or(Err(RDKafkaErrorCode::OperationTimedOut)).map_err(KafkaError::MetadataFetch)
}

/// The same for a client that has something else to do meanwhile.
pub struct Questions {
    /// Dropped before the consumer.
    queue: Queue,
    asked: bool,
    _consumer: Arc<dyn Any + Send + Sync>,
}

impl Questions {
    /// For one consumer.
    pub fn new<C: ConsumerContext + 'static>(consumer: &Arc<BaseConsumer<C>>) -> Self {
        // SAFETY: `_consumer` keeps the client alive until the queue is gone.
        let queue = unsafe { Queue::new(consumer.client().native_ptr()) };
        Self { queue, asked: false, _consumer: consumer.clone() }
    }

    /// Asks, unless an answer is still to come: within `wait` there is one.
    pub fn ask(&mut self, topics: &[String], wait: Duration) {
        if !self.asked {
            self.queue.ask(topics, wait);
            self.asked = true;
        }
    }

    /// The answer, if it has come or comes within `wait`.
    pub fn answer(&mut self, wait: Duration) -> Option<Result<Ids, RDKafkaErrorCode>> {
        if !self.asked {
            return None;
        }
        let answer = self.queue.answer(wait)?;
        self.asked = false;
        Some(answer)
    }
}

/// Where the answers come.
struct Queue {
    client: *mut rd::rd_kafka_t,
    /// Owned.
    queue: *mut rd::rd_kafka_queue_t,
}

// SAFETY: librdkafka's clients and queues may be used from any thread.
unsafe impl Send for Queue {}

impl Queue {
    /// # Safety
    /// The client lives longer than the queue.
    unsafe fn new(client: *mut rd::rd_kafka_t) -> Self {
        // SAFETY: the client is alive.
        let queue = unsafe { rd::rd_kafka_queue_new(client) };
        Self { client, queue }
    }

    fn ask(&self, topics: &[String], wait: Duration) {
        let names: Vec<CString> =
            topics.iter().filter_map(|topic| CString::new(topic.as_str()).ok()).collect();
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        let wait_ms = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: client and queue are alive, the names are C strings that outlive the call, which copies them; collection and
        // options are ours and destroyed once; a time that is refused leaves the default.
        unsafe {
            let collection =
                rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            let options = rd::rd_kafka_AdminOptions_new(
                self.client,
                rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            );
            rd::rd_kafka_AdminOptions_set_request_timeout(options, wait_ms, ptr::null_mut(), 0);
            rd::rd_kafka_DescribeTopics(self.client, collection, options, self.queue);
            rd::rd_kafka_AdminOptions_destroy(options);
            rd::rd_kafka_TopicCollection_destroy(collection);
        }
    }

    fn answer(&self, wait: Duration) -> Option<Result<Ids, RDKafkaErrorCode>> {
        let wait_ms = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the queue is alive; the event is ours until destroyed, and what is read of it is copied before.
        unsafe {
            let event = rd::rd_kafka_queue_poll(self.queue, wait_ms);
            if event.is_null() {
                return None;
            }
            let code = rd::rd_kafka_event_error(event);
            let answer = if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                Ok(described(event))
            } else {
                Err(code.into())
            };
            rd::rd_kafka_event_destroy(event);
            Some(answer)
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: we own the queue, and the client is alive.
        unsafe { rd::rd_kafka_queue_destroy(self.queue) }
    }
}

/// # Safety
/// The event is alive.
unsafe fn described(event: *mut rd::rd_kafka_event_t) -> Ids {
    let mut ids = Ids::new();
    // SAFETY: the event is alive, and with it the array, its descriptions, names and ids; null is no result of this kind.
    unsafe {
        let result = rd::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return ids;
        }
        let mut count = 0;
        let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        for index in 0..count {
            let topic = *topics.add(index);
            let error = rd::rd_kafka_error_code(rd::rd_kafka_TopicDescription_error(topic));
            if error != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                continue;
            }
            let name = CStr::from_ptr(rd::rd_kafka_TopicDescription_name(topic)).to_string_lossy();
            let id = rd::rd_kafka_TopicDescription_topic_id(topic);
            let halves =
                [rd::rd_kafka_Uuid_most_significant_bits(id), rd::rd_kafka_Uuid_least_significant_bits(id)];
            let bits = u128::from(halves[0] as u64) << 64 | u128::from(halves[1] as u64);
            ids.insert(Arc::from(&*name), TopicId::new(bits.to_be_bytes()));
        }
    }
    ids
}
