//! Every endpoint, over a real socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::*;
use crate::ops::Broker;
use crate::ops::metrics::About;
use crate::ops::{Death, Heartbeat, PartitionStatus, Phase, Snapshot};

#[derive(Default)]
struct Fake(Mutex<Snapshot>);

impl Status for Fake {
    fn snapshot(&self) -> Snapshot {
        self.0.lock().clone()
    }
}

/// A listener on a port of its own; dropping it stops it and waits for its end.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    fake: Arc<Fake>,
    metrics: Arc<Metrics>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Running {
    pub(super) fn start(snapshot: Snapshot) -> Self {
        let listener = bind(crate::ops::Http::At("127.0.0.1:0".parse().unwrap())).unwrap().unwrap();
        let address = listener.local_addr().unwrap();
        let fake = Arc::new(Fake(Mutex::new(snapshot)));
        let metrics = Arc::new(Metrics::new(About { version: "1.2.3".into(), ..About::default() }));
        let (stop, stopped) = oneshot::channel();
        let (status, counted) = (fake.clone(), metrics.clone());
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                serve(listener, status, counted, async { drop(stopped.await) }).await;
            });
        });
        Self { address, fake, metrics, stop: Some(stop), thread: Some(thread) }
    }

    fn ask(&self, method: &str, path: &str) -> Reply {
        self.ask_for(method, path, None)
    }

    fn ask_for(&self, method: &str, path: &str, accept: Option<&str>) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let accept = accept.map(|offers| format!("Accept: {offers}\r\n")).unwrap_or_default();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\n{accept}Connection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let code = head[9..12].parse().unwrap();
        Reply { code, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(super) fn get(&self, path: &str) -> Reply {
        self.ask("GET", path)
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) code: u16,
    head: String,
    pub(super) body: String,
}

