//! SIGINT and SIGTERM as messages, for the commands that end in a way of their own.

use std::io;

use crossbeam_channel::{Receiver, unbounded};
use tokio::signal::unix::{SignalKind, signal};

/// From now on each signal is a message, and ends nothing by itself.
///
/// # Errors
/// When the system lets nobody handle signals, or has no thread left.
pub fn catch() -> io::Result<Receiver<()>> {
    let (out, inbox) = unbounded();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    // Here and not on the thread: a signal that comes early must find a handler.
    let (mut term, mut int) = {
        let _context = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async move {
            loop {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = int.recv() => {}
                }
                if out.send(()).is_err() {
                    return;
                }
            }
        });
    })?;
    Ok(inbox)
}
