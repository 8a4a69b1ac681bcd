//! What an instance shows at its port: the page for people, and metrics.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::process::Instance;
use super::{eventually, seconds};

/// The variable that gives an instance a port of its own, whose number its log tells.
pub(crate) const ANY_PORT: (&str, &str) = ("PROCESSOR_HTTP_ADDR", "127.0.0.1:0");

/// Where an instance with [`ANY_PORT`] shows its state.
pub(crate) struct Pages(String);

impl Pages {
    /// Waits until it has said where.
    pub(crate) fn of(instance: &Instance) -> Self {
        let find = |log: String| {
            let (_, rest) = log.split_once("probes and metrics at http://")?;
            Some(
                rest.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect::<String>(),
            )
        };
        let mut address = None;
        eventually(seconds(60), "the log says where the page is", || {
            address = find(instance.log());
            address.is_some()
        });
        Self(address.expect("found just now"))
    }

    /// The body of a page.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.0).expect("the instance listens");
        stream.set_read_timeout(Some(seconds(30))).expect("a socket option");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.0);
        stream.write_all(request.as_bytes()).expect("the instance takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer of text");
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    /// The values of a metric, of all its labels; none if it is absent.
    pub(crate) fn metric(&self, name: &str) -> Vec<f64> {
        let text = self.get("/metrics");
        let of = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let value = rest.starts_with(['{', ' ']).then(|| rest.rsplit(' ').next())??;
            value.parse().ok()
        };
        text.lines().filter_map(of).collect()
    }
}
