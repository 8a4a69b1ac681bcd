//! Never more than [`MOST`] connections, each for one request and no longer than [`LIMIT`]: whoever holds connections open takes
//! neither descriptors nor memory that the rest of the process needs, and keeps no probe out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

/// Connections at a time: far more than probes and scrapes need, far fewer than a process may have descriptors.
pub(super) const MOST: usize = 32;

/// From its beginning to the end of its answer, no connection takes longer: as long as Prometheus waits if not told otherwise.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// Bytes of a request's head.
const HEAD: usize = 16 * 1024;

/// The connections that are open.
pub(super) struct Connections {
    router: Router,
    tasks: JoinSet<()>,
    /// Oldest first; some may have ended.
    open: Vec<Open>,
}

struct Open {
    task: AbortHandle,
    /// Its request is there. Written by its task, read when one has to go.
    asked: Arc<AtomicBool>,
}

impl Open {
    fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Connections {
    pub(super) fn new(router: Router) -> Self {
        Self { router, tasks: JoinSet::new(), open: Vec::new() }
    }

    /// Answers on one more connection; where there are too many, another one is closed for it.
    pub(super) async fn take(&mut self, stream: TcpStream) {
        while self.tasks.try_join_next().is_some() {}
        while self.tasks.len() >= MOST {
            self.close_one();
            // Only then its descriptor is free.
            self.tasks.join_next().await;
        }
        self.open.retain(|open| !open.task.is_finished());
        let asked = Arc::new(AtomicBool::new(false));
        let task = self.tasks.spawn(answer(stream, self.router.clone(), asked.clone()));
        self.open.push(Open { task, asked });
    }

    /// The oldest of those without a request or of those with one, whichever are more: so slow readers leave room for new
    /// connections, and connections without a request leave room for what is being answered.
    pub(super) fn close_one(&mut self) {
        self.open.retain(|open| !open.task.is_finished());
        let asked = self.open.iter().filter(|open| open.has_asked()).count();
        let of_those = asked > self.open.len() / 2;
        if let Some(oldest) = self.open.iter().position(|open| open.has_asked() == of_those) {
            self.open.remove(oldest).task.abort();
        }
    }

    /// Closes those without a request, and the others when they are answered or `grace` is over.
    pub(super) async fn finish(mut self, grace: Duration) {
        self.open.iter().filter(|open| !open.has_asked()).for_each(|open| open.task.abort());
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        // Those that have not ended then end with their set.
        let _ = timeout(grace, ended).await;
    }
}

async fn answer(stream: TcpStream, router: Router, asked: Arc<AtomicBool>) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        asked.store(true, Ordering::Relaxed);
        router.call(request)
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // How it ended is of interest to the client alone.
    let _ = timeout(LIMIT, connection).await;
}
