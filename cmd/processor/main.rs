//! The binary: arguments and exit code.

fn main() {}
