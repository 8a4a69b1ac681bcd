//! What librdkafka's error codes mean for us: one classifier, with the reason for each.

use rdkafka::error::RDKafkaErrorCode as Code;

/// What to do about a record that was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The broker refuses the batch that it was in. A dead letter if it was alone in that, or is at fault itself.
    Refused,
    /// Another record of its batch is at fault: it is written again.
    Neighbour,
    /// The topic, the permission or the connection is at fault, not the record: it waits and is written again.
    Wait,
    /// The producer itself is broken: a new one has to be made, and what is not acknowledged written again.
    Rebuild,
    /// The local queue is full: once something is delivered there is room again.
    Full,
}

/// Classifies a delivery error.
pub fn delivery(code: Code) -> Delivery {
    match code {
        _ if is_size(code) => Delivery::Refused,
        // The broker looked at the records and rejects one: no key on a compacted topic, a timestamp out of the topic's
        // bounds, a schema that a broker plug-in checks.
        Code::InvalidRecord | Code::InvalidTimestamp | Code::InvalidMessage => Delivery::Refused,
        Code::InvalidDifferentRecord => Delivery::Neighbour,
        Code::Fatal
        | Code::GaplessGuarantee
        | Code::OutOfOrderSequenceNumber
        | Code::DuplicateSequenceNumber
        | Code::InvalidProducerEpoch
        | Code::ProducerFenced
        | Code::InvalidProducerIdMapping
        | Code::UnknownProducerId
        | Code::ClusterAuthorizationFailed
        | Code::State => Delivery::Rebuild,
        Code::QueueFull => Delivery::Full,
        // Unknown topic or partition, authorization, timeouts, purges, no offset of its own, and all that is new: nothing is
        // lost by waiting.
        _ => Delivery::Wait,
    }
}

/// Larger than the topic's `max.message.bytes`, than its `segment.bytes`, or than the client's own `message.max.bytes`.
pub fn is_size(code: Code) -> bool {
    matches!(code, Code::MessageSizeTooLarge | Code::MessageBatchTooLarge)
}

/// What a consumer's error means for the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consuming {
    /// librdkafka deals with it, by trying again.
    Passing,
    /// A batch cannot be read. Left alone, librdkafka passes over it with the next one that it can read, or fetches it again without a
    /// pause.
    Unreadable,
    /// The committed offset is not in the log any more: records are lost, and only the user can say how to go on.
    OffsetGone,
    /// Not allowed.
    Denied,
    /// Another process uses this member's `group.instance.id`.
    Fenced,
}

/// Classifies a consumer's error.
pub fn consuming(code: Code) -> Consuming {
    match code {
        Code::AutoOffsetReset | Code::OffsetOutOfRange => Consuming::OffsetGone,
        Code::GroupAuthorizationFailed | Code::TopicAuthorizationFailed | Code::SaslAuthenticationFailed => {
            Consuming::Denied
        }
        Code::FencedInstanceId => Consuming::Fenced,
        // Its checksum is wrong, here or at the broker; it cannot be unpacked, or by no codec that there is; its format is unknown;
        // it is larger than anything that can be fetched, or than the memory.
        Code::BadMessage
        | Code::InvalidMessage
        | Code::BadCompression
        | Code::NotImplemented
        | Code::MessageSizeTooLarge
        | Code::CriticalSystemResource => Consuming::Unreadable,
        _ => Consuming::Passing,
    }
}

/// Whether a commit failed because the group counts us no longer as a member: trying again cannot help.
pub fn is_out_of_the_group(code: Code) -> bool {
    matches!(code, Code::UnknownMemberId | Code::IllegalGeneration | Code::FencedInstanceId)
}

/// Why a transactional client cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// librdkafka or the cluster may get over it.
    Passing,
    /// Not allowed.
    Denied,
    /// Transactions may not last so long.
    TooLong,
}

impl Beginning {
    /// What to do about it, if somebody must: of transactions of the name `name` that last `timeout_ms` milliseconds at most.
    pub fn advice(self, name: &str, timeout_ms: u128) -> Option<String> {
        match self {
            Self::Passing => None,
            Self::Denied => Some(format!("the user needs Write and Describe on TransactionalId {name}")),
            Self::TooLong => Some(format!(
                "set KAFKA_TRANSACTION_TIMEOUT_MS, {timeout_ms}, to no more than the brokers' transaction.max.timeout.ms"
            )),
        }
    }
}

/// Classifies an error of a client that asked for transactions.
pub fn beginning(code: Code) -> Beginning {
    match code {
        Code::TransactionalIdAuthorizationFailed | Code::ClusterAuthorizationFailed => Beginning::Denied,
        Code::InvalidTransactionTimeout => Beginning::TooLong,
        _ => Beginning::Passing,
    }
}
