//! `bootstrap.servers`: host and port of each, checked before librdkafka sees them.

use std::net::Ipv6Addr;

use super::list;

/// Kafka's port, where none is said.
const PORT: &str = "9092";

/// The entries as `host:port`, each once and joined by commas, or what is wrong with the first bad one.
pub fn bootstrap(text: &str) -> Result<String, String> {
    let mut all: Vec<String> = Vec::new();
    for entry in list(text) {
        let server = server(entry)?;
        if !all.contains(&server) {
            all.push(server);
        }
    }
    if all.is_empty() { Err("names no server".into()) } else { Ok(all.join(",")) }
}

fn server(entry: &str) -> Result<String, String> {
    if entry.contains("://") {
        return Err("a URL, where only host:port is meant".into());
    }
    let (host, port) = match entry.strip_prefix('[') {
        Some(rest) => bracketed(rest)?,
        None if entry.matches(':').count() > 1 => {
            return Err("an IPv6 address needs brackets, [::1]:9092".into());
        }
        None => match entry.split_once(':') {
            Some((host, port)) if is_host(host) => (host.to_owned(), port),
            None if is_host(entry) => (entry.to_owned(), PORT),
            _ => return Err("not the name of a host".into()),
        },
    };
    if !port.bytes().all(|b| b.is_ascii_digit()) || port.parse::<u16>().map_or(true, |port| port == 0) {
        return Err("a port is a number from 1 to 65535".into());
    }
    Ok(format!("{host}:{port}"))
}

fn bracketed(rest: &str) -> Result<(String, &str), String> {
    let (host, tail) = rest.split_once(']').ok_or("a bracket is not closed")?;
    let host: Ipv6Addr = host.parse().map_err(|_| "no IPv6 address in the brackets")?;
    let port = if tail.is_empty() { PORT } else { tail.strip_prefix(':').unwrap_or("") };
    Ok((format!("[{host}]"), port))
}

fn is_host(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    !text.is_empty() && text.len() <= 255 && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_port_is_at_9092() {
        assert_eq!(bootstrap("localhost").as_deref(), Ok("localhost:9092"));
        assert_eq!(bootstrap("a:1, b  c:3,a:1").as_deref(), Ok("a:1,b:9092,c:3"));
        assert_eq!(bootstrap("[::1],[fe80::1]:19092").as_deref(), Ok("[::1]:9092,[fe80::1]:19092"));
        assert_eq!(bootstrap("my_kafka-1.example:9093").as_deref(), Ok("my_kafka-1.example:9093"));
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for bad in [
            "kafka://a:9092",
            "a:",
            "a:0",
            "a:65536",
            "a:x",
            ":9092",
            "::1",
            "[::1",
            "[x]:1",
            "a/b",
            ",",
            "a:+1",
        ] {
            assert!(bootstrap(bad).is_err(), "{bad}");
        }
    }
}
