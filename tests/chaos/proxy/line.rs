//! One connection through the proxy: two threads, each carries frames one way. A frame is its length in four bytes and what
//! follows; a request begins with its kind in two bytes, and a broker answers the requests of a connection in their order.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::rules::Shared;

/// The largest frame that is believed: Kafka's own limit for a request.
const LARGEST: usize = 100 << 20;

/// A connection of a client and the one to the broker that belongs to it.
pub(super) struct Line {
    client: TcpStream,
    broker: TcpStream,
    shared: Arc<Shared>,
    /// Kinds of the requests that are not answered, oldest first. Pushed by one thread, popped by the other.
    open: Mutex<VecDeque<i16>>,
}

impl Line {
    /// Nothing is carried yet.
    pub(super) fn new(client: TcpStream, broker: TcpStream, shared: Arc<Shared>) -> Arc<Self> {
        for stream in [&client, &broker] {
            // Without it frames come a little later, which breaks nothing.
            let _ = stream.set_nodelay(true);
        }
        Arc::new(Self { client, broker, shared, open: Mutex::default() })
    }

    /// Closes both ends. One that is closed already is no matter.
    pub(super) fn close(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.broker.shutdown(Shutdown::Both);
    }

    fn requests(&self) -> io::Result<()> {
        let mut frame = Vec::new();
        while read(&self.client, &mut frame)? {
            let kind = frame.get(4..6).map_or(-1, |two| i16::from_be_bytes([two[0], two[1]]));
            self.weather()?;
            if let Some(rate) = self.shared.rules().bytes_a_second {
                self.shared.touch();
                std::thread::sleep(Duration::from_secs_f64(frame.len() as f64 / f64::from(rate)));
            }
            self.open.lock().unwrap_or_else(PoisonError::into_inner).push_back(kind);
            (&self.broker).write_all(&frame)?;
        }
        Ok(())
    }

    fn answers(&self) -> io::Result<()> {
        let mut frame = Vec::new();
        while read(&self.broker, &mut frame)? {
            let kind = self.open.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or(-1);
            let rules = self.shared.rules();
            if rules.loses.is_some_and(|api| api.is(kind)) {
                self.shared.touch();
                return Ok(());
            }
            if rules.holds.is_some_and(|api| api.is(kind)) {
                self.shared.touch();
                self.shared.wait_while(|now| now.holds == rules.holds);
            }
            self.weather()?;
            (&self.client).write_all(&frame)?;
        }
        Ok(())
    }

    /// Delays a frame; or loses it, and with it the connection as soon as the silence is over: what comes then is no answer
    /// to anything.
    fn weather(&self) -> io::Result<()> {
        let rules = self.shared.rules();
        if rules.silent {
            self.shared.touch();
            self.shared.wait_while(|now| now.silent);
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if !rules.delay.is_zero() {
            self.shared.touch();
            std::thread::sleep(rules.delay);
        }
        Ok(())
    }
}

/// Starts both threads. When one ends, for whatever reason, the connection is closed, and so the other ends too.
pub(super) fn serve(line: &Arc<Line>) {
    for carry in [Line::requests, Line::answers] {
        let line = Arc::clone(line);
        std::thread::spawn(move || {
            // A connection that breaks is what a proxy is for.
            let _ = carry(&line);
            line.close();
        });
    }
}

/// Reads a frame with its length; false at the end.
fn read(mut stream: &TcpStream, frame: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        read => read?,
    }
    let size = u32::from_be_bytes(length) as usize;
    if size > LARGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    frame.resize(4 + size, 0);
    frame[..4].copy_from_slice(&length);
    stream.read_exact(&mut frame[4..])?;
    Ok(true)
}
