//! The configuration as a whole: the historic quick start, every fault at once, no secret anywhere, no panic ever.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::table::setting;
use super::*;
use crate::kafka::properties::{self, Role};

const MINIMUM: &[(&str, &str)] = &[
    ("KAFKA_SERVERS", "localhost"),
    ("KAFKA_GROUP_ID", "group"),
    ("KAFKA_CONSUMER_TOPICS", "in"),
    ("KAFKA_OUTPUT_TOPIC", "out"),
];

fn read(variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let environment = variables.iter().map(|(name, value)| (name.into(), value.into()));
    load(environment, flags.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect())
}

/// The minimum and these variables.
fn with(variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    read(&[MINIMUM, variables].concat(), &[])
}

/// Code and name of each fault.
fn faults(variables: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    match with(variables) {
        Ok(_) => vec![],
        Err(faults) => faults.faults.into_iter().map(|fault| (fault.code, fault.name)).collect(),
    }
}

fn assert_fault(code: &str, variables: &[(&str, &str)]) {
    let found = faults(variables);
    let one = found.len() == 1 && found[0].0 == code;
    assert!(one, "{variables:?}: expected one {code}, got {found:?}");
}

#[track_caller]
fn assert_good(variables: &[(&str, &str)]) -> Loaded {
    with(variables).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn the_historic_quick_start() {
    let variables = [
        ("KAFKA_SERVERS", "localhost"),
        ("KAFKA_GROUP_ID", "myGroup"),
        ("KAFKA_CONSUMER_TOPICS", "input_topic"),
        ("KAFKA_CONSUMER_TOPIC", "output_topic"),
        ("KAFKA_OFFSET_RESET", "earliest"),
        ("KAFKA_AUTO_OFFSET_STORE", "false"),
        ("WORKER_POOL", "6"),
        ("TASKS_PICK_UP", "2"),
        ("CONSUMERS_COUNT", "2"),
        ("PRODUCERS_COUNT", "2"),
    ];
    let loaded = read(&variables, &[]).unwrap();
    let config = loaded.config;
    assert_eq!(loaded.warnings, []);
    assert_eq!((config.group_id.as_str(), config.output_topic.as_str()), ("myGroup", "output_topic"));
    assert_eq!(config.input_topics, ["input_topic"]);
    assert_eq!(config.dead_letter_topic.as_deref(), Some("dlq.myGroup"));
    assert_eq!((config.workers, config.tasks_pick_up), (6, Some(2)));
    assert_eq!(config.offset_reset, OffsetReset::Earliest);
    assert_eq!(config.consumer_properties.get("bootstrap.servers"), Some("localhost:9092"));
    assert_eq!(config.consumer_properties.get("group.id"), Some("myGroup"));
    assert_eq!(config.producer_properties.get("group.id"), None);
}

#[test]
fn tls_without_an_authority_trusts_those_of_the_machine() {
    let [own, other] = ["own-ca", "other-ca"].map(|name| file(name, CERTIFICATE));
    let [own, other] = [&own, &other].map(|path| path.to_str().unwrap());
    let found = |variables: &[(&str, &str)]| {
        let variables = [&[("SSL_CERT_FILE", own), ("KAFKA_SECURITY_PROTOCOL", "ssl")], variables].concat();
        let config = assert_good(&variables).config;
        let of = |properties: &Properties| properties.get("ssl.ca.location").map(str::to_owned);
        assert_eq!(of(&config.consumer_properties), of(&config.producer_properties));
        of(&config.consumer_properties)
    };
    assert_eq!(found(&[]).as_deref(), Some(own));
    assert_eq!(found(&[SASL, &[("KAFKA_SASL_PASSWORD", "pw")]].concat()).as_deref(), Some(own));
    // Whoever says whom to believe, or that there is nothing to believe, is obeyed.
    assert_eq!(found(&[("KAFKA_SSL_CA_LOCATION", other)]).as_deref(), Some(other));
    assert_eq!(found(&[("KAFKA_SSL_CA_LOCATION", "probe")]).as_deref(), Some("probe"));
    assert_eq!(found(&[("KAFKA_SSL_CA_PEM", CERTIFICATE)]), None);
    assert_eq!(found(&[("KAFKA_ENABLE_SSL_CERTIFICATE_VERIFICATION", "false")]), None);
    assert_eq!(found(&[("KAFKA_SECURITY_PROTOCOL", "plaintext")]), None);
    [own, other].iter().for_each(|path| std::fs::remove_file(path).unwrap());
}

/// What had another name keeps it, and nobody is warned.
#[test]
fn old_names_and_words_keep_working() {
    let base = [("KAFKA_SERVERS", "localhost"), ("KAFKA_GROUP_ID", "group")];
    let both = |input, output, more: &[(&str, &str)]| {
        let loaded = read(&[&base[..], &[(input, "in"), (output, "out")], more].concat(), &[]).unwrap();
        assert_eq!(loaded.warnings, []);
        loaded
    };
    let new = both("KAFKA_INPUT_TOPICS", "KAFKA_OUTPUT_TOPIC", &[]);
    let old = both("KAFKA_CONSUMER_TOPICS", "KAFKA_CONSUMER_TOPIC", &[]);
    assert_eq!(new.config, old.config);
    let row = old.settings.rows.iter().find(|row| row.name == "KAFKA_OUTPUT_TOPIC").unwrap();
    assert_eq!(row.source, "environment KAFKA_CONSUMER_TOPIC");
    for (word, policy) in [
        ("hold", AfterFailure::BlockKey),
        ("block-key", AfterFailure::BlockKey),
        ("run", AfterFailure::DeadLetterKey),
        ("Dead-Letter-Key", AfterFailure::DeadLetterKey),
    ] {
        assert_eq!(assert_good(&[("PROCESSOR_AFTER_FAILURE", word)]).config.after_failure, policy, "{word}");
    }
    assert_eq!(setting("PROCESSOR_AFTER_FAILURE").rule, "continue, block-key, dead-letter-key");
}

/// It is shown to those alone who set it.
#[test]
fn a_setting_without_effect_is_taken_and_not_shown() {
    let shown = |variables: &[(&str, &str)]| {
        let rows = assert_good(variables).settings.rows;
        rows.into_iter()
            .filter(|row| row.name == "KAFKA_AUTO_OFFSET_STORE")
            .map(|row| row.source)
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(&[]), [""; 0]);
    assert_eq!(shown(&[("KAFKA_AUTO_OFFSET_STORE", "false")]), ["environment"]);
    assert!(!markdown().contains("KAFKA_AUTO_OFFSET_STORE"));
    assert_fault("PC020", &[("KAFKA_AUTO_OFFSET_STORE", "true")]);
}

#[test]
fn defaults_are_those_of_the_table() {
    let config = assert_good(&[]).config;
    assert_eq!((config.workers, config.consumers, config.producers), (6, 1, 1));
    assert_eq!(config.tasks_pick_up, None);
    assert_eq!((config.offset_reset, config.order), (OffsetReset::Error, Order::Key));
    assert_eq!((config.on_failure, config.partitioning), (OnFailure::DeadLetter, Partitioning::Murmur2));
    assert_eq!((config.max_in_flight, config.max_in_flight_bytes), (10_000, 64 << 20));
    assert_eq!(config.retry.attempts, 3);
    assert_eq!(config.retry.backoff, Duration::from_millis(200));
    assert_eq!(config.retry.backoff_max, Duration::from_secs(30));
    assert_eq!(config.retry, Retry::default());
    assert_eq!(config.commit_interval, Duration::from_secs(1));
    assert_eq!(config.drain_timeout, Duration::from_secs(25));
    assert_eq!(config.http, Http::At("[::]:8890".parse().unwrap()));
    assert_eq!(config.log_filter, "info");
}

#[test]
fn exactly_once_has_defaults_of_its_own_and_what_is_given_wins() {
    let exactly_once = ("PROCESSOR_DELIVERY", "exactly-once");
    let config = assert_good(&[exactly_once]).config;
    assert_eq!((config.max_in_flight, config.max_in_flight_bytes), (80_000, 128 << 20));
    assert_eq!(config.commit_interval, Duration::from_millis(100));
    let given = [
        exactly_once,
        ("PROCESSOR_MAX_IN_FLIGHT", "7"),
        ("PROCESSOR_MAX_IN_FLIGHT_BYTES", "1MiB"),
        ("PROCESSOR_COMMIT_INTERVAL", "2s"),
    ];
    let config = assert_good(&given).config;
    assert_eq!((config.max_in_flight, config.max_in_flight_bytes), (7, 1 << 20));
    assert_eq!(config.commit_interval, Duration::from_secs(2));
}

/// Each setting reaches a field of its own: a value that is not the default changes exactly what it should.
#[test]
fn each_setting_changes_its_own_field() {
    let defaults = assert_good(&[]).config;
    let check = |name, value, expected: &Config| {
        assert_eq!(assert_good(&[(name, value)]).config, *expected, "{name}")
    };
    macro_rules! sets {
        ($($name:literal = $text:literal => $($field:ident).+ = $value:expr;)*) => {$(
            let mut expected = defaults.clone();
            expected.$($field).+ = $value;
            check($name, $text, &expected);

        )*};
    }
    sets! {
        "KAFKA_OFFSET_RESET" = "Latest" => offset_reset = OffsetReset::Latest;
        "WORKER_POOL" = " 7 " => workers = 7;
        "TASKS_PICK_UP" = "8" => tasks_pick_up = Some(8);
        "CONSUMERS_COUNT" = "9" => consumers = 9;
        "PRODUCERS_COUNT" = "10" => producers = 10;
        "PROCESSOR_ORDER" = "unordered" => order = Order::Unordered;
        "PROCESSOR_PARTITIONING" = "round-robin" => partitioning = Partitioning::RoundRobin;
        "KAFKA_DLQ_TOPIC" = "dead" => dead_letter_topic = Some("dead".into());
        "PROCESSOR_ON_FAILURE" = "skip" => on_failure = OnFailure::Skip;
        "PROCESSOR_AFTER_FAILURE" = "block-key" => after_failure = AfterFailure::BlockKey;
        "PROCESSOR_RETRY_ATTEMPTS" = "11" => retry.attempts = 11;
        "PROCESSOR_RETRY_BACKOFF" = "12ms" => retry.backoff = Duration::from_millis(12);
        "PROCESSOR_RETRY_BACKOFF_MAX" = "1h30m" => retry.backoff_max = Duration::from_secs(5400);
        "PROCESSOR_MAX_IN_FLIGHT" = "13" => max_in_flight = 13;
        "PROCESSOR_MAX_IN_FLIGHT_BYTES" = "64MB" => max_in_flight_bytes = 64_000_000;
        "PROCESSOR_COMMIT_INTERVAL" = "250ms" => commit_interval = Duration::from_millis(250);
        "PROCESSOR_DRAIN_TIMEOUT" = "0s" => drain_timeout = Duration::ZERO;
        "PROCESSOR_HTTP_ADDR" = "off" => http = Http::Off;
        "PROCESSOR_LOG_FORMAT" = "text" => log_format = LogFormat::Text;
        "RUST_LOG" = "processor=debug" => log_filter = "processor=debug".into();
    }
}

#[test]
fn every_fault_is_reported_at_once_under_the_name_the_user_typed() {
    let variables = [
        ("KAFKA_BROKERS", "kafka://localhost:9092"),
        ("WORKER_POOL", "six"),
        ("PROCESSOR_COMMIT_INTERVAL", "5"),
        ("KAFKA_OUTPUT_TOPIC", "a b"),
        ("KAFKA_SALS_USERNAME", "me"),
        ("KAFKA_ACKS", "1"),
        ("KAFKA_LINGER_MS", "-1"),
        ("KAFKA_AUTO_OFFSET_STORE", "true"),
    ];
    let found = read(&variables, &[("PRODUCERS_COUNT", "0")]).unwrap_err();
    let mut names: Vec<_> = found.faults.iter().map(|fault| (fault.code, fault.name.as_str())).collect();
    names.sort_unstable();
    let expected = [
        ("PC001", "KAFKA_GROUP_ID"),
        ("PC001", "KAFKA_INPUT_TOPICS"),
        ("PC003", "--producers-count"),
        ("PC003", "KAFKA_LINGER_MS"),
        ("PC003", "WORKER_POOL"),
        ("PC005", "PROCESSOR_COMMIT_INTERVAL"),
        ("PC006", "KAFKA_BROKERS"),
        ("PC019", "KAFKA_OUTPUT_TOPIC"),
        ("PC020", "KAFKA_ACKS"),
        ("PC020", "KAFKA_AUTO_OFFSET_STORE"),
    ];
    assert_eq!(names, expected);
    let text = found.to_string();
    assert!(text.starts_with("error: 10 settings are wrong\n"), "{text}");
    assert!(text.contains("WORKER_POOL=\"six\""), "{text}");
    assert!(text.contains("not a number (from the environment). Expected 1–1024; default 6."), "{text}");
    assert!(text.contains("a number without its unit"), "{text}");
    assert!(text.contains("Did you mean KAFKA_SASL_USERNAME?"), "{text}");
}

#[test]
fn empty_is_unset() {
    let loaded =
        assert_good(&[("WORKER_POOL", " "), ("KAFKA_SASL_PASSWORD_FILE", ""), ("KAFKA_LINGER_MS", "")]);
    assert_eq!(loaded.config.workers, 6);
    let row = loaded.settings.rows.iter().find(|row| row.name == "WORKER_POOL").unwrap();
    assert_eq!((row.value.as_deref(), row.source.as_str()), (Some("6"), "environment (empty, default used)"));
    assert!(!row.changed);
    let missing = read(&[("KAFKA_BROKERS", "")], &[]).unwrap_err();
    assert!(missing.faults.iter().any(|f| f.name == "KAFKA_BROKERS" && f.code == "PC001"), "{missing}");
}

#[test]
fn flags_win_and_aliases_must_agree() {
    let loaded = read(
        &[MINIMUM, &[("WORKER_POOL", "x"), ("KAFKA_BROKERS", "a")]].concat(),
        &[("WORKER_POOL", "3"), ("KAFKA_SERVERS", "b")],
    );
    let loaded = loaded.unwrap();
    assert_eq!(loaded.config.workers, 3);
    assert_eq!(loaded.config.producer_properties.get("bootstrap.servers"), Some("b:9092"));
    let row = loaded.settings.rows.iter().find(|row| row.name == "WORKER_POOL").unwrap();
    assert_eq!(row.source, "flag --worker-pool");
    assert_fault("PC004", &[("KAFKA_BROKERS", "other")]);
    assert_good(&[("KAFKA_BROKERS", "localhost")]);
    assert_fault("PC004", &[("KAFKA_LINGER_MS", "1"), ("KAFKA_QUEUE_BUFFERING_MAX_MS", "2")]);
}

#[test]
fn the_listener_is_found_whatever_else_is_wrong() {
    let at = |variables: &[(&str, &str)], flags: &[(&str, &str)]| {
        let environment = variables.iter().map(|(name, value)| (name.into(), value.into()));
        http(environment, flags.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect())
    };
    let address = |text: &str| Ok(Http::At(text.parse().unwrap()));
    assert_eq!(at(&[], &[]), address("[::]:8890"));
    assert_eq!(at(&[("PROCESSOR_HTTP_ADDR", ":1"), ("WORKER_POOL", "six")], &[]), address("[::]:1"));
    let flag = [("PROCESSOR_HTTP_ADDR", "[::1]:2")];
    assert_eq!(at(&[("PROCESSOR_HTTP_ADDR", "off")], &flag), address("[::1]:2"));
    assert_eq!(at(&[("PROCESSOR_HTTP_ADDR", "off")], &[]), Ok(Http::Off));
    assert_eq!(
        at(&[("PROCESSOR_HTTP_ADDR", "8890")], &[]).unwrap_err().faults[0].name,
        "PROCESSOR_HTTP_ADDR"
    );
}

#[test]
fn topics_must_not_go_round() {
    assert_fault("PC009", &[("KAFKA_DLQ_TOPIC", "in")]);
    assert_fault("PC009", &[("KAFKA_DLQ_TOPIC", "out")]);
    let same = [&MINIMUM[..3], &[("KAFKA_CONSUMER_TOPIC", "in")]].concat();
    assert_eq!(read(&same, &[]).unwrap_err().faults[0].code, "PC009");
    let pattern = [&MINIMUM[..2], &MINIMUM[3..], &[("KAFKA_INPUT_TOPICS", "^in.*")]].concat();
    assert_eq!(read(&pattern, &[]).unwrap_err().faults[0].name, "KAFKA_INPUT_TOPICS");
    let group = [&MINIMUM[..1], &MINIMUM[2..], &[("KAFKA_GROUP_ID", "my group")]].concat();
    assert_eq!(read(&group, &[]).unwrap_err().faults[0].code, "PC019");
    assert!(read(&[&group[..], &[("KAFKA_DLQ_TOPIC", "off")]].concat(), &[]).is_ok());
}

#[test]
fn without_a_dead_letter_topic_a_failure_stops() {
    let loaded = assert_good(&[("KAFKA_DLQ_TOPIC", "OFF")]);
    assert_eq!((loaded.config.on_failure, loaded.config.dead_letter_topic), (OnFailure::Stop, None));
    let row = loaded.settings.rows.iter().find(|row| row.name == "PROCESSOR_ON_FAILURE").unwrap();
    assert_eq!((row.value.as_deref(), row.changed), (Some("stop"), false));
    assert_fault("PC022", &[("KAFKA_DLQ_TOPIC", "off"), ("PROCESSOR_ON_FAILURE", "dlq")]);
    assert_fault("PC003", &[("KAFKA_DLQ_TOPIC", "off"), ("PROCESSOR_ON_FAILURE", "drop")]);
    assert_good(&[("KAFKA_DLQ_TOPIC", "off"), ("PROCESSOR_ON_FAILURE", "skip")]);
}

#[test]
fn what_is_held_is_not_given_up_and_what_runs_on_needs_a_dead_letter_topic() {
    for chosen in ["skip", "stop"] {
        for after in ["block-key", "dead-letter-key", "hold", "run"] {
            assert_fault("PC023", &[("PROCESSOR_ON_FAILURE", chosen), ("PROCESSOR_AFTER_FAILURE", after)]);
        }
        assert_good(&[("PROCESSOR_ON_FAILURE", chosen), ("PROCESSOR_AFTER_FAILURE", "continue")]);
    }
    assert_fault("PC023", &[("KAFKA_DLQ_TOPIC", "off"), ("PROCESSOR_AFTER_FAILURE", "run")]);
    assert_fault("PC003", &[("PROCESSOR_AFTER_FAILURE", "wait")]);
    assert_good(&[("KAFKA_DLQ_TOPIC", "off"), ("PROCESSOR_AFTER_FAILURE", "hold")]);
    assert_good(&[("PROCESSOR_ON_FAILURE", "dlq"), ("PROCESSOR_AFTER_FAILURE", "hold")]);
    assert_good(&[("PROCESSOR_AFTER_FAILURE", "run")]);
}

#[test]
fn properties_go_to_the_client_that_has_them_and_the_special_one_wins() {
    let config = assert_good(&[
        ("KAFKA_LINGER_MS", "7"),
        ("KAFKA_CLIENT_ID", "both"),
        ("KAFKA_CONSUMER_CLIENT_ID", "reader"),
        ("KAFKA_FETCH_MIN_BYTES", "9"),
        ("KAFKA_GROUP_INSTANCE_ID", "pod-0"),
        ("KAFKA_ENABLE_AUTO_COMMIT", "false"),
    ])
    .config;
    let (consumer, producer) = (&config.consumer_properties, &config.producer_properties);
    assert_eq!((consumer.get("linger.ms"), producer.get("linger.ms")), (None, Some("7")));
    assert_eq!((consumer.get("client.id"), producer.get("client.id")), (Some("reader"), Some("both")));
    assert_eq!((consumer.get("fetch.min.bytes"), producer.get("fetch.min.bytes")), (Some("9"), None));
    assert_eq!(consumer.get("group.instance.id"), Some("pod-0"));
    assert_eq!(consumer.get("enable.auto.commit"), Some("false"));
    assert_fault("PC003", &[("KAFKA_CONSUMER_LINGER_MS", "7")]);
}

#[test]
fn what_would_break_a_guarantee_is_refused() {
    let refused = [
        ("KAFKA_ENABLE_AUTO_COMMIT", "true"),
        ("KAFKA_ENABLE_AUTO_OFFSET_STORE", "true"),
        ("KAFKA_REQUEST_REQUIRED_ACKS", "1"),
        ("KAFKA_ENABLE_IDEMPOTENCE", "false"),
        ("KAFKA_TRANSACTIONAL_ID", "x"),
        ("KAFKA_CONSUMER_ISOLATION_LEVEL", "read_uncommitted"),
        ("KAFKA_CONSUMER_GROUP_ID", "x"),
        ("KAFKA_PRODUCER_BOOTSTRAP_SERVERS", "x"),
        ("KAFKA_METADATA_BROKER_LIST", "x"),
        ("KAFKA_PARTITION_ASSIGNMENT_STRATEGY", "sticky"),
        ("KAFKA_MESSAGE_TIMEOUT_MS", "1000"),
        ("KAFKA_DELIVERY_TIMEOUT_MS", "1000"),
        ("KAFKA_AUTO_OFFSET_RESET", "earliest"),
        ("KAFKA_ENABLE_PARTITION_EOF", "true"),
        ("KAFKA_PARTITIONER", "random"),
        ("KAFKA_DELIVERY_REPORT_ONLY_ERROR", "true"),
        ("KAFKA_QUEUING_STRATEGY", "lifo"),
        ("KAFKA_RETRIES", "3"),
        ("KAFKA_MAX_IN_FLIGHT", "6"),
        ("KAFKA_GROUP_PROTOCOL", "consumer"),
        ("KAFKA_PLUGIN_LIBRARY_PATHS", "x"),
        ("KAFKA_LOG_QUEUE", "true"),
        ("KAFKA_ENABLED_EVENTS", "1"),
        ("KAFKA_DR_MSG_CB", "x"),
        ("KAFKA_BUILTIN_FEATURES", "x"),
    ];
    for variable in refused {
        assert_fault("PC020", &[variable]);
    }
}

#[test]
fn half_a_security_setting_is_a_fault() {
    let (user, password) = (("KAFKA_SASL_USERNAME", "me"), ("KAFKA_SASL_PASSWORD", "pw"));
    let (mechanism, protocol) = (("KAFKA_SASL_MECHANISM", "PLAIN"), ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"));
    let loaded = assert_good(&[user, password, mechanism, protocol]);
    assert_eq!(loaded.config.producer_properties.get("security.protocol"), Some("sasl_ssl"));
    for three in [[user, password, mechanism], [user, password, protocol], [user, mechanism, protocol]] {
        assert_fault("PC010", &three);
    }
    assert_fault("PC010", &[mechanism, protocol]);
    assert_fault("PC010", &[user, password, mechanism, ("KAFKA_SECURITY_PROTOCOL", "ssl")]);
    assert_fault("PC010", &[("KAFKA_SSL_CA_LOCATION", env!("CARGO_MANIFEST_DIR"))]);
    assert_fault(
        "PC011",
        &[("KAFKA_SSL_CA_LOCATION", "/nowhere/ca.pem"), ("KAFKA_SECURITY_PROTOCOL", "ssl")],
    );
}

/// Another program's variables are in the same environment: a shared file of settings, a node's own, a neighbour's.
#[test]
fn variables_of_somebody_else_are_warnings_beside_a_complete_configuration() {
    let others = [
        ("KAFKA_BROKER", "elsewhere:9092", "PC007"),
        ("CONSUMER_COUNT", "3", "PC007"),
        ("WORKER_POOLS", "blue,green", "PC007"),
        ("KAFKA_DEBUG", "true", "PC003"),
        ("KAFKA_LOG_LEVEL", "INFO", "PC003"),
        ("KAFKA_MAX_POLL_RECORDS", "500", "PC012"),
        ("KAFKA_SSL_TRUSTSTORE_LOCATION", "/etc/trust.jks", "PC012"),
        ("KAFKA_GROUP_ID_FILE", "/etc/group", "PC007"),
        ("KAFKA_TEST_MOCK_NUM_BROKERS", "3", "PC007"),
    ];
    let plain = assert_good(&[]);
    for (name, value, code) in others {
        let loaded = assert_good(&[(name, value)]);
        let warned: Vec<_> = loaded.warnings.iter().map(|w| (w.code, w.name.as_str())).collect();
        assert_eq!(warned, [(code, name)]);
        assert_eq!(loaded.config, plain.config, "{name} has no effect");
        assert_fault(code, &[(name, value), ("PROCESSOR_STRICT_CONFIG", "true")]);
    }
    let all: Vec<_> = others.iter().map(|(name, value, _)| (*name, *value)).collect();
    assert_eq!(assert_good(&all).warnings.len(), others.len());
}

/// A slip in the name of a setting that is required is told beside the fault that it is missing.
#[test]
fn a_slip_is_told_beside_what_is_missing_because_of_it() {
    let variables = [&MINIMUM[1..], &[("KAFKA_BROKER", "localhost")]].concat();
    let found = read(&variables, &[]).unwrap_err();
    assert_eq!(found.faults.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["KAFKA_SERVERS"]);
    assert!(found.to_string().contains("Did you mean KAFKA_BROKERS?"), "{found}");
}

#[test]
fn debug_lines_are_logged_where_they_were_asked_for() {
    let filter = |variables: &[(&str, &str)]| assert_good(variables).config.log_filter;
    assert_eq!(filter(&[("KAFKA_DEBUG", "cgrp")]), "info,librdkafka=debug");
    assert_eq!(filter(&[("KAFKA_PRODUCER_DEBUG", "msg"), ("RUST_LOG", "warn")]), "warn,librdkafka=debug");
    assert_eq!(filter(&[("KAFKA_DEBUG", "cgrp"), ("RUST_LOG", "librdkafka=off")]), "librdkafka=off");
    assert_eq!(filter(&[("KAFKA_DEBUG", "true")]), "info");
    for wrong in ["infoo", "info,Warning", "processor=loud", "verbose"] {
        assert_fault("PC003", &[("RUST_LOG", wrong)]);
    }
}

/// Of nobody.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBdDCCARugAwIBAgIUV9maL9VZ1EGMIWiNumBk8Lq21f0wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMzAxMDI0NTlaGA8yMTI2MTEwNjEwMjQ1
OVowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAsl
cW3VRh9dbXvW80HwDJgEfQOuiAvnX6W4N+CU07aAridy/n3tW8vwOqAec2Bt9hly
xSZ8ot037VaG9L8rTQijUzBRMB0GA1UdDgQWBBQZPYD2c/rasyLCAXnpuyR9eba9
oTAfBgNVHSMEGDAWgBQZPYD2c/rasyLCAXnpuyR9eba9oTAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0cAMEQCIGvvzn1tECbC1dHp9Xc6w1A+eH2wN2CucoZu
ItGxUPDUAiAkDVPC++SEl6VM2hg+ijVlTNaCxITLuyqZhZN/PnI83g==
-----END CERTIFICATE-----
";

/// What librdkafka would refuse when a client is made, each under the name that was typed.
#[test]
fn what_librdkafka_refuses_is_refused_where_settings_are_read() {
    let path = file("no-pem", "this is no certificate");
    let garbage = path.to_str().unwrap();
    let ssl = ("KAFKA_SECURITY_PROTOCOL", "ssl");
    // As a variable is often written; whoever reads it is to put the line breaks back.
    let in_one_line = CERTIFICATE.replace('\n', "\\n");
    assert_good(&[ssl, ("KAFKA_SSL_CA_PEM", CERTIFICATE)]);
    for (name, more) in [
        ("KAFKA_MAX_POLL_INTERVAL_MS", vec![("KAFKA_MAX_POLL_INTERVAL_MS", "10000")]),
        ("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", vec![("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", "400000")]),
        ("KAFKA_FETCH_MAX_BYTES", vec![("KAFKA_FETCH_MAX_BYTES", "1000")]),
        ("KAFKA_RECEIVE_MESSAGE_MAX_BYTES", vec![("KAFKA_RECEIVE_MESSAGE_MAX_BYTES", "1000")]),
        ("KAFKA_SSL_CA_PEM", vec![ssl, ("KAFKA_SSL_CA_PEM", &in_one_line)]),
        ("KAFKA_SSL_CA_LOCATION", vec![ssl, ("KAFKA_SSL_CA_LOCATION", garbage)]),
        (
            "KAFKA_SSL_KEYSTORE_LOCATION",
            vec![ssl, ("KAFKA_SSL_KEYSTORE_LOCATION", garbage), ("KAFKA_SSL_KEYSTORE_PASSWORD", "pw")],
        ),
        ("KAFKA_SSL_CIPHER_SUITES", vec![ssl, ("KAFKA_SSL_CIPHER_SUITES", "ROT13")]),
    ] {
        let found = with(&more).map(|_| name).unwrap_err();
        let named: Vec<_> = found.faults.iter().map(|fault| (fault.code, fault.name.as_str())).collect();
        assert_eq!(named, [("PC026", name)], "{found}");
    }
    std::fs::remove_file(path).unwrap();
}

/// librdkafka itself says one thing at a time, and nothing where another setting is wrong.
#[test]
fn all_that_librdkafka_refuses_is_said_at_once() {
    let found = faults(&[
        ("WORKER_POOL", "six"),
        ("KAFKA_MAX_POLL_INTERVAL_MS", "10000"),
        ("KAFKA_FETCH_MAX_BYTES", "1000"),
        ("KAFKA_SECURITY_PROTOCOL", "ssl"),
        ("KAFKA_SSL_CA_PEM", "no certificate"),
    ]);
    let expected = [
        ("PC026", "KAFKA_MAX_POLL_INTERVAL_MS"),
        ("PC026", "KAFKA_FETCH_MAX_BYTES"),
        ("PC026", "KAFKA_SSL_CA_PEM"),
        ("PC003", "WORKER_POOL"),
    ];
    assert_eq!(found, expected.map(|(code, name)| (code, name.to_owned())));
}

#[test]
fn mechanisms_that_are_not_built_are_refused_with_what_to_use_instead() {
    let sasl = ("KAFKA_SECURITY_PROTOCOL", "sasl_ssl");
    let endpoint = ("KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", "https://id.example/token");
    let oidc = [
        ("KAFKA_SASL_OAUTHBEARER_METHOD", "oidc"),
        ("KAFKA_SASL_OAUTHBEARER_CLIENT_ID", "me"),
        ("KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET", "canary"),
        endpoint,
    ];
    for (feature, mechanism, more) in
        [("sasl_gssapi", "GSSAPI", &[][..]), ("oidc", "OAUTHBEARER", &[]), ("oidc", "oauthbearer", &oidc)]
    {
        if properties::is_built(feature) {
            continue;
        }
        let variables = [&[sasl, ("KAFKA_SASL_MECHANISM", mechanism)], more].concat();
        let found = with(&variables).unwrap_err();
        let named: Vec<_> = found.faults.iter().map(|fault| (fault.code, fault.name.as_str())).collect();
        assert_eq!(named, [("PC027", "KAFKA_SASL_MECHANISM")], "{found}");
        assert!(found.to_string().contains("Set PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"), "{found}");
    }
    // librdkafka would take GSSAPI where none is named.
    assert_fault("PC010", &[sasl]);
    let trial = ("KAFKA_ENABLE_SASL_OAUTHBEARER_UNSECURE_JWT", "true");
    assert_good(&[
        ("KAFKA_SECURITY_PROTOCOL", "sasl_plaintext"),
        ("KAFKA_SASL_MECHANISM", "OAUTHBEARER"),
        trial,
    ]);
    assert_eq!(setting("KAFKA_SASL_MECHANISM").rule, "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512");
}

#[test]
fn warnings_become_faults_when_asked() {
    let doubtful = [("KAFKA_QUEUE_BUFFERING_MAX_MESSAGES", "100"), ("KAFKA_HOME", "/opt/kafka")];
    let loaded = assert_good(&doubtful);
    let codes: Vec<_> = loaded.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["PC007", "PC024"]);
    let strict = [&doubtful[..], &[("PROCESSOR_STRICT_CONFIG", "yes")]].concat();
    assert_eq!(faults(&strict).len(), 2);
}

#[test]
fn a_queue_is_never_shorter_than_what_may_be_in_flight() {
    let queue = |variables: &[(&str, &str)]| {
        let config = assert_good(variables).config;
        config.producer_properties.get("queue.buffering.max.messages").map(str::to_owned)
    };
    assert_eq!(queue(&[]).as_deref(), Some("100000"));
    assert_eq!(queue(&[("PROCESSOR_MAX_IN_FLIGHT", "200000")]).as_deref(), Some("200000"));
}

/// A file of this test run with this content.
fn file(name: &str, content: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("processor-config-{}-{name}", std::process::id()));
    std::fs::write(&path, content).unwrap();
    path
}

