//! Where partitions end, asked of the brokers by a thread that must not wait. (The safe crate asks for one partition, and waits.)

use std::any::Any;
use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka_sys as rd;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use crate::record::TopicPartition;

/// Questions by one consumer's client.
pub struct EndsAsked {
    /// Owned. Dropped before the consumer, which `_consumer` keeps alive.
    answers: *mut rd::rd_kafka_queue_t,
    client: *mut rd::rd_kafka_t,
    _consumer: Arc<dyn Any + Send + Sync>,
}

// SAFETY: librdkafka's clients and queues may be used from any thread.
unsafe impl Send for EndsAsked {}

impl EndsAsked {
    /// For one consumer.
    pub fn new<C: ConsumerContext + 'static>(consumer: &Arc<BaseConsumer<C>>) -> Self {
        let client = consumer.client().native_ptr();
        // SAFETY: `client` is alive, and `_consumer` keeps it so until the queue is destroyed.
        let answers = unsafe { rd::rd_kafka_queue_new(client) };
        Self { answers, client, _consumer: consumer.clone() }
    }

    /// Asks for these partitions, in one request for each broker; each has the offset [`rdkafka::Offset::End`]. The answer comes by
    /// [`EndsAsked::answer`], an empty one when `patience` is over.
    pub fn ask(&self, partitions: &TopicPartitionList, patience: Duration) {
        let patience_ms = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
        let mut why: [c_char; 128] = [0; 128];
        // SAFETY: client, list and queue are alive, and the list is copied; the options are ours and destroyed once; the buffer has
        // the size that is said. A time-out that librdkafka refuses leaves its default.
        unsafe {
            let options = rd::rd_kafka_AdminOptions_new(
                self.client,
                rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS,
            );
            rd::rd_kafka_AdminOptions_set_request_timeout(options, patience_ms, why.as_mut_ptr(), why.len());
            rd::rd_kafka_ListOffsets(self.client, partitions.ptr(), options, self.answers);
            rd::rd_kafka_AdminOptions_destroy(options);
        }
    }

    /// The answer to an earlier question, if it has come. What could not be found out is not in it.
    pub fn answer(&self) -> Option<Vec<(TopicPartition, i64)>> {
        // SAFETY: the queue is alive.
        let event = unsafe { rd::rd_kafka_queue_poll(self.answers, 0) };
        if event.is_null() {
            return None;
        }
        let mut ends = Vec::new();
        // SAFETY: the event is ours until destroyed, which is at the end. Its result, if it has one, is its own, and so are the result's
        // entries, as many as are said, each with a partition whose topic is a C string.
        unsafe {
            let result = rd::rd_kafka_event_ListOffsets_result(event);
            let mut count = 0;
            let infos = if result.is_null() {
                ptr::null_mut()
            } else {
                rd::rd_kafka_ListOffsets_result_infos(result, &mut count)
            };
            let infos = if infos.is_null() { &[][..] } else { slice::from_raw_parts(infos, count) };
            for info in infos {
                let one = &*rd::rd_kafka_ListOffsetsResultInfo_topic_partition(*info);
                if one.err == Code::RD_KAFKA_RESP_ERR_NO_ERROR && one.offset >= 0 {
                    let topic = CStr::from_ptr(one.topic).to_string_lossy();
                    ends.push(((Arc::from(topic), one.partition), one.offset));
                }
            }
            rd::rd_kafka_event_destroy(event);
        }
        Some(ends)
    }
}

impl Drop for EndsAsked {
    fn drop(&mut self) {
        // SAFETY: ours; the consumer is still alive (`_consumer` is dropped after this).
        unsafe { rd::rd_kafka_queue_destroy(self.answers) }
    }
}
