//! The gauges: a snapshot of the state, written when somebody asks. Nothing is pushed, so nothing goes stale: a
//! partition that is no longer assigned is gone from the next answer, and what is not known is not written.

use std::collections::BTreeMap;
use std::fmt::Error;
use std::time::SystemTime;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet};
use prometheus_client::metrics::MetricType;

use super::names::{self, Name};
use crate::ops::status::{Broker, PartitionStatus, Phase, Snapshot};

#[derive(Debug)]
pub(super) struct Gauges(pub(super) Snapshot);

impl Collector for Gauges {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), Error> {
        let mut writer = Writer(encoder);
        self.partitions(&mut writer)?;
        self.in_flight(&mut writer)?;
        self.process(&mut writer)
    }
}

impl Gauges {
    fn partitions(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let each = |value: fn(&PartitionStatus) -> Option<f64>| {
            let labels = |p: &PartitionStatus| {
                [("topic", p.topic.to_string()), ("partition", p.partition.to_string())]
            };
            self.0.partitions.iter().filter_map(move |p| Some((labels(p), value(p)?)))
        };
        writer.many(names::CONSUMER_LAG_RECORDS, each(|p| p.lag_records.map(|n| n as f64)))?;
        writer.many(names::CONSUMER_LAG_AGE, each(|p| p.lag_age.map(|age| age.as_secs_f64())))?;
        writer.many(names::CONSUMER_LAG_SECONDS, each(|p| p.lag_seconds.filter(|s| s.is_finite())))?;
        let ends = self.0.partitions.iter().flat_map(|p| {
            let labels =
                |end| [("topic", p.topic.to_string()), ("partition", p.partition.to_string()), ("end", end)];
            p.ends.iter().map(move |(end, records)| (labels((*end).to_owned()), *records))
        });
        writer.many(names::PARTITION_RECORDS, ends)?;
        writer.many(names::PARTITION_BALANCE, each(|p| Some(p.balance as f64)))?;
        let mut assigned = BTreeMap::<&str, u64>::new();
        for partition in &self.0.partitions {
            *assigned.entry(&partition.topic).or_default() += 1;
        }
        writer.many(
            names::ASSIGNED_PARTITIONS,
            assigned.into_iter().map(|(topic, n)| ([("topic", topic)], n)),
        )?;
        let paused = self.0.partitions.iter().filter(|p| p.blocked.is_some()).count();
        writer.one(names::PAUSED_PARTITIONS, paused)
    }

    fn in_flight(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let Snapshot { pending, ready, producing, in_flight_records, .. } = self.0;
        // The parts are read one after the other while records move on: the rest may come out below zero.
        let working = in_flight_records.saturating_sub(pending + ready + producing);
        let stages = [("pending", pending), ("working", working), ("ready", ready), ("producing", producing)];
        writer
            .many(names::IN_FLIGHT_RECORDS, stages.into_iter().map(|(stage, n)| ([("stage", stage)], n)))?;
        writer.one(names::IN_FLIGHT_BYTES, self.0.in_flight_bytes)?;
        writer.maybe_one(names::OLDEST_IN_FLIGHT, self.0.oldest_in_flight.map(|age| age.as_secs_f64()))
    }

    fn process(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.one(names::WORKERS, self.0.workers)?;
        writer.one(names::WORKERS_BUSY, self.0.workers_busy)?;
        writer.one(names::BREAKER_OPEN, u32::from(self.0.outage.is_some()))?;
        writer.one(names::STUCK_RECORDS, self.0.stuck.len())?;
        writer.one(names::HELD_LANES, self.0.held_lanes)?;
        writer.one(names::READY, u32::from(self.0.is_ready()))?;
        writer.one(names::DRAINING, u32::from(self.0.phase == Phase::Draining))?;
        writer.one(names::BROKER_REACHABLE, u32::from(self.0.broker == Broker::Reachable))?;
        writer.maybe_one(names::LAST_COMMIT, self.0.last_commit.and_then(since_1970))?;
        let error = self.0.last_error.as_ref();
        let error = error.and_then(|last| Some(([("stage", last.stage)], since_1970(last.at)?)));
        writer.many(names::LAST_ERROR, error.into_iter())
    }
}

struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn one(&mut self, Name { name, help, .. }: Name, value: impl EncodeGaugeValue) -> Result<(), Error> {
        // What is registered gets its full stop from the library.
        let help = format!("{help}.");
        self.0.encode_descriptor(name, &help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn maybe_one(&mut self, name: Name, value: Option<impl EncodeGaugeValue>) -> Result<(), Error> {
        value.map_or(Ok(()), |value| self.one(name, value))
    }

    fn many<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        Name { name, help, .. }: Name,
        values: impl Iterator<Item = (L, V)>,
    ) -> Result<(), Error> {
        // As the library does with what is registered: no samples, no description.
        let mut values = values.peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let help = format!("{help}.");
        let mut family = self.0.encode_descriptor(name, &help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}

fn since_1970(time: SystemTime) -> Option<f64> {
    time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
}
