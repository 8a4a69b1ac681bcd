//! What the commands that look at topics have in common: a client of the user's settings, and what its errors mean for the exit
//! code.

use std::time::{Duration, Instant};

use crate::app::{Ended, Exit};
use crate::kafka::admin::Topic;
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{ClientConfig, ClientContext};

/// Keeps why a broker does not let us in. Everything else that a client says shows in what it does not do.
#[derive(Default)]
pub(super) struct Denial(Mutex<Option<String>>);

impl ClientContext for Denial {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        if matches!(error.rdkafka_error_code(), Some(Code::Authentication | Code::SaslAuthenticationFailed)) {
            self.0.lock().get_or_insert_with(|| reason.to_owned());
        }
    }
}

impl ConsumerContext for Denial {}

/// A client with these properties.
pub(super) fn client(properties: &[(String, String)]) -> ClientConfig {
    let mut client = ClientConfig::new();
    for (name, value) in properties {
        client.set(name, value);
    }
    client
}

/// When no client can be made of the properties.
pub(super) fn unusable(error: KafkaError) -> Ended {
    Ended::new(Exit::Config, format!("librdkafka does not accept these properties: {error}"))
}

/// An error if it does not help to ask again.
pub(super) fn refused(context: &Denial, error: &KafkaError) -> Result<(), Ended> {
    if let Some(reason) = context.0.lock().as_ref() {
        return Err(Ended::new(Exit::Denied, format!("the broker does not let us in: {reason}")));
    }
    match error.rdkafka_error_code() {
        Some(
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed,
        ) => Err(Ended::new(Exit::Denied, format!("the user may not do that: {error}"))),
        _ => Ok(()),
    }
}

/// A topic that may not be used.
pub(super) fn denied_topic(topic: &str) -> Ended {
    Ended::new(
        Exit::Denied,
        format!("not allowed to use {topic}: the user needs Describe on it, and Read or Write"),
    )
}

/// How many partitions a topic has, which has to be there.
pub(super) fn existing(name: &str, topic: &Topic) -> Result<i32, Ended> {
    match topic {
        Topic::Exists(partitions) => Ok(*partitions),
        Topic::Missing => {
            Err(Ended::new(Exit::Missing, format!("there is no topic {name}, or the user may not see it")))
        }
        Topic::Denied => Err(denied_topic(name)),
    }
}

/// Asks until there is an answer, or it does not help to ask again, or the time is over. `serve` lets the client say what it has
/// to say, and waits a little.
pub(super) fn ask<T>(
    timeout: Duration,
    denial: &Denial,
    serve: impl Fn(),
    question: impl Fn() -> Result<T, KafkaError>,
) -> Result<T, Ended> {
    let began = Instant::now();
    loop {
        let error = match question() {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        serve();
        refused(denial, &error)?;
        if began.elapsed() >= timeout {
            return Err(silent(&error, timeout));
        }
    }
}

/// When nobody answers.
fn silent(error: &KafkaError, timeout: Duration) -> Ended {
    let text = format!(
        "no answer within {timeout:.0?} ({error}). Is the address right, and reachable from here? See also: processor check"
    );
    Ended::new(Exit::Missing, text)
}
