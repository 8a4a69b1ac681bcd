//! What our user may do: brokers tell it with the descriptions of topics and groups, which the safe crate does not show.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, c_int};
use std::ptr;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka_sys as rd;
use rdkafka_sys::rd_kafka_AclOperation_t as Operation;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

/// What may be done with a topic or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// To read it, or to be a member.
    Read,
    /// To write to it.
    Write,
}

/// By name. Who is absent could not be asked about; where we may not even look, nothing may be done.
pub type Rights = BTreeMap<String, BTreeSet<Right>>;

/// What may be done with these topics.
///
/// # Errors
/// When the cluster does not answer in time.
pub fn of_topics<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    wait: Duration,
) -> Result<Rights, RDKafkaErrorCode> {
    let names = Names::new(topics);
    let kind = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    // SAFETY: client, options and queue are alive; the names are C strings that outlive the call, which copies them; the collection is
    // ours and destroyed once.
    let ask = |options: *mut rd::rd_kafka_AdminOptions_t, queue: *mut rd::rd_kafka_queue_t| unsafe {
        let (names, count) = names.array();
        let collection = rd::rd_kafka_TopicCollection_of_topic_names(names.cast_mut(), count);
        rd::rd_kafka_DescribeTopics(client.native_ptr(), collection, options, queue);
        rd::rd_kafka_TopicCollection_destroy(collection);
    };
    // SAFETY: `event` is alive and of the kind that was asked for, and with it all that is read here.
    let read = |event| unsafe {
        let (mut all, mut count) = (Rights::new(), 0);
        let result = rd::rd_kafka_event_DescribeTopics_result(event);
        let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        for index in 0..count {
            let topic = *topics.add(index);
            let mut operations = 0;
            let list = rd::rd_kafka_TopicDescription_authorized_operations(topic, &mut operations);
            let code = rd::rd_kafka_error_code(rd::rd_kafka_TopicDescription_error(topic));
            if let Some(found) = rights(code, list, operations) {
                let name = CStr::from_ptr(rd::rd_kafka_TopicDescription_name(topic));
                all.insert(name.to_string_lossy().into_owned(), found);
            }
        }
        all
    };
    described(client, kind, wait, ask, read)
}

/// What may be done with this group; `None` where nobody tells.
///
/// # Errors
/// When its coordinator does not answer in time.
pub fn of_group<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    wait: Duration,
) -> Result<Option<BTreeSet<Right>>, RDKafkaErrorCode> {
    let names = Names::new(&[group]);
    let kind = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
    // SAFETY: as above.
    let ask = |options: *mut rd::rd_kafka_AdminOptions_t, queue: *mut rd::rd_kafka_queue_t| unsafe {
        let (names, count) = names.array();
        rd::rd_kafka_DescribeConsumerGroups(client.native_ptr(), names.cast_mut(), count, options, queue);
    };
    // SAFETY: as above.
    let read = |event| unsafe {
        let mut count = 0;
        let result = rd::rd_kafka_event_DescribeConsumerGroups_result(event);
        let groups = rd::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count);
        if count == 0 {
            return None;
        }
        let mut operations = 0;
        let list = rd::rd_kafka_ConsumerGroupDescription_authorized_operations(*groups, &mut operations);
        rights(
            rd::rd_kafka_error_code(rd::rd_kafka_ConsumerGroupDescription_error(*groups)),
            list,
            operations,
        )
    };
    described(client, kind, wait, ask, read)
}

/// # Safety
/// `list` is null or has `count` operations.
unsafe fn rights(code: Code, list: *const Operation, count: usize) -> Option<BTreeSet<Right>> {
    match code {
        Code::RD_KAFKA_RESP_ERR_NO_ERROR if list.is_null() => None,
        Code::RD_KAFKA_RESP_ERR_NO_ERROR => {
            // SAFETY: what the caller promises.
            let operations = unsafe { std::slice::from_raw_parts(list, count) };
            let right = |operation: &Operation| match operation {
                Operation::RD_KAFKA_ACL_OPERATION_READ => Some(Right::Read),
                Operation::RD_KAFKA_ACL_OPERATION_WRITE => Some(Right::Write),
                _ => None,
            };
            Some(operations.iter().filter_map(right).collect())
        }
        Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
        | Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED => Some(BTreeSet::new()),
        _ => None,
    }
}

/// Asks with the rights included, waits for the answer, and reads it.
fn described<C: ClientContext, T>(
    client: &Client<C>,
    kind: rd::rd_kafka_admin_op_t,
    wait: Duration,
    ask: impl FnOnce(*mut rd::rd_kafka_AdminOptions_t, *mut rd::rd_kafka_queue_t),
    read: impl FnOnce(*mut rd::rd_kafka_event_t) -> T,
) -> Result<T, RDKafkaErrorCode> {
    let wait_ms = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: the client is alive all the time; options, queue and event are ours and destroyed once; errors of the options are ours
    // too, and null where a value is taken, as these are.
    unsafe {
        let options = rd::rd_kafka_AdminOptions_new(client.native_ptr(), kind);
        rd::rd_kafka_AdminOptions_set_request_timeout(options, wait_ms, ptr::null_mut(), 0);
        rd::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
        let queue = rd::rd_kafka_queue_new(client.native_ptr());
        ask(options, queue);
        rd::rd_kafka_AdminOptions_destroy(options);
        // The question has that time, so its answer comes a little later at most.
        let event = rd::rd_kafka_queue_poll(queue, wait_ms.saturating_add(1_000));
        let answer = if event.is_null() {
            Err(RDKafkaErrorCode::OperationTimedOut)
        } else {
            let code = rd::rd_kafka_event_error(event);
            let answer =
                if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(read(event)) } else { Err(code.into()) };
            rd::rd_kafka_event_destroy(event);
            answer
        };
        rd::rd_kafka_queue_destroy(queue);
        answer
    }
}

/// Names as librdkafka takes them.
struct Names {
    _owned: Vec<CString>,
    pointers: Vec<*const std::ffi::c_char>,
}

impl Names {
    fn new(names: &[&str]) -> Self {
        let owned: Vec<CString> = names.iter().filter_map(|name| CString::new(*name).ok()).collect();
        let pointers = owned.iter().map(|name| name.as_ptr()).collect();
        Self { _owned: owned, pointers }
    }

    fn array(&self) -> (*const *const std::ffi::c_char, usize) {
        (self.pointers.as_ptr(), self.pointers.len())
    }
}
