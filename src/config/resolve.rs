//! From what was given to a configuration: each row of the table is read, then what only several settings together can tell. Every
//! fault is noted and the reading goes on, with the default in place of what was wrong, so that the user sees all of them at once.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use super::Config;
use super::given::GivenSettings;
use super::problem::{Problems, SettingProblem, Wrong};
use super::rotation::password_file;
use super::table::{Fallback, SETTINGS, Setting, Target, setting};
use crate::kafka::context::LIBRDKAFKA;
use crate::kafka::properties::{ClientProperties, Needs, Role, client_properties};
use crate::kafka::topic_name::topic_name;
use crate::ops::Http;
use crate::ops::log_filter;
use crate::ops::logging::LogFormat;
use crate::policy::{AfterFailure, Delivery, OnFailure};

/// A configuration that is being read, and the settings that are no field of it.
#[derive(Default)]
pub(super) struct Draft {
    pub config: Config,
    pub servers: String,
    /// `None`: by where log lines go.
    pub log_format: Option<LogFormat>,
    pub strict: bool,
    /// For a setting without effect.
    pub ignored: (),
}

/// What came of it. The configuration is of use only if nothing was at fault.
pub(super) struct Resolved {
    pub config: Config,
    /// Values in effect that differ from what was typed, by setting.
    pub effective: BTreeMap<&'static str, String>,
    /// `PROCESSOR_STRICT_CONFIG`.
    pub strict: bool,
}

/// Reads everything.
pub(super) fn resolve(given: &GivenSettings, problems: &mut Problems) -> Resolved {
    let mut of_rows = Problems::default();
    let mut resolver = Resolver::new(given, &mut of_rows);
    SETTINGS.iter().for_each(|setting| resolver.read(setting));
    let Resolver { draft, effective, .. } = resolver;
    let mut resolver = Resolver { given, problems, draft, effective };
    resolver.dead_letters();
    resolver.properties();
    resolver.problems.append(of_rows);
    resolver.instance();
    resolver.logs();
    resolver.across();
    let Resolver { draft, effective, .. } = resolver;
    Resolved { config: draft.config, effective, strict: draft.strict }
}

/// Reads the address of the listener alone.
pub(super) fn http(given: &GivenSettings, problems: &mut Problems) -> Http {
    let mut resolver = Resolver::new(given, problems);
    resolver.read(setting("PROCESSOR_HTTP_ADDR"));
    resolver.draft.config.http
}

struct Resolver<'a> {
    given: &'a GivenSettings,
    problems: &'a mut Problems,
    draft: Draft,
    effective: BTreeMap<&'static str, String>,
}

impl<'a> Resolver<'a> {
    fn new(given: &'a GivenSettings, problems: &'a mut Problems) -> Self {
        Self { given, problems, draft: Draft::default(), effective: BTreeMap::new() }
    }

    /// Reads one row: the value as given; if that is wrong, a fault and the default; if there is none, the default.
    fn read(&mut self, setting: &'static Setting) {
        let Target::Field(read) = &setting.target else { return };
        match self.given.text(setting.name) {
            Some(text) => {
                let done = if text.contains('\0') { Err(NUL.into()) } else { read(&mut self.draft, text) };
                match done {
                    Ok(()) => return,
                    Err(wrong) => self.wrong(setting, wrong),
                }
            }
            None if matches!(setting.default, Fallback::Required(_)) => self.missing(setting),
            None => {}
        }
        if let Some(default) = self.default(setting) {
            // A default that is no value of its setting does not pass the tests.
            let _ = read(&mut self.draft, default);
        }
    }

