//! Why a broker cannot be talked to: from what librdkafka says about a connection to the cause and what to do about it. The texts of
//! the tests are what librdkafka 2.12.1 says when it meets the fault on a real broker.

use std::fmt;

/// What stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The name has no address.
    UnknownHost,
    /// Nobody listens at that port.
    Refused,
    /// No way to that machine.
    Unreachable,
    /// The listener wants TLS, and we do not speak it.
    WantsTls,
    /// We speak TLS, and the listener does not.
    SpeaksNoTls,
    /// The broker's certificate does not convince us.
    Certificate,
    /// Ours does not convince the broker, or it wants one and has none.
    OwnCertificate,
    /// TLS fails otherwise.
    Handshake,
    /// User or password are refused.
    Login,
    /// The listener does not know the mechanism.
    Mechanism,
    /// The listener wants SASL, and we do not speak it.
    WantsSasl,
    /// We speak SASL, and the listener does not.
    SpeaksNoSasl,
    /// It takes the connection and says nothing.
    Silent,
    /// It closes the connection.
    Closed,
}

impl Cause {
    /// Whether the broker does not let us in, for sure: waiting does not mend it. A connection that is closed may have many reasons.
    pub fn is_denial(self) -> bool {
        matches!(self, Self::OwnCertificate | Self::Login | Self::Mechanism | Self::SpeaksNoSasl)
    }

    /// Whether it may be mended by other credentials or certificates of ours.
    pub fn is_of_credentials(self) -> bool {
        self.is_denial() || self == Self::Certificate
    }

    fn words(self) -> &'static str {
        match self {
            Self::UnknownHost => "the host is unknown",
            Self::Refused => "the connection is refused",
            Self::Unreachable => "the host cannot be reached",
            Self::WantsTls => {
                "the broker closes the connection at our first word, as a listener does that wants TLS, or a proxy with no broker behind it"
            }
            Self::SpeaksNoTls => "the listener does not speak TLS",
            Self::Certificate => "the broker's certificate is not accepted",
            Self::OwnCertificate => "the broker does not accept our certificate, or wants one and gets none",
            Self::Handshake => "the TLS handshake fails",
            Self::Login => "the broker refuses user or password",
            Self::Mechanism => "the listener does not know the SASL mechanism",
            Self::WantsSasl => {
                "the broker closes the connection at our first question, as a listener does that wants SASL"
            }
            Self::SpeaksNoSasl => "the listener does not speak SASL",
            Self::Silent => "the connection is taken, and nobody answers",
            Self::Closed => "the broker closed the connection",
        }
    }

    fn advice(self, named: bool) -> &'static str {
        match self {
            Self::UnknownHost if named => "Is the name in KAFKA_SERVERS right, and does DNS know it here?",
            Self::Refused if named => "Is the port in KAFKA_SERVERS right, and does the broker run?",
            Self::Unreachable if named => {
                "Is the address in KAFKA_SERVERS right, and does the network let us through?"
            }
            Self::UnknownHost | Self::Refused | Self::Unreachable => {
                "The broker itself names this address (advertised.listeners): it must be one that can be reached from \
                 here, or the broker is down"
            }
            Self::WantsTls => {
                "Set KAFKA_SECURITY_PROTOCOL to ssl or sasl_ssl, or name the port of a listener without TLS"
            }
            Self::SpeaksNoTls => {
                "Set KAFKA_SECURITY_PROTOCOL to plaintext or sasl_plaintext, or name the port of a listener with TLS"
            }
            Self::Certificate => {
                "KAFKA_SSL_CA_LOCATION must name the authority that signed it; it must not have expired, and must \
                 be for the host name that is connected to"
            }
            Self::OwnCertificate => {
                "KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION must name a certificate that has not expired, \
                 of an authority that the broker trusts"
            }
            Self::Handshake => "Do the listener and KAFKA_SECURITY_PROTOCOL agree, and the TLS versions?",
            Self::Login => "Look at KAFKA_SASL_USERNAME, and at KAFKA_SASL_PASSWORD or its file",
            Self::Mechanism => "Set KAFKA_SASL_MECHANISM to one that the listener has",
            Self::WantsSasl => {
                "Set KAFKA_SECURITY_PROTOCOL to sasl_plaintext or sasl_ssl, with user and password"
            }
            Self::SpeaksNoSasl => {
                "Set KAFKA_SECURITY_PROTOCOL to plaintext or ssl, or name the port of a listener with SASL"
            }
            Self::Silent => {
                "Is it a Kafka broker, and does it hang? Where the port wants TLS, set KAFKA_SECURITY_PROTOCOL to ssl or \
                 sasl_ssl"
            }
            Self::Closed => "The broker's log says why",
        }
    }
}

