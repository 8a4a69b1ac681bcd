//! Life of the process: start, run, drain, stop.
//!
//! # Threads
//! | name | count | does |
//! |---|---|---|
//! | `consumer-n` | `CONSUMERS_COUNT` | one member of the group each: [`crate::source::kafka`] |
//! | `worker-n` | `WORKER_POOL` | runs transforms: [`Pipeline::work`] |
//! | `dispatcher` | 1 | with an asynchronous transform: gives a runtime of `WORKER_POOL` threads what may run |
//! | `producer-n` | `PRODUCERS_COUNT` | writes results: [`crate::sink::kafka`] |
//! | `delivery` | 1 | takes the broker's answers |
//! | `letters`, `letters-delivery` | 1 | the same for dead letters, with a client of their own |
//! | `transactor-n` | `CONSUMERS_COUNT` | with exactly once, in place of these: [`crate::sink::transaction`] |
//! | `listener` | 1 | HTTP and signals, on a runtime of its own |
//! | main | 1 | waits for what ends the process; meanwhile looks after the connection and the workers |
//!
//! librdkafka adds its own: one main thread a client and one for each broker connection.
//!
//! # The end, in order
//! 1. Consumers stop taking, give back what no worker has begun, and wait until the rest is acknowledged.
//! 2. Each commits and leaves the group.
//! 3. When the drain time is over, or at a second signal, they stop waiting: what is not finished is not committed.
//! 4. Workers and producers stop. A transform that hangs is not waited for: nothing of it will be committed.

mod behind;
mod derive;
mod ended;
mod ends;
mod listener;
mod login;
mod replicas;
mod rights;
mod signals;
mod standing;
mod start;
mod status;
mod topics;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, select, unbounded};

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::engine::Pipeline;
use crate::kafka::context::Context;
use crate::kafka::link::Link;
use crate::ops::{Death, Metrics};
use crate::policy::Delivery;
use crate::sink::{Target, transaction};
use crate::source::kafka::{Control, ShutdownReport, Trouble};
use crate::transform::{Handler, IntoHandler, builtin::Validate};
use behind::Behind;
pub use derive::librdkafka_version;
use derive::{about, credentials, new_instance, policy, promise};
pub use ended::{Ended, Exit};
use ends::{Ends, Sink, Source};
use login::Login;
use replicas::Watch;
pub use signals::Signals;
use start::Found;
pub use start::{Finding, Level, check};
use status::{AppStatus, Stage};

/// How often the main thread looks after the connection and the workers.
const TICK: Duration = Duration::from_secs(1);
/// How often partition counts of the output and the dead-letter topic are looked up.
const LOOK_UP: Duration = Duration::from_secs(30);
/// How long threads may take to end after they were told not to wait any more.
const LAST_WORDS: Duration = Duration::from_secs(6);
/// The same where another life is to begin, in which nothing of this one may be left: a thread may wait for answers, one after the other.
const LAST_CALLS: Duration = Duration::from_secs(30);

/// What can happen to the process.
#[derive(Debug)]
pub(crate) enum Event {
    /// SIGTERM, SIGINT or SIGHUP, or a [`Stopper`].
    Signal,
    /// A member of the group cannot go on.
    Trouble(Trouble),
    /// A record failed, and the policy is to stop.
    Failed(String),
    /// A consumer has left.
    Left(ShutdownReport),
    /// One of our own threads panicked.
    Bug(String),
    /// Passwords or certificates have changed, and these are the settings with them.
    Rotated(Box<Config>),
}

/// How a life ends: for good, or the next one begins with these settings.
enum End {
    Ended(Ended),
    Rotated(Box<Config>),
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

/// Who tells the main thread what happens.
struct Inbox {
    /// Whoever wants the process to end.
    wishes: Receiver<Event>,
    /// The threads of this life, and not those of one before.
    threads: Receiver<Event>,
}

impl Inbox {
    fn recv_timeout(&self, wait: Duration) -> Result<Event, RecvTimeoutError> {
        select! {
            recv(self.wishes) -> event => event.map_err(|_| RecvTimeoutError::Disconnected),
            recv(self.threads) -> event => event.map_err(|_| RecvTimeoutError::Disconnected),
            default(wait) => Err(RecvTimeoutError::Timeout),
        }
    }

