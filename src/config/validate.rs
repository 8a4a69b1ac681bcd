//! One pass over the text of the settings: every fault is noted and the pass goes on, with the default in place of what
//! was wrong, so that the user sees all of them at once.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use super::finding::{Finding, Report};
use super::given::Given;
use super::pass::{Pass, Wrong};
use super::raw::Raw;
use super::{Config, rotation, topics};
use crate::kafka::context::LIBRDKAFKA;
use crate::kafka::properties::{Needs, Properties, bootstrap, client_properties, switch};
use crate::policy::{AfterFailure, Delivery, OffsetReset, OnFailure, Order, Partitioning, Retry};
use crate::telemetry::Http;
use crate::telemetry::log_filter;
use crate::telemetry::logging::LogFormat;

/// What came of the pass. The configuration is of use only if nothing was at fault.
pub(super) struct Passed {
    pub config: Config,
    /// Values in effect that differ from what was typed, by setting.
    pub effective: BTreeMap<&'static str, String>,
    /// `PROCESSOR_STRICT_CONFIG`.
    pub strict: bool,
}

/// Checks everything.
pub(super) fn check(given: &Given, report: &mut Report) -> Passed {
    let raw = Raw::read(given);
    let mut pass = Pass { given, report, effective: BTreeMap::new() };
    let strict = pass.switch("PROCESSOR_STRICT_CONFIG", &raw.processor_strict_config);
    let config = pass.config(&raw);
    pass.across(&raw, &config);
    Passed { config, effective: pass.effective, strict }
}

/// Looks at the address of the listener alone.
pub(super) fn http(given: &Given, report: &mut Report) -> Http {
    Pass { given, report, effective: BTreeMap::new() }.http(&Raw::read(given))
}

