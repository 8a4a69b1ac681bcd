//! Every metric's name and help, and nothing else: what dashboards and alerts depend on is changed here or nowhere.
//!
//! The prefix `processor_` and the endings `_total` of counters and `_info` of infos are added when they are written.

/// What a metric is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Without prefix and ending.
    pub name: &'static str,
    /// One sentence without a full stop.
    pub help: &'static str,
    /// `counter`, `histogram`, `gauge` or `info`, as OpenMetrics names them.
    pub kind: &'static str,
}

/// Before every name.
pub const PREFIX: &str = "processor";

macro_rules! names {
    ($($kind:ident { $($id:ident = $name:literal, $help:literal;)* })*) => {
        $($(#[doc = $help] pub const $id: Name = Name { name: $name, help: $help, kind: stringify!($kind) };)*)*
        /// All of them.
        pub const ALL: &[Name] = &[$($($id),*),*];
    };
}

names! {
    counter {
        RECORDS_CONSUMED = "records_consumed", "Records read from an input topic";
        CONSUMED_BYTES = "consumed_bytes", "Bytes of keys, values and headers read from an input topic";
        RECORDS_PROCESSED = "records_processed", "Records transformed, by outcome: ok, filtered, invalid (rejected) or failed (given up)";
        RECORDS_PRODUCED = "records_produced", "Records acknowledged by the output topic";
        PRODUCED_BYTES = "produced_bytes", "Bytes of keys, values and headers acknowledged by the output topic";
        RETRIES = "retries", "Attempts that failed and will be repeated, by stage and reason";
        DLQ_RECORDS = "dlq_records", "Records acknowledged by the dead-letter topic, by input topic and reason";
        DLQ_WRITE_ERRORS = "dlq_write_errors", "Dead letters that could not be written; their records stay unfinished";
        BREAKER_OPENINGS = "breaker_openings", "Times that the transform failed for many keys together";
        RECORDS_REDELIVERED = "records_redelivered", "Records read again after an assignment though they had been read before";
        RECORDS_SKIPPED = "records_skipped", "Records read again and skipped: an earlier assignment had finished them, as its commit's offset map says";
        COMMITS = "commits", "Offset commits, by outcome: ok or failed";
        REBALANCES = "rebalances", "Changes of the assignment, by kind: assign, revoke or lost";
        KAFKA_ERRORS = "kafka_errors", "Errors reported by the Kafka client, by code";
        LOG_SUPPRESSED = "log_suppressed", "Log lines left out because the same line had just been written";
    }
    histogram {
        TRANSFORM_DURATION = "transform_duration_seconds", "Time that a transform took for one record";
        QUEUE_WAIT = "queue_wait_seconds", "Time that a record waited for a worker";
        PRODUCE_ACK = "produce_ack_seconds", "Time from handing a record to the Kafka client to its acknowledgement";
        END_TO_END = "end_to_end_seconds", "Time from a record's own timestamp to the acknowledgement of its output";
        COMMIT_DURATION = "commit_duration_seconds", "Time that an offset commit took";
        REBALANCE_DURATION = "rebalance_duration_seconds", "Time that work for a change of the assignment took";
        DRAIN_DURATION = "drain_duration_seconds", "Time from the signal to stop until nothing was in flight";
    }
    // Read when somebody asks.
    gauge {
        CONSUMER_LAG_RECORDS = "consumer_lag_records", "Records between the watermark and the end of an assigned partition, as its broker said last; absent when no broker has said so for ten seconds";
        CONSUMER_LAG_AGE = "consumer_lag_age_seconds", "How long ago the broker said where the partition ends";
        CONSUMER_LAG_SECONDS = "consumer_lag_seconds", "How much younger the end of an assigned partition is than its watermark";
        PARTITION_RECORDS = "partition_records", "Records of an assigned partition since its assignment, by what became of them: produced, filtered, dead_lettered, skipped, given_back or in_flight";
        PARTITION_BALANCE = "partition_balance", "Records consumed of an assigned partition less all those in processor_partition_records: 0, or a record went astray";
        ASSIGNED_PARTITIONS = "assigned_partitions", "Partitions assigned to this process";
        PAUSED_PARTITIONS = "paused_partitions", "Assigned partitions from which nothing more is taken for now";
        IN_FLIGHT_RECORDS = "in_flight_records", "Records read and not yet resolved, by stage: pending, working (or waiting for a retry), ready, producing";
        IN_FLIGHT_BYTES = "in_flight_bytes", "Bytes of the records in flight";
        OLDEST_IN_FLIGHT = "oldest_in_flight_seconds", "Age of the oldest record in flight";
        WORKERS = "workers", "Threads of the worker pool";
        WORKERS_BUSY = "workers_busy", "Threads of the worker pool that run a transform";
        BREAKER_OPEN = "breaker_open", "1 while the transform fails for many keys together and nothing is given up or begun, else 0";
        STUCK_RECORDS = "stuck_records", "Records whose transform has not returned for 10 seconds or longer";
        HELD_LANES = "held_lanes", "Keys or partitions that wait for a record that failed for good and is held";
        READY = "ready", "1 when reading or an idle spare, else 0";
        DRAINING = "draining", "1 while finishing what is in flight before the end, else 0";
        BROKER_REACHABLE = "broker_reachable", "1 while a broker answers, else 0";
        LAST_COMMIT = "last_commit_timestamp_seconds", "When offsets were last committed, in seconds since 1970";
        LAST_ERROR = "last_error_timestamp_seconds", "When a stage last failed, in seconds since 1970";
    }
    info {
        BUILD = "build", "Version of the program and of its librdkafka";
        CONFIG = "config", "Hash of the effective configuration: two of them in one job are a drift";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_distinct_and_well_formed() {
        let distinct: HashSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(distinct.len(), ALL.len());
        for Name { name, help, .. } in ALL {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(
                !name.ends_with("_total") && !name.ends_with("_info"),
                "{name}: the ending is added when written"
            );
            assert!(
                !help.ends_with('.') && !help.contains('\n'),
                "{name}: the full stop is added when written"
            );
        }
    }
}
