//! The HTTP listener of a build without the feature `http`: there is none, whatever `PROCESSOR_HTTP_ADDR` says.

use std::convert::Infallible;
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;

use super::Http;
use super::metrics::Metrics;
use super::status::Status;

/// Never takes a port; says so where one is asked for.
///
/// # Errors
/// Never.
pub fn bind(http: Http) -> Result<Option<TcpListener>, Infallible> {
    if let Http::At(address) = http {
        tracing::info!("no probes and metrics at {address}: built without the feature http");
    }
    Ok(None)
}

/// Never called, as [`bind`] gives no listener.
pub async fn serve(
    _: tokio::net::TcpListener,
    _: Arc<dyn Status>,
    _: Arc<Metrics>,
    shutdown: impl Future<Output = ()>,
) {
    shutdown.await;
}
