//! Data goes to standard output, talk to standard error. A reader that has gone away (`processor config | head`) is no
//! reason to panic, as `println!` would.

use std::fmt::Display;
use std::io::{self, Write};

/// Writes data, a line end after it.
pub(super) fn data(text: impl Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Says something to people, a line end after it.
pub(super) fn say(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
