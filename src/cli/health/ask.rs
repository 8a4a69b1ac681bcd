//! Asks a running instance whether it is ready, or alive: what `processor health` does, and a container's health check.
//!
//! One request over a plain socket: a probe that runs every few seconds should need no HTTP client and no runtime.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::ops::Http;

/// No answer is longer than this; what is, is not ours.
const LONGEST: u64 = 64 * 1024;

/// What to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Whether it reads, or could: not while it starts, drains, or waits for a broker.
    Ready,
    /// Whether it should be let alone rather than started anew.
    Live,
}

impl Question {
    /// Where it is asked.
    fn path(self) -> &'static str {
        match self {
            Self::Ready => "/readyz",
            Self::Live => "/livez",
        }
    }

    /// How yes and no begin.
    fn words(self) -> [&'static str; 2] {
        match self {
            Self::Ready => ["ready", "not_ready"],
            Self::Live => ["alive", "stalled"],
        }
    }
}

/// What the instance said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Whether it is so.
    pub yes: bool,
    /// Its own words, in JSON.
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum AskError {
    /// The address cannot be one.
    #[error("{url:?} is not the address of an instance: {reason}; write it as http://127.0.0.1:8890")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody listens there.
    #[error(
        "no instance at {address}; start one, or pass --url with the address that it logs when it starts"
    )]
    Refused {
        /// Who was asked.
        address: String,
    },
    /// Nothing came in time.
    #[error(
        "no answer from {address} within {timeout:?}; the instance hangs, or a firewall drops the request"
    )]
    Timeout {
        /// Who was asked.
        address: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// The network failed otherwise.
    #[error("cannot ask {address}: {source}")]
    Io {
        /// Who was asked.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else answered.
    #[error(
        "{address} answered, but not as a processor does ({what}); another program has this port: pass --url"
    )]
    Stranger {
        /// Who was asked.
        address: String,
        /// What came.
        what: String,
    },
}

/// The address at which an instance with this configuration can be asked from the same machine; `None` if it has no
/// listener. An address that stands for all interfaces, which are served with IPv4 in any case, is asked over its loopback.
pub(crate) fn address_of(http: Http) -> Option<String> {
    let Http::At(mut address) = http else { return None };
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    Some(address.to_string())
}

/// Asks the instance at `url` (`http://host:port` or `host:port`), within `timeout` in all.
///
/// # Errors
/// When there is no answer, or none of a processor. No is an answer.
pub(crate) fn ask(url: &str, question: Question, timeout: Duration) -> Result<Answer, AskError> {
    let host = host_of(url)?;
    let addresses = resolve(url, &host)?;
    let deadline = Instant::now() + timeout;
    let response =
        exchange(&addresses, &host, question, deadline).map_err(|error| failed(error, &host, timeout))?;
    answer(&response, question).map_err(|what| AskError::Stranger { address: host, what })
}

/// `host:port` of a URL; a path behind it is ours to choose and ignored.
fn host_of(url: &str) -> Result<String, AskError> {
    let fault = |reason: &str| Err(AskError::Url { url: url.to_owned(), reason: reason.to_owned() });
    let rest = match url.trim().split_once("://") {
        None => url.trim(),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some(_) => return fault("instances speak plain http"),
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') || host.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return fault("it needs a host and a port, and nothing else");
    }
    match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.parse::<u16>().is_ok() => Ok(host.to_owned()),
        _ => fault("the port is missing"),
    }
}

fn resolve(url: &str, host: &str) -> Result<Vec<SocketAddr>, AskError> {
    let addresses: io::Result<Vec<_>> = host.to_socket_addrs().map(Iterator::collect);
    match addresses {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(AskError::Url { url: url.to_owned(), reason: "the host has no address".to_owned() }),
        Err(error) => Err(AskError::Url { url: url.to_owned(), reason: error.to_string() }),
    }
}

