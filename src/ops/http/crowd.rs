//! Those who hold connections open, over real sockets: they keep nobody out, and are closed.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

use super::connections::{LIMIT, MOST};
use super::tests::{Running, running};
use crate::ops::{PartitionStatus, Snapshot};

/// Far below the second that a kubelet waits, on a machine of its own; here others are at work too.
const PROMPT: Duration = Duration::from_secs(20);

/// Connections that somebody holds open: several times as many as are let be, and no more than a test may have.
const CROWD: usize = 5 * MOST;

const HALF: &[u8] = b"GET /livez HTTP/1.1\r\nHost: x\r\n";
const REST: &[u8] = b"Connection: close\r\n\r\n";

impl Running {
    /// A connection on which so much was sent.
    fn hold(&self, sent: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(sent).unwrap();
        stream
    }

    /// A connection on which the metrics are asked for and not read; the first of them are there, and so the request was seen.
    fn scrape_slowly(&self) -> TcpStream {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let stream = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            // What the system takes for a client that does not read has to be less than there is.
            socket.set_recv_buffer_size(4096).unwrap();
            socket.connect(self.address).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        // In the format that marks its end.
        let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\n\r\n";
        (&stream).write_all(request).unwrap();
        assert_eq!(stream.peek(&mut [0]).unwrap(), 1);
        stream
    }

    fn answers_promptly(&self) {
        for path in ["/livez", "/readyz", "/metrics"] {
            let begin = Instant::now();
            assert_eq!(self.get(path).code, 200, "{path}");
            assert!(begin.elapsed() < PROMPT, "{path} took {:?}", begin.elapsed());
        }
    }
}

/// Metrics that are larger than what the system takes for a client that does not read: some megabytes, of few lines.
fn much() -> Snapshot {
    let mut partition = running().partitions.remove(0);
    partition.topic = "x".repeat(10_000).into();
    let partitions = (0..300).map(|number| PartitionStatus { partition: number, ..partition.clone() });
    Snapshot { partitions: partitions.collect(), ..running() }
}

/// Whether the other side has closed it; what it still had to say is read and dropped.
fn is_closed(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let mut some = [0; 4096];
    loop {
        match stream.read(&mut some) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

fn read_all(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn half_requests_keep_nobody_out_and_only_the_newest_are_kept() {
    let server = Running::start(running());
    let held: Vec<_> = (0..CROWD).map(|_| server.hold(HALF)).collect();
    server.answers_promptly();
    // Three more were let in since.
    let (old, new) = held.split_at(CROWD - MOST);
    assert!(old.iter().all(is_closed), "the oldest had to make room");
    let open = new.iter().filter(|stream| !is_closed(stream)).count();
    assert!(open >= MOST - 3, "{open} of the newest are open: no more are closed than have to be");
}

#[test]
fn slow_readers_of_much_keep_nobody_out() {
    let server = Running::start(much());
    let held: Vec<_> = (0..MOST + 4).map(|_| server.scrape_slowly()).collect();
    server.answers_promptly();
    let is_cut = |stream| !read_all(stream).ends_with("# EOF\n");
    assert!(held.into_iter().take(4).all(is_cut), "the oldest had to make room before they had all of it");
}

#[test]
fn a_request_on_its_way_is_not_closed_for_others_among_slow_readers() {
    let server = Running::start(much());
    let slow: Vec<_> = (0..MOST).map(|_| server.scrape_slowly()).collect();
    let mut probe = server.hold(HALF);
    let crowd: Vec<_> = (0..MOST / 4).map(|_| server.hold(HALF)).collect();
    server.answers_promptly();
    probe.write_all(REST).unwrap();
    assert!(read_all(probe).starts_with("HTTP/1.1 200 OK"));
    drop((slow, crowd));
}

#[test]
fn an_answer_that_is_being_read_is_not_closed_for_half_requests() {
    let server = Running::start(much());
    let scrape = server.scrape_slowly();
    let crowd: Vec<_> = (0..CROWD).map(|_| server.hold(HALF)).collect();
    server.answers_promptly();
    let text = read_all(scrape);
    assert!(text.ends_with("# EOF\n"), "{} bytes of it came", text.len());
    drop(crowd);
}

#[test]
fn nobody_is_kept_longer_than_the_limit() {
    let server = Running::start(much());
    let begin = Instant::now();
    let (silent, half, mut slow) = (server.hold(b""), server.hold(HALF), server.scrape_slowly());
    let gone_within = |limit: Duration, gone: &mut dyn FnMut() -> bool| {
        while !gone() {
            assert!(begin.elapsed() < limit, "open after {:?}", begin.elapsed());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    };
    let answered = server.hold(&[HALF, b"\r\n"].concat());
    gone_within(LIMIT, &mut || is_closed(&answered));
    assert!(!is_closed(&silent) && !is_closed(&half), "closed after {:?}", begin.elapsed());
    gone_within(LIMIT + PROMPT, &mut || is_closed(&silent));
    gone_within(LIMIT + PROMPT, &mut || is_closed(&half));
    // Reading would let the answer go on; what is sent to nobody fails.
    gone_within(LIMIT + PROMPT, &mut || slow.write_all(b"x").is_err());
    assert!(begin.elapsed() >= LIMIT, "closed after {:?}", begin.elapsed());
}

#[test]
fn a_head_without_end_is_refused() {
    let server = Running::start(running());
    let mut endless = server.hold(HALF);
    let line = format!("x: {}\r\n", "x".repeat(1_000));
    let begin = Instant::now();
    // The system takes some of it; more than the program does, and then there is nobody any more.
    while endless.write_all(line.as_bytes()).is_ok() && !is_closed(&endless) {
        endless.set_nonblocking(false).unwrap();
        assert!(begin.elapsed() < PROMPT, "it reads on and on");
    }
    server.answers_promptly();
}
