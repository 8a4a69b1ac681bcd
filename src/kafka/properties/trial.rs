//! Whether librdkafka takes the properties of a client. A client is made of them and closed again, without a broker to connect to:
//! so `check` finds what `run` would find at its start.

use std::sync::LazyLock;

use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaType;

use super::clients::{Accepted, of_role};
use super::property::{self, Role};
use super::{Properties, Refusal};

/// Notes what librdkafka refuses, under the names that the user typed. What it speaks of is left out then and the rest tried again,
/// so that all of it is said at once. With the defaults alone there is nothing to try.
pub(super) fn look_at(
    role: Role,
    properties: &Properties,
    accepted: &[Accepted<'_>],
    faulty: bool,
    refusals: &mut Vec<Refusal>,
) {
    if of_role(role, accepted).next().is_none() {
        return;
    }
    let mut properties = properties.clone();
    while let Some(text) = refusal(role, &properties) {
        let spoken_of = spoken_of(&text);
        let culprits: Vec<&Accepted<'_>> = of_role(role, accepted)
            .filter(|a| {
                spoken_of.contains(&a.user.property.canonical)
                    && properties.get(a.user.property.name).is_some()
            })
            .collect();
        let text = masked(&text, role, accepted);
        let Some(culprit) = culprits.last() else {
            // It may follow from another fault.
            if !faulty && refusals.iter().all(|refusal| refusal.warning) {
                let rule = format!("refuses these settings: {text}");
                refusals.push(Refusal {
                    code: "PC026",
                    about: None,
                    rule,
                    fix: String::new(),
                    warning: false,
                });
            }
            return;
        };
        if !is_said(culprit, refusals) {
            refusals.push(culprit.user.refused(
                "PC026",
                format!("librdkafka refuses it: {text}"),
                fix(culprit),
            ));
        }
        let refused: Vec<&str> = culprits.iter().map(|culprit| culprit.user.property.name).collect();
        properties = properties.without(&refused);
    }
}

/// Whether there is a fault about it already, or about what it is for: a mechanism that this build does not have.
fn is_said(culprit: &Accepted<'_>, refusals: &[Refusal]) -> bool {
    let of_tokens = culprit.user.property.name.starts_with("sasl.oauthbearer.");
    let about = Some((culprit.user.role, culprit.user.property.canonical));
    let mut faults = refusals.iter().filter(|refusal| !refusal.warning);
    faults.any(|fault| fault.about == about || of_tokens && fault.code == "PC027")
}

/// Whether librdkafka was built with this, by the names of its `builtin.features`.
pub fn is_built(feature: &str) -> bool {
    static FEATURES: LazyLock<String> = LazyLock::new(|| {
        let native = ClientConfig::new().create_native_config();
        native.and_then(|native| native.get("builtin.features")).unwrap_or_default()
    });
    FEATURES.split(',').any(|built| built == feature)
}

/// Says nothing: there is nobody to be told yet.
struct Silent;

impl ClientContext for Silent {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, _: &str) {}
}

/// Whether librdkafka has nothing against them.
pub fn is_taken(role: Role, properties: &Properties) -> bool {
    refusal(role, properties).is_none()
}

/// What librdkafka says against them, if anything.
fn refusal(role: Role, properties: &Properties) -> Option<String> {
    // Without brokers nobody is asked, and without a group there is none to leave.
    let alone = |name: &str| !matches!(name, "bootstrap.servers" | "group.id");
    let mut config = ClientConfig::new();
    config.extend(properties.iter().filter(|(name, _)| alone(name)).cloned());
    let kind = match role {
        Role::Consumer => RDKafkaType::RD_KAFKA_CONSUMER,
        _ => RDKafkaType::RD_KAFKA_PRODUCER,
    };
    match config.create_native_config().and_then(|native| Client::new(&config, native, kind, Silent)) {
        Ok(_) => None,
        Err(KafkaError::ClientConfig(_, text, ..) | KafkaError::ClientCreation(text)) => Some(text),
        Err(error) => Some(error.to_string()),
    }
}

/// Where librdkafka does not name the property that it speaks of.
const PHRASES: [(&str, &str); 4] = [
    ("SASL mechanism", "sasl.mechanisms"),
    ("rivate key check", "ssl.key.location"),
    ("rivate key check", "ssl.key.pem"),
    ("rivate key check", "ssl.keystore.location"),
];

/// The properties that a text names, by their canonical names. A word without a dot (`retries`) may be a word.
fn spoken_of(text: &str) -> Vec<&'static str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_')));
    let named = words.map(|word| word.trim_matches('.')).filter(|word| word.contains('.'));
    let named = named.filter_map(property::named).map(|property| property.canonical);
    let meant = PHRASES.iter().filter(|(phrase, _)| text.contains(phrase)).map(|(_, name)| *name);
    named.chain(meant).collect()
}

/// librdkafka may repeat a value that it does not like.
fn masked(text: &str, role: Role, accepted: &[Accepted<'_>]) -> String {
    let secrets = of_role(role, accepted).filter(|a| !a.user.property.public && !a.user.text.is_empty());
    let text = secrets.fold(text.to_owned(), |text, secret| text.replace(secret.user.text, "***"));
    text.trim_end_matches([':', ' ', '.']).to_owned()
}

fn fix(culprit: &Accepted<'_>) -> &'static str {
    if culprit.user.property.path {
        "Name a file in the format that it asks for, whole and not protected by another password."
    } else if culprit.user.property.name.ends_with(".pem") {
        "Write it in PEM with its line breaks, from -----BEGIN to -----END."
    } else {
        ""
    }
}
