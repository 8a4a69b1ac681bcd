//! Commits: the watermarks that the broker does not have, one commit at a time, sent again until it has them.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::topic_partition_list::Offset;

use super::KafkaSource;
use crate::kafka::errors;
use crate::source::{Intake, start};
use crate::telemetry::metrics::Commit;

/// How long after a commit that failed the next one may follow while something waits for it.
const COMMIT_PAUSE: Duration = Duration::from_millis(100);

impl<I: Intake> KafkaSource<I> {
    pub(super) fn commit_if_due(&mut self) {
        if Instant::now() >= self.next_commit {
            self.next_commit = Instant::now() + self.settings.commit_interval;
            self.commit();
        }
    }

    /// Sends the watermarks that the broker does not have; one commit at a time.
    pub(super) fn commit(&mut self) {
        if self.committing.is_some() || Instant::now() < self.commit_not_before {
            return;
        }
        let watermarks = self.intake.uncommitted(self.settings.index);
        if watermarks.is_empty() {
            return;
        }
        let mut list = start::list(&[], Offset::Invalid);
        for watermark in &watermarks {
            list.add_partition_offset(
                &watermark.topic,
                watermark.partition,
                Offset::Offset(watermark.offset),
            )
            .expect("an offset that the broker gave can be represented");
        }
        match self.commits.send(&list) {
            Ok(()) => self.committing = Some((watermarks, Instant::now())),
            Err(error) => tracing::debug!("consumer {}: commit: {error}", self.settings.index),
        }
    }

    pub(super) fn commit_answered(&mut self, result: Result<(), Code>) {
        let Some((watermarks, since)) = self.committing.take() else { return };
        match result {
            Ok(()) => {
                self.context.metrics.committed(Commit::Ok, since.elapsed());
                self.context.link.answered();
                self.intake.committed(&watermarks);
            }
            Err(code) => {
                // Sent again with the next commit: the watermarks are still uncommitted. A rebalance in between makes
                // this normal; the partitions that went away are not in the next one.
                self.context.metrics.committed(Commit::Failed, since.elapsed());
                self.commit_not_before = Instant::now() + COMMIT_PAUSE;
                if let Some(leaving) = self.leaving.as_mut().filter(|_| errors::is_out_of_the_group(code)) {
                    leaving.until = Instant::now();
                }
                tracing::debug!("consumer {}: commit failed: {code}; trying again", self.settings.index);
            }
        }
    }
}