    fn is_empty(&self) -> bool {
        self.wishes.is_empty() && self.threads.is_empty()
    }
}

/// The program: a configuration and a transform.
pub struct App {
    config: Config,
    transform: Handler,
    events: Sender<Event>,
    inbox: Receiver<Event>,
    /// Whether SIGTERM, SIGINT and SIGHUP are ours to handle.
    signals: bool,
    /// The port of probes and metrics, if it was taken before the start.
    bound: Option<TcpListener>,
}

impl App {
    /// With the built-in transform.
    pub fn new(config: Config) -> Self {
        let (events, inbox) = unbounded();
        Self { config, transform: Arc::new(Validate).into(), events, inbox, signals: true, bound: None }
    }

    /// With a transform of your own, of either kind: `WORKER_POOL` threads share the futures of an asynchronous one.
    #[must_use]
    pub fn with_transform<Kind: ?Sized>(mut self, transform: impl IntoHandler<Kind>) -> Self {
        self.transform = transform.into_handler();
        self
    }

    /// Leaves SIGTERM, SIGINT and SIGHUP to the caller, who stops it with a [`Stopper`], and the process's panic hook as it is.
    #[must_use]
    pub fn without_signals(mut self) -> Self {
        self.signals = false;
        self
    }

    /// What stops it from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.events.clone())
    }

    /// Takes the port of probes and metrics now and says where it is, for a caller who has to know; [`App::run`] takes it
    /// otherwise. `None` where there is to be none.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn bind(&mut self) -> Result<Option<SocketAddr>, Ended> {
        self.bound = listener::bind_port(&self.config)?;
        Ok(self.bound.as_ref().and_then(|listener| listener.local_addr().ok()))
    }

    /// Runs until a signal, or until it cannot go on. Blocks; call it once a process. Says in the log what it does. Where passwords or
    /// certificates are refused and their files have changed, it begins anew within the process.
    pub fn run(mut self) -> Ended {
        if self.signals {
            quiet_panics_of_transforms();
        }
        let metrics = Arc::new(Metrics::new(about(&self.config)));
        let status = Arc::new(AppStatus::new());
        let bound = match self.bound.take() {
            None => listener::bind_port(&self.config),
            taken => Ok(taken),
        };
        let wishes = &self.events;
        let started = bound.and_then(|bound| listener::start(bound, &metrics, &status, wishes, self.signals));
        if let Err(ended) = started {
            return ended;
        }
        // Transactions that one life leaves open are ended by the next one, which has their names.
        self.config.instance.get_or_insert_with(new_instance);
        let mut again = false;
        loop {
            match self.live(&metrics, &status, again) {
                End::Ended(ended) => return ended,
                End::Rotated(config) => self.config = *config,
            }
            again = true;
            status.starting();
        }
    }

    /// One life, with clients of its own: from the first question to the cluster to the end of the last client.
    fn live(&self, metrics: &Arc<Metrics>, status: &Arc<AppStatus>, again: bool) -> End {
        let (events, threads) = unbounded();
        let inbox = Inbox { wishes: self.inbox.clone(), threads };
        let login = Login::new(&self.config, again);
        let context = Context::new(Arc::new(Link::default()), metrics.clone());
        let context = context.logging_in_with(credentials(&self.config));
        let (found, _ending) = match start::wait_for_cluster(&self.config, &context, status, &inbox, &login) {
            Ok(found) => found,
            Err(end) => return end,
        };
        match Running::start(&self.config, self.transform.clone(), context, found, status, &events, login) {
            Ok(running) => running.until_the_end(&inbox),
            Err(error) => Ended::new(Exit::Failure, format!("cannot make a Kafka client: {error}")).into(),
        }
    }
}

/// Stops a processor that another thread runs, as a signal would.
#[derive(Clone, Debug)]
pub struct Stopper(Sender<Event>);

impl Stopper {
    /// The first call makes it drain; a second one makes it stop waiting.
    pub fn stop(&self) {
        // One that has ended needs no stopping.
        let _ = self.0.send(Event::Signal);
    }
}