const SASL: &[(&str, &str)] = &[
    ("KAFKA_SASL_USERNAME", "me"),
    ("KAFKA_SASL_MECHANISM", "PLAIN"),
    ("KAFKA_SECURITY_PROTOCOL", "sasl_ssl"),
];

#[test]
fn a_secret_may_come_from_a_file() {
    let path = file("secret", " s3cret \r\n");
    let from_file = ("KAFKA_SASL_PASSWORD_FILE", path.to_str().unwrap());
    let loaded = assert_good(&[SASL, &[from_file]].concat());
    assert_eq!(loaded.config.consumer_properties.get("sasl.password"), Some(" s3cret "));
    assert_fault("PC004", &[SASL, &[from_file, ("KAFKA_SASL_PASSWORD", "x")]].concat());
    let absent = faults(&[SASL, &[("KAFKA_SASL_PASSWORD_FILE", "/nowhere")]].concat());
    assert!(absent.contains(&("PC011", "KAFKA_SASL_PASSWORD_FILE".into())), "{absent:?}");
    std::fs::remove_file(path).unwrap();
}

/// Puts one secret wherever a user may put it, and looks for it in everything that can be printed.
#[test]
fn a_secret_is_never_shown() {
    const CANARY: &str = "canary-7f3a";
    let path = file("canary", CANARY);
    let url = format!("kafka://me:{CANARY}@host:9092");
    let key = format!("-----BEGIN PRIVATE KEY-----{CANARY}");
    let places: &[(&str, &str)] = &[
        ("KAFKA_SASL_PASSWORD", CANARY),
        ("KAFKA_SASL_PASSWORD_FILE", CANARY),
        ("KAFKA_CONSUMER_SASL_PASSWORD_FILE", path.to_str().unwrap()),
        ("KAFKA_PRODUCER_SASL_PASSWORD", CANARY),
        ("KAFKA_SSL_KEY_PASSWORD", CANARY),
        ("KAFKA_SSL_KEY_PEM", CANARY),
        ("KAFKA_SSL_KEY_LOCATION", &key),
        ("KAFKA_SSL_KEYSTORE_PASSWORD", CANARY),
        ("KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET", CANARY),
        ("KAFKA_SASL_OAUTHBEARER_CONFIG", CANARY),
        ("KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", CANARY),
        ("KAFKA_SASL_KERBEROS_KINIT_CMD", CANARY),
        ("KAFKA_SASL_JAAS_CONFIG", CANARY),
        ("KAFKA_SALS_PASSWORD", CANARY),
        ("KAFKA_SOMETHING_ELSE", CANARY),
        ("KAFKA_PLUGIN_LIBRARY_PATHS", CANARY),
        ("KAFKA_BROKERS", &url),
        ("KAFKA_GROUP_ID_FILE", CANARY),
    ];
    let mut printed = Vec::new();
    let one_by_one = places.iter().map(std::slice::from_ref).chain([places]);
    for variables in one_by_one {
        for base in [&[] as &[(&str, &str)], SASL, MINIMUM] {
            let variables = [MINIMUM, base, variables].concat();
            printed.push(match read(&variables, &[]) {
                Ok(loaded) => {
                    let json = serde_json::to_string(&loaded.settings).unwrap();
                    format!("{loaded:?}\n{}\n{json}\n{}", loaded.settings, Warnings(&loaded.warnings))
                }
                Err(faults) => {
                    let json = serde_json::to_string(&faults).unwrap();
                    format!("{faults:?}\n{faults}\n{}\n{json}", faults.settings)
                }
            });
        }
    }
    std::fs::remove_file(path).unwrap();
    for text in printed {
        assert!(!text.contains(CANARY), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn bytes_that_are_no_text_are_a_fault_that_names_the_variable() {
    use std::os::unix::ffi::OsStringExt;
    let broken = || OsString::from_vec(vec![b'a', 0xff]);
    let environment = vec![
        ("WORKER_POOL".into(), broken()),
        ("PATH".into(), broken()),
        (OsString::from_vec(b"KAFKA_\xff".to_vec()), "x".into()),
    ];
    let found = load(environment, vec![]).unwrap_err();
    let names: Vec<_> = found.faults.iter().filter(|f| f.code == "PC008").map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["WORKER_POOL"]);
    let warned: Vec<_> = found.warnings.iter().map(|warning| (warning.code, warning.name.as_str())).collect();
    assert_eq!(warned, [("PC008", "KAFKA_\u{fffd}")]);
}

/// Names that exist, with and without a slip, and any others.
fn name() -> impl Strategy<Value = String> {
    let settings: Vec<String> = SETTINGS
        .iter()
        .flat_map(|s| s.aliases.iter().chain([&s.name]))
        .map(|name| (*name).to_owned())
        .collect();
    let properties: Vec<String> = properties::all().map(|p| p.variable(Role::Both)).collect();
    let suffixes = prop::sample::select(vec!["", "", "", "_FILE", "S", "_PORT"]);
    let known = prop::sample::select([settings, properties].concat());
    prop_oneof![
        6 => (known, suffixes).prop_map(|(name, suffix)| format!("{name}{suffix}")),
        1 => "(KAFKA|PROCESSOR|WORKER)_[A-Z_]{0,12}",
        1 => any::<String>(),
    ]
}

fn value() -> impl Strategy<Value = OsString> {
    let words =
        ["", "off", "auto", "true", "6", "-1", "30s", "64MiB", "a,b", "tcp://x", "PLAIN", "sasl_ssl", "\0"];
    prop_oneof![
        3 => prop::sample::select(words.to_vec()).prop_map(OsString::from),
        2 => any::<String>().prop_map(OsString::from),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(bytes),
    ]
}

#[cfg(unix)]
fn bytes(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

#[cfg(not(unix))]
fn bytes(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

proptest! {
    #[test]
    fn no_environment_makes_it_panic(
        variables in prop::collection::vec((name().prop_map(OsString::from), value()), 0..12),
        flags in prop::collection::vec((name(), value()), 0..3),
    ) {
        match load(variables, flags) {
            Ok(loaded) => drop(format!("{:?} {}", loaded, loaded.settings)),
            Err(faults) => {
                prop_assert!(!faults.faults.is_empty());
                prop_assert!(faults.to_string().lines().count() > faults.faults.len());
            }
        }
    }
}
