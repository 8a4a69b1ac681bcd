//! Outputs that take nothing because too few of their replicas are in sync. librdkafka tries again for ever and says nothing, so this
//! looks while something waits for an answer.

use std::time::{Duration, Instant};

use rdkafka::admin::AdminClient;
use rdkafka::config::ClientConfig;

use super::derive::client_config;
use super::ends::Sink;
use crate::config::Config;
use crate::kafka::admin::{self, Replicas};
use crate::kafka::context::Context;

/// How often it is looked, so that it is said within ten seconds.
const EVERY: Duration = Duration::from_secs(4);
/// How long one question to the cluster may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// What it takes to look.
pub(super) struct Watch {
    topics: Vec<String>,
    properties: ClientConfig,
    context: Context,
    /// Made when a partition is short of replicas first, which may be never.
    inquiry: Option<Inquiry>,
    next: Instant,
}

struct Inquiry {
    admin: AdminClient<Context>,
    runtime: tokio::runtime::Runtime,
}

impl Watch {
    pub(super) fn new(config: &Config, context: &Context) -> Self {
        Self {
            topics: std::iter::once(&config.output_topic).chain(&config.dead_letter_topic).cloned().collect(),
            properties: client_config(&config.producer_properties),
            context: context.clone(),
            inquiry: None,
            next: Instant::now(),
        }
    }

    /// To be called once a second; asks nobody while no record waits for an answer.
    pub(super) fn look(&mut self, sink: &Sink) {
        self.inquiry.iter().for_each(|one| one.admin.inner().context().renew(one.admin.inner()));
        if sink.outstanding() == 0 || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + EVERY;
        let writer = sink.client();
        for topic in self.topics.clone() {
            let Ok(replicas) = admin::replicas(writer.client(), &topic, PATIENCE) else { continue };
            if let Some(text) = self.least(&topic).and_then(|least| shortage(&topic, &replicas, least)) {
                self.context.complain(&topic, &text);
            }
        }
    }

    /// `min.insync.replicas` of a topic now, if we may know it.
    fn least(&mut self, topic: &str) -> Option<usize> {
        if self.inquiry.is_none() {
            let (properties, context) = self.context.of_a_new_client(&self.properties);
            let client = properties.create_with_context(context).ok()?;
            let runtime = admin::runtime().ok()?;
            self.inquiry = Some(Inquiry { admin: client, runtime });
        }
        let Inquiry { admin, runtime } = self.inquiry.as_ref()?;
        admin::settings(admin, &[topic], runtime).first()?.as_ref()?.least_in_sync
    }
}

/// What to say where a partition has fewer replicas in sync than it needs to take records.
pub(super) fn shortage(topic: &str, all: &[Replicas], least: usize) -> Option<String> {
    // Kafka asks for no more replicas than there are.
    let short: Vec<&Replicas> = all.iter().filter(|one| one.in_sync < least.min(one.all)).collect();
    let first = short.first()?;
    let others = if short.len() > 1 {
        format!(", and so do {} other partitions", short.len() - 1)
    } else {
        String::new()
    };
    Some(format!(
        "{topic}/{} takes no records: {} of its {} replicas are in sync, and min.insync.replicas is {least}{others}. Records wait, \
         nothing is lost. Bring the brokers with the other replicas back, or lower min.insync.replicas of the topic",
        first.partition, first.in_sync, first.all
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_short_below_what_its_topic_asks_for() {
        let of = |partition, in_sync| Replicas { partition, in_sync, all: 3 };
        assert_eq!(shortage("out", &[of(0, 2), of(1, 3)], 2), None);
        assert_eq!(shortage("out", &[Replicas { partition: 0, in_sync: 1, all: 1 }], 2), None);
        let text = shortage("out", &[of(0, 2), of(1, 1), of(2, 0)], 2).unwrap();
        assert!(text.starts_with(
            "out/1 takes no records: 1 of its 3 replicas are in sync, and min.insync.replicas is 2"
        ));
        assert!(text.contains("and so do 1 other partitions"), "{text}");
    }
}
