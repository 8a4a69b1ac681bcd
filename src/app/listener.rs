//! The thread for HTTP and signals: the only place with an async runtime.

use std::net::TcpListener;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::ended::{Ended, Exit};
use super::signals::Signals;
use super::status::AppStatus;
use super::{Event, thread};
use crate::config::Config;
use crate::ops::http::{bind, serve};
use crate::ops::{Metrics, Status};

/// Takes the port, so that one in use is an error before anything runs.
pub(super) fn bind_port(config: &Config) -> Result<Option<TcpListener>, Ended> {
    bind(config.http).map_err(|error| Ended::new(Exit::Config, error.to_string()))
}

/// Starts the thread.
pub(super) fn start(
    listener: Option<TcpListener>,
    metrics: &Arc<Metrics>,
    status: &Arc<AppStatus>,
    events: &Sender<Event>,
    with_signals: bool,
) -> Result<(), Ended> {
    if let Some(Ok(address)) = listener.as_ref().map(TcpListener::local_addr) {
        tracing::info!("probes and metrics at http://{address}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Ended::new(Exit::Failure, format!("no async runtime: {error}")))?;
    // Here and not on the thread: a signal that comes early must find a handler.
    let signals = {
        let _context = runtime.enter();
        let signals = with_signals.then(Signals::catch).transpose();
        signals.map_err(|error| Ended::new(Exit::Failure, format!("signals cannot be handled: {error}")))?
    };
    let (metrics, status, out) = (metrics.clone(), status.clone(), events.clone());
    thread("listener".to_owned(), events, move || {
        runtime.block_on(async move {
            if let Some(listener) = listener {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => {
                        let status: Arc<dyn Status> = status;
                        // It ends with the process: probes are to see the draining.
                        tokio::spawn(serve(listener, status, metrics, std::future::pending()));
                    }
                    Err(error) => tracing::error!("no probes and metrics: {error}"),
                }
            }
            match signals {
                Some(signals) => signals.forward(|| out.send(Event::Signal).is_ok()).await,
                None => std::future::pending().await,
            }
        });
    });
    Ok(())
}