/// Everything that runs.
struct Running {
    config: Config,
    context: Context,
    pipeline: Arc<Pipeline>,
    sink: Sink,
    controls: Vec<Arc<Control>>,
    status: Arc<AppStatus>,
    login: Login,
    /// Those of the sink.
    writing: Vec<JoinHandle<()>>,
}

impl Running {
    fn start(
        config: &Config,
        transform: Handler,
        context: Context,
        found: Found,
        status: &Arc<AppStatus>,
        events: &Sender<Event>,
        login: Login,
    ) -> Result<Self, rdkafka::error::KafkaError> {
        let policy = policy(config, transform.name());
        let metrics = context.metrics.clone();
        let stop = forward(events, "record", Event::Failed);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let waits = matches!(transform, Handler::Async(_));
        let pipeline = Arc::new(Pipeline::new(policy, transform, clock.clone(), metrics, stop));
        let ends = Ends { config, found: &found, context: &context, pipeline: &pipeline, clock: &clock };
        let trouble = forward(events, "trouble", Event::Trouble);
        let mut controls = Vec::new();
        let mut sources = Vec::new();
        for index in 0..config.consumers {
            let (source, control) = ends.source(index, trouble.clone())?;
            sources.push(source);
            controls.push(control);
        }
        let sink = ends.sink(&controls, &forward(events, "transactor", transactor_in_trouble))?;
        sink.route().set_partitions(Target::Output, found.output_partitions);
        match &found.dead_letters_missing {
            None => sink.route().set_partitions(Target::DeadLetter, found.dead_letter_partitions),
            Some(_) => sink.route().miss_dead_letters(),
        }
        topics::hold_what_has_no_place(config, found.output_partitions, &pipeline, &context);
        status.running(&pipeline, &sink, &controls, &context);
        if let Some(text) = &found.dead_letters_missing {
            tracing::warn!(
                "no dead-letter topic: the first record that fails blocks its partition until there is one. {text}"
            );
        }
        if let Some(text) = &found.dead_letters_at_risk {
            tracing::warn!("failed records may be lost: {text}");
        }
        tracing::info!("{}", promise(config));
        let mut running = Self {
            config: config.clone(),
            context,
            pipeline,
            sink,
            controls,
            status: status.clone(),
            login,
            writing: Vec::new(),
        };
        if waits {
            running.spawn_dispatcher(events);
        } else {
            running.spawn_workers(events);
        }
        running.spawn(sources, events);
        Ok(running)
    }

    fn spawn_workers(&self, events: &Sender<Event>) {
        for index in 0..self.config.workers {
            let pipeline = self.pipeline.clone();
            thread(format!("worker-{index}"), events, move || pipeline.work());
        }
    }