/// Why the connection to one broker failed. Displayed with librdkafka's own words and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What stands in the way.
    pub cause: Cause,
    address: String,
    /// Whether `KAFKA_SERVERS` named the address, and not a broker.
    named: bool,
    said: String,
    /// Whether these are not librdkafka's words any more.
    precise: bool,
}

impl Reason {
    /// From a line of librdkafka about a connection, as in its log or in an error; `None` if it is about something else.
    pub fn of(line: &str) -> Option<Self> {
        let line = line
            .strip_prefix("[thrd:")
            .and_then(|rest| rest.split_once("]: "))
            .map_or(line, |(_, rest)| rest);
        let (mut name, mut rest) = line.split_once(": ")?;
        if name == "GroupCoordinator" || name == "TxnCoordinator" {
            (name, rest) = rest.split_once(": ")?;
        }
        let (said, after) = rest.rsplit_once(" (after ").unwrap_or((rest, ""));
        let (protocol, address) = name.split_once("://").unwrap_or(("plaintext", name));
        let cause = cause(said, after, protocol)?;
        let named = address.ends_with("/bootstrap");
        let address = address.split('/').next().unwrap_or_default().to_owned();
        Some(Self { cause, address, named, said: said.to_owned(), precise: false })
    }

    /// The same, with more precise words than librdkafka's.
    #[must_use]
    pub fn because(self, said: String) -> Self {
        Self { said, precise: true, ..self }
    }

    /// Of the broker, `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether [`Reason::because`] made it.
    pub fn is_precise(&self) -> bool {
        self.precise
    }
}

/// From what was said, the time and the state in which it was, and how we speak to the broker.
fn cause(said: &str, after: &str, protocol: &str) -> Option<Cause> {
    let has = |text: &str| said.contains(text);
    let (ms, state) = after.split_once("ms in state ").unwrap_or_default();
    let state = state.trim_end_matches(')').split(',').next().unwrap_or_default();
    let closed = has("Disconnected") || has("Broken pipe") || has("Connection reset");
    let just_now = ms.parse::<u32>().is_ok_and(|ms| ms < 2_000);
    Some(match state {
        _ if has("Failed to resolve") => Cause::UnknownHost,
        _ if has("Connection refused") => Cause::Refused,
        "CONNECT" if has("Connect to ") || has("timed out") => Cause::Unreachable,
        _ if has("certificate verify failed") || has("Failed to verify broker certificate") => {
            Cause::Certificate
        }
        // The broker's word on our certificate comes when TLS is set up on our side already.
        _ if has("alert") && (has("certificate") || has("unknown ca")) => Cause::OwnCertificate,
        _ if has("client SSL authentication might be required") => Cause::OwnCertificate,
        _ if has("PLAINTEXT broker listener") || has("wrong version number") => Cause::SpeaksNoTls,
        "SSL_HANDSHAKE" if closed => Cause::SpeaksNoTls,
        _ if has("timed out") || has("Timed out") => Cause::Silent,
        _ if has("SSL") => Cause::Handshake,
        _ if has("Unsupported SASL mechanism") => Cause::Mechanism,
        _ if has("not valid in current SASL state") => Cause::SpeaksNoSasl,
        _ if has("SASL") || has("uthentication fail") => Cause::Login,
        "APIVERSION_QUERY" if closed && !protocol.contains("ssl") => Cause::WantsTls,
        "UP" if closed && just_now && !protocol.contains("sasl") => Cause::WantsSasl,
        _ if closed => Cause::Closed,
        _ => return None,
    })
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cause, address, named, said, .. } = self;
        write!(f, "{address}: {} ({said}). {}", cause.words(), cause.advice(*named))
    }
}

#[cfg(test)]
mod tests {
    use super::Cause::*;
    use super::*;

