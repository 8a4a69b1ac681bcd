//! Connections: a thread each, one request at a time, as a real broker answers them.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::api::Api;
use crate::cluster::Cluster;
use crate::faults::{Fault, Faults, Request};
use crate::handlers::{Call, handle};
use crate::wire::{Malformed, Reader, Writer};

/// The largest request, bytes: Kafka's own default of `socket.request.max.bytes`.
const LARGEST: usize = 100 << 20;
/// What is made ready for a request before it has arrived, bytes: whoever claims more must send it first.
const READY: usize = 1 << 20;
/// How often the clock is looked at for sessions and transactions that end.
const TICK: Duration = Duration::from_millis(20);

/// What all threads share.
pub(crate) struct Server {
    pub cluster: Cluster,
    pub faults: Faults,
    paused: Mutex<bool>,
    resumed: Condvar,
    down: AtomicBool,
    ended: AtomicBool,
    connections: Mutex<HashMap<u64, Connection>>,
    next: AtomicU64,
}

struct Connection {
    stream: TcpStream,
    /// Tells whoever waits on its account that nobody wants the answer any more.
    gone: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn new(cluster: Cluster) -> Arc<Self> {
        Arc::new(Self {
            cluster,
            faults: Faults::default(),
            paused: Mutex::default(),
            resumed: Condvar::new(),
            down: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            connections: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// Starts the threads that accept connections and look at the clock.
    ///
    /// # Errors
    /// When the machine has no thread left.
    pub(crate) fn start(self: &Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let (accepting, ticking) = (self.clone(), self.clone());
        thread::Builder::new().name("broker-accept".to_owned()).spawn(move || accepting.accept(&listener))?;
        thread::Builder::new().name("broker-clock".to_owned()).spawn(move || ticking.tick())?;
        Ok(())
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.ended.load(Ordering::Relaxed) {
                return;
            }
            match stream {
                // The port stays ours while we are down: somebody else could take it. The connection just closes.
                Ok(_) if self.down.load(Ordering::Relaxed) => {}
                Ok(stream) => self.connect(stream),
                Err(error) => tracing::warn!("the embedded broker cannot accept a connection: {error}"),
            }
        }
    }

    fn connect(self: &Arc<Self>, stream: TcpStream) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let gone = Arc::new(AtomicBool::new(false));
        let server = self.clone();
        let started = stream.try_clone().and_then(|other| {
            self.connections.lock().insert(id, Connection { stream: other, gone: gone.clone() });
            let name = format!("broker-{id}");
            thread::Builder::new().name(name).spawn(move || {
                // An error is a connection that ended, by whatever side.
                let _ = server.serve(stream, &gone);
                server.connections.lock().remove(&id);
            })
        });
        if let Err(error) = started {
            self.connections.lock().remove(&id);
            tracing::warn!("the embedded broker cannot serve a connection: {error}");
        }
    }

    fn tick(&self) {
        while !self.ended.load(Ordering::Relaxed) {
            thread::park_timeout(TICK);
            if !self.down.load(Ordering::Relaxed) && !*self.paused.lock() {
                self.cluster.tick();
            }
        }
    }

    pub(crate) fn set_paused(&self, paused: bool) {
        *self.paused.lock() = paused;
        self.resumed.notify_all();
    }

    fn wait_while_paused(&self) {
        self.resumed.wait_while(&mut self.paused.lock(), |paused| *paused);
    }

    pub(crate) fn set_down(&self, down: bool) {
        if down {
            self.down.store(true, Ordering::Relaxed);
            self.close_all();
        } else {
            self.cluster.wake();
            self.down.store(false, Ordering::Relaxed);
        }
    }

    /// Ends everything. The threads end by themselves soon after.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.set_paused(false);
        self.close_all();
        // Accepting sees it only when somebody connects.
        drop(TcpStream::connect(("127.0.0.1", self.cluster.port)));
    }

    fn close_all(&self) {
        for connection in self.connections.lock().values() {
            connection.gone.store(true, Ordering::Relaxed);
            // It may be closed already.
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
        self.cluster.changed();
    }

    fn serve(&self, mut stream: TcpStream, gone: &AtomicBool) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let host = format!("/{}", stream.peer_addr()?.ip());
        while let Some(frame) = read_frame(&mut stream)? {
            self.wait_while_paused();
            let answer = self.answer(&frame, &host, gone);
            self.wait_while_paused();
            match answer {
                Ok(Answer { bytes, quiet }) => {
                    stream.write_all(&bytes)?;
                    // As a real one does: who was told to keep quiet is not listened to.
                    thread::sleep(quiet);
                }
                Err(Malformed(reason)) => {
                    tracing::debug!("the embedded broker closes a connection: {reason}");
                    break;
                }
            }
        }
        stream.shutdown(Shutdown::Both)
    }

    /// The answer's frame. An error closes the connection.
    pub(crate) fn answer(&self, frame: &[u8], host: &str, gone: &AtomicBool) -> Result<Answer, Malformed> {
        let mut body = Reader::new(frame);
        let (key, version, correlation) = (body.i16()?, body.i16()?, body.i32()?);
        let client_id = body.nullable_string()?.unwrap_or_default();
        let api = Api::find(key).ok_or(Malformed("a request of an unknown kind"))?;
        if !api.speaks(version) && api.request != Request::ApiVersions {
            return Err(Malformed("a version of a request that was not offered"));
        }
        let flexible = api.is_flexible(version);
        if flexible && api.speaks(version) {
            body.set_flexible(true);
            body.tags()?;
        }
        let fault = self.faults.take(api.request);
        let mut call = Call {
            cluster: &self.cluster,
            faults: &self.faults,
            api,
            version,
            client_id: &client_id,
            client_host: host,
            refuse: None,
            throttle: Duration::ZERO,
            gone,
        };
        match fault {
            Some(Fault::Cut) => return Err(Malformed("it was to be cut")),
            Some(Fault::Refuse(code)) => call.refuse = Some(code),
            Some(Fault::Delay(time)) => thread::sleep(time),
            Some(Fault::Throttle(time)) => call.throttle = time,
            Some(Fault::LoseAnswer) | None => {}
        }
        let Some(answer) = handle(&call, &mut body)? else {
            return Ok(Answer { bytes: Vec::new(), quiet: call.throttle });
        };
        if fault == Some(Fault::LoseAnswer) {
            return Err(Malformed("the answer was to be lost"));
        }
        let mut header = Writer::new(flexible && api.request != Request::ApiVersions);
        header.i32(correlation).tags();
        Ok(Answer { bytes: framed(&header.into_bytes(), &answer.into_bytes()), quiet: call.throttle })
    }
}

pub(crate) struct Answer {
    bytes: Vec<u8>,
    /// How long the connection is not listened to afterwards.
    quiet: Duration,
}

fn framed(header: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(header.len() + body.len()).expect("an answer below 4 GiB");
    [&length.to_be_bytes()[..], header, body].concat()
}

/// The next request; `None` at the end, or when it is larger than allowed.
fn read_frame(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = match usize::try_from(i32::from_be_bytes(length)) {
        Ok(length) if length <= LARGEST => length,
        _ => return Ok(None),
    };
    let mut frame = Vec::with_capacity(length.min(READY));
    stream.take(length as u64).read_to_end(&mut frame)?;
    Ok((frame.len() == length).then_some(frame))
}