    fn spawn_dispatcher(&self, events: &Sender<Event>) {
        let (pipeline, workers) = (self.pipeline.clone(), self.config.workers);
        thread("dispatcher".to_owned(), events, move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(workers)
                .thread_name("worker")
                .enable_all()
                .build()
                .expect("the machine has threads left at start");
            pipeline.dispatch(runtime.handle());
            // What the transform has started beside is not waited for.
            runtime.shutdown_background();
        });
    }

    fn spawn(&mut self, sources: Vec<Source>, events: &Sender<Event>) {
        for (name, life) in self.sink.lives(self.config.producers) {
            self.writing.push(thread(name, events, life));
        }
        for (index, source) in sources.into_iter().enumerate() {
            let left = events.clone();
            thread(format!("consumer-{index}"), events, move || {
                let farewell = source.run();
                // Main may have stopped waiting.
                let _ = left.send(Event::Left(farewell));
            });
        }
    }

    fn until_the_end(self, inbox: &Inbox) -> End {
        let cause = self.wait_for_a_cause(inbox);
        if let Event::Bug(text) = &cause {
            return Ended::bug(text).into();
        }
        if let Event::Rotated(_) = &cause {
            tracing::info!(
                "a broker does not let us in, and the files of passwords or certificates have changed: beginning anew with them"
            );
        }
        if let Event::Trouble(_) | Event::Failed(_) = &cause {
            tracing::error!("{}", ended::reason(&cause));
        }
        self.status.set_stage(Stage::Draining);
        self.drain(inbox, cause)
    }

    fn wait_for_a_cause(&self, inbox: &Inbox) -> Event {
        let mut next_look_up = Instant::now() + LOOK_UP;
        let mut behind = Behind::new(&self.config, &self.context);
        let mut replicas = Watch::new(&self.config, &self.context);
        // For at least once, as an answer also makes an idempotent producer ask for its number: by itself librdkafka (2.12) finds its
        // first broker gone, which was known by its address alone, and asks again half a second later. Twice, as the first may
        // still be that broker's.
        for _ in 0..2 {
            if self.config.delivery == Delivery::AtLeastOnce && inbox.is_empty() {
                self.look_up_partitions();
            }
        }
        loop {
            match inbox.recv_timeout(TICK) {
                Ok(Event::Left(_)) => {
                    return Event::Failed("a consumer stopped without being told".to_owned());
                }
                Ok(event) => return event,
                Err(RecvTimeoutError::Timeout) => self.look_out(),
                Err(RecvTimeoutError::Disconnected) => {
                    return Event::Bug("nobody is left who could tell anything".to_owned());
                }
            }
            if let Some(trouble) = self.login_refused() {
                return trouble;
            }
            if self.context.link.is_down() {
                self.ask_whether_it_is_back();
            } else {
                if Instant::now() >= next_look_up || self.holds_partitions() {
                    next_look_up = Instant::now() + LOOK_UP;
                    self.look_up_partitions();
                }
                behind.look(&self.pipeline);
                replicas.look(&self.sink);
            }
        }
    }

    fn look_out(&self) {
        self.pipeline.look_out();
        self.say_deaths(&self.context.metrics.deaths().due(Instant::now()));
    }

    fn say_deaths(&self, deaths: &[Death]) {
        let topic = self.config.dead_letter_topic.as_deref().unwrap_or_default();
        for Death { reason, count, total, last } in deaths {
            tracing::warn!(
                reason,
                count,
                total,
                last,
                "records failed with {reason}: {count} since this was said last, {total} since the start. The last one is {last}; its \
                 dead letter is in {topic}, and its headers say why"
            );
        }
    }

    /// While a broker does not let us in: reads passwords and certificates again, and gives up after a while.
    fn login_refused(&self) -> Option<Event> {
        let link = &self.context.link;
        if let Some(config) = self.login.rotated(&self.config, link) {
            return Some(Event::Rotated(config));
        }
        link.denial()?;
        if self.context.credentials.read_again() {
            link.count_anew();
        }
        if !link.is_down() {
            login::ask_again(&self.config, &self.context);
        }
        let why = link.denial()?;
        (link.denied_for() >= login::PATIENCE).then(|| {
            let time = login::PATIENCE.as_secs();
            Event::Trouble(Trouble::Denied(format!("the brokers have not let us in for {time} s: {why}")))
        })
    }

    fn ask_whether_it_is_back(&self) {
        let writer = self.sink.client();
        if writer.client().fetch_metadata(Some(&self.config.output_topic), TICK).is_ok() {
            self.context.link.answered();
        }
    }

    /// Whether a partition of an input waits for one of the output.
    fn holds_partitions(&self) -> bool {
        let places = self.sink.route().partitions(Target::Output);
        topics::hold_what_has_no_place(&self.config, places, &self.pipeline, &self.context)
    }

    fn look_up_partitions(&self) {
        let topics = [
            (Target::Output, Some(&self.config.output_topic)),
            (Target::DeadLetter, self.config.dead_letter_topic.as_ref()),
        ];
        for (target, topic) in topics {
            let Some(topic) = topic else { continue };
            if let Ok(crate::kafka::admin::Topic::Exists(count)) =
                crate::kafka::admin::topic(self.sink.client_of(target).client(), topic, TICK)
            {
                self.sink.route().set_partitions(target, count);
            }
        }
        self.holds_partitions();
    }

    fn drain(self, inbox: &Inbox, mut cause: Event) -> End {
        let started = Instant::now();
        let resolved = self.pipeline.with_ledger(|ledger| ledger.resolved());
        let timeout = self.config.drain_timeout;
        tracing::info!("draining: finishing what has begun, for {:.0} s at most", timeout.as_secs_f64());
        self.controls.iter().for_each(|control| control.stop());
        let mut farewells: Vec<ShutdownReport> = Vec::new();
        let mut until = started + timeout;
        let mut aborted = false;
        while farewells.len() < self.controls.len() {
            let left = until.saturating_duration_since(Instant::now());
            match inbox.recv_timeout(left.min(TICK)) {
                Ok(Event::Left(farewell)) => farewells.push(farewell),
                Ok(Event::Bug(text)) => return Ended::bug(&text).into(),
                Ok(Event::Signal) if matches!(cause, Event::Rotated(_)) => {
                    cause = Event::Signal;
                    until = if aborted { until.min(Instant::now() + LAST_WORDS) } else { until };
                }
                Err(RecvTimeoutError::Timeout) if left > TICK && (aborted || !self.is_in_vain(&cause)) => {
                    self.look_out()
                }
                Ok(Event::Signal) | Err(RecvTimeoutError::Timeout) if !aborted => {
                    aborted = true;
                    until = Instant::now()
                        + if matches!(cause, Event::Rotated(_)) { LAST_CALLS } else { LAST_WORDS };
                    self.controls.iter().for_each(|control| control.abort());
                }
                Ok(Event::Signal) => {}
                Err(_) => break,
                Ok(event) => tracing::error!("{}", ended::reason(&event)),
            }
        }
        self.pipeline.close();
        self.pipeline.close_ready();
        self.sink.stop();
        let time = started.elapsed();
        self.say_deaths(&self.context.metrics.deaths().rest(Instant::now()));
        self.context.metrics.drained(time);
        let drained = self.pipeline.with_ledger(|ledger| ledger.resolved()) - resolved;
        let ended = ended::after_drain(&cause, &farewells, self.controls.len(), drained, time);
        match cause {
            Event::Rotated(config)
                if farewells.len() == self.controls.len() && self.gives_up_writing(inbox) =>
            {
                End::Rotated(config)
            }
            Event::Rotated(_) => {
                Ended::new(Exit::LeftOver, "the clients with the old passwords or certificates do not end")
                    .into()
            }
            _ => ended.into(),
        }
    }

    /// Whether there is nobody to be told what is finished: no broker lets us in, and we do not wait for one with what we have.
    fn is_in_vain(&self, cause: &Event) -> bool {
        matches!(cause, Event::Rotated(_)) && self.context.link.is_down()
    }

    /// Whether nothing will be written any more of what was taken: the threads have ended, and the clients have nothing left.
    fn gives_up_writing(&self, inbox: &Inbox) -> bool {
        let until = Instant::now() + LAST_CALLS;
        while !self.writing.iter().all(JoinHandle::is_finished) {
            if Instant::now() >= until || !inbox.wishes.is_empty() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.sink.give_up();
        true
    }
}

