//! Commits past what stands behind the last record of a partition and is none: see [`Scout`].

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;

use super::derive::client_config;
use crate::config::Config;
use crate::kafka::context::{Context, TopicPartition};
use crate::offsets::Slot;
use crate::pipeline::Pipeline;
use crate::source::scout::Scout;

/// When no further partition is begun with.
const PATIENCE: Duration = Duration::from_millis(500);

/// What it takes, and what was seen when it was looked last.
pub(super) struct Behind {
    properties: ClientConfig,
    context: Context,
    /// Made when it is needed first, which may be never.
    scout: Option<Scout>,
    last: Vec<(Slot, TopicPartition, i64)>,
}

impl Behind {
    pub(super) fn new(config: &Config, context: &Context) -> Self {
        let properties = client_config(&config.consumer_properties);
        Self { properties, context: context.clone(), scout: None, last: Vec::new() }
    }

    /// Looks at partitions that have stood still before their end since the last time. To be called once a second; takes no longer
    /// than that.
    pub(super) fn look(&mut self, pipeline: &Pipeline) {
        self.scout.iter().for_each(Scout::renew);
        let now = pipeline.with_ledger(|ledger| ledger.short_of_their_end());
        let mut still: Vec<_> = now.iter().filter(|one| self.last.contains(one)).cloned().collect();
        self.last = now;
        // In another order each time, as there may not be time for all.
        fastrand::shuffle(&mut still);
        let until = Instant::now() + PATIENCE;
        for (slot, partition, from) in still.into_iter().take_while(|_| Instant::now() < until) {
            if self.scout.is_none() {
                match Scout::new(self.properties.clone(), self.context.clone()) {
                    Ok(scout) => self.scout = Some(scout),
                    Err(error) => return tracing::debug!("no client to look for ends: {error}"),
                }
            }
            let end = self.scout.as_mut().and_then(|scout| scout.end_without_records(&partition, from));
            if let Some(end) = end {
                pipeline.pass(slot, from, end);
            }
        }
    }
}
