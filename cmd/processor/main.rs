//! The program with the built-in transform. All that it does is in the library: see [`processor::main`].

use std::process::ExitCode;

use processor::Validate;

fn main() -> ExitCode {
    processor::main(Validate)
}