/// Everything that the first address which accepts says to the question.
fn exchange(
    addresses: &[SocketAddr],
    host: &str,
    question: Question,
    deadline: Instant,
) -> io::Result<Vec<u8>> {
    let mut stream = connect(addresses, deadline)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    write!(
        stream,
        "GET {} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nConnection: close\r\n\r\n",
        question.path()
    )?;
    let mut response = Vec::new();
    let mut chunk = [0; 4096];
    while (response.len() as u64) < LONGEST {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => response.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(response)
}

fn connect(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for address in addresses {
        match TcpStream::connect_timeout(address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The time until the deadline: never zero, which a socket takes for "for ever".
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn failed(source: io::Error, host: &str, timeout: Duration) -> AskError {
    let address = host.to_owned();
    match source.kind() {
        io::ErrorKind::ConnectionRefused => AskError::Refused { address },
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => AskError::Timeout { address, timeout },
        _ => AskError::Io { address, source },
    }
}

fn answer(response: &[u8], question: Question) -> Result<Answer, String> {
    let text = String::from_utf8_lossy(response);
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    let code = status.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).ok_or("no HTTP")?;
    let yes = match code {
        "200" => true,
        "503" => false,
        code if code.bytes().all(|b| b.is_ascii_digit()) => return Err(format!("HTTP {code}")),
        _ => return Err("no HTTP".to_owned()),
    };
    // Another program may well have these paths; ours says its state in this form.
    let value: Result<serde_json::Value, _> = serde_json::from_str(body);
    match value.as_ref().ok().and_then(|value| value["status"].as_str()) {
        Some(word) if question.words().contains(&word) => Ok(Answer { yes, body: body.to_owned() }),
        _ => Err(format!("HTTP {code} with another body")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    const SOON: Duration = Duration::from_secs(10);

    /// One connection that reads the request and answers this.
    fn server(response: &'static str) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                request.push(byte[0]);
            }
            stream.write_all(response.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        (address, thread)
    }

    #[test]
    fn ready_and_not_ready_are_answers() {
        let (address, thread) = server("HTTP/1.1 200 OK\r\nX: y\r\n\r\n{\"status\":\"ready\"}");
        let answer = ask(&format!("http://{address}/"), Question::Ready, SOON).unwrap();
        assert_eq!(answer, Answer { yes: true, body: "{\"status\":\"ready\"}".to_owned() });
        let request = thread.join().unwrap();
        assert!(request.starts_with("GET /readyz HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("Host: {address}\r\n")), "{request}");

        let (address, _thread) = server("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"status\":\"not_ready\"}");
        assert!(!ask(&address, Question::Ready, SOON).unwrap().yes);
    }

    #[test]
    fn alive_and_stalled_are_answers() {
        let (address, thread) = server("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"alive\"}");
        assert!(ask(&address, Question::Live, SOON).unwrap().yes);
        assert!(thread.join().unwrap().starts_with("GET /livez "));
        let (address, _thread) = server("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"status\":\"stalled\"}");
        assert!(!ask(&address, Question::Live, SOON).unwrap().yes);
        let (address, _thread) = server("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ready\"}");
        assert!(matches!(ask(&address, Question::Live, SOON), Err(AskError::Stranger { .. })));
    }

    #[test]
    fn somebody_else_at_the_port_is_no_answer() {
        for response in [
            "HTTP/1.1 404 Not Found\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nok",
            "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"up\"}",
            "SSH-2.0-OpenSSH_9.6\r\n\r\n",
            "",
        ] {
            let (address, _thread) = server(response);
            let error = ask(&address, Question::Ready, SOON).unwrap_err();
            assert!(matches!(error, AskError::Stranger { .. }), "{response}: {error}");
            assert!(error.to_string().contains(&address), "{error}");
        }
    }

    #[test]
    fn a_refused_connection_says_what_to_do() {
        // A client's own port: nobody listens there, and nobody else can take it meanwhile.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let address = client.local_addr().unwrap().to_string();
        let error = ask(&address, Question::Ready, SOON).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "no instance at {address}; start one, or pass --url with the address that it logs when it starts"
            )
        );
    }

    #[test]
    fn a_silent_server_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let error = ask(&address, Question::Ready, Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, AskError::Timeout { .. }), "{error}");
    }

    #[test]
    fn addresses_that_are_none_are_named() {
        for url in [
            "",
            "localhost",
            "http://",
            "https://localhost:8890",
            "localhost:http",
            "a b:1",
            "u@h:1",
            ":8890",
            "h:99999",
        ] {
            let error = ask(url, Question::Ready, SOON).unwrap_err();
            assert!(matches!(error, AskError::Url { .. }), "{url}: {error}");
        }
        assert_eq!(host_of("HTTP://[::1]:8890/readyz?x").unwrap(), "[::1]:8890");
    }

    #[test]
    fn all_interfaces_are_asked_over_the_loopback() {
        let of = |address: &str| address_of(Http::At(address.parse().unwrap())).unwrap();
        assert_eq!(of("0.0.0.0:8890"), "127.0.0.1:8890");
        assert_eq!(of("[::]:1"), "127.0.0.1:1");
        assert_eq!(of("[::1]:1"), "[::1]:1");
        assert_eq!(of("10.1.2.3:1"), "10.1.2.3:1");
        assert_eq!(address_of(Http::Off), None);
    }
}
