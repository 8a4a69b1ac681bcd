//! The exit codes as the help shows them; what they are is the library's.

pub use processor::app::Exit;

/// The table at the end of the help.
pub const TABLE: &str = "Exit codes:
  0 done  1 failed while running  2 usage  65 not to be judged  69 broker or topic missing  70 a bug of ours
  75 drained with records left, or fenced  77 authentication or permission  78 configuration";
