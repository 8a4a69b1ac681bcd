//! A TCP proxy in front of one broker, so that a run can do to the processor's connections what networks do: cut them, slow
//! them down, let answers vanish. It knows where a request and an answer begin, and which kind a request is, and no more.
//!
//! ```text
//! processor ──▶ requests ──▶ [ rules ] ──▶ broker
//!           ◀──  answers ◀── [ rules ] ◀──
//! ```
//! The brokers among themselves, the generator and the oracle do not pass through here.

mod line;
mod rules;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rules::Shared;
pub(crate) use rules::{Api, Rules};

/// One proxy. It serves until the process ends.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Proxy {
    /// Listens on a free port, for a broker at `port` that may not be there yet.
    pub(crate) fn start(port: u16) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("a proxy finds no port: {e}"))?;
        let address = listener.local_addr().map_err(|e| format!("a proxy does not know its port: {e}"))?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that the broker does not answer sees its connection closed, as it would without us.
                if !of_thread.rules().refuses {
                    accept(client, port, &of_thread);
                }
            }
        });
        Ok(Self { shared, address })
    }

    /// Where clients reach the broker through it.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on these rules hold, for the connections that are open too.
    pub(crate) fn rule(&self, rules: Rules) {
        self.shared.rule(rules);
    }

    /// Cuts all connections; how many there were.
    pub(crate) fn cut(&self) -> u64 {
        self.shared.cut()
    }

    /// How many frames or connections the rules have touched so far.
    pub(crate) fn touched(&self) -> u64 {
        self.shared.touched()
    }
}

fn accept(client: TcpStream, port: u16, shared: &Arc<Shared>) {
    let Ok(broker) = TcpStream::connect(("127.0.0.1", port)) else { return };
    let line = line::Line::new(client, broker, Arc::clone(shared));
    shared.enter(&line);
    line::serve(&line);
}
