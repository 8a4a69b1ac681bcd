//! The HTTP listener: probes, metrics, and a status in words. It only reads, and shows no record's contents.

mod bind;
mod connections;
#[cfg(test)]
mod crowd;
mod pages;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

pub use self::bind::{BindError, bind};
use self::connections::Connections;
use super::metrics::{Format, Metrics};
use super::status::Status;

/// How long a request that is being answered may hold up the end.
const GRACE: Duration = Duration::from_millis(500);

/// How long nobody is let in when that failed: much shorter than the second that a kubelet's probe waits.
const PAUSE: Duration = Duration::from_millis(50);

/// Paths and what they are for: the routes are tested against it, and `/endpoints` shows it.
pub const ENDPOINTS: &[(&str, &str)] = &[
    ("/", "the state in words"),
    ("/livez", "200 unless a thread of this process is stuck: restart it then"),
    ("/ping", "as /livez"),
    ("/healthz", "as /livez"),
    ("/readyz", "200 when reading or an idle spare, 503 when starting or draining"),
    ("/ready", "as /readyz"),
    ("/metrics", "everything for Prometheus, as OpenMetrics or as plain text, whichever is asked for"),
    ("/version", "what is running"),
    ("/endpoints", "this list"),
];

#[derive(Clone)]
struct Shared {
    status: Arc<dyn Status>,
    metrics: Arc<Metrics>,
}

/// Answers on `listener` until `shutdown` is done, on the runtime of the caller; one thread is enough.
pub async fn serve(
    listener: TcpListener,
    status: Arc<dyn Status>,
    metrics: Arc<Metrics>,
    shutdown: impl Future<Output = ()>,
) {
    let mut connections = Connections::new(router(Shared { status, metrics }));
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => connections.take(stream).await,
                // The client was gone already, or the process has no descriptor left: one that is held is given back. Trying at once
                // would be a busy loop.
                Err(_) => {
                    connections.close_one();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
    }
    drop(listener);
    connections.finish(GRACE).await;
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/livez", get(livez))
        .route("/ping", get(livez))
        .route("/healthz", get(livez))
        .route("/readyz", get(readyz))
        .route("/ready", get(readyz))
        .route("/metrics", get(scrape))
        .route("/version", get(version))
        .route("/endpoints", get(async || json(StatusCode::OK, pages::endpoints(ENDPOINTS))))
        .fallback(async || (StatusCode::NOT_FOUND, "nothing here; /endpoints lists what there is\n"))
        .layer(map_response(no_store))
        .with_state(shared)
}

async fn root(State(shared): State<Shared>) -> String {
    pages::words(&shared.status.snapshot(), shared.metrics.about())
}

async fn livez(State(shared): State<Shared>) -> Response {
    let snapshot = shared.status.snapshot();
    let alive = snapshot.stalled().next().is_none();
    json(code(alive), pages::livez(&snapshot))
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let snapshot = shared.status.snapshot();
    json(code(snapshot.is_ready()), pages::readyz(&snapshot))
}

async fn scrape(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let offers: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::asked(&offers.join(","));
    match shared.metrics.render(shared.status.snapshot(), format) {
        Ok(text) => ([(CONTENT_TYPE, format.media_type())], text).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n").into_response(),
    }
}

async fn version(State(shared): State<Shared>) -> Response {
    json(StatusCode::OK, pages::version(shared.metrics.about()))
}

fn code(good: bool) -> StatusCode {
    if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn json(code: StatusCode, body: serde_json::Value) -> Response {
    (code, [(CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

async fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