fn transactor_in_trouble(trouble: transaction::Trouble) -> Event {
    Event::Trouble(match trouble {
        transaction::Trouble::Denied(text) => Trouble::Denied(text),
        transaction::Trouble::Fenced(text) => Trouble::Fenced(text),
        transaction::Trouble::Failed(text) => Trouble::Failed(text),
    })
}

/// A channel whose messages become events.
fn forward<T: Send + 'static>(events: &Sender<Event>, name: &str, wrap: fn(T) -> Event) -> Sender<T> {
    let (sender, receiver) = unbounded();
    let out = events.clone();
    thread(format!("forward-{name}"), events, move || {
        for message in receiver {
            if out.send(wrap(message)).is_err() {
                return;
            }
        }
    });
    sender
}

/// A thread of ours. If it panics that is our bug: the process stops, and commits nothing more.
fn thread(name: String, events: &Sender<Event>, life: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let events = events.clone();
    let builder = std::thread::Builder::new().name(name.clone());
    builder
        .spawn(move || {
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(life)).is_err() {
                // If nobody listens the process is ending already.
                let _ = events.send(Event::Bug(format!("thread {name} panicked; the reason is above")));
            }
        })
        .expect("the machine has threads left at start")
}

/// A transform may panic on a record's contents: the record fails, and its contents do not go to the log.
fn quiet_panics_of_transforms() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if crate::engine::in_transform() {
            tracing::debug!("a transform panicked at {:?}", info.location().map(ToString::to_string));
        } else {
            loud(info);
        }
    }));
}