    /// The default that exactly once has of its own is noted as what holds. The row of the delivery comes before.
    fn default(&mut self, setting: &'static Setting) -> Option<&'static str> {
        match (setting.default, setting.exactly_once) {
            (_, Some(text)) if self.draft.config.delivery == Delivery::ExactlyOnce => {
                self.effective.insert(setting.name, text.to_owned());
                Some(text)
            }
            (Fallback::Text(text), _) => Some(text),
            _ => None,
        }
    }

    fn wrong(&mut self, setting: &'static Setting, wrong: Wrong) {
        let fix = wrong.fix.unwrap_or_else(|| match setting.default {
            Fallback::Text(default) | Fallback::Derived(default) => {
                format!("Expected {}; default {default}.", setting.rule)
            }
            _ => format!("Expected {}.", setting.rule),
        });
        self.fault(setting.name, wrong.code, wrong.rule, &fix);
    }

    fn missing(&mut self, setting: &'static Setting) {
        let Fallback::Required(example) = setting.default else { return };
        let typed = self.given.empty((Role::Both, setting.name));
        let rule = if typed.is_some() { "empty, which counts as missing" } else { "missing" };
        let fix = format!("Set the {}. Example: {example}", setting.meaning);
        self.problems.fault(SettingProblem::new("PC001", typed.unwrap_or(setting.name), rule, fix));
    }

    /// A fault of a setting, under the name that the user typed, if any.
    fn fault(&mut self, name: &'static str, code: &'static str, rule: impl Into<String>, fix: &str) {
        let fault = match self.given.get((Role::Both, name)) {
            Some(value) => value.wrong(code, rule, fix),
            None => SettingProblem::new(code, name, rule, fix),
        };
        self.problems.fault(fault);
    }

    /// The dead-letter topic has the group in its default, and without it nothing can be written to it.
    fn dead_letters(&mut self) {
        let given = self.given.text(DEAD_LETTERS);
        let config = &mut self.draft.config;
        let off = given.is_some_and(|text| text.eq_ignore_ascii_case("off"));
        let group = &config.group_id;
        let default = (!off).then(|| format!("dlq.{group}"));
        let bad = given.is_none()
            && !group.is_empty()
            && default.as_deref().is_some_and(|n| topic_name(n).is_err());
        config.dead_letter_topic = config.dead_letter_topic.take().or(default);
        if let Some(topic) = &config.dead_letter_topic {
            self.effective.insert(DEAD_LETTERS, topic.clone());
        }
        if bad {
            let rule = "its default, dlq.<group>, would not be the name of a topic";
            self.fault(DEAD_LETTERS, "PC019", rule, "Set it, or set it to off.");
        }
        self.on_failure();
    }

    fn on_failure(&mut self) {
        let config = &mut self.draft.config;
        if config.on_failure != OnFailure::DeadLetter || config.dead_letter_topic.is_some() {
            return;
        }
        config.on_failure = OnFailure::Stop;
        if self.given.text(ON_FAILURE).is_some_and(|text| text.eq_ignore_ascii_case("dlq")) {
            let rule = "there is no dead-letter topic: KAFKA_DLQ_TOPIC is off";
            self.fault(ON_FAILURE, "PC022", rule, "Set it to stop or skip, or name a KAFKA_DLQ_TOPIC.");
        } else {
            self.effective.insert(ON_FAILURE, "stop".into());
        }
    }

    /// What the clients get.
    fn properties(&mut self) {
        let Draft { servers, config, .. } = &mut self.draft;
        if !servers.is_empty() {
            self.effective.insert("KAFKA_SERVERS", servers.clone());
        }
        let needs = Needs {
            servers,
            group: &config.group_id,
            max_in_flight: config.max_in_flight as u64,
            delivery: config.delivery,
            trust: &self.given.trust,
        };
        let faulty = !self.problems.faults.is_empty();
        let ClientProperties { consumer, producer, authorities, refusals } =
            client_properties(&needs, &self.given.user_properties(), faulty);
        for refusal in refusals {
            let warning = refusal.warning;
            let problem = self.given.problem(refusal);
            if warning { self.problems.warn(problem) } else { self.problems.fault(problem) }
        }
        if let Some(store) = authorities {
            self.effective.insert("KAFKA_SSL_CA_LOCATION", store);
        }
        config.password_file = password_file([&consumer, &producer]);
        (config.consumer_properties, config.producer_properties) = (consumer, producer);
    }

    fn instance(&mut self) {
        let config = &mut self.draft.config;
        let of_the_group = || config.consumer_properties.get("group.instance.id").map(str::to_owned);
        config.instance = config.instance.take().or_else(of_the_group);
        if let Some(instance) = &config.instance {
            self.effective.insert("PROCESSOR_INSTANCE", instance.clone());
        }
    }

    /// `run` logs to standard output, so that is the terminal to look at. With `KAFKA_DEBUG` its lines are shown.
    fn logs(&mut self) {
        let Draft { config, log_format, .. } = &mut self.draft;
        let by_terminal = || if std::io::stdout().is_terminal() { LogFormat::Text } else { LogFormat::Json };
        config.log_format = log_format.unwrap_or_else(by_terminal);
        let clients = [&config.consumer_properties, &config.producer_properties];
        if clients.iter().any(|client| client.get("debug").is_some()) {
            config.log_filter = log_filter::with_debug_of(LIBRDKAFKA, &config.log_filter);
            self.effective.insert("RUST_LOG", config.log_filter.clone());
        }
    }

    /// What only several settings together can tell.
    fn across(&mut self) {
        self.failure_policies();
        for (name, rule) in loops(&self.draft.config) {
            self.fault(name, "PC009", rule, "Name another topic.");
        }
        let retry = self.draft.config.retry;
        if retry.backoff > retry.backoff_max {
            let rule = "more than PROCESSOR_RETRY_BACKOFF_MAX";
            self.fault("PROCESSOR_RETRY_BACKOFF", "PC003", rule, "Lower it or raise the other.");
        }
    }

    /// A record cannot be skipped and retried until it succeeds, and nothing follows it to a topic that it is not written to.
    fn failure_policies(&mut self) {
        let asked = self.given.text(ON_FAILURE).is_some();
        let config = &self.draft.config;
        let (rule, fix) = match (config.after_failure, config.on_failure) {
            (AfterFailure::BlockKey, OnFailure::Skip | OnFailure::Stop) if asked => (
                "contradicts PROCESSOR_ON_FAILURE: with block-key a failed record is retried until it succeeds, so it is never skipped \
                 and never stops the program",
                "Set it to continue, or remove PROCESSOR_ON_FAILURE.",
            ),
            (AfterFailure::DeadLetterKey, OnFailure::Skip | OnFailure::Stop) => (
                "needs a dead-letter topic: with dead-letter-key the records behind a failed one are written to it",
                "Set KAFKA_DLQ_TOPIC and PROCESSOR_ON_FAILURE=dlq, or set this to continue.",
            ),
            _ => return,
        };
        self.fault("PROCESSOR_AFTER_FAILURE", "PC023", rule, fix);
    }
}

const DEAD_LETTERS: &str = "KAFKA_DLQ_TOPIC";
const ON_FAILURE: &str = "PROCESSOR_ON_FAILURE";
const NUL: &str = "has a NUL character in it";

/// Topics that are read and written, or written for two purposes: the setting, and what is wrong.
fn loops(config: &Config) -> Vec<(&'static str, String)> {
    let (output, dead) = (&config.output_topic, config.dead_letter_topic.as_ref());
    let mut found = Vec::new();
    if config.input_topics.contains(output) {
        found.push((
            "KAFKA_OUTPUT_TOPIC",
            "the output topic is an input topic too: its records would be processed again and again"
                .to_owned(),
        ));
    }
    if let Some(dead) = dead.filter(|dead| config.input_topics.contains(dead)) {
        let rule = format!("{dead} is an input topic: dead letters would be processed again and again");
        found.push(("KAFKA_DLQ_TOPIC", rule));
    }
    if dead.is_some_and(|dead| !dead.is_empty() && dead == output) {
        found.push((
            "KAFKA_DLQ_TOPIC",
            "it is the output topic too: dead letters would be mixed with results".to_owned(),
        ));
    }
    found
}
