//! Takes the port before anything else starts, so that a wrong address is an error at once and not a line in the log.

use std::io;
use std::net::{SocketAddr, TcpListener};

use thiserror::Error;

use crate::config::Http;

/// A port that is ours.
#[derive(Debug)]
pub struct Bound {
    /// Not blocking, as an async runtime wants it.
    pub listener: TcpListener,
    /// To be logged: the port is not the expected one.
    pub warning: Option<String>,
}

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

/// Takes the port; `None` where there is to be no listener.
///
/// # Errors
/// When the user's own choice cannot be had. The default one gives way to any free port, with a warning.
pub fn bind(http: Http) -> Result<Option<Bound>, BindError> {
    let (listener, warning) = match http {
        Http::Off => return Ok(None),
        Http::At(address) => (listen(address)?, None),
        Http::Default(address) => match listen(address) {
            Err(BindError::InUse { .. }) => any_port(address)?,
            other => (other?, None),
        },
    };
    Ok(Some(Bound { listener, warning }))
}

fn any_port(taken: SocketAddr) -> Result<(TcpListener, Option<String>), BindError> {
    let listener = listen(SocketAddr::new(taken.ip(), 0))?;
    let refused = |source| BindError::Refused { address: taken, source };
    let port = listener.local_addr().map_err(refused)?.port();
    let warning = format!(
        "port {} is in use, so probes and metrics are at port {port}; set PROCESSOR_HTTP_ADDR to choose one",
        taken.port()
    );
    Ok((listener, Some(warning)))
}

fn listen(address: SocketAddr) -> Result<TcpListener, BindError> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address },
        _ => BindError::Refused { address, source },
    })
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
    fn the_default_port_gives_way_with_a_warning_and_only_if_it_must() {
        let (listener, address) = taken();
        let bound = bind(Http::Default(address)).unwrap().unwrap();
        let other = bound.listener.local_addr().unwrap();
        assert_eq!(other.ip(), address.ip());
        assert_ne!(other.port(), address.port());
        let warning = bound.warning.unwrap();
        assert!(
            warning.contains(&other.port().to_string()) && warning.contains("PROCESSOR_HTTP_ADDR"),
            "{warning}"
        );

        drop(listener);
        let bound = bind(Http::Default(address)).unwrap().unwrap();
        assert_eq!(bound.listener.local_addr().unwrap(), address);
        assert_eq!(bound.warning, None);
    }
}
