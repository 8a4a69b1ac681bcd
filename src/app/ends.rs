//! Both ends of the pipeline, made for librdkafka: members of the group, and the sink.

use std::sync::Arc;

use crossbeam_channel::Sender;
use rdkafka::error::KafkaResult;

use super::derive::{consumer_properties, producer_properties, sink_settings, source_settings};
use super::start::Found;
use crate::clock::Clock;
use crate::config::Config;
use crate::kafka::context::Context;
use crate::pipeline::Pipeline;
use crate::sink::kafka::{self as sink, KafkaSink};
use crate::sink::librdkafka::Connection;
use crate::source::kafka::{self as source, Control, KafkaSource, Trouble};
use crate::source::librdkafka::GroupMember;

/// A member of the group.
pub(super) type Source = KafkaSource<Pipeline, GroupMember>;
/// Where results go.
pub(super) type Sink = KafkaSink<Pipeline, Connection>;

/// What both ends are made from.
pub(super) struct Ends<'a> {
    pub config: &'a Config,
    pub found: &'a Found,
    pub context: &'a Context,
    pub pipeline: &'a Arc<Pipeline>,
    pub clock: &'a Arc<dyn Clock>,
}

impl Ends<'_> {
    pub(super) fn sink(&self) -> KafkaResult<Sink> {
        let properties = producer_properties(self.config, self.found);
        let connection = Connection { properties, context: self.context.clone() };
        let neighbours = sink::Neighbours {
            outbox: self.pipeline.clone(),
            context: self.context.clone(),
            clock: self.clock.clone(),
        };
        Sink::new(sink_settings(self.config), connection, neighbours)
    }

    /// Member `index`; who cannot go on says so to `trouble`.
    pub(super) fn source(
        &self,
        index: usize,
        trouble: Sender<Trouble>,
    ) -> KafkaResult<(Source, Arc<Control>)> {
        let client = GroupMember::new(&consumer_properties(self.config, index), self.context.clone())?;
        let control = Arc::new(Control::default());
        let neighbours = source::Neighbours {
            intake: self.pipeline.clone(),
            context: self.context.clone(),
            control: control.clone(),
            trouble,
            clock: self.clock.clone(),
        };
        let settings = source_settings(self.config, self.found, index);
        Ok((Source::new(settings, client, neighbours), control))
    }
}
