//! The thread for HTTP and signals: the only place with an async runtime.

use std::sync::Arc;

use crossbeam_channel::Sender;
use tokio::signal::unix::{SignalKind, signal};

use super::ended::{Ended, Exit};
use super::status::AppStatus;
use super::{Event, thread};
use crate::config::Config;
use crate::telemetry::http::{bind, serve};
use crate::telemetry::{Metrics, Status};

/// Binds the port, so that a port in use is an error before anything runs, then starts the thread.
pub(super) fn start(
    config: &Config,
    metrics: &Arc<Metrics>,
    status: &Arc<AppStatus>,
    events: &Sender<Event>,
) -> Result<(), Ended> {
    let bound = bind(config.http).map_err(|error| Ended::new(Exit::Config, error.to_string()))?;
    if let Some(bound) = &bound {
        if let Some(warning) = &bound.warning {
            tracing::warn!("{warning}");
        }
        if let Ok(address) = bound.listener.local_addr() {
            tracing::info!("probes and metrics at http://{address}");
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Ended::new(Exit::Failure, format!("no async runtime: {error}")))?;
    let (metrics, status, out) = (metrics.clone(), status.clone(), events.clone());
    let listener = bound.map(|bound| bound.listener);
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
            if let Err(error) = forward_signals(&out).await {
                tracing::error!("signals are not handled: {error}");
            }
        });
    });
    Ok(())
}

async fn forward_signals(events: &Sender<Event>) -> std::io::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    loop {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        if events.send(Event::Signal).is_err() {
            return Ok(());
        }
    }
}
