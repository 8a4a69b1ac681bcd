//! Both ends of the pipeline, made for librdkafka: members of the group, and the sink.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use rdkafka::error::KafkaResult;

use super::derive::{
    client_config, consumer_properties, producer_properties, route, sink_settings, source_settings,
    transactional_name, transactor_settings,
};
use super::start::Found;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::{Job, Pipeline};
use crate::kafka::context::Context;
use crate::kafka::ffi::Writer;
use crate::policy::Delivery;
use crate::sink::Target;
use crate::sink::kafka::{self as sink, KafkaSink};
use crate::sink::librdkafka::{Connection, TransactionalConnection};
use crate::sink::route::Route;
use crate::sink::transaction;
use crate::source::kafka::{self as source, Control, KafkaSource, Trouble};
use crate::source::librdkafka::GroupMember;

/// A member of the group.
pub(super) type Source = KafkaSource<Pipeline, GroupMember>;
type Transactor = transaction::Transactor<Pipeline, TransactionalConnection>;

/// Where results go.
#[derive(Clone)]
pub(super) enum Sink {
    /// To producers, which share a client, and dead letters, if they go anywhere, to one with a client of its own.
    Shared(Arc<KafkaSink<Pipeline, Connection>>, Option<Arc<KafkaSink<Pipeline, Connection>>>),
    /// To the transactor of the consumer that read the record.
    Transactions(Arc<Route>, Vec<Arc<Transactor>>),
}

impl Sink {
    pub(super) fn route(&self) -> &Route {
        match self {
            Self::Shared(sink, _) => sink.route(),
            Self::Transactions(route, _) => route,
        }
    }

    /// A client, for metadata.
    pub(super) fn client(&self) -> Arc<Writer<Job, Context>> {
        self.client_of(Target::Output)
    }

    /// The same, one that writes there.
    pub(super) fn client_of(&self, target: Target) -> Arc<Writer<Job, Context>> {
        match (self, target) {
            (Self::Shared(_, Some(letters)), Target::DeadLetter) => letters.client(),
            (Self::Shared(sink, _), _) => sink.client(),
            (Self::Transactions(_, all), _) => all[0].client(),
        }
    }

    /// Parcels handed over and not answered.
    pub(super) fn outstanding(&self) -> usize {
        match self {
            Self::Shared(sink, letters) => {
                sink.outstanding() + letters.as_ref().map_or(0, |letters| letters.outstanding())
            }
            Self::Transactions(_, all) => all.iter().map(|one| one.outstanding() + one.held_back()).sum(),
        }
    }

    pub(super) fn stop(&self) {
        match self {
            Self::Shared(sink, letters) => std::iter::once(sink).chain(letters).for_each(|one| one.stop()),
            Self::Transactions(_, all) => all.iter().for_each(|one| one.stop()),
        }
    }

    /// Makes its clients, whose threads have ended, give up what they have not delivered: nothing of it may be written later.
    pub(super) fn give_up(&self) {
        let clients: Vec<_> = match self {
            Self::Shared(sink, letters) => {
                std::iter::once(sink).chain(letters).map(|one| one.client()).collect()
            }
            Self::Transactions(_, all) => all.iter().map(|one| one.client()).collect(),
        };
        for client in clients {
            client.purge(true);
            while client.poll(GIVEN_UP, &mut |_| {}) {}
        }
    }

    /// What its threads do, each with its name.
    pub(super) fn lives(&self, producers: usize) -> Vec<(String, Box<dyn FnOnce() + Send>)> {
        let mut lives: Vec<(String, Box<dyn FnOnce() + Send>)> = Vec::new();
        match self {
            Self::Shared(sink, letters) => {
                for shard in 0..producers {
                    let sink = sink.clone();
                    lives.push((format!("producer-{shard}"), Box::new(move || sink.produce(shard))));
                }
                let sink = sink.clone();
                lives.push(("delivery".to_owned(), Box::new(move || sink.report())));
                if let Some(letters) = letters.clone() {
                    let answers = letters.clone();
                    lives.push(("letters".to_owned(), Box::new(move || letters.produce(producers))));
                    lives.push(("letters-delivery".to_owned(), Box::new(move || answers.report())));
                }
            }
            Self::Transactions(_, all) => {
                for (index, one) in all.iter().cloned().enumerate() {
                    lives.push((format!("transactor-{index}"), Box::new(move || one.run())));
                }
            }
        }
        lives
    }
}

