//! What is run on each record. Write your own in ten lines: implement [`Transform`], return an [`Outcome`]. One that waits for
//! answers from elsewhere most of its time is better an [`AsyncTransform`].
//!
//! A transform is pure in what concerns Kafka: it sees one record, says what is to become of it, and the stages around
//! it do the writing, retrying and dead-lettering. It may block (that is what the worker pool is for) and it may panic
//! (the record then fails; the process goes on).

pub mod builtin;
mod rfc3339;

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::record::{Headers, Record};

/// A function from a record to an outcome, shared by all workers.
pub trait Transform: Send + Sync {
    /// Decides what becomes of `record`. Called again, with a higher `context.attempt`, after [`Outcome::Retry`].
    fn apply(&self, record: &Record, context: &Context) -> Outcome;

    /// The name in logs, metrics and dead letters, such as `builtin:validate`.
    fn name(&self) -> &str {
        "custom"
    }

    /// Whether it computes for a few microseconds and does nothing else: it waits for nobody, and whether it is called once or twice
    /// for a record makes no difference. Then the thread that reads runs it itself while no worker has anything to do, which
    /// saves the way to a worker. Say `true` only if all of that holds: while it runs there, its thread looks after nothing else.
    fn is_quick(&self) -> bool {
        false
    }
}

/// As [`Transform`], for one that waits: it returns a future, thousands of which share few threads (tokio's, `WORKER_POOL` of them).
/// Order, retries and dead letters are the same. How many wait at a time is bounded by `PROCESSOR_MAX_IN_FLIGHT`, and by the
/// number of keys that are in flight. It must not block its thread: other records' futures wait for that.
pub trait AsyncTransform: Send + Sync {
    /// Decides what becomes of `record`: see [`Transform::apply`]. Polled inside a tokio runtime.
    fn apply(&self, record: &Record, context: &Context) -> impl Future<Output = Outcome> + Send;

    /// See [`Transform::name`].
    fn name(&self) -> &str {
        "custom"
    }
}

/// An [`AsyncTransform`] of whichever type.
pub trait DynAsyncTransform: Send + Sync {
    /// See [`AsyncTransform::apply`].
    fn call<'a>(
        &'a self,
        record: &'a Record,
        context: &'a Context,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

    /// See [`Transform::name`].
    fn name(&self) -> &str;
}

impl<T: AsyncTransform> DynAsyncTransform for T {
    fn call<'a>(
        &'a self,
        record: &'a Record,
        context: &'a Context,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(self.apply(record, context))
    }

    fn name(&self) -> &str {
        AsyncTransform::name(self)
    }
}

/// A transform of either kind.
#[derive(Clone)]
pub enum Handler {
    /// Returns its outcome.
    Blocking(Arc<dyn Transform>),
    /// Returns a future.
    Async(Arc<dyn DynAsyncTransform>),
}

impl Handler {
    /// See [`Transform::name`].
    pub fn name(&self) -> &str {
        match self {
            Self::Blocking(transform) => transform.name(),
            Self::Async(transform) => DynAsyncTransform::name(&**transform),
        }
    }

    /// See [`Transform::is_quick`].
    pub fn is_quick(&self) -> bool {
        match self {
            Self::Blocking(transform) => transform.is_quick(),
            Self::Async(_) => false,
        }
    }
}

/// What can run on records: a [`Transform`] or an [`AsyncTransform`]. `Kind` is inferred, and says which of the two it is.
#[diagnostic::on_unimplemented(message = "`{Self}` is neither a `Transform` nor an `AsyncTransform`")]
pub trait IntoHandler<Kind: ?Sized> {
    /// The transform in the form that the program runs.
    fn into_handler(self) -> Handler;
}

impl<T: Transform + 'static> IntoHandler<dyn Transform> for T {
    fn into_handler(self) -> Handler {
        Handler::Blocking(Arc::new(self))
    }
}

impl<T: AsyncTransform + 'static> IntoHandler<dyn DynAsyncTransform> for T {
    fn into_handler(self) -> Handler {
        Handler::Async(Arc::new(self))
    }
}

impl IntoHandler<Self> for Handler {
    fn into_handler(self) -> Handler {
        self
    }
}

impl<T: Transform + 'static> From<Arc<T>> for Handler {
    fn from(transform: Arc<T>) -> Self {
        Self::Blocking(transform)
    }
}

/// What a transform is told beside the record.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Context {
    /// Milliseconds since 1970, read once for the batch that a worker took.
    pub now_ms: i64,
    /// Which try this is, from 1.
    pub attempt: u32,
}

impl Context {
    /// At this time, milliseconds since 1970, and this attempt, from 1.
    pub fn new(now_ms: i64, attempt: u32) -> Self {
        Self { now_ms, attempt }
    }
}

/// What is to become of a record.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Write this one record.
    Emit(Output),
    /// Write these, in this order; the input is finished when all of them are acknowledged. None of them: as `Filter`.
    EmitMany(Vec<Output>),
    /// Write nothing; the record is finished.
    Filter,
    /// It will never work: to the dead-letter topic, at once.
    Reject(Box<Failure>),
    /// It may work later: try again after a back-off, and give up after the configured number of attempts.
    Retry(Box<Failure>),
}

impl Outcome {
    /// Writes `value` under the record's own key, headers and timestamp.
    pub fn value(value: Vec<u8>) -> Self {
        Self::Emit(Output { value: Field::New(Some(value)), ..Output::default() })
    }

    /// A permanent failure with a code (see [`Failure::code`]) and a text for people.
    pub fn reject(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::Reject(Box::new(Failure::new(code, message)))
    }

    /// A transient failure with a code and a text for people.
    pub fn retry(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::Retry(Box::new(Failure::new(code, message)))
    }
}

/// One record to write. What is [`Field::Same`] is taken from the input record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The key; it also decides the output partition.
    pub key: Field<Option<Vec<u8>>>,
    /// The value; `None` is a tombstone.
    pub value: Field<Option<Vec<u8>>>,
    /// All headers.
    pub headers: Field<Headers>,
}

/// Either as in the input record, or new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// As in the input record, not copied.
    #[default]
    Same,
    /// This instead.
    New(T),
}

/// Why a record could not be transformed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// A stable word of few kinds, such as `invalid_json`: it becomes a metric's label and the header
    /// `processor.dlq.reason`.
    pub code: Cow<'static, str>,
    /// For people; at most 1 KiB of it is kept. It must not repeat the record's contents.
    pub message: String,
    /// JSON pointer of the field at fault, such as `/timestamp`, if there is one.
    pub path: Option<Cow<'static, str>>,
}

impl Failure {
    /// A failure without a path.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), path: None }
    }

    /// The same failure, at this JSON pointer.
    #[must_use]
    pub fn at(mut self, path: impl Into<Cow<'static, str>>) -> Self {
        self.path = Some(path.into());
        self
    }
}
