//! Properties that the user may not set, and why: each would break a guarantee, do nothing, or is not librdkafka's.

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult};

use super::property::{all, switch};

/// A guarded property: what it may be all the same, why no more, and what to do.
type Guard = (&'static str, &'static [&'static str], &'static str, &'static str);

const AFTER_RESULT: &str =
    "refused: offsets are stored only when their result is safe; otherwise a crash loses records";
const BY_TRACKER: &str = "refused: the program commits offsets itself";
const ALL_ACKS: &str = "refused: a result counts as written only when all in-sync replicas have it";
const SERVERS: &str = "refused: one list serves consumers and producers";
const REMOVE: &str = "Remove it.";

/// By canonical name.
#[rustfmt::skip]
const GUARDED: &[Guard] = &[
    ("enable.auto.commit", &["false"], AFTER_RESULT, REMOVE),
    ("auto.commit.enable", &["false"], AFTER_RESULT, REMOVE),
    ("enable.auto.offset.store", &["false"], AFTER_RESULT, REMOVE),
    ("auto.commit.interval.ms", &[], BY_TRACKER, "Set PROCESSOR_COMMIT_INTERVAL."),
    ("offset.store.method", &["broker"], BY_TRACKER, REMOVE),
    ("offset.store.path", &[], BY_TRACKER, REMOVE),
    ("offset.store.sync.interval.ms", &[], BY_TRACKER, REMOVE),
    ("request.required.acks", &["all", "-1"], ALL_ACKS, REMOVE),
    ("enable.idempotence", &["true"], "refused: without it a retry inside the client repeats or reorders records", REMOVE),
    ("enable.gapless.guarantee", &["true"], "refused: without it a record may overtake one that is written again", REMOVE),
    ("transactional.id", &[], "refused: the program chooses it where it uses transactions", REMOVE),
    ("isolation.level", &["read_committed"], "refused: records of aborted transactions would be processed", REMOVE),
    ("check.crcs", &["true"], "refused: a record that a disk or a network has changed would be processed and written", REMOVE),
    ("group.id", &[], "refused: all consumers share one group", "Set KAFKA_GROUP_ID."),
    ("metadata.broker.list", &[], SERVERS, "Set KAFKA_SERVERS."),
    ("partition.assignment.strategy", &["cooperative-sticky", "range", "roundrobin"],
        "refused: not a strategy that a rebalance here knows", "One of cooperative-sticky, range, roundrobin."),
    ("message.timeout.ms", &["0"], "refused: a result must wait for the broker, not be dropped after a while",
        "Remove it. With PROCESSOR_DELIVERY=exactly-once it is KAFKA_TRANSACTION_TIMEOUT_MS."),
    ("allow.auto.create.topics", &["false"], "refused: a topic made by accident has the broker's default of partitions, mostly one",
        "Remove it, and make the topic."),
    ("auto.offset.reset", &["error"], "refused: where to begin is decided once, for a group without offsets", "Set KAFKA_OFFSET_RESET."),
    ("enable.partition.eof", &["false"], "refused: it moves the position past records (librdkafka #4844)", REMOVE),
    ("partitioner", &[], "refused: the program chooses the partition", "Set PROCESSOR_PARTITIONING."),
    ("delivery.report.only.error", &["false"], "refused: without a report a result never counts as written", REMOVE),
    ("queuing.strategy", &["fifo"], "refused: order would be lost", REMOVE),
    ("message.send.max.retries", &["2147483647"], "refused: a result is sent until the broker has it", REMOVE),
    ("max.in.flight.requests.per.connection", &["1", "2", "3", "4", "5"],
        "refused: above 5 the broker cannot keep the order", "Expected 1–5."),
    ("group.protocol", &["classic"], "refused: the new protocol ends in a fatal error in this librdkafka", REMOVE),
    ("group.remote.assignor", &[], "refused: it belongs to the new group protocol", REMOVE),
    ("plugin.library.paths", &[], "refused: a plugin can change everything that is promised", REMOVE),
    ("log.queue", &["false"], "refused: log lines would pile up unread", REMOVE),
    ("enabled_events", &[], "refused: the program chooses the events it reads", REMOVE),
];

/// Why `value` of the property with this canonical name is refused, and what to do instead.
pub(super) fn refusal(canonical: &str, value: &str) -> Option<(&'static str, &'static str)> {
    let (_, allowed, reason, fix) = GUARDED.iter().find(|(name, ..)| *name == canonical)?;
    let same = |text: &&str| text.eq_ignore_ascii_case(value) || switches_alike(text, value);
    if allowed.iter().any(same) { None } else { Some((reason, fix)) }
}

/// What librdkafka would do by itself, unless it is told not to.
const OFF: [&str; 2] = ["enable.auto.commit", "enable.auto.offset.store"];

/// Whether a member of the group may be made of these properties. It is asked where the client is made, whatever way they came:
/// a client that commits by itself loses records.
///
/// # Errors
/// The property that would break a guarantee.
pub fn check_consumer(properties: &ClientConfig) -> KafkaResult<()> {
    let guarded = GUARDED.iter().filter(|(_, allowed, ..)| !allowed.is_empty());
    for (name, _, reason, _) in guarded {
        let value = all().filter(|p| p.consumer && p.canonical == *name).find_map(|p| properties.get(p.name));
        let bad = match value {
            Some(value) => refusal(name, value).is_some(),
            None => OFF.contains(name),
        };
        if bad {
            let value = value.unwrap_or_default();
            return Err(KafkaError::ClientCreation(format!("{name}={value:?}: {reason}")));
        }
    }
    Ok(())
}

fn switches_alike(allowed: &str, value: &str) -> bool {
    let is_word = matches!(allowed, "true" | "false");
    is_word && switch(value).is_ok_and(|on| on.to_string() == allowed)
}

const PEM: &str = "Set KAFKA_SSL_CA_LOCATION, a PEM file.";
const BYTES: &str = "Remove it: keys and values travel as bytes.";
const METRICS: &str = "Remove it: /metrics has the figures.";

/// Properties of the Java client that librdkafka does not have, and what does the same here.
#[rustfmt::skip]
const JAVA: &[(&str, &str)] = &[
    ("sasl.jaas.config", "Set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD."),
    ("sasl.login.callback.handler.class", "Set KAFKA_SASL_MECHANISM."),
    ("sasl.client.callback.handler.class", "Set KAFKA_SASL_MECHANISM."),
    ("sasl.login.class", REMOVE),
    ("ssl.truststore.location", PEM), ("ssl.truststore.password", PEM), ("ssl.truststore.type", PEM),
    ("ssl.truststore.certificates", "Set KAFKA_SSL_CA_PEM."),
    ("ssl.keystore.type", "Remove it: KAFKA_SSL_KEYSTORE_LOCATION is PKCS#12."),
    ("ssl.keystore.key", "Set KAFKA_SSL_KEY_PEM."),
    ("ssl.keystore.certificate.chain", "Set KAFKA_SSL_CERTIFICATE_PEM."),
    ("ssl.protocol", REMOVE), ("ssl.enabled.protocols", REMOVE), ("ssl.provider", "Set KAFKA_SSL_PROVIDERS."),
    ("ssl.keymanager.algorithm", REMOVE), ("ssl.trustmanager.algorithm", REMOVE), ("security.providers", REMOVE),
    ("max.poll.records", "Set PROCESSOR_MAX_IN_FLIGHT and TASKS_PICK_UP."),
    ("key.serializer", BYTES), ("value.serializer", BYTES), ("key.deserializer", BYTES), ("value.deserializer", BYTES),
    ("buffer.memory", "Set KAFKA_PRODUCER_QUEUE_BUFFERING_MAX_KBYTES."),
    ("max.block.ms", "Remove it: the program waits for the broker."),
    ("max.request.size", "Set KAFKA_PRODUCER_MESSAGE_MAX_BYTES."),
    ("default.api.timeout.ms", "Set KAFKA_SOCKET_TIMEOUT_MS."),
    ("fetch.max.wait.ms", "Set KAFKA_FETCH_WAIT_MAX_MS."),
    ("send.buffer.bytes", "Set KAFKA_SOCKET_SEND_BUFFER_BYTES."),
    ("receive.buffer.bytes", "Set KAFKA_SOCKET_RECEIVE_BUFFER_BYTES."),
    ("socket.connection.setup.timeout.max.ms", "Set KAFKA_SOCKET_CONNECTION_SETUP_TIMEOUT_MS."),
    ("partitioner.class", "Set PROCESSOR_PARTITIONING."), ("partitioner.ignore.keys", "Set PROCESSOR_PARTITIONING."),
    ("partitioner.adaptive.partitioning.enable", "Set PROCESSOR_PARTITIONING."),
    ("compression.gzip.level", "Set KAFKA_COMPRESSION_LEVEL."),
    ("compression.lz4.level", "Set KAFKA_COMPRESSION_LEVEL."),
    ("compression.zstd.level", "Set KAFKA_COMPRESSION_LEVEL."),
    ("interceptor.classes", REMOVE), ("exclude.internal.topics", REMOVE), ("auto.include.jmx.reporter", REMOVE),
    ("metric.reporters", METRICS), ("metrics.num.samples", METRICS), ("metrics.recording.level", METRICS),
    ("metrics.sample.window.ms", METRICS),
];

/// What does here what a variable would do for a Java client, if it is the name of one of that client's properties.
pub fn instead_of_java(variable: &str) -> Option<&'static str> {
    let bare = variable.strip_prefix("KAFKA_")?;
    let bare = bare.strip_prefix("CONSUMER_").or_else(|| bare.strip_prefix("PRODUCER_")).unwrap_or(bare);
    let (_, fix) = JAVA.iter().find(|(name, _)| name.to_ascii_uppercase().replace('.', "_") == bare)?;
    Some(fix)
}

#[cfg(test)]
mod tests {
    use super::super::property;
    use super::*;

    #[test]
    fn each_guard_is_a_canonical_name_and_no_java_name_is_librdkafkas() {
        for (name, ..) in GUARDED {
            assert!(property::named(name).is_some_and(|p| p.canonical == *name), "{name}");
        }
        for (name, _) in JAVA {
            assert!(property::named(name).is_none(), "{name} is librdkafka's too");
        }
    }

    #[test]
    fn a_consumer_that_commits_by_itself_is_not_made() {
        let with = |more: &[(&str, &str)]| {
            let mut properties = ClientConfig::new();
            let off = OFF.map(|name| (name, "false"));
            properties.extend(
                off.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
            );
            check_consumer(&properties)
        };
        assert_eq!(with(&[]), Ok(()));
        assert_eq!(with(&[("group.id", "g"), ("bootstrap.servers", "a:1"), ("check.crcs", "TRUE")]), Ok(()));
        for (name, value) in [
            ("enable.auto.commit", "true"),
            ("auto.commit.enable", "true"),
            ("enable.auto.offset.store", "yes"),
            ("isolation.level", "read_uncommitted"),
            ("check.crcs", "false"),
        ] {
            assert!(with(&[(name, value)]).unwrap_err().to_string().contains(name), "{name}");
        }
        // It is on unless it is off.
        assert!(check_consumer(&ClientConfig::new()).is_err());
    }

    #[test]
    fn what_we_set_ourselves_is_accepted_and_nothing_else() {
        assert!(refusal("request.required.acks", "1").is_some());
        assert!(refusal("request.required.acks", "ALL").is_none());
        assert!(refusal("enable.auto.commit", "1").is_some());
        assert!(refusal("enable.auto.commit", "no").is_none());
        assert!(refusal("isolation.level", "read_uncommitted").is_some());
        assert!(refusal("max.in.flight.requests.per.connection", "6").is_some());
        assert!(refusal("socket.nagle.disable", "true").is_none());
        assert!(instead_of_java("KAFKA_CONSUMER_MAX_POLL_RECORDS").is_some());
        assert!(instead_of_java("KAFKA_CONSUMER_LINGER_MS").is_none());
    }
}