impl Reply {
    fn json(&self) -> serde_json::Value {
        assert!(self.head.contains("content-type: application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(super) fn running() -> Snapshot {
    let partition = PartitionStatus {
        topic: "in".into(),
        partition: 3,
        lag_records: Some(42),
        lag_age: Some(Duration::from_millis(600)),
        lag_seconds: Some(1.25),
        in_flight: 5,
        ends: Vec::new(),
        balance: 0,
        blocked: Some("dead letters cannot be written".to_owned()),
    };
    let death = Death { reason: "too_old".to_owned(), count: 1, total: 7, last: "in/3/4711".to_owned() };
    Snapshot {
        phase: Phase::Running,
        broker: Broker::Reachable,
        dead_letters: vec![death],
        partitions: vec![partition],
        ..Snapshot::default()
    }
}

fn beat(seconds: u64) -> Heartbeat {
    Heartbeat { name: "consumer-0".to_owned(), since_last_beat: Duration::from_secs(seconds), busy: true }
}

#[test]
fn every_endpoint_answers_get_and_head_and_is_never_cached() {
    let server = Running::start(running());
    for (path, _) in ENDPOINTS {
        let (get, head) = (server.get(path), server.ask("HEAD", path));
        assert_eq!((get.code, head.code), (200, 200), "{path}");
        assert!(!get.body.is_empty(), "{path}");
        assert_eq!(head.body, "", "{path}");
        assert!(
            get.head.contains("cache-control: no-store") && head.head.contains("cache-control: no-store"),
            "{path}"
        );
    }
    let missing = server.get("/nowhere");
    assert_eq!(missing.code, 404);
    assert!(missing.body.contains("/endpoints") && missing.head.contains("cache-control: no-store"));
    assert_eq!(server.ask("POST", "/metrics").code, 405);
    let listed = server.get("/endpoints").json();
    assert_eq!(listed.as_object().unwrap().len(), ENDPOINTS.len());
}

#[test]
fn live_fails_for_a_stuck_thread_and_never_for_a_broker() {
    let server = Running::start(Snapshot {
        broker: Broker::Gone("no broker answers".to_owned()),
        heartbeats: vec![beat(120)],
        ..Snapshot::default()
    });
    for path in ["/livez", "/ping", "/healthz"] {
        let reply = server.get(path);
        assert_eq!((reply.code, reply.json()["status"].as_str()), (200, Some("alive")), "{path}");
    }
    server.fake.0.lock().heartbeats = vec![beat(1), beat(121)];
    for path in ["/livez", "/ping", "/healthz"] {
        let reply = server.get(path);
        assert_eq!(reply.code, 503, "{path}");
        let expected = serde_json::json!({"status": "stalled",
            "checks": [{"name": "consumer-0", "ok": false, "reason": "no sign of life for 121 s"}]});
        assert_eq!(reply.json(), expected);
    }
}

#[test]
fn ready_follows_the_phase() {
    let server = Running::start(running());
    let ready = server.get("/readyz").json();
    assert_eq!((ready["status"].as_str(), ready["state"].as_str()), (Some("ready"), Some("running")));
    assert_eq!(ready["partitions"], 1);

    server.fake.0.lock().partitions.clear();
    let idle = server.get("/ready");
    assert_eq!(idle.code, 200, "a spare is ready");
    assert_eq!(idle.json()["state"], "idle");
    server.fake.0.lock().broker = Broker::Gone("no broker answers: why".to_owned());
    let lost = server.get("/ready");
    assert_eq!(lost.code, 503, "a spare without a broker is none");
    assert_eq!(lost.json()["checks"][0]["reason"], "no broker answers: why");
    assert!(server.get("/").body.contains("no broker answers: why"));

    server.fake.0.lock().phase = Phase::Starting { reason: "joining the group".to_owned() };
    let starting = server.get("/readyz");
    assert_eq!(starting.code, 503);
    let checks = serde_json::json!([{"name": "start", "ok": false, "reason": "joining the group"}]);
    assert_eq!(starting.json(), serde_json::json!({"status": "not_ready", "checks": checks}));

    server.fake.0.lock().phase = Phase::Draining;
    let draining = server.get("/ready");
    assert_eq!(draining.code, 503);
    assert_eq!(draining.json()["checks"][0]["name"], "drain");
}

#[test]
fn metrics_have_their_media_type_and_the_state_of_now() {
    let server = Running::start(running());
    server.metrics.consumed("in", 3, 900);
    for (accept, format) in [
        (None, Format::Text),
        (Some("text/plain"), Format::Text),
        (Some("application/openmetrics-text;version=1.0.0,*/*;q=0.1"), Format::OpenMetrics),
    ] {
        let reply = server.ask_for("GET", "/metrics", accept);
        assert!(reply.head.contains(&format!("content-type: {}", format.media_type())), "{}", reply.head);
        assert!(reply.body.contains("processor_records_consumed_total{topic=\"in\"} 3\n"));
        assert!(reply.body.contains("processor_consumer_lag_records{topic=\"in\",partition=\"3\"} 42.0\n"));
        assert_eq!(reply.body.ends_with("# EOF\n"), format == Format::OpenMetrics, "{accept:?}");
    }
    server.fake.0.lock().partitions.clear();
    assert!(
        !server.get("/metrics").body.contains("partition=\"3\""),
        "a partition that is gone is not shown"
    );
}

#[test]
fn the_page_says_it_in_words() {
    let server = Running::start(running());
    let page = server.get("/");
    assert!(page.head.contains("content-type: text/plain"), "{}", page.head);
    assert!(page.body.starts_with("processor 1.2.3: running\n"), "{}", page.body);
    let partition =
        "  in/3: lag 42 records (0.6 s ago), 1.2 s, 5 in flight; stopped: dead letters cannot be written\n";
    assert!(page.body.contains(partition), "{}", page.body);
    assert!(page.body.contains("dead letter too_old: 7, the last one of in/3/4711\n"), "{}", page.body);
    assert_eq!(server.get("/version").json()["version"], "1.2.3");
}

#[cfg(feature = "cli")]
#[test]
fn the_health_command_understands_the_listener() {
    use crate::cli::health::ask as health;

    let mut server = Running::start(running());
    let url = format!("http://{}", server.address);
    let about = |question| health::ask(&url, question, Duration::from_secs(20));
    let ask = || about(health::Question::Ready);
    let answer = ask().unwrap();
    assert!(answer.yes && answer.body.contains("\"state\":\"running\""), "{answer:?}");
    server.fake.0.lock().phase = Phase::Draining;
    assert!(!ask().unwrap().yes);
    assert!(about(health::Question::Live).unwrap().yes);
    server.stop();
    assert!(matches!(ask(), Err(health::AskError::Refused { .. })));
}

#[test]
fn a_client_that_never_finishes_does_not_hold_up_the_end() {
    let mut server = Running::start(running());
    let mut stuck = TcpStream::connect(server.address).unwrap();
    stuck.write_all(b"GET / HTTP/1.1\r\nHost:").unwrap();
    server.get("/");
    server.stop();
}
