//! SIGINT, SIGTERM and SIGHUP as messages, for the commands that end in a way of their own.

use std::io;

use crate::app::Signals;
use crossbeam_channel::{Receiver, unbounded};

/// From now on each signal is a message, and ends nothing by itself.
///
/// # Errors
/// When the system lets nobody handle signals, or has no thread left.
pub(super) fn catch() -> io::Result<Receiver<()>> {
    let (out, inbox) = unbounded();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    // Here and not on the thread: a signal that comes early must find a handler.
    let signals = {
        let _context = runtime.enter();
        Signals::catch()?
    };
    let life = move || runtime.block_on(signals.forward(|| out.send(()).is_ok()));
    std::thread::Builder::new().name("signals".to_owned()).spawn(life)?;
    Ok(inbox)
}
