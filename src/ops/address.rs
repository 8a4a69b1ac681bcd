//! Where the HTTP listener is: an address, or nowhere.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where the HTTP listener is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http {
    /// Nowhere.
    #[default]
    Off,
    /// At this address; `[::]` is every interface, with IPv6 and IPv4.
    At(SocketAddr),
}

impl Http {
    /// From `host:port`, `:port` for every interface with IPv6 and IPv4, or `off`.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        let spelled = match text.split_once(':') {
            Some(("", port)) => format!("[{}]:{port}", Ipv6Addr::UNSPECIFIED),
            Some(("localhost", port)) => format!("{}:{port}", Ipv4Addr::LOCALHOST),
            _ => text.to_owned(),
        };
        spelled.parse::<SocketAddr>().map(Self::At).map_err(|_| "not an IP address with a port")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_addresses() {
        assert_eq!(Http::parse("OFF"), Ok(Http::Off));
        assert_eq!(Http::parse(":8890"), Http::parse("[::]:8890"));
        assert_eq!(Http::parse("localhost:1"), Http::parse("127.0.0.1:1"));
        assert!(
            Http::parse("[::1]:80").is_ok()
                && Http::parse("8890").is_err()
                && Http::parse("example.org:80").is_err()
        );
    }
}
