//! Commits: the watermarks that the broker does not have, one commit at a time, sent again until it has them.

use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::KafkaSource;
use crate::checkpoint::note::{LIMIT, SMALLEST};
use crate::kafka::errors;
use crate::ops::metrics::Commit;
use crate::planted::{Bug, planted};
use crate::source::Intake;
use crate::source::client::{Client, Committed};

/// How long after a commit that failed the next one may follow while something waits for it.
const COMMIT_PAUSE: Duration = Duration::from_millis(100);

impl<I: Intake, C: Client> KafkaSource<I, C> {
    pub(super) fn commit_if_due(&mut self) {
        let (now, interval) = (self.clock.now(), self.settings.commit_interval);
        if let Some(interval) = interval.filter(|_| now >= self.next_commit) {
            self.next_commit = now + interval;
            self.commit();
        }
    }

    /// Sends the watermarks that the broker does not have; one commit at a time.
    pub(super) fn commit(&mut self) {
        if self.settings.commit_interval.is_none()
            || self.committing.is_some()
            || self.clock.now() < self.commit_not_before
        {
            return;
        }
        let watermarks = self.intake.uncommitted(self.settings.index);
        if watermarks.is_empty() {
            return;
        }
        let offsets: Vec<_> = watermarks
            .iter()
            .map(|watermark| {
                let metadata = watermark.metadata(&self.settings.group, self.metadata_limit);
                let partition = (watermark.topic.clone(), watermark.partition);
                (partition, Committed { offset: watermark.offset, metadata })
            })
            .collect();
        match self.client.commit(&offsets) {
            Ok(()) => self.committing = Some((watermarks, self.clock.now())),
            Err(error) => tracing::debug!("consumer {}: commit: {error}", self.settings.index),
        }
    }

    pub(super) fn commit_answered(&mut self, result: Result<(), Code>) {
        let Some((watermarks, since)) = self.committing.take() else { return };
        let now = self.clock.now();
        let time = now.saturating_duration_since(since);
        match result.or_else(|code| if planted(Bug::RefusedCommitBelieved) { Ok(()) } else { Err(code) }) {
            Ok(()) => {
                self.context.metrics.committed(Commit::Ok, time);
                self.context.link.answered();
                self.intake.committed(&watermarks);
            }
            Err(code) => {
                // Sent again with the next commit: the watermarks are still uncommitted. A rebalance in between makes
                // this normal; the partitions that went away are not in the next one.
                self.context.metrics.committed(Commit::Failed, time);
                self.commit_not_before = now + COMMIT_PAUSE;
                if code == Code::OffsetMetadataTooLarge && self.metadata_limit > 0 {
                    self.metadata_limit =
                        if self.metadata_limit > SMALLEST { self.metadata_limit / 2 } else { 0 };
                    tracing::warn!(
                        "the broker takes less metadata with an offset than its default of {LIMIT} bytes \
                         (offset.metadata.max.bytes); offset maps are cut to {} from now on, so a restart may repeat more",
                        self.metadata_limit
                    );
                }
                if let Some(leaving) = self.leaving.as_mut().filter(|_| errors::is_out_of_the_group(code)) {
                    leaving.until = now;
                }
                tracing::debug!("consumer {}: commit failed: {code}; trying again", self.settings.index);
            }
        }
    }
}
