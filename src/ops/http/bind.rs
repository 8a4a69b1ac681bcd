//! Takes the port before anything else starts, so that a wrong address is an error at once and not a line in the log.

use std::io;
use std::io::ErrorKind::{AddrInUse, PermissionDenied};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};
use thiserror::Error;

use crate::ops::Http;

/// How many connections may wait to be accepted.
const WAITING: i32 = 128;

/// Why the address cannot be had.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another program listens there.
    #[error(
        "PROCESSOR_HTTP_ADDR={address}: the port is in use by another program, or another instance; choose a free one, \
         such as PROCESSOR_HTTP_ADDR={ip}:0 for any, or PROCESSOR_HTTP_ADDR=off for none", ip = Ip(address)
    )]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The system refuses it otherwise.
    #[error(
        "PROCESSOR_HTTP_ADDR={address}: cannot listen there: {source}; use an address of this machine and a port above \
         1023, or PROCESSOR_HTTP_ADDR=off for no listener"
    )]
    Refused {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Takes the port; `None` where there is to be no listener. It does not block, as an async runtime wants it.
///
/// # Errors
/// When it cannot be had.
pub fn bind(http: Http) -> Result<Option<TcpListener>, BindError> {
    match http {
        Http::Off => Ok(None),
        Http::At(address) => listen(address, socket).map(Some),
    }
}

type Open = fn(SocketAddr) -> io::Result<TcpListener>;

fn listen(address: SocketAddr, open: Open) -> Result<TcpListener, BindError> {
    let every = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let listener = match open(address) {
        // There is no IPv6 on this machine: every interface is then every one with IPv4.
        Err(error) if every && !matches!(error.kind(), AddrInUse | PermissionDenied) => {
            open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
        }
        other => other,
    };
    listener.map_err(|source| match source.kind() {
        AddrInUse => BindError::InUse { address },
        _ => BindError::Refused { address, source },
    })
}

/// As the standard library makes it, but that `[::]` serves IPv4 too, whatever the system's own default is.
fn socket(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // What is left of old connections does not keep the port; another listener does.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(WAITING)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The IP of an address as it stands before a port.
struct Ip<'a>(&'a SocketAddr);

impl std::fmt::Display for Ip<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            SocketAddr::V4(address) => write!(f, "{}", address.ip()),
            SocketAddr::V6(address) => write!(f, "[{}]", address.ip()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn taken() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[test]
    fn off_is_no_listener() {
        assert!(bind(Http::Off).unwrap().is_none());
    }

    #[test]
    fn a_chosen_port_in_use_names_the_variable_the_value_and_the_fix() {
        let (_listener, address) = taken();
        let error = bind(Http::At(address)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("PROCESSOR_HTTP_ADDR={address}: the port is in use")), "{error}");
        assert!(error.contains("PROCESSOR_HTTP_ADDR=127.0.0.1:0"), "{error}");
    }

    #[test]
    fn an_address_of_another_machine_is_refused_and_named() {
        let error = bind(Http::At("192.0.2.1:8890".parse().unwrap())).unwrap_err().to_string();
        assert!(error.starts_with("PROCESSOR_HTTP_ADDR=192.0.2.1:8890: cannot listen there"), "{error}");
    }

    #[test]
    fn every_interface_is_served_with_ipv6_and_ipv4() {
        let listener = bind(Http::At("[::]:0".parse().unwrap())).unwrap().unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("IPv4");
        if listener.local_addr().unwrap().is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).expect("IPv6");
        }
    }

    #[test]
    fn a_port_that_is_taken_with_ipv4_alone_is_taken() {
        let taken = TcpListener::bind("0.0.0.0:0").unwrap();
        let address = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), taken.local_addr().unwrap().port());
        let error = bind(Http::At(address)).unwrap_err();
        assert!(matches!(error, BindError::InUse { .. }), "{error}");
        assert!(error.to_string().contains("PROCESSOR_HTTP_ADDR=[::]:0"), "{error}");
    }

    #[test]
    fn a_machine_without_ipv6_is_served_with_ipv4() {
        let open: Open = |address| match address {
            SocketAddr::V4(_) => socket(address),
            SocketAddr::V6(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        let listener = listen("[::]:0".parse().unwrap(), open).unwrap();
        assert_eq!(listener.local_addr().unwrap().ip(), Ipv4Addr::UNSPECIFIED);
        let error = listen("[::1]:0".parse().unwrap(), open).unwrap_err().to_string();
        assert!(error.starts_with("PROCESSOR_HTTP_ADDR=[::1]:0: cannot listen there"), "{error}");
    }
}
