//! Log lines: which, how they look, and where they go.
//!
//! `run` writes them to stdout, as a container's log is; commands whose stdout is their result write them to stderr.

use std::io::{self, IsTerminal};

use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

use super::log_filter::log_filter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output: for `run`.
    Stdout,
    /// Standard error: for commands that print a result.
    Stderr,
}

/// Why logging could not begin.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LogError {
    /// The filter does not say what it should.
    #[error(
        "RUST_LOG={filter:?} is no log filter: {reason}; write a level (error, warn, info, debug, trace, off), or \
         target=level pairs separated by commas, such as RUST_LOG=info,processor=debug"
    )]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The process has a logger already: a library's user has set one.
    #[error("log lines go to a logger that was set before; logging::init may be called once")]
    AlreadySet,
}

/// Sends the log lines of the whole process to `stream`.
///
/// # Errors
/// When `filter` is not one, or a logger was set before.
pub fn init(filter: &str, format: LogFormat, stream: Stream) -> Result<(), LogError> {
    match stream {
        Stream::Stdout => init_to(filter, format, io::stdout().is_terminal(), io::stdout),
        Stream::Stderr => init_to(filter, format, io::stderr().is_terminal(), io::stderr),
    }
}

/// Sends the log lines of the whole process to a writer of the caller's, each in one call; in colors only where it is a
/// `terminal`, and `NO_COLOR` is not set.
///
/// # Errors
/// When `filter` is not one, or a logger was set before.
pub fn init_to<W>(filter: &str, format: LogFormat, terminal: bool, writer: W) -> Result<(), LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = parse(filter)?;
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let subscriber = subscriber(filter, format, terminal && !no_color, writer);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::AlreadySet)
}

fn subscriber<W>(filter: Targets, format: LogFormat, colors: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // A log that cannot be written (a closed pipe) is no reason to write more about it.
    let lines = fmt::layer().with_writer(writer).with_ansi(colors).log_internal_errors(false);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    };
    tracing_subscriber::registry().with(lines.with_filter(filter))
}

fn parse(filter: &str) -> Result<Targets, LogError> {
    log_filter(filter).map_err(|reason| LogError::Filter { filter: filter.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use parking_lot::Mutex;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: LogFormat, colors: bool) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(parse(filter).unwrap(), format, colors, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(topic = "in", "a line");
            tracing::debug!("a detail");
        });
        let bytes = lines.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_has_one_line_an_event_and_colors_only_if_asked_for() {
        let text = logged("info", LogFormat::Text, false);
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("INFO") && text.contains("a line") && text.contains("topic=\"in\""), "{text}");
        assert!(!text.contains('\x1b'));
        assert!(logged("info", LogFormat::Text, true).contains('\x1b'));
        assert_eq!(logged("debug", LogFormat::Text, false).lines().count(), 2);
        assert_eq!(logged("off", LogFormat::Text, false), "");
        assert_eq!(
            logged("off, processor=debug", LogFormat::Text, false).lines().count(),
            2,
            "a space is no part"
        );
    }

    #[test]
    fn json_is_one_flat_object_a_line() {
        let text = logged("info", LogFormat::Json, true);
        let value: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(value["level"], "INFO");
        assert_eq!(value["message"], "a line");
        assert_eq!(value["topic"], "in");
        assert!(value["timestamp"].is_string());
    }

    #[test]
    fn a_filter_that_is_none_names_the_variable_the_value_and_the_fix() {
        for filter in ["processor=loud", "infoo", "processor=info,debugging"] {
            let error = parse(filter).map(|_| filter).expect_err(filter).to_string();
            assert!(error.starts_with("RUST_LOG=") && error.contains(filter), "{error}");
            assert!(error.contains("RUST_LOG=info,processor=debug"), "{error}");
        }
    }
}