impl Pass<'_> {
    fn config(&mut self, raw: &Raw) -> Config {
        self.refuse_auto_store(raw);
        let servers = self.servers(raw);
        let group_id = self.text("KAFKA_GROUP_ID", &raw.kafka_group_id, |text| Ok(text.to_owned()));
        let dead_letter_topic = self.dead_letter_topic(raw, &group_id);
        let delivery = self.delivery(raw);
        let max_in_flight = self.max_in_flight(raw, delivery);
        let [consumer_properties, producer_properties] =
            self.clients(&servers, &group_id, max_in_flight, delivery);
        Config {
            input_topics: self
                .text("KAFKA_CONSUMER_TOPICS", &raw.kafka_consumer_topics, |text| topic(topics::names(text))),
            output_topic: self
                .text("KAFKA_CONSUMER_TOPIC", &raw.kafka_consumer_topic, |text| topic(topics::name(text))),
            offset_reset: self.offset_reset(raw),
            workers: whole(self.count("WORKER_POOL", &raw.worker_pool)),
            tasks_pick_up: self.tasks_pick_up(raw),
            consumers: whole(self.count("CONSUMERS_COUNT", &raw.consumers_count)),
            producers: whole(self.count("PRODUCERS_COUNT", &raw.producers_count)),
            order: self.order(raw),
            delivery,
            instance: self.instance(raw, &consumer_properties),
            retry: self.retry(raw),
            on_failure: self.on_failure(raw, dead_letter_topic.is_some()),
            after_failure: self.after_failure(raw),
            max_in_flight: whole(max_in_flight),
            max_in_flight_bytes: whole(self.max_in_flight_bytes(raw, delivery)),
            commit_interval: self.commit_interval(raw, delivery),
            drain_timeout: self.duration("PROCESSOR_DRAIN_TIMEOUT", &raw.processor_drain_timeout),
            partitioning: self.partitioning(raw),
            source_header: self.switch("PROCESSOR_SOURCE_HEADER", &raw.processor_source_header),
            http: self.http(raw),
            log_filter: self.log_filter(raw, [&consumer_properties, &producer_properties]),
            log_format: self.log_format(raw),
            password_file: rotation::password_file([&consumer_properties, &producer_properties]),
            group_id,
            dead_letter_topic,
            consumer_properties,
            producer_properties,
        }
    }

    /// What only several settings together can tell.
    fn across(&mut self, raw: &Raw, config: &Config) {
        self.failure_policies(raw, config);
        for (name, rule) in topics::loops(config) {
            let finding = self.about(name, "PC009", rule, "Name another topic.");
            self.report.fault(finding);
        }
        if config.retry.backoff > config.retry.backoff_max {
            let rule = "more than PROCESSOR_RETRY_BACKOFF_MAX";
            let finding =
                self.about("PROCESSOR_RETRY_BACKOFF", "PC003", rule, "Lower it or raise the other.");
            self.report.fault(finding);
        }
    }

    fn clients(
        &mut self,
        servers: &str,
        group: &str,
        max_in_flight: u64,
        delivery: Delivery,
    ) -> [Properties; 2] {
        let needs = Needs { servers, group, max_in_flight, delivery, trust: &self.given.trust };
        let made = client_properties(&needs, &self.given.user_properties(), !self.report.faults.is_empty());
        for refusal in made.refusals {
            let warning = refusal.warning;
            let finding = self.given.finding(refusal);
            if warning { self.report.warn(finding) } else { self.report.fault(finding) }
        }
        if let Some(store) = made.authorities {
            self.effective.insert("KAFKA_SSL_CA_LOCATION", store);
        }
        [made.consumer, made.producer]
    }

    fn refuse_auto_store(&mut self, raw: &Raw) {
        self.read("KAFKA_AUTO_OFFSET_STORE", &raw.kafka_auto_offset_store, |text| match switch(text)? {
            false => Ok(()),
            true => Err(Wrong(
                "PC020",
                "refused: an offset stored before its result is safe loses the record in a crash".into(),
                Some("Set it to false, or remove it.".into()),
            )),
        });
    }

    fn servers(&mut self, raw: &Raw) -> String {
        let servers = self.text("KAFKA_SERVERS", &raw.kafka_servers, |text| {
            bootstrap(text).map_err(|rule| Wrong("PC006", rule, None))
        });
        self.effective.insert("KAFKA_SERVERS", servers.clone());
        servers
    }

    fn dead_letter_topic(&mut self, raw: &Raw, group: &str) -> Option<String> {
        let name = "KAFKA_DLQ_TOPIC";
        let topic = match &raw.kafka_dlq_topic {
            Some(text) if text.eq_ignore_ascii_case("off") => return None,
            Some(_) => self.text(name, &raw.kafka_dlq_topic, |text| topic(topics::name(text))),
            None => self.default_dead_letter_topic(group),
        };
        self.effective.insert(name, topic.clone());
        Some(topic)
    }

    fn default_dead_letter_topic(&mut self, group: &str) -> String {
        let topic = format!("dlq.{group}");
        if !group.is_empty() && topics::name(&topic).is_err() {
            let rule = "its default, dlq.<group>, would not be the name of a topic";
            self.report.fault(Finding::new("PC019", "KAFKA_DLQ_TOPIC", rule, "Set it, or set it to off."));
        }
        topic
    }

    fn on_failure(&mut self, raw: &Raw, has_topic: bool) -> OnFailure {
        use OnFailure::{DeadLetter, Skip, Stop};
        let name = "PROCESSOR_ON_FAILURE";
        let words = [("dlq", DeadLetter), ("skip", Skip), ("stop", Stop)];
        match self.choice(name, &raw.processor_on_failure, &words) {
            Some(DeadLetter) | None if has_topic => DeadLetter,
            None => Stop,
            Some(DeadLetter)
                if raw
                    .processor_on_failure
                    .as_deref()
                    .is_some_and(|text| text.eq_ignore_ascii_case("dlq")) =>
            {
                let rule = "there is no dead-letter topic: KAFKA_DLQ_TOPIC is off";
                let fix = "Set it to stop or skip, or name a KAFKA_DLQ_TOPIC.";
                let finding = self.about(name, "PC022", rule, fix);
                self.report.fault(finding);
                Stop
            }
            Some(DeadLetter) => {
                self.effective.insert(name, "stop".into());
                Stop
            }
            Some(chosen) => chosen,
        }
    }

    fn after_failure(&mut self, raw: &Raw) -> AfterFailure {
        use AfterFailure::{Continue, Hold, Run};
        let words = [("continue", Continue), ("hold", Hold), ("run", Run)];
        self.choice("PROCESSOR_AFTER_FAILURE", &raw.processor_after_failure, &words).unwrap_or(Continue)
    }

    /// A record cannot be given up and held, nor followed to a topic that it does not go to.
    fn failure_policies(&mut self, raw: &Raw, config: &Config) {
        let name = "PROCESSOR_AFTER_FAILURE";
        let asked = raw.processor_on_failure.is_some();
        let (rule, fix) = match (config.after_failure, config.on_failure) {
            (AfterFailure::Hold, OnFailure::Skip | OnFailure::Stop) if asked => (
                "contradicts PROCESSOR_ON_FAILURE: what is held is neither skipped nor does it stop the program",
                "Set it to continue, or remove PROCESSOR_ON_FAILURE.",
            ),
            (AfterFailure::Run, OnFailure::Skip | OnFailure::Stop) => (
                "needs the dead-letter topic: that is where the rest of a key follows its failed record to",
                "Name a KAFKA_DLQ_TOPIC and set PROCESSOR_ON_FAILURE to dlq, or set this to continue.",
            ),
            _ => return,
        };
        let finding = self.about(name, "PC023", rule, fix);
        self.report.fault(finding);
    }

    fn offset_reset(&mut self, raw: &Raw) -> OffsetReset {
        use OffsetReset::{Earliest, Error, Latest};
        let words = [("earliest", Earliest), ("latest", Latest), ("error", Error)];
        self.choice("KAFKA_OFFSET_RESET", &raw.kafka_offset_reset, &words).unwrap_or(Error)
    }

    fn order(&mut self, raw: &Raw) -> Order {
        use Order::{Key, Partition, Unordered};
        let words = [("key", Key), ("partition", Partition), ("unordered", Unordered)];
        self.choice("PROCESSOR_ORDER", &raw.processor_order, &words).unwrap_or(Key)
    }

    fn delivery(&mut self, raw: &Raw) -> Delivery {
        use Delivery::{AtLeastOnce, ExactlyOnce};
        let words = [("at-least-once", AtLeastOnce), ("exactly-once", ExactlyOnce)];
        self.choice("PROCESSOR_DELIVERY", &raw.processor_delivery, &words).unwrap_or(AtLeastOnce)
    }

    fn instance(&mut self, raw: &Raw, consumer: &Properties) -> Option<String> {
        let given = self.read("PROCESSOR_INSTANCE", &raw.processor_instance, |text| {
            let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
            let good = text.len() <= 200 && text.chars().all(allowed);
            if good { Ok(text.to_owned()) } else { Err("not a name".into()) }
        });
        let instance = given.or_else(|| consumer.get("group.instance.id").map(str::to_owned))?;
        self.effective.insert("PROCESSOR_INSTANCE", instance.clone());
        Some(instance)
    }

    /// A record is in flight until its transaction is committed: what comes within some commits must fit in.
    fn max_in_flight(&mut self, raw: &Raw, delivery: Delivery) -> u64 {
        let name = "PROCESSOR_MAX_IN_FLIGHT";
        let text = self.or_of_transactions(name, &raw.processor_max_in_flight, delivery, "80000");
        self.count(name, &text)
    }

    fn max_in_flight_bytes(&mut self, raw: &Raw, delivery: Delivery) -> u64 {
        let name = "PROCESSOR_MAX_IN_FLIGHT_BYTES";
        let text = self.or_of_transactions(name, &raw.processor_max_in_flight_bytes, delivery, "128MiB");
        self.size(name, &text)
    }

    fn commit_interval(&mut self, raw: &Raw, delivery: Delivery) -> Duration {
        let name = "PROCESSOR_COMMIT_INTERVAL";
        let text = self.or_of_transactions(name, &raw.processor_commit_interval, delivery, "100ms");
        self.duration(name, &text)
    }

    /// What is given; else the default that exactly once has of its own, which is noted as what holds.
    fn or_of_transactions(
        &mut self,
        name: &'static str,
        given: &Option<String>,
        delivery: Delivery,
        default: &str,
    ) -> Option<String> {
        if delivery != Delivery::ExactlyOnce || given.is_some() {
            return given.clone();
        }
        self.effective.insert(name, default.to_owned());
        Some(default.to_owned())
    }

    fn partitioning(&mut self, raw: &Raw) -> Partitioning {
        use Partitioning::{Murmur2, RoundRobin, SamePartition};
        let words = [("murmur2", Murmur2), ("same-partition", SamePartition), ("round-robin", RoundRobin)];
        self.choice("PROCESSOR_PARTITIONING", &raw.processor_partitioning, &words).unwrap_or(Murmur2)
    }

    fn retry(&mut self, raw: &Raw) -> Retry {
        let attempts = self.count("PROCESSOR_RETRY_ATTEMPTS", &raw.processor_retry_attempts);
        Retry {
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            backoff: self.duration("PROCESSOR_RETRY_BACKOFF", &raw.processor_retry_backoff),
            backoff_max: self.duration("PROCESSOR_RETRY_BACKOFF_MAX", &raw.processor_retry_backoff_max),
        }
    }

    fn tasks_pick_up(&mut self, raw: &Raw) -> Option<usize> {
        let name = "TASKS_PICK_UP";
        let adapts = raw.tasks_pick_up.as_ref().is_none_or(|text| text.eq_ignore_ascii_case("auto"));
        if adapts { None } else { Some(whole(self.count(name, &raw.tasks_pick_up))) }
    }

    fn http(&mut self, raw: &Raw) -> Http {
        let http = self.read("PROCESSOR_HTTP_ADDR", &raw.processor_http_addr, |text| Ok(Http::parse(text)?));
        http.unwrap_or(Http::Off)
    }

    /// `run` logs to standard output, so that is the terminal to look at.
    fn log_format(&mut self, raw: &Raw) -> LogFormat {
        use LogFormat::{Json, Text};
        let words = [("auto", None), ("text", Some(Text)), ("json", Some(Json))];
        let chosen = self.choice("PROCESSOR_LOG_FORMAT", &raw.processor_log_format, &words).flatten();
        chosen.unwrap_or_else(|| if std::io::stdout().is_terminal() { Text } else { Json })
    }

    /// Whoever sets `KAFKA_DEBUG` wants to see its lines.
    fn log_filter(&mut self, raw: &Raw, clients: [&Properties; 2]) -> String {
        let name = "RUST_LOG";
        let filter = self.text(name, &raw.rust_log, |text| {
            let wrong = |reason| Wrong("PC003", format!("not a log filter: {reason}"), None);
            log_filter::log_filter(text).map(|_| text.to_owned()).map_err(wrong)
        });
        if clients.iter().all(|client| client.get("debug").is_none()) {
            return filter;
        }
        let filter = log_filter::with_debug_of(LIBRDKAFKA, &filter);
        self.effective.insert(name, filter.clone());
        filter
    }
}

fn topic<T>(name: Result<T, String>) -> Result<T, Wrong> {
    name.map_err(|rule| Wrong("PC019", rule, None))
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
