//! Transactions, and whose offsets they carry. The safe crate has the calls too, but waits for deliveries in slices of 100 ms
//! before a commit, and tells a member's generation to nobody.

use std::ffi::{CStr, CString, c_int};
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka_sys as rd;

use super::{Writer, text};
use crate::kafka::membership::Membership;
use crate::planted::{Bug, planted};

/// Why a call of the transactional API did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// librdkafka's code.
    pub code: RDKafkaErrorCode,
    /// In librdkafka's words.
    pub text: String,
    /// What can be done about it.
    pub remedy: Remedy,
}

/// What can be done about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The same call again: it goes on where it stopped.
    Again,
    /// The transaction has to be aborted; then the client is as good as new.
    Abort,
    /// None: the client is of no use any more.
    Rebuild,
}

impl<P: Send + Sync + 'static, C: ClientContext> Writer<P, C> {
    /// Ends what an earlier client of the same `transactional.id` left open, and shuts that client out. Once, before anything
    /// else.
    ///
    /// # Errors
    /// When it is not done within `wait`, or never will be.
    pub fn init_transactions(&self, wait: Duration) -> Result<(), Failed> {
        // SAFETY: the client is alive; the error, if any, is ours.
        unsafe { outcome(rd::rd_kafka_init_transactions(self.client.native_ptr(), milliseconds(wait))) }
    }

    /// What is written from here on belongs to one transaction.
    ///
    /// # Errors
    /// When there is one already, or the client is broken.
    pub fn begin_transaction(&self) -> Result<(), Failed> {
        // SAFETY: as above.
        unsafe { outcome(rd::rd_kafka_begin_transaction(self.client.native_ptr())) }
    }

    /// These offsets of `member` belong to the transaction too.
    ///
    /// # Errors
    /// When the broker does not take them, among others because the member is none of its group any more.
    pub fn send_offsets(
        &self,
        offsets: &TopicPartitionList,
        member: &Membership,
        wait: Duration,
    ) -> Result<(), Failed> {
        let name = |text: &str| CString::new(text).expect("names that the broker gave have no NUL");
        let (group, id) = (name(&member.group), name(&member.member));
        let instance = member.instance.as_deref().map(name);
        // SAFETY: client and list are alive; the names are C strings, or null where that is allowed, and are copied; the metadata
        // is ours until destroyed.
        unsafe {
            let instance = instance.as_ref().map_or(ptr::null(), |name| name.as_ptr());
            let metadata = rd::rd_kafka_consumer_group_metadata_new_with_genid(
                group.as_ptr(),
                member.generation,
                id.as_ptr(),
                instance,
            );
            let sent = rd::rd_kafka_send_offsets_to_transaction(
                self.client.native_ptr(),
                offsets.ptr(),
                metadata,
                milliseconds(wait),
            );
            rd::rd_kafka_consumer_group_metadata_destroy(metadata);
            outcome(sent)
        }
    }

    /// Commits the transaction. Every record of it must have been reported, or this waits for reports that nobody takes.
    ///
    /// # Errors
    /// With [`Remedy::Rebuild`], or when it is not called again, nobody knows whether it is committed.
    pub fn commit_transaction(&self, wait: Duration) -> Result<(), Failed> {
        // SAFETY: as above.
        unsafe { outcome(rd::rd_kafka_commit_transaction(self.client.native_ptr(), milliseconds(wait))) }
    }

    /// Aborts the transaction. Every record of it must have been reported.
    ///
    /// librdkafka gives the sequence numbers of what it gives up to the records that come next, in the same epoch. If the broker
    /// had written it and only the answer was lost, it would take those for a repetition: acknowledge them, and not write them.
    /// So this client is not to be used again then.
    ///
    /// # Errors
    /// When it is not done within `wait`, or never will be; with [`Remedy::Rebuild`] also when it is aborted, and something was
    /// given up that may have been written.
    pub fn abort_transaction(&self, wait: Duration) -> Result<(), Failed> {
        // SAFETY: as above.
        unsafe { outcome(rd::rd_kafka_abort_transaction(self.client.native_ptr(), milliseconds(wait)))? };
        if self.in_doubt.load(Ordering::Relaxed) && !planted(Bug::NumbersUsedAgain) {
            let text = "aborted; what was given up may have been written, so the client's sequence numbers are not safe";
            return Err(Failed {
                code: RDKafkaErrorCode::Inconsistent,
                text: text.to_owned(),
                remedy: Remedy::Rebuild,
            });
        }
        Ok(())
    }
}

/// As whom this consumer is in its group now; `None` where it is not.
pub fn membership<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Membership> {
    // SAFETY: the client is alive; the metadata is ours until destroyed, and its strings live as long and are copied.
    unsafe {
        let metadata = rd::rd_kafka_consumer_group_metadata(consumer.client().native_ptr());
        if metadata.is_null() {
            return None;
        }
        let instance = rd::rd_kafka_consumer_group_metadata_group_instance_id(metadata);
        let found = Membership {
            group: text(rd::rd_kafka_consumer_group_metadata_group_id(metadata)),
            generation: rd::rd_kafka_consumer_group_metadata_generation_id(metadata),
            member: text(rd::rd_kafka_consumer_group_metadata_member_id(metadata)),
            instance: (!instance.is_null()).then(|| CStr::from_ptr(instance).to_string_lossy().into_owned()),
        };
        rd::rd_kafka_consumer_group_metadata_destroy(metadata);
        (found.generation >= 0 && !found.member.is_empty()).then_some(found)
    }
}

fn milliseconds(wait: Duration) -> c_int {
    c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX)
}

/// # Safety
/// `error` is null or an error that is the caller's; it is gone afterwards.
unsafe fn outcome(error: *mut rd::rd_kafka_error_t) -> Result<(), Failed> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: what the caller promises; the text is copied.
    unsafe {
        let remedy = match (
            rd::rd_kafka_error_is_fatal(error) != 0,
            rd::rd_kafka_error_txn_requires_abort(error) != 0,
            rd::rd_kafka_error_is_retriable(error) != 0,
        ) {
            (true, ..) => Remedy::Rebuild,
            (false, true, _) => Remedy::Abort,
            (false, false, true) => Remedy::Again,
            // A call at the wrong time, by what librdkafka thinks of its state: which is not what we think of it.
            (false, false, false) => Remedy::Rebuild,
        };
        let failed = Failed {
            code: rd::rd_kafka_error_code(error).into(),
            text: text(rd::rd_kafka_error_string(error)),
            remedy,
        };
        rd::rd_kafka_error_destroy(error);
        Err(failed)
    }
}