/// How long a client may take to report the next of what it has given up.
const GIVEN_UP: Duration = Duration::from_millis(100);

/// What both ends are made from.
pub(super) struct Ends<'a> {
    pub config: &'a Config,
    pub found: &'a Found,
    pub context: &'a Context,
    pub pipeline: &'a Arc<Pipeline>,
    pub clock: &'a Arc<dyn Clock>,
}

impl Ends<'_> {
    /// The sink; `members` are the consumers, of which each has its transactor where there are any, and who cannot go on says so
    /// to `trouble`.
    pub(super) fn sink(
        &self,
        members: &[Arc<Control>],
        trouble: &Sender<transaction::Trouble>,
    ) -> KafkaResult<Sink> {
        let both = [Target::Output, Target::DeadLetter];
        if self.config.delivery == Delivery::ExactlyOnce {
            return self.transactors(self.connection(&both), members, trouble);
        }
        let route = Arc::new(route(self.config));
        let letters = self.config.dead_letter_topic.as_ref().map(|_| self.shared(&route, Target::DeadLetter));
        Ok(Sink::Shared(self.shared(&route, Target::Output)?, letters.transpose()?))
    }

    fn connection(&self, targets: &[Target]) -> Connection {
        let properties = producer_properties(self.config, self.found, targets);
        Connection { properties, context: self.context.clone() }
    }

    fn shared(
        &self,
        route: &Arc<Route>,
        writes: Target,
    ) -> KafkaResult<Arc<KafkaSink<Pipeline, Connection>>> {
        let settings = sink_settings(self.config, route.clone(), writes);
        let mut connection = self.connection(&[writes]);
        if writes == Target::DeadLetter && !settings.dead_letters_in_order {
            // What is refused breaks no client then, and what is behind it is written.
            connection.properties.set("enable.gapless.guarantee", "false");
        }
        let neighbours = sink::Deps {
            outbox: self.pipeline.clone(),
            context: self.context.clone(),
            clock: self.clock.clone(),
        };
        Ok(Arc::new(KafkaSink::new(settings, connection, neighbours)?))
    }

    fn transactors(
        &self,
        producer: Connection,
        members: &[Arc<Control>],
        trouble: &Sender<transaction::Trouble>,
    ) -> KafkaResult<Sink> {
        let route = Arc::new(route(self.config));
        let name = transactional_name(self.config);
        let mut consumer = client_config(&self.config.consumer_properties);
        consumer.remove("group.instance.id");
        let mut all = Vec::new();
        for (index, member) in members.iter().enumerate() {
            let settings = transactor_settings(self.config, &name, index);
            let mut producer = producer.clone();
            producer.properties.set("transactional.id", &settings.name);
            let neighbours = transaction::Deps {
                outbox: self.pipeline.clone(),
                route: route.clone(),
                context: self.context.clone(),
                standing: member.standing(),
                trouble: trouble.clone(),
                clock: self.clock.clone(),
            };
            let connection = TransactionalConnection { producer, consumer: consumer.clone() };
            all.push(Arc::new(Transactor::new(settings, connection, neighbours)?));
        }
        Ok(Sink::Transactions(route, all))
    }

    /// Member `index`; who cannot go on says so to `trouble`.
    pub(super) fn source(
        &self,
        index: usize,
        trouble: Sender<Trouble>,
    ) -> KafkaResult<(Source, Arc<Control>)> {
        let client = GroupMember::new(&consumer_properties(self.config, index), self.context.clone())?;
        let control = Arc::new(Control::default());
        let neighbours = source::Deps {
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