    /// What was met, and librdkafka's line.
    const SAID: &[(Cause, &str)] = &[
        (
            UnknownHost,
            "kafka.invalid:9092/bootstrap: Failed to resolve 'kafka.invalid:9092': Name or service not known (after 10ms in \
             state CONNECT)",
        ),
        (
            Refused,
            "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT, 1 \
             identical error(s) suppressed)",
        ),
        (
            Unreachable,
            "192.0.2.1:9092/bootstrap: Connection setup timed out in state CONNECT (after 30028ms in state CONNECT)",
        ),
        (
            Unreachable,
            "192.0.2.1:9092/bootstrap: Connect to ipv4#192.0.2.1:9092 failed: No route to host (after 3ms in state CONNECT)",
        ),
        (
            WantsTls,
            "[thrd:127.0.0.1:9093/bootstrap]: 127.0.0.1:9093/bootstrap: Disconnected: connection closed by peer: receive 0 \
             after POLLIN (after 3ms in state APIVERSION_QUERY, 1 identical error(s) suppressed)",
        ),
        (
            SpeaksNoTls,
            "ssl://127.0.0.1:9092/bootstrap: SSL handshake failed: Disconnected: SSL connection closed by peer: connecting to \
             a PLAINTEXT broker listener? (after 53ms in state SSL_HANDSHAKE)",
        ),
        (
            SpeaksNoTls,
            "ssl://127.0.0.1:9092/bootstrap: Disconnected: SSL connection closed by peer (after 0ms in state SSL_HANDSHAKE)",
        ),
        (
            Certificate,
            "ssl://127.0.0.1:9093/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: \
             broker certificate could not be verified, verify that ssl.ca.location is correctly configured or root CA \
             certificates are installed (install ca-certificates package) (after 206ms in state SSL_HANDSHAKE)",
        ),
        (
            Certificate,
            "sasl_ssl://127.0.0.1:9093/1: error:0A000086:SSL routines::certificate verify failed (after 2ms in state \
             SSL_HANDSHAKE)",
        ),
        (
            OwnCertificate,
            "ssl://127.0.0.1:9093/bootstrap: Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL \
             alert number 42 (after 20ms in state APIVERSION_QUERY)",
        ),
        (
            Login,
            "sasl_plaintext://127.0.0.1:9094/bootstrap: SASL authentication error: Authentication failed during \
             authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256 (after 252ms in state AUTH_REQ)",
        ),
        (
            Mechanism,
            "sasl_plaintext://127.0.0.1:9094/bootstrap: SASL SCRAM-SHA-512 mechanism handshake failed: Broker: Unsupported \
             SASL mechanism: broker's supported mechanisms: SCRAM-SHA-256 (after 103ms in state AUTH_HANDSHAKE)",
        ),
        (
            SpeaksNoSasl,
            "sasl_plaintext://127.0.0.1:9092/bootstrap: SASL SCRAM-SHA-256 mechanism handshake failed: Broker: Request not \
             valid in current SASL state: broker's supported mechanisms:  (after 2ms in state AUTH_HANDSHAKE)",
        ),
        (
            WantsSasl,
            "127.0.0.1:9094/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 1ms in state UP)",
        ),
        (WantsSasl, "127.0.0.1:9094/bootstrap: Send failed: Broken pipe (after 0ms in state UP)"),
        (
            Silent,
            "127.0.0.1:9092/bootstrap: ApiVersionRequest failed: Local: Timed out: probably due to broker version < 0.10 (see \
             api.version.request configuration) (after 10106ms in state APIVERSION_QUERY)",
        ),
        (
            Silent,
            "ssl://127.0.0.1:9092/bootstrap: Connection setup timed out in state SSL_HANDSHAKE (after 30010ms in state \
             SSL_HANDSHAKE)",
        ),
        (
            Closed,
            "127.0.0.1:9092/1: Disconnected: connection closed by peer: receive 0 after POLLIN (after 90210ms in state UP)",
        ),
    ];

    #[test]
    fn each_line_of_librdkafka_has_its_cause() {
        for (cause, line) in SAID {
            assert_eq!(Reason::of(line).map(|reason| reason.cause), Some(*cause), "{line}");
        }
    }

    #[test]
    fn lines_about_something_else_are_left_alone() {
        for line in [
            "",
            "1/1 brokers are down",
            "FindCoordinator response error: Group authorization failed.",
            "[thrd:main]: Configuration property enable.gapless.guarantee is experimental",
        ] {
            assert_eq!(Reason::of(line), None, "{line}");
        }
    }

    #[test]
    fn it_says_where_why_and_what_to_do() {
        let of = |line: &str| Reason::of(line).unwrap().to_string();
        assert_eq!(
            of(
                "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)"
            ),
            "127.0.0.1:1: the connection is refused (Connect to ipv4#127.0.0.1:1 failed: Connection refused). Is the port in \
             KAFKA_SERVERS right, and does the broker run?"
        );
        // An address that a broker told us is no matter of KAFKA_SERVERS.
        for name in ["127.0.0.1:1/1", "GroupCoordinator: 127.0.0.1:1"] {
            let text = of(&format!(
                "{name}: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)"
            ));
            assert!(text.starts_with("127.0.0.1:1: ") && text.contains("advertised.listeners"), "{text}");
        }
    }
}
